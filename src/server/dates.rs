//! The `Date` of replies, formatted once a second.

use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::http::date::{UnixSeconds, imf_fixdate};
use crate::http::response::DATE_AT;

/// See the module.
#[derive(Debug)]
pub struct Dates {
    second: UnixSeconds,
    text: [u8; 29],
}

impl Default for Dates {
    fn default() -> Self {
        Self {
            second: 0,
            text: *b"Thu, 01 Jan 1970 00:00:00 GMT",
        }
    }
}

impl Dates {
    /// The present second as an IMF-fixdate.
    pub fn header(&mut self, wall: SystemTime) -> &[u8; 29] {
        let second = unix_seconds(wall);
        if second != self.second {
            if let Some(text) = imf_fixdate(second) {
                self.text = text;
            }
            self.second = second;
        }
        &self.text
    }

    /// Brings the date of a kept reply up to the present second: in place if no connection is
    /// sending it, else in a copy.
    pub fn stamp(&mut self, reply: &mut Rc<[u8]>, wall: SystemTime) {
        let text = *self.header(wall);
        let field = DATE_AT..DATE_AT + text.len();
        if reply.get(field.clone()) == Some(&text[..]) {
            return;
        }
        if let Some(field) = Rc::make_mut(reply).get_mut(field) {
            field.copy_from_slice(&text);
        }
    }
}

/// Seconds since 1970, negative before.
pub fn unix_seconds(wall: SystemTime) -> UnixSeconds {
    match wall.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |s| -s),
    }
}
