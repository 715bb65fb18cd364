//! Where a body goes: standard output, or a file that is whole or not there.
//!
//! A download with `-c` that is cut short stays as `NAME.part`, and what it is half of (its strong
//! `ETag`, else a `Last-Modified` that is as good) as `NAME.part.of`. The next one asks for the
//! rest on condition that the file is still the same (`If-Range`, RFC 9110 §13.1.5), else gets the
//! whole.
//!
//! Invariant: a file never holds parts of two versions, and a name never stands for half a file.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cli::Options;
use crate::companions::atomic_file::{AtomicFile, cannot_write, directory_of, shown};
use crate::companions::client::{Failure, print};
use crate::http::reply::{ContentRange, ReplyHead, content_range};

/// Where the body of the present reply goes.
#[derive(Debug)]
pub(super) enum BodyOutput {
    Stdout,
    /// Nowhere: an error page is not what was to be saved.
    Nowhere,
    /// A file that gets this name when it is whole.
    New(AtomicFile, PathBuf),
    /// A file that is written in place.
    InPlace {
        file: File,
        path: PathBuf,
        /// The name that a half file gets when it is whole; it is kept if it stays half.
        name: Option<PathBuf>,
    },
}

/// What is there of an earlier download, and what the rest is asked with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Half {
    pub(super) bytes: u64,
    pub(super) validator: String,
}

fn part_of(name: &Path) -> PathBuf {
    name.with_added_extension("part")
}

fn validator_of(name: &Path) -> PathBuf {
    name.with_added_extension("part.of")
}

impl Half {
    /// Looks for a half file that is to be completed, and can be: one of which it is known what it
    /// is half of.
    pub(super) fn of(options: &Options) -> Option<Self> {
        let name = options.output.as_ref().filter(|_| options.resume)?;
        let bytes = fs::metadata(part_of(name)).ok()?.len();
        let validator = fs::read_to_string(validator_of(name)).ok()?;
        let fits = !validator.is_empty() && validator.chars().all(|c| c >= ' ' && c != '\x7f');
        (bytes > 0 && fits).then_some(Self { bytes, validator })
    }
}

/// What `If-Range` may be asked with: a strong tag, else a date that is as good (RFC 9110
/// §13.1.5), which it is if the file had been left alone for a second when it was sent (§8.8.2.2).
fn validator(head: &ReplyHead) -> Option<&str> {
    if let Some(tag) = head.field("etag").filter(|tag| tag.starts_with('"')) {
        return Some(tag);
    }
    let modified = head.field("last-modified")?;
    let sent = httpdate::parse_http_date(head.field("date")?).ok()?;
    let age = sent.duration_since(httpdate::parse_http_date(modified).ok()?);
    (age.ok()? >= Duration::from_secs(1)).then_some(modified)
}

impl BodyOutput {
    /// Chooses where the body of a reply goes, and what of it is there already.
    ///
    /// # Errors
    /// If it is a part that does not fit, or nothing can be written.
    pub(super) fn choose(
        options: &Options,
        half: Option<&Half>,
        head: &ReplyHead,
    ) -> Result<Self, Failure> {
        let (Some(name), resume) = (options.output.as_deref(), options.resume) else {
            return Ok(Self::Stdout);
        };
        match (head.status, half) {
            (206, Some(half)) => Self::complete(name, half, head),
            (206, None) if resume => Err(Failure::new(
                "the server sent a part of the file, which nobody asked for",
            )),
            (416, Some(half)) => Self::already_whole(name, half, head),
            (200..300, _) if is_no_file(name) => {
                Self::in_place(File::options().write(true), name.to_owned(), None)
            }
            (200..300, _) if resume => Self::begin_part(name, head),
            (200..300, _) => {
                let file = AtomicFile::new(directory_of(name))?;
                Ok(Self::New(file, name.to_owned()))
            }
            _ => Ok(Self::Nowhere),
        }
    }

    fn in_place(
        options: &OpenOptions,
        path: PathBuf,
        name: Option<&Path>,
    ) -> Result<Self, Failure> {
        let file = options.open(&path).map_err(|e| cannot_write(&path, &e))?;
        let name = name.map(Path::to_owned);
        Ok(Self::InPlace { file, path, name })
    }

    /// A new file, kept half if it is cut short.
    fn begin_part(name: &Path, head: &ReplyHead) -> Result<Self, Failure> {
        // In this order: at no moment does a validator stand beside bytes that are not of its
        // version.
        remove(&validator_of(name))?;
        let mut options = File::options();
        options.write(true).create(true).truncate(true);
        let part = Self::in_place(&options, part_of(name), Some(name))?;
        if let Some(validator) = validator(head) {
            let path = validator_of(name);
            fs::write(&path, validator).map_err(|e| cannot_write(&path, &e))?;
        }
        Ok(part)
    }

    /// The rest of a half file.
    fn complete(name: &Path, half: &Half, head: &ReplyHead) -> Result<Self, Failure> {
        let is_tag = half.validator.starts_with('"');
        let now = head.field(if is_tag { "etag" } else { "last-modified" });
        let wrong = match head.field("content-range").and_then(content_range) {
            Some(ContentRange::Part { first, .. }) if first != half.bytes => {
                format!("it begins at byte {first} and not at {}", half.bytes)
            }
            Some(ContentRange::Part { last, whole, .. })
                if whole.is_some_and(|whole| last + 1 != whole) =>
            {
                "it does not reach the end".to_owned()
            }
            // A server that does not know If-Range sends the part whatever the file is now.
            Some(ContentRange::Part { .. }) if now.is_some_and(|now| now != half.validator) => {
                "the file has changed meanwhile".to_owned()
            }
            Some(ContentRange::Part { .. }) => {
                let options = File::options().append(true).clone();
                return Self::in_place(&options, part_of(name), Some(name));
            }
            Some(ContentRange::Unsatisfied(_)) | None => {
                "its Content-Range makes no sense".to_owned()
            }
        };
        Err(Failure::new(format!(
            "the server's part does not fit: {wrong}; the half file is left as it was"
        )))
    }

    /// There is no rest: the half file may be the whole.
    fn already_whole(name: &Path, half: &Half, head: &ReplyHead) -> Result<Self, Failure> {
        let range = head.field("content-range").and_then(content_range);
        if range == Some(ContentRange::Unsatisfied(half.bytes)) {
            keep(name)?;
            return Ok(Self::Nowhere);
        }
        let part = shown(&part_of(name));
        Err(Failure::new(format!(
            "the server has no such part: remove {part} to begin anew"
        )))
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
            Self::InPlace { file, path, .. } => {
                file.write_all(bytes).map_err(|e| cannot_write(path, &e))
            }
        }
    }

    /// Told that the body is whole.
    ///
    /// # Errors
    /// If the file cannot get its name.
    pub(super) fn keep(self) -> Result<(), Failure> {
        match self {
            Self::New(temporary, name) => temporary.keep_as(&name, true),
            Self::InPlace {
                name: Some(name), ..
            } => keep(&name),
            Self::Stdout | Self::Nowhere | Self::InPlace { name: None, .. } => Ok(()),
        }
    }
}

/// Whether something stands there that is no regular file. To give its name to a file would destroy
/// it: `-o /dev/null` by root would leave a machine without it.
fn is_no_file(name: &Path) -> bool {
    fs::metadata(name).is_ok_and(|there| !there.is_file())
}

/// A half file that is whole gets its name.
fn keep(name: &Path) -> Result<(), Failure> {
    fs::rename(part_of(name), name).map_err(|e| cannot_write(name, &e))?;
    remove(&validator_of(name))
}

fn remove(path: &Path) -> Result<(), Failure> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(cannot_write(path, &e)),
        _ => Ok(()),
    }
}
