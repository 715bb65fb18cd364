//! UDP ping: a numbered, stamped text goes out and comes back in capitals.
//!
//! The form is that of the courses, `Ping 1 1699999999.1`: number, then seconds since 1970. Their
//! servers answer with the text in capitals, and some cut it at 1,024 bytes. So a datagram, which
//! any machine may have sent, is a reply only if number and stamp are those of a ping that went
//! out; padding does not count.

pub mod client;
mod impairments;
mod round_trips;
pub mod server;
mod statistics;

use std::time::Duration;

pub use crate::companions::ping::client::ask;
pub use crate::companions::ping::server::serve;

use crate::limits::DATAGRAM_BYTES_MAX;

/// The text of a ping: number, time since 1970, and as much padding as makes it `bytes` long.
fn request(number: u32, stamp: Duration, bytes: usize) -> String {
    let mut text = format!("Ping {number} {}", stamp_text(stamp));
    let missing = bytes.min(DATAGRAM_BYTES_MAX).saturating_sub(text.len());
    if missing > 0 {
        text.push(' ');
        text.extend(std::iter::repeat_n('x', missing - 1));
    }
    text
}

/// A stamp as it is written: seconds, with six decimals.
fn stamp_text(stamp: Duration) -> String {
    format!("{}.{:06}", stamp.as_secs(), stamp.subsec_micros())
}

/// What a reply says of the ping it answers: its number, and its stamp as written.
fn reply(datagram: &[u8]) -> Option<(u32, &str)> {
    // Number and stamp stand at the start; padding need not be looked at, nor be text.
    let start = datagram.get(..64).unwrap_or(datagram);
    let end = start
        .iter()
        .position(|b| !b.is_ascii_graphic() && *b != b' ');
    let text = str::from_utf8(start.get(..end.unwrap_or(start.len()))?).ok()?;
    let mut words = text.split_ascii_whitespace();
    if !words.next()?.eq_ignore_ascii_case("ping") {
        return None;
    }
    Some((words.next()?.parse().ok()?, words.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ping_is_what_the_courses_send() {
        let stamp = Duration::new(1_699_999_999, 100_000_000);
        assert_eq!(request(1, stamp, 0), "Ping 1 1699999999.100000");
        assert_eq!(request(1, stamp, 30), "Ping 1 1699999999.100000 xxxxx");
        assert_eq!(request(1, stamp, 25), "Ping 1 1699999999.100000 ");
        assert_eq!(request(1, stamp, 1_000_000).len(), DATAGRAM_BYTES_MAX);
    }

    #[test]
    fn a_reply_is_known_by_number_and_stamp() {
        let known = Some((1, "1699999999.1"));
        assert_eq!(reply(b"PING 1 1699999999.1"), known);
        assert_eq!(reply(b"ping 1  1699999999.1 xxxx"), known);
        assert_eq!(reply(b"PING 1 1699999999.1\r\n"), known);
        assert_eq!(reply(b"PING 1 1699999999.1 \xff\xff"), known);
        for strange in [
            &b""[..],
            b"PONG 1 2",
            b"PING",
            b"PING 1",
            b"PING -1 2",
            b"PING 4294967296 2",
            b"\xff\xfe",
        ] {
            assert_eq!(reply(strange), None);
        }
    }

    #[test]
    fn what_goes_out_comes_back() {
        let mut datagram = request(7, Duration::from_micros(1), 100).into_bytes();
        datagram.make_ascii_uppercase();
        assert_eq!(reply(&datagram), Some((7, "0.000001")));
    }
}
