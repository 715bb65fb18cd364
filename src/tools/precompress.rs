//! `idler precompress`: writes the compressed siblings that `idler serve` sends.
//!
//! It runs instead of the loop, and may block. A sibling appears whole, under its final name, and
//! never looks newer than the original it was made from; nothing outside the tree is read or
//! written. Every browser can read what is written: windows stay within what RFC 7932 and RFC 9659
//! set for the web. Each failure is said, and shows in the exit code.

use std::ffi::{CStr, CString, OsStr};
use std::fmt::Write as _;
use std::fs::{File, Metadata, Permissions};
use std::io::{self, IsTerminal as _, Read as _, Seek as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::ExitCode;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, fstat, openat, statat};
use rustix::io::Errno;

use crate::cli::Options;
use crate::companions::atomic_file::{directory_of, shown};
use crate::companions::progress::redraw;
use crate::http::accept::Coding;
use crate::http::path::is_hidden;
use crate::limits::{PRECOMPRESS_BYTES_MAX, PRECOMPRESS_DEPTH_MAX, PRECOMPRESS_SHOWN_CHARS_MAX};
use crate::log::logger;
use crate::process::words_of;
use crate::site::media::MediaTypes;
use crate::site::media::{is_compressible, is_current, suffix};
use crate::site::open::Identity;

use super::print_page;

const READ: OFlags = OFlags::RDONLY
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC);
const DIRECTORY: OFlags = READ.union(OFlags::DIRECTORY);

/// The codings that this program was built to make. Brotli and zstd together weigh as much as all
/// the rest of idler.
const CODINGS: &[Coding] = &[
    #[cfg(feature = "precompress")]
    Coding::Brotli,
    #[cfg(feature = "precompress")]
    Coding::Zstd,
    Coding::Gzip,
];

/// The highest level whose window is 8 MiB: clients may refuse more (RFC 9659 §3).
#[cfg(feature = "precompress")]
const ZSTD_LEVEL: i32 = 19;

/// Writes the siblings of all files beneath a path. 0: all that were due; 1: something failed,
/// which was said.
pub fn run(options: &Options) -> ExitCode {
    let mut walk = Walk {
        progress: !options.voice.quiet && io::stderr().is_terminal(),
        ..Walk::default()
    };
    let path = &options.server.path;
    if let Err(e) = walk.begin(path) {
        walk.fail(path, &e);
    }
    walk.clear();
    let printed = print_page(&walk.summary());
    if walk.failed > 0 {
        ExitCode::FAILURE
    } else {
        printed
    }
}

/// The walk through a tree, and what has come of it so far.
#[derive(Default)]
struct Walk {
    types: MediaTypes,
    /// Whether standard error is a terminal that shows progress.
    progress: bool,
    files: u64,
    too_long: u64,
    written: u64,
    written_bytes: u64,
    /// Of the originals of what was written.
    original_bytes: u64,
    fresh: u64,
    not_smaller: u64,
    failed: u64,
}

impl Walk {
    fn begin(&mut self, path: &Path) -> io::Result<()> {
        // The path itself may be a link: what it leads to is meant.
        let opened = openat(CWD, path, READ, Mode::empty())?;
        let stat = fstat(&opened)?;
        if is(&stat, FileType::Directory) {
            return self.directory(&opened, path, 0);
        }
        if !is(&stat, FileType::RegularFile) {
            return Err(io::Error::other("neither a directory nor a regular file"));
        }
        let name = CString::new(path.file_name().unwrap_or_default().as_bytes())?;
        let directory = openat(CWD, directory_of(path), DIRECTORY, Mode::empty())?;
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
                self.fail(&path, &e);
            }
        }
        Ok(())
    }

    fn entry(
        &mut self,
        within: &OwnedFd,
        name: &CStr,
        path: &Path,
        depth: usize,
    ) -> io::Result<()> {
        let stat = match statat(within, name, AtFlags::SYMLINK_NOFOLLOW) {
            // It has gone since.
            Err(Errno::NOENT) => return Ok(()),
            stat => stat?,
        };
        // Links are not followed: what they lead to is met where it stands, or lies outside.
        if is(&stat, FileType::Directory) {
            let inner = openat(within, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
            self.directory(&inner, path, depth + 1)?;
        } else if is(&stat, FileType::RegularFile) {
            self.file(within, name, path)?;
        }
        Ok(())
    }

    fn file(&mut self, directory: &OwnedFd, name: &CStr, path: &Path) -> io::Result<()> {
        if !is_compressible(&self.types.of(name.to_bytes())) {
            return Ok(());
        }
        let file = openat(directory, name, READ | OFlags::NOFOLLOW, Mode::empty())?;
        let stat = fstat(&file)?;
        if !is(&stat, FileType::RegularFile) {
            return Ok(());
        }
        let (file, identity) = (File::from(file), Identity::from(&stat));
        if identity.size > PRECOMPRESS_BYTES_MAX {
            self.too_long += 1;
            return Ok(());
        }
        self.files += 1;
        self.show(path);
        let original = Original {
            directory,
            metadata: file.metadata()?,
            file,
            identity,
        };
        for &coding in CODINGS {
            let name = [name.to_bytes(), suffix(coding)].concat();
            if let Err(e) = self.sibling(&original, &CString::new(&name[..])?, coding) {
                self.fail(&path.with_file_name(OsStr::from_bytes(&name)), &e);
            }
        }
        Ok(())
    }

    /// Makes one sibling, unless there is one that is fresh, or it would not be smaller.
    fn sibling(&mut self, original: &Original<'_>, name: &CStr, coding: Coding) -> io::Result<()> {
        match statat(original.directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if !is(&stat, FileType::RegularFile) => {
                return Err(io::Error::other("something that is no file stands there"));
            }
            Ok(stat) if is_current(&Identity::from(&stat), &original.identity) => {
                self.fresh += 1;
                return Ok(());
            }
            Ok(_) | Err(Errno::NOENT) => {}
            Err(e) => return Err(e.into()),
        }
        // A hidden name, which is never served.
        let draft = CString::new(format!(".idler-precompress-{}", std::process::id()))?;
        let written = original.write(coding, &draft, name);
        // It is there only if it did not get its name. If it cannot be removed, it stays hidden.
        let _ = rustix::fs::unlinkat(original.directory, &draft, AtFlags::empty());
        if let Some(bytes) = written? {
            self.written += 1;
            self.written_bytes += bytes;
            self.original_bytes += original.identity.size;
        } else {
            self.not_smaller += 1;
        }
        Ok(())
    }

    /// Shows the file that is next, if that is wanted.
    fn show(&self, path: &Path) {
        if self.progress {
            let name = shown(path);
            let skip = name
                .chars()
                .count()
                .saturating_sub(PRECOMPRESS_SHOWN_CHARS_MAX);
            let end: String = name.chars().skip(skip).collect();
            redraw(&format!("{} {end}", self.files));
        }
    }

    fn clear(&self) {
        if self.progress {
            redraw("");
        }
    }

    /// Something could not be done; the rest goes on.
    fn fail(&mut self, path: &Path, error: &io::Error) {
        self.failed += 1;
        self.clear();
        logger::say(&format!("idler: {}: {}", shown(path), words_of(error)));
    }

    /// The last line.
    fn summary(&self) -> String {
        let mut line = format!("{} files: {} siblings written", self.files, self.written);
        if let Some(saved) = self.original_bytes.checked_sub(self.written_bytes)
            && let Some(percent) = (saved * 100).checked_div(self.original_bytes)
        {
            let _ = write!(line, " ({percent}% smaller)");
        }
        let others = [
            (self.fresh, "fresh"),
            (self.not_smaller, "would not be smaller"),
            (self.too_long, "files too long"),
            (self.failed, "failed"),
        ];
        for (count, what) in others.iter().filter(|(count, _)| *count > 0) {
            let _ = write!(line, ", {count} {what}");
        }
        if cfg!(not(feature = "precompress")) {
            line += "; .gz alone, since this idler was built without its feature precompress";
        }
        line + "\n"
    }
}

/// A file whose siblings are made: where it is, and what it was when it was opened.
struct Original<'a> {
    directory: &'a OwnedFd,
    file: File,
    metadata: Metadata,
    identity: Identity,
}

impl Original<'_> {
    /// Writes a sibling as `draft`, and gives it its name, unless it is not smaller. Returns its
    /// length.
    fn write(&self, coding: Coding, draft: &CStr, name: &CStr) -> io::Result<Option<u64>> {
        let size = self.metadata.len();
        if size == 0 {
            return Ok(None);
        }
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = || openat(self.directory, draft, flags, Mode::RUSR | Mode::WUSR);
        let file = match open() {
            // A run with the same process number that was ended in the middle has left it behind.
            Err(Errno::EXIST) => {
                rustix::fs::unlinkat(self.directory, draft, AtFlags::empty())?;
                open()?
            }
            file => file?,
        };
        let file = File::from(file);
        encode(coding, &self.file, size, &file)?;
        let bytes = file.metadata()?.len();
        if bytes >= size {
            return Ok(None);
        }
        let (after, modified) = (self.file.metadata()?, self.metadata.modified()?);
        if (after.modified()?, after.len()) != (modified, size) {
            return Err(io::Error::other("the original changed while it was read"));
        }
        // The rights and the time of the original: if that changes later, this is older at once.
        let rights = self.metadata.permissions().mode() & 0o777;
        file.set_permissions(Permissions::from_mode(rights))?;
        file.set_modified(modified)?;
        rustix::fs::renameat(self.directory, draft, self.directory, name)?;
        Ok(Some(bytes))
    }
}

/// Writes the first `bytes` of `from`, coded. Memory is bounded by the coder's window, whatever the
/// length.
fn encode(coding: Coding, mut from: &File, bytes: u64, mut to: &File) -> io::Result<()> {
    from.rewind()?;
    // Never more than it had: it may grow meanwhile.
    let mut from = from.take(bytes);
    match coding {
        #[cfg(feature = "precompress")]
        Coding::Brotli => {
            let params = brotli::enc::BrotliEncoderParams {
                quality: 11,
                lgwin: 22,
                size_hint: usize::try_from(bytes).unwrap_or(usize::MAX),
                ..Default::default()
            };
            brotli::BrotliCompress(&mut from, &mut to, &params)?;
        }
        #[cfg(feature = "precompress")]
        Coding::Zstd => {
            let mut coder = zstd::Encoder::new(to, ZSTD_LEVEL)?;
            // A length that is known makes a small file's window small.
            coder.set_pledged_src_size(Some(bytes))?;
            io::copy(&mut from, &mut coder)?;
            coder.finish()?;
        }
        #[cfg(not(feature = "precompress"))]
        Coding::Brotli | Coding::Zstd => return Err(io::ErrorKind::Unsupported.into()),
        Coding::Gzip => {
            let mut coder = flate2::write::GzEncoder::new(to, flate2::Compression::best());
            io::copy(&mut from, &mut coder)?;
            coder.finish()?;
        }
        Coding::Identity => {
            io::copy(&mut from, &mut to)?;
        }
    }
    Ok(())
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
