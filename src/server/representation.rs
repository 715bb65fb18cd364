//! A file as it is sent: its fields, its validators, its bytes.
//!
//! What lives here: what is known of a file once it has been opened, made ready for the wire. It may not know
//! connections, or how the file was found. Invariant: the length that is announced is that of the file that is sent.
//! Read next: `answer.rs`.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::rc::Rc;
use std::time::SystemTime;

use crate::event_loop::page_cache;
use crate::event_loop::page_cache::Came;
use crate::http::accept::Coding;
use crate::http::date::{UnixSeconds, imf_fixdate};
use crate::http::response::HeadWriter;
use crate::http::status::Status;
use crate::limits::{CACHED_FILE_BYTES_MAX, RACY_WINDOW, TORN_READS_MAX};
use crate::site::cache::Kept;
#[cfg(test)]
use crate::site::open::tests::faults;
use crate::site::open::{Identity, Moment, Opened, look_at};

use crate::server::compressed::{VARY, Variant};
use crate::server::dates::unix_seconds;
use crate::server::policy::Policy;

/// What is said of a file.
#[derive(Debug)]
pub struct FileMeta {
    /// The media type.
    pub content_type: Box<str>,
    /// The other fields of a 200, without `Content-Length`: whole lines.
    pub lines: Vec<u8>,
    /// The fields of a 304 (RFC 9110 §15.4.5): whole lines.
    pub validator_lines: Vec<u8>,
    /// The entity tag, quotes and all.
    pub etag: Vec<u8>,
    /// When it was last modified, if that says anything.
    pub modified: Option<UnixSeconds>,
    /// Its size in bytes.
    pub size: u64,
    /// How much of [`Content::Whole`] is the head.
    pub head_len: usize,
    /// Whether another client might be sent another variant.
    pub varies: bool,
}

/// The bytes of a representation.
#[derive(Clone, Debug)]
pub enum Content {
    /// A whole reply with status 200, head and body, as a client of HTTP/1.1 gets it that keeps its connection.
    Whole(Rc<[u8]>),
    /// The file.
    File(Rc<File>),
}

/// What is kept with a file in the cache.
#[derive(Debug)]
pub struct CachedMeta {
    /// What is said of it.
    pub facts: Rc<FileMeta>,
    /// [`FileMeta::head_len`], without following a pointer.
    pub head_len: usize,
}

/// See the module.
#[derive(Debug)]
pub struct Representation {
    /// What is said of it.
    pub facts: Rc<FileMeta>,
    /// Its bytes.
    pub content: Content,
    /// What it was when it was opened; `None` if it comes from the cache, or is not to be kept.
    identity: Option<Identity>,
}

impl FileMeta {
    /// What is said of a file with this identity, sent in this form for the one at this path within the site.
    pub fn of(
        path: &[u8],
        identity: &Identity,
        form: Variant,
        policy: &Policy,
        wall: SystemTime,
    ) -> Self {
        let now = unix_seconds(wall);
        // Reproducible builds set every date to 0 or 1: such a date says nothing.
        let constant = (0..=1).contains(&identity.modified.seconds);
        let etag = entity_tag(identity, constant, form.coding, wall);
        // A future date must not be sent (RFC 9110 §8.8.2.1).
        let modified = Some(identity.modified.seconds).filter(|&s| s > 1 && s <= now);
        let mut validator_lines = Vec::new();
        line(&mut validator_lines, "ETag", &etag);
        if form.varies {
            validator_lines.extend_from_slice(VARY);
        }
        policy.write_lines(path, &mut validator_lines);
        let mut lines = Vec::new();
        if form.coding != Coding::Identity {
            line(
                &mut lines,
                "Content-Encoding",
                form.coding.name().as_bytes(),
            );
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
            head_len: 0,
            varies: form.varies,
        }
    }

    /// The `Vary` of an answer that is none of 200, 206 or 304, but depends on which variant was chosen all the same.
    pub fn vary(&self) -> &'static [u8] {
        if self.varies { VARY } else { b"" }
    }
}

fn line(lines: &mut Vec<u8>, name: &str, value: &[u8]) {
    lines.extend_from_slice(name.as_bytes());
    lines.extend_from_slice(b": ");
    lines.extend_from_slice(value);
    lines.extend_from_slice(b"\r\n");
}

/// From size and modification time, so that it is equal on every machine that holds the same copy. Where the
/// time is a constant, from inode and change time as well. Weak while another change could leave it the same. A variant's ends in its
/// coding: that of another one must never match it (RFC 9110 §8.8.3.3).
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
    let dash = if coding == Coding::Identity { "" } else { "-" };
    let coding = if coding == Coding::Identity {
        ""
    } else {
        coding.name()
    };
    let tag = if constant {
        let Identity { inode, changed, .. } = *identity;
        format!(
            "{weak}\"{size:x}-{inode:x}-{:x}.{:x}{dash}{coding}\"",
            changed.seconds, changed.nanos
        )
    } else {
        format!("{weak}\"{size:x}-{seconds:x}.{nanos:x}{dash}{coding}\"")
    };
    tag.into_bytes()
}

/// Whether something may have changed again since without showing it in its times. What lies in the future (a clock that was
/// set back) is no older than it looks.
fn is_recent(moment: Moment, wall: SystemTime) -> bool {
    let window = i64::try_from(RACY_WINDOW.as_secs()).unwrap_or(i64::MAX);
    moment.seconds >= unix_seconds(wall).saturating_sub(window)
}

/// Whether what was found under this identity cannot have changed since without changing it.
pub(crate) fn is_settled(identity: &Identity, wall: SystemTime) -> bool {
    !is_recent(identity.changed, wall)
}

impl Representation {
    /// From what was just opened at `path` within the site. A small file is read, again if it changed meanwhile; a larger one will be sent from its descriptor.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn load(
        path: &[u8],
        opened: Opened,
        form: Variant,
        policy: &Policy,
        date: &[u8; 29],
        wall: SystemTime,
    ) -> io::Result<Self> {
        let Opened {
            file, mut identity, ..
        } = opened;
        for _ in 0..TORN_READS_MAX {
            if identity.size > CACHED_FILE_BYTES_MAX {
                break;
            }
            let mut facts = FileMeta::of(path, &identity, form, policy, wall);
            let mut head = HeadWriter::new(Status::OK, date);
            head.field("Content-Type", facts.content_type.as_bytes())
                .lines(&facts.lines)
                .field_number("Content-Length", facts.size);
            let mut whole = head.end();
            facts.head_len = whole.len();
            let size = usize::try_from(identity.size).unwrap_or_default();
            whole.resize(facts.head_len + size, 0);
            #[cfg(test)]
            faults::next(faults::Call::Read)?;
            let came = page_cache::read_whole(&file, &mut whole[facts.head_len..])?;
            if came == Came::Later {
                // It is sent like a large one, which can wait for a disk. The next to ask finds it in memory.
                facts.head_len = 0;
                return Ok(Self {
                    facts: Rc::new(facts),
                    content: Content::File(Rc::new(file)),
                    identity: None,
                });
            }
            let (_, after) = look_at(file.as_fd())?;
            if came == Came::Whole && after == identity {
                return Ok(Self {
                    facts: Rc::new(facts),
                    content: Content::Whole(whole.into()),
                    identity: Some(identity),
                });
            }
            identity = after;
        }
        let facts = FileMeta::of(path, &identity, form, policy, wall);
        Ok(Self {
            facts: Rc::new(facts),
            content: Content::File(Rc::new(file)),
            identity: Some(identity),
        })
    }

    /// From the cache.
    pub fn kept(facts: Rc<FileMeta>, kept: &Kept) -> Self {
        let content = match kept {
            Kept::Bytes(bytes) => Content::Whole(Rc::clone(bytes)),
            Kept::File(file) => Content::File(Rc::clone(file)),
        };
        Self {
            facts,
            content,
            identity: None,
        }
    }

    /// What is kept with it.
    pub fn known(&self) -> CachedMeta {
        CachedMeta {
            facts: Rc::clone(&self.facts),
            head_len: self.facts.head_len,
        }
    }

    /// Under which identity it may be kept: none while another change could go unnoticed.
    pub fn settled(&self, wall: SystemTime) -> Option<Identity> {
        self.identity.filter(|i| is_settled(i, wall))
    }
}
