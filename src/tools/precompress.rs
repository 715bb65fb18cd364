//! `idler precompress`: writes the compressed siblings that `idler serve` sends.
//!
//! What lives here: the walk through a tree, which files get siblings, what is kept, and what is said about it. It may not know how
//! anything is compressed (`coders.rs`), served or waited for: it runs instead of the loop, and may block.
//! Invariant: a sibling appears whole, under its final name, and never looks newer than the original it was made from;
//! nothing outside the tree is read or written. Read next: `precompress/coders.rs`.

mod coders;
mod report;

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, RawMode, Stat, Timespec, Timestamps, UTIME_OMIT,
};
use rustix::io::Errno;

use crate::cli::PrecompressOptions;
use crate::http::accept::Coding;
use crate::http::path::SitePath;
use crate::limits::{PRECOMPRESS_BYTES_MAX, PRECOMPRESS_DEPTH_MAX};
use crate::site::media::{MediaTypes, is_compressible};

use crate::process::words_of;
use crate::server::compressed::suffix;
use crate::tools::precompress::coders::Coder;
use crate::tools::precompress::report::Report;

/// Writes the siblings of all files beneath a path. 0: all that were due; 1: something failed, which was said.
pub fn run(options: &PrecompressOptions) -> ExitCode {
    let mut walk = Walk {
        types: MediaTypes::default(),
        report: Report::new(options.voice.quiet),
    };
    walk.begin(&options.path);
    walk.report.finish()
}

struct Walk {
    types: MediaTypes,
    report: Report,
}

/// What became of one sibling.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// Written, with this many bytes.
    Written(u64),
    /// It was there, and no older than its original.
    Fresh,
    /// It would not have been smaller.
    NotSmaller,
}

/// A file whose siblings are made: where it is, and what it was when it was opened.
struct Original<'a> {
    directory: &'a OwnedFd,
    name: &'a CStr,
    file: File,
    stat: Stat,
}

impl Walk {
    fn begin(&mut self, path: &Path) {
        // The path itself may be a link: whoever names it means what it leads to.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rustix::fs::open(path, flags, Mode::empty())
            .and_then(|fd| Ok((rustix::fs::fstat(&fd)?, fd)));
        match opened {
            Ok((stat, fd)) if is(&stat, FileType::Directory) => self.directory(fd, path, 0),
            Ok((stat, _)) if is(&stat, FileType::RegularFile) => self.one(path),
            Ok(_) => self
                .report
                .failed(path, "neither a directory nor a regular file"),
            Err(e) => self.report.failed(path, &words_of(&e.into())),
        }
    }

    /// A single file, by its own path.
    fn one(&mut self, path: &Path) {
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let name = path.file_name().unwrap_or_default().as_bytes();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match (
            rustix::fs::openat(CWD, parent, flags, Mode::empty()),
            CString::new(name),
        ) {
            (Ok(directory), Ok(name)) => self.file(&directory, &name, path),
            (Err(e), _) => self.report.failed(path, &words_of(&e.into())),
            (Ok(_), Err(_)) => self.report.failed(path, "its name has a NUL"),
        }
    }

    /// A directory and all below it, in the order of names. Bounded by [`PRECOMPRESS_DEPTH_MAX`] and by what is there.
    fn directory(&mut self, directory: OwnedFd, path: &Path, depth: usize) {
        if depth > PRECOMPRESS_DEPTH_MAX {
            self.report.failed(path, "the directories are too deep");
            return;
        }
        let names = match names_of(&directory) {
            Ok(names) => names,
            Err(e) => {
                self.report.failed(path, &words_of(&e));
                return;
            }
        };
        for name in names {
            // The same rule as when serving.
            if SitePath::root().join(name.to_bytes()).is_hidden() {
                continue;
            }
            let path = path.join(std::ffi::OsStr::from_bytes(name.to_bytes()));
            let stat = match rustix::fs::statat(&directory, &name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                // It has gone since.
                Err(Errno::NOENT) => continue,
                Err(e) => {
                    self.report.failed(&path, &words_of(&e.into()));
                    continue;
                }
            };
            if is(&stat, FileType::Directory) {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                match rustix::fs::openat(&directory, &name, flags, Mode::empty()) {
                    Ok(inner) => self.directory(inner, &path, depth + 1),
                    Err(e) => self.report.failed(&path, &words_of(&e.into())),
                }
            } else if is(&stat, FileType::RegularFile) {
                self.file(&directory, &name, &path);
            }
            // Links are not followed: what they lead to is met where it stands, or lies outside.
        }
    }

    fn file(&mut self, directory: &OwnedFd, name: &CStr, path: &Path) {
        if !is_compressible(&self.types.of(name.to_bytes())) {
            return;
        }
        let original = match Original::open(directory, name) {
            Ok(Some(original)) => original,
            Ok(None) => return,
            Err(e) => {
                self.report.failed(path, &words_of(&e));
                return;
            }
        };
        if original.bytes() > PRECOMPRESS_BYTES_MAX {
            self.report.too_long();
            return;
        }
        self.report.file(path);
        for coder in Coder::ALL {
            match original.sibling(*coder) {
                Ok(outcome) => self.report.sibling(outcome, original.bytes()),
                Err(e) => {
                    let path = with_suffix(path, coder.coding());
                    self.report.failed(&path, &words_of(&e));
                }
            }
        }
    }
}

impl<'a> Original<'a> {
    /// `None` if it is not a regular file any more.
    fn open(directory: &'a OwnedFd, name: &'a CStr) -> io::Result<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(directory, name, flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&file)?;
        Ok(is(&stat, FileType::RegularFile).then(|| Self {
            directory,
            name,
            file: file.into(),
            stat,
        }))
    }

    fn bytes(&self) -> u64 {
        u64::try_from(self.stat.st_size).unwrap_or_default()
    }

    /// Makes one sibling, unless there is one that is fresh, or it would not be smaller.
    fn sibling(&self, coder: Coder) -> io::Result<Outcome> {
        let mut name = self.name.to_bytes().to_vec();
        name.extend_from_slice(suffix(coder.coding()));
        let name = CString::new(name)?;
        match rustix::fs::statat(self.directory, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if !is(&stat, FileType::RegularFile) => {
                return Err(io::Error::other("something that is no file stands there"));
            }
            Ok(stat) if stat.st_size > 0 && modified(&stat) >= modified(&self.stat) => {
                return Ok(Outcome::Fresh);
            }
            Ok(_) | Err(Errno::NOENT) => {}
            Err(e) => return Err(e.into()),
        }
        if self.bytes() == 0 {
            return Ok(Outcome::NotSmaller);
        }
        let draft = Draft::create(self.directory)?;
        let bytes = coder.encode(&self.file, self.bytes(), &draft.file)?;
        if bytes >= self.bytes() {
            return Ok(Outcome::NotSmaller);
        }
        let after = rustix::fs::fstat(&self.file)?;
        if modified(&after) != modified(&self.stat) || after.st_size != self.stat.st_size {
            return Err(io::Error::other("the original changed while it was read"));
        }
        draft.publish(&name, &self.stat)?;
        Ok(Outcome::Written(bytes))
    }
}

/// A sibling in the making: under a hidden name, which is never served, and gone if it is not published.
struct Draft<'a> {
    directory: &'a OwnedFd,
    name: CString,
    file: File,
    published: bool,
}

impl<'a> Draft<'a> {
    fn create(directory: &'a OwnedFd) -> io::Result<Self> {
        let name = format!(".idler-precompress-{}", std::process::id());
        let name = CString::new(name)?;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = || rustix::fs::openat(directory, &name, flags, Mode::RUSR | Mode::WUSR);
        let file = match open() {
            // Left behind by a run with our number that was ended in the middle.
            Err(Errno::EXIST) => {
                rustix::fs::unlinkat(directory, &name, AtFlags::empty())?;
                open()?
            }
            other => other?,
        };
        Ok(Self {
            directory,
            name,
            file: file.into(),
            published: false,
        })
    }

    /// Gives it its name, the rights and the time of its original: if that changes later, it is older at once.
    fn publish(mut self, name: &CStr, original: &Stat) -> io::Result<()> {
        let rights = Mode::from_raw_mode(RawMode::from(original.st_mode) & 0o777);
        rustix::fs::fchmod(&self.file, rights)?;
        let (seconds, nanos) = modified(original);
        let times = Timestamps {
            last_access: Timespec {
                tv_sec: 0,
                tv_nsec: UTIME_OMIT,
            },
            last_modification: Timespec {
                tv_sec: seconds,
                tv_nsec: nanos,
            },
        };
        rustix::fs::futimens(&self.file, &times)?;
        rustix::fs::renameat(self.directory, &self.name, self.directory, name)?;
        self.published = true;
        Ok(())
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if !self.published {
            // If it cannot be removed, it stays hidden.
            let _ = rustix::fs::unlinkat(self.directory, &self.name, AtFlags::empty());
        }
    }
}

fn is(stat: &Stat, kind: FileType) -> bool {
    FileType::from_raw_mode(stat.st_mode) == kind
}

fn modified(stat: &Stat) -> (i64, i64) {
    let nanos = i64::try_from(stat.st_mtime_nsec).unwrap_or_default();
    (stat.st_mtime, nanos)
}

fn with_suffix(path: &Path, coding: Coding) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(std::ffi::OsStr::from_bytes(suffix(coding)));
    name.into()
}

/// The names in a directory, in order.
fn names_of(directory: &OwnedFd) -> io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(directory.as_fd())? {
        let name = entry?.file_name().to_owned();
        if name.as_bytes() != b"." && name.as_bytes() != b".." {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests;
