//! A file ready for the wire: its fields, its validators, its bytes.
//!
//! The length that is announced is always that of the file that is sent.

use std::io;
use std::ops::Range;
use std::os::fd::AsFd as _;
use std::rc::Rc;
use std::time::SystemTime;

use crate::event_loop::page_cache;
use crate::event_loop::page_cache::Came;
use crate::http::accept::Coding;
use crate::http::date::imf_fixdate;
use crate::http::date::unix_seconds;
use crate::http::response::HeadWriter;
use crate::http::status::Status;
use crate::limits::{CACHED_FILE_BYTES_MAX, RACY_WINDOW, TORN_READS_MAX};
use crate::site::cache::{Content, FileMeta, Representation};
#[cfg(test)]
use crate::site::open::tests::faults;
use crate::site::open::{Identity, Moment, Opened, fstat};

use crate::server::policy::Policy;

/// Says that another client may be sent another variant (RFC 9110 §12.5.5).
///
/// It stands on every answer for a file of a compressible type, whether it has siblings or not: to
/// find out would cost clients that accept no coding three more system calls; and siblings may come
/// later, while a shared cache still holds the answer.
pub const VARY: &[u8] = b"Vary: Accept-Encoding\r\n";

/// In what form a file is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Variant {
    /// How it is coded.
    pub coding: Coding,
    /// Whether another client might be sent another variant.
    pub varies: bool,
}

impl FileMeta {
    /// What is said of a file with this identity, sent in this form for the one at this path within
    /// the site.
    pub fn of(
        path: &[u8],
        identity: &Identity,
        variant: Variant,
        policy: &Policy,
        wall: SystemTime,
    ) -> Self {
        let now = unix_seconds(wall);
        // Reproducible builds set every date to 0 or 1: such a date says nothing.
        let constant = (0..=1).contains(&identity.modified.seconds);
        let etag = entity_tag(identity, constant, variant.coding, wall);
        // A future date must not be sent (RFC 9110 §8.8.2.1).
        let modified = Some(identity.modified.seconds).filter(|&s| s > 1 && s <= now);
        let mut validator_lines = Vec::new();
        line(&mut validator_lines, "ETag", &etag);
        if variant.varies {
            validator_lines.extend_from_slice(VARY);
        }
        policy.write_lines(path, &mut validator_lines);
        let mut lines = Vec::new();
        if variant.coding != Coding::Identity {
            let coding = variant.coding.name();
            line(&mut lines, "Content-Encoding", coding.as_bytes());
        }
        line(&mut lines, "X-Content-Type-Options", b"nosniff");
        line(&mut lines, "Accept-Ranges", b"bytes");
        if let Some(date) = modified.and_then(imf_fixdate) {
            line(&mut lines, "Last-Modified", &date);
        }
        lines.extend_from_slice(&validator_lines);
        Self {
            content_type: policy.types.of(path).into(),
            lines,
            validator_lines,
            etag,
            modified,
            size: identity.size,
            varies: variant.varies,
        }
    }

    /// Writes the fields of a reply with all of it.
    pub fn write_fields(&self, head: &mut HeadWriter) {
        head.field("Content-Type", self.content_type.as_bytes())
            .lines(&self.lines)
            .field_number("Content-Length", self.size);
    }

    /// The `Vary` of an answer that is none of 200, 206 or 304, but depends on which variant was
    /// chosen all the same.
    pub fn vary(&self) -> &'static [u8] {
        if self.varies { VARY } else { b"" }
    }
}

fn line(lines: &mut Vec<u8>, name: &str, value: &[u8]) {
    lines.extend_from_slice(&[name.as_bytes(), b": ", value, b"\r\n"].concat());
}

/// From size and modification time, so that it is equal on every machine that holds the same copy.
/// Where the time is a constant, from inode and change time as well. Weak while another change
/// could leave it the same. A variant's ends in its coding: that of another one must never match it
/// (RFC 9110 §8.8.3.3).
fn entity_tag(identity: &Identity, constant: bool, coding: Coding, wall: SystemTime) -> Vec<u8> {
    let Identity {
        size,
        modified: Moment { seconds, nanos },
        ..
    } = *identity;
    let weak = if is_recent(identity.modified, wall) {
        "W/"
    } else {
        ""
    };
    let coding = if coding == Coding::Identity {
        String::new()
    } else {
        format!("-{}", coding.name())
    };
    let tag = if constant {
        let Identity { inode, changed, .. } = *identity;
        let (seconds, nanos) = (changed.seconds, changed.nanos);
        format!("{weak}\"{size:x}-{inode:x}-{seconds:x}.{nanos:x}{coding}\"")
    } else {
        format!("{weak}\"{size:x}-{seconds:x}.{nanos:x}{coding}\"")
    };
    tag.into_bytes()
}

/// Whether something may have changed again since without showing it in its times. What lies in the
/// future (a clock that was set back) is no older than it looks.
fn is_recent(moment: Moment, wall: SystemTime) -> bool {
    let window = i64::try_from(RACY_WINDOW.as_secs()).unwrap_or(i64::MAX);
    moment.seconds >= unix_seconds(wall).saturating_sub(window)
}

/// Whether what was found under this identity cannot have changed since without changing it.
pub(crate) fn is_settled(identity: &Identity, wall: SystemTime) -> bool {
    !is_recent(identity.changed, wall)
}

/// Under which identity a file may be kept: none while another change could go unnoticed.
fn settled(identity: Identity, wall: SystemTime) -> Option<Identity> {
    Some(identity).filter(|identity| is_settled(identity, wall))
}

impl Representation {
    /// From what was just opened at `path` within the site. A small file is read, again if it
    /// changed meanwhile; a larger one will be sent from its descriptor. Also says under which
    /// identity it may be kept, if at all.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn load(
        path: &[u8],
        opened: Opened,
        variant: Variant,
        policy: &Policy,
        date: &[u8; 29],
        wall: SystemTime,
    ) -> io::Result<(Self, Option<Identity>)> {
        let Opened { file, mut identity } = opened;
        for _ in 0..TORN_READS_MAX {
            if identity.size > CACHED_FILE_BYTES_MAX {
                break;
            }
            let meta = FileMeta::of(path, &identity, variant, policy, wall);
            // The one head that is not written in `respond.rs`: the cache keeps it.
            let mut head = HeadWriter::new(Status::OK, date);
            meta.write_fields(&mut head);
            let mut whole = head.end();
            let head_len = whole.len();
            let size = usize::try_from(identity.size).unwrap_or_default();
            whole.resize(head_len + size, 0);
            #[cfg(test)]
            faults::next(faults::Call::Read)?;
            let came = page_cache::read_whole(&file, &mut whole[head_len..])?;
            if came == Came::Later {
                // It is sent like a large one, which can wait for a disk. The next request finds it
                // in memory.
                return Ok((Self::of(meta, Content::File(Rc::new(file))), None));
            }
            let (_, after) = fstat(file.as_fd())?;
            if came == Came::Whole && after == identity {
                let content = Content::Whole(whole.into(), head_len);
                return Ok((Self::of(meta, content), settled(identity, wall)));
            }
            identity = after;
        }
        let meta = FileMeta::of(path, &identity, variant, policy, wall);
        let content = Content::File(Rc::new(file));
        Ok((Self::of(meta, content), settled(identity, wall)))
    }

    fn of(meta: FileMeta, content: Content) -> Self {
        Self {
            meta: Rc::new(meta),
            content,
        }
    }

    /// Some bytes of a body that is in memory; none of one that is not.
    pub fn slice(&self, part: Range<u64>) -> &[u8] {
        let Content::Whole(whole, head_len) = &self.content else {
            return &[];
        };
        let at = |n: u64| usize::try_from(n).ok()?.checked_add(*head_len);
        let range = at(part.start).zip(at(part.end));
        let bytes = range.and_then(|(start, end)| whole.get(start..end));
        bytes.unwrap_or_default()
    }
}
