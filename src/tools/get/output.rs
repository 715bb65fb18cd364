//! Where a body goes: standard output, or a file that is whole or not there.
//!
//! What lives here: new files, and completing half ones. It may not know sockets. A download with `-c` that is cut
//! short stays as `NAME.part`, and what it was half of (its strong `ETag`, else `Last-Modified` if that is one) as `NAME.part.of`; the
//! next one asks for the rest on condition that it is still the same (`If-Range`, RFC 9110 §13.1.5), else gets the whole.
//!
//! Invariant: a file never holds parts of two versions, and a name never stands for half a file.
//! Read next: `protocol/http/client/head.rs`.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::http::printable::printable;
use crate::http::reply::{ContentRange, Head, content_range};

use crate::companions::client::{Failure, print};
use crate::companions::temporary::Temporary;

/// Where the body of the present reply goes.
#[derive(Debug)]
pub(super) enum Output {
    Stdout,
    /// Nowhere: an error page is not what was to be saved.
    Nowhere,
    /// A file that gets its name when it is whole.
    New(Temporary, PathBuf),
    /// A device or a pipe that was there before: written into, and never replaced.
    There(File, PathBuf),
    /// A half file that is kept if it stays half.
    Part(Part),
}

/// A half file.
#[derive(Debug)]
pub(super) struct Part {
    name: PathBuf,
    file: File,
    /// How much of it is there.
    bytes: u64,
}

/// What is there of an earlier download, and what the rest is asked with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Half {
    pub(super) bytes: u64,
    pub(super) validator: String,
}

fn beside(name: &Path, ending: &str) -> PathBuf {
    let mut path = name.as_os_str().to_owned();
    path.push(ending);
    PathBuf::from(path)
}

fn part_of(name: &Path) -> PathBuf {
    beside(name, ".part")
}

fn validator_of(name: &Path) -> PathBuf {
    beside(name, ".part.of")
}

/// Looks for a half file that can be completed: one of which it is known what it is half of.
pub(super) fn half(name: &Path) -> Option<Half> {
    let bytes = std::fs::metadata(part_of(name)).ok()?.len();
    let validator = std::fs::read_to_string(validator_of(name)).ok()?;
    let fits = !validator.is_empty() && validator.chars().all(|c| c >= ' ' && c != '\x7f');
    (bytes > 0 && fits).then_some(Half { bytes, validator })
}

/// What `If-Range` may be asked with: a strong tag, else a date that is one (RFC 9110 §13.1.5), which it is if the file had
/// been left alone for a second when it was sent (§8.8.2.2).
fn validator(head: &Head) -> Option<&str> {
    if let Some(tag) = head.field("etag").filter(|tag| tag.starts_with('"')) {
        return Some(tag);
    }
    let date = |field| httpdate::parse_http_date(head.field(field)?).ok();
    let age = date("date")?.duration_since(date("last-modified")?).ok()?;
    head.field("last-modified")
        .filter(|_| age >= Duration::from_secs(1))
}

impl Output {
    /// Chooses where the body of a reply goes, and what of it is there already.
    ///
    /// # Errors
    /// If it is a part that does not fit, or nothing can be written.
    pub(super) fn choose(
        name: Option<&Path>,
        resume: bool,
        half: Option<&Half>,
        head: &Head,
    ) -> Result<Self, Failure> {
        let Some(name) = name else {
            return Ok(Self::Stdout);
        };
        match (head.status, half) {
            (206, Some(half)) => Self::complete(name, half, head),
            (206, None) if resume => Err(Failure::new(
                "the server sent a part of the file, which nobody asked for",
            )),
            (416, Some(half)) => Self::already_whole(name, half, head),
            (200..300, _) if is_no_file(name) => {
                let opened = OpenOptions::new().write(true).open(name);
                let file = opened.map_err(|e| cannot_write(name, &e))?;
                Ok(Self::There(file, name.to_owned()))
            }
            (200..300, _) if resume => Self::begin_part(name, head),
            (200..300, _) => {
                let directory = match name.parent() {
                    Some(parent) if parent != Path::new("") => parent,
                    _ => Path::new("."),
                };
                Ok(Self::New(Temporary::new(directory)?, name.to_owned()))
            }
            _ => Ok(Self::Nowhere),
        }
    }

    /// A new file, kept half if it is cut short.
    fn begin_part(name: &Path, head: &Head) -> Result<Self, Failure> {
        // In this order: at no moment does a validator stand beside bytes that are not of its version.
        remove(&validator_of(name))?;
        let path = part_of(name);
        let opened = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path);
        let file = opened.map_err(|e| cannot_write(&path, &e))?;
        if let Some(validator) = validator(head) {
            let path = validator_of(name);
            std::fs::write(&path, validator).map_err(|e| cannot_write(&path, &e))?;
        }
        let bytes = 0;
        let name = name.to_owned();
        Ok(Self::Part(Part { name, file, bytes }))
    }

    /// The rest of a half file.
    fn complete(name: &Path, half: &Half, head: &Head) -> Result<Self, Failure> {
        let range = head.field("content-range").and_then(content_range);
        let spoils = |what: &str| {
            Failure::new(format!(
                "the server's part does not fit: {what}; the half file is left as it was"
            ))
        };
        match range {
            Some(ContentRange::Part { first, last, whole }) => {
                if first != half.bytes {
                    let bytes = half.bytes;
                    return Err(spoils(&format!(
                        "it begins at byte {first} and not at {bytes}"
                    )));
                }
                if whole.is_some_and(|whole| last + 1 != whole) {
                    return Err(spoils("it does not reach the end"));
                }
            }
            Some(ContentRange::Unsatisfied(_)) | None => {
                return Err(spoils("its Content-Range makes no sense"));
            }
        }
        // A server that does not know If-Range sends the part whatever the file is now.
        let same = |field: &str| {
            let now = head.field(field);
            half.validator.starts_with('"') != (field == "etag")
                || now.is_none_or(|v| v == half.validator)
        };
        if !same("etag") || !same("last-modified") {
            return Err(spoils("the file has changed meanwhile"));
        }
        let path = part_of(name);
        let opened = OpenOptions::new().append(true).open(&path);
        let file = opened.map_err(|e| cannot_write(&path, &e))?;
        let name = name.to_owned();
        let bytes = half.bytes;
        Ok(Self::Part(Part { name, file, bytes }))
    }

    /// There is no rest: the half file may be the whole.
    fn already_whole(name: &Path, half: &Half, head: &Head) -> Result<Self, Failure> {
        let range = head.field("content-range").and_then(content_range);
        if range == Some(ContentRange::Unsatisfied(half.bytes)) {
            keep(name)?;
            return Ok(Self::Nowhere);
        }
        let part = printable(part_of(name).as_os_str().as_encoded_bytes());
        Err(Failure::new(format!(
            "the server has no such part: remove {part} to begin anew"
        )))
    }

    /// What was there before the reply.
    pub(super) fn before(&self) -> u64 {
        match self {
            Self::Part(part) => part.bytes,
            Self::Stdout | Self::Nowhere | Self::New(..) | Self::There(..) => 0,
        }
    }

    /// Takes some of the body.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match self {
            Self::Stdout => print(bytes),
            Self::Nowhere => Ok(()),
            Self::New(temporary, _) => temporary.write(bytes),
            Self::There(file, name) => file.write_all(bytes).map_err(|e| cannot_write(name, &e)),
            Self::Part(part) => {
                let written = part.file.write_all(bytes);
                written.map_err(|e| cannot_write(&part_of(&part.name), &e))
            }
        }
    }

    /// Told that the body is whole.
    ///
    /// # Errors
    /// If the file cannot get its name.
    pub(super) fn keep(self) -> Result<(), Failure> {
        match self {
            Self::Stdout | Self::Nowhere | Self::There(..) => Ok(()),
            Self::New(mut temporary, name) => temporary.keep_as(&name, true),
            Self::Part(part) => keep(&part.name),
        }
    }
}

/// Whether something stands there that is no regular file. To give its name to a file would destroy it: `-o /dev/null` by root
/// would leave a machine without it.
fn is_no_file(name: &Path) -> bool {
    std::fs::metadata(name).is_ok_and(|there| !there.is_file())
}

/// A half file that is whole gets its name.
fn keep(name: &Path) -> Result<(), Failure> {
    std::fs::rename(part_of(name), name).map_err(|e| cannot_write(name, &e))?;
    remove(&validator_of(name))
}

fn remove(path: &Path) -> Result<(), Failure> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(cannot_write(path, &e)),
        _ => Ok(()),
    }
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    let path = printable(path.as_os_str().as_encoded_bytes());
    Failure::new(format!("cannot write to {path}: {error}"))
}
