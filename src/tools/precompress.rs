//! `idler precompress`: writes the compressed siblings that `idler serve` sends.
//!
//! It runs instead of the loop, and may block. A sibling appears whole, under its final name, and
//! never looks newer than the original it was made from; nothing outside the tree is read or
//! written.

mod coders;
mod report;

use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::ExitCode;

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, RawMode, Stat, Timespec, Timestamps, UTIME_OMIT,
};
use rustix::io::Errno;

use crate::cli::Options;
use crate::http::accept::Coding;
use crate::http::path::is_hidden;
use crate::limits::{PRECOMPRESS_BYTES_MAX, PRECOMPRESS_DEPTH_MAX};
use crate::site::media::MediaTypes;
use crate::site::open::Identity;
use crate::site::siblings::{is_compressible, is_current, suffix};

use crate::tools::precompress::coders::{CODINGS, encode};
use crate::tools::precompress::report::{Report, Sibling};

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

/// Writes the siblings of all files beneath a path. 0: all that were due; 1: something failed,
/// which was said.
pub fn run(options: &Options) -> ExitCode {
    let mut walk = Walk {
        types: MediaTypes::default(),
        report: Report::new(options.voice.quiet),
    };
    if let Err(e) = walk.begin(&options.server.path) {
        walk.report.failed(&options.server.path, &e);
    }
    walk.report.finish()
}

struct Walk {
    types: MediaTypes,
    report: Report,
}

impl Walk {
    fn begin(&mut self, path: &Path) -> io::Result<()> {
        // The path itself may be a link: what it leads to is meant.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rustix::fs::open(path, flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&opened)?;
        if is(&stat, FileType::Directory) {
            return self.directory(&opened, path, 0);
        }
        if !is(&stat, FileType::RegularFile) {
            return Err(io::Error::other("neither a directory nor a regular file"));
        }
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let name = CString::new(path.file_name().unwrap_or_default().as_bytes())?;
        let directory = rustix::fs::openat(CWD, parent, DIRECTORY, Mode::empty())?;
        self.file(&directory, &name, path)
    }

    /// A directory and all below it, in the order of names; what fails in it is said, and the rest
    /// goes on. Bounded by [`PRECOMPRESS_DEPTH_MAX`] and by what is there.
    fn directory(&mut self, directory: &OwnedFd, path: &Path, depth: usize) -> io::Result<()> {
        if depth > PRECOMPRESS_DEPTH_MAX {
            return Err(io::Error::other("the directories are too deep"));
        }
        for name in names_of(directory)? {
            let path = path.join(OsStr::from_bytes(name.to_bytes()));
            if let Err(e) = self.entry(directory, &name, &path, depth) {
                self.report.failed(&path, &e);
            }
        }
        Ok(())
    }

    fn entry(
        &mut self,
        directory: &OwnedFd,
        name: &CStr,
        path: &Path,
        depth: usize,
    ) -> io::Result<()> {
        let stat = match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            // It has gone since.
            Err(Errno::NOENT) => return Ok(()),
            stat => stat?,
        };
        // Links are not followed: what they lead to is met where it stands, or lies outside.
        if is(&stat, FileType::Directory) {
            let flags = DIRECTORY | OFlags::NOFOLLOW;
            let inner = rustix::fs::openat(directory, name, flags, Mode::empty())?;
            self.directory(&inner, path, depth + 1)?;
        } else if is(&stat, FileType::RegularFile) {
            self.file(directory, name, path)?;
        }
        Ok(())
    }

    fn file(&mut self, directory: &OwnedFd, name: &CStr, path: &Path) -> io::Result<()> {
        if !is_compressible(&self.types.of(name.to_bytes())) {
            return Ok(());
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(directory, name, flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&file)?;
        let identity = Identity::from(&stat);
        if !is(&stat, FileType::RegularFile) {
            return Ok(());
        }
        if identity.size > PRECOMPRESS_BYTES_MAX {
            self.report.too_long += 1;
            return Ok(());
        }
        self.report.file(path);
        let original = Original {
            directory,
            file: file.into(),
            mode: stat.st_mode,
            identity,
        };
        for &coding in CODINGS {
            let name = [name.to_bytes(), suffix(coding)].concat();
            match original.sibling(&CString::new(&name[..])?, coding) {
                Ok(sibling) => self.report.sibling(sibling, identity.size),
                Err(e) => {
                    let path = path.with_file_name(OsStr::from_bytes(&name));
                    self.report.failed(&path, &e);
                }
            }
        }
        Ok(())
    }
}

/// A file whose siblings are made: where it is, and what it was when it was opened.
struct Original<'a> {
    directory: &'a OwnedFd,
    file: File,
    mode: RawMode,
    identity: Identity,
}

impl Original<'_> {
    /// Makes one sibling, unless there is one that is fresh, or it would not be smaller.
    fn sibling(&self, name: &CStr, coding: Coding) -> io::Result<Sibling> {
        match rustix::fs::statat(self.directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if !is(&stat, FileType::RegularFile) => {
                return Err(io::Error::other("something that is no file stands there"));
            }
            Ok(stat) if is_current(&Identity::from(&stat), &self.identity) => {
                return Ok(Sibling::Fresh);
            }
            Ok(_) | Err(Errno::NOENT) => {}
            Err(e) => return Err(e.into()),
        }
        let Identity { size, modified, .. } = self.identity;
        if size == 0 {
            return Ok(Sibling::NotSmaller);
        }
        let draft = Draft::create(self.directory)?;
        encode(coding, &self.file, size, &draft.file)?;
        let bytes = draft.file.metadata()?.len();
        if bytes >= size {
            return Ok(Sibling::NotSmaller);
        }
        let after = Identity::from(&rustix::fs::fstat(&self.file)?);
        if (after.modified, after.size) != (modified, size) {
            return Err(io::Error::other("the original changed while it was read"));
        }
        draft.publish(name, self)?;
        Ok(Sibling::Written(bytes))
    }
}

/// A sibling in the making: under a hidden name, which is never served, and removed if it is not
/// published.
struct Draft<'a> {
    directory: &'a OwnedFd,
    name: CString,
    file: File,
    published: bool,
}

impl<'a> Draft<'a> {
    fn create(directory: &'a OwnedFd) -> io::Result<Self> {
        let name = CString::new(format!(".idler-precompress-{}", std::process::id()))?;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = || rustix::fs::openat(directory, &name, flags, Mode::RUSR | Mode::WUSR);
        let file = match open() {
            // A run with the same process number that was ended in the middle has left it behind.
            Err(Errno::EXIST) => {
                rustix::fs::unlinkat(directory, &name, AtFlags::empty())?;
                open()?
            }
            file => file?,
        };
        Ok(Self {
            directory,
            name,
            file: file.into(),
            published: false,
        })
    }

    /// Gives it its name, and the rights and the time of its original: if that changes later, the
    /// sibling is older at once.
    fn publish(mut self, name: &CStr, original: &Original<'_>) -> io::Result<()> {
        let rights = Mode::from_raw_mode(original.mode & 0o777);
        rustix::fs::fchmod(&self.file, rights)?;
        let modified = original.identity.modified;
        let times = Timestamps {
            last_access: Timespec {
                tv_sec: 0,
                tv_nsec: UTIME_OMIT,
            },
            last_modification: Timespec {
                tv_sec: modified.seconds,
                tv_nsec: modified.nanos.into(),
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

fn is(stat: &Stat, file_type: FileType) -> bool {
    FileType::from_raw_mode(stat.st_mode) == file_type
}

/// The names in a directory that may be served, in order.
fn names_of(directory: &OwnedFd) -> io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(directory.as_fd())? {
        let name = entry?.file_name().to_owned();
        // `.` and `..` are hidden too.
        if !is_hidden(name.to_bytes()) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests;
