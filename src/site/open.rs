//! From a path to an open file, and never to one outside the root.
//!
//! This is the only file that opens what a site holds. Whatever it opens lies beneath the root and
//! is a regular file or a directory, and opening never waits.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawMode, ResolveFlags, Stat, StatxFlags};
use rustix::io::{Errno, Result};

use crate::limits::OPEN_RETRIES_MAX;

/// What stands at a path of a site.
#[derive(Debug)]
pub enum Found {
    /// A regular file, open for reading.
    File(Opened),
    /// A directory, open for reading.
    Directory(Opened),
    /// Nothing that is served, and why: for the administrator, never for a client.
    Missing(&'static str),
    /// Something that this process may not read.
    Forbidden,
    /// It cannot be opened at present: no descriptor or memory is left, or another process has a
    /// lease on it (fcntl(2)).
    Later(io::Error),
    /// The file system failed (EIO and its like).
    Failed(io::Error),
}

/// An open file or directory, and what was known of it when it was opened.
#[derive(Debug)]
pub struct Opened {
    /// The descriptor, read-only and non-blocking.
    pub file: File,
    /// What the file was.
    pub identity: Identity,
}

/// Opens beneath a root, in the strongest way that the system has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opener {
    /// `openat2(RESOLVE_BENEATH)`: the kernel follows links as long as they stay beneath the root.
    Openat2,
    /// Component by component; links are refused altogether.
    Walk,
}

/// Non-blocking, since a FIFO may take the place of a file just before it is opened, and would
/// otherwise stop the whole server there.
const READ: OFlags = OFlags::RDONLY
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOCTTY);

/// Neither reads nor writes: for asking what stands at a path, and for directories on the way.
const LOOK: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

impl Opener {
    /// Finds out whether `openat2` works here: old kernels do not have it (ENOSYS), old container
    /// filters forbid it (EPERM).
    pub fn probe(root: BorrowedFd<'_>) -> Self {
        match openat2(root, c".", READ) {
            Err(Errno::NOSYS | Errno::PERM) => Self::Walk,
            _ => Self::Openat2,
        }
    }

    /// Opens `path` beneath `root`. The empty path is the root itself. Bounded by the length of the
    /// path.
    pub fn find(self, root: BorrowedFd<'_>, path: &CStr) -> Found {
        let error = match self.open(root, path) {
            Ok((Kind::Directory, opened)) => return Found::Directory(opened),
            Ok((_, opened)) => return Found::File(opened),
            Err(error) => error,
        };
        match error {
            Errno::ACCESS | Errno::PERM => Found::Forbidden,
            Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::BUSY => Found::Later(error.into()),
            // A client is not told why a path leads to no file.
            Errno::NOENT | Errno::INVAL => Found::Missing("there is nothing"),
            Errno::NAMETOOLONG => Found::Missing("a name is too long"),
            Errno::NOTDIR => Found::Missing("a file stands where the path needs a directory"),
            Errno::NXIO | Errno::NODEV => Found::Missing(match self {
                Self::Openat2 => "it is neither a file nor a directory",
                Self::Walk => "it is neither a file nor a directory; links are not followed here",
            }),
            Errno::XDEV => Found::Missing("a link on the way is absolute or leads out of the root"),
            Errno::LOOP => {
                Found::Missing("links on the way lead in a circle, or are not followed here")
            }
            _ => Found::Failed(error.into()),
        }
    }

    /// Asks what stands at `path` before it opens it: to open a FIFO wakes its writer, and to open
    /// a device may do anything. The answer is not trusted, but asked again of what was opened.
    fn open(self, root: BorrowedFd<'_>, path: &CStr) -> Result<(Kind, Opened)> {
        self.stat(root, path)?;
        let file = File::from(self.open_beneath(root, path, READ)?);
        let (kind, identity) = served(fstat(file.as_fd())?)?;
        Ok((kind, Opened { file, identity }))
    }

    /// What stands at `path` beneath `root`. Neither opens it nor asks for anything outside, where
    /// a file system may not answer.
    ///
    /// # Errors
    /// ENXIO for what is neither a regular file nor a directory, and others as open(2) and statx(2)
    /// report them.
    pub fn stat(self, root: BorrowedFd<'_>, path: &CStr) -> Result<(Kind, Identity)> {
        let place = self.open_beneath(root, path, LOOK)?;
        served(fstat(place.as_fd())?)
    }

    fn open_beneath(self, root: BorrowedFd<'_>, path: &CStr, flags: OFlags) -> Result<OwnedFd> {
        let path = if path.is_empty() { c"." } else { path };
        match self {
            Self::Openat2 => openat2(root, path, flags),
            Self::Walk => walk(root, path.to_bytes(), flags),
        }
    }
}

/// Nothing but regular files and directories is served.
fn served(stat: (Kind, Identity)) -> Result<(Kind, Identity)> {
    match stat.0 {
        Kind::File | Kind::Directory => Ok(stat),
        Kind::Other => Err(Errno::NXIO),
    }
}

/// The kernel resolves the whole path, and refuses what leads outside. Bounded by
/// [`OPEN_RETRIES_MAX`] calls.
fn openat2(root: BorrowedFd<'_>, path: &CStr, flags: OFlags) -> Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let call = || {
        #[cfg(test)]
        tests::faults::next(tests::faults::Call::Open)?;
        rustix::fs::openat2(root, path, flags, Mode::empty(), resolve)
    };
    for _ in 0..OPEN_RETRIES_MAX {
        match call() {
            // A rename somewhere in the tree raced with `..` in a link (openat2(2)); or another
            // process has a lease on the file, and was asked by this call to give it up (fcntl(2)).
            // Neither brings an edge.
            Err(Errno::AGAIN | Errno::INTR) => {}
            result => return result,
        }
    }
    Err(Errno::BUSY)
}

/// The portable way of [`openat2`]: opens each component without following links. Bounded by the
/// length of `path`.
fn walk(root: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd> {
    let slash = path.iter().rposition(|&b| b == b'/');
    let (parents, last) = path.split_at(slash.map_or(0, |at| at + 1));
    let mut directory = None;
    let parents = parents.split(|&b| b == b'/');
    for parent in parents.filter(|name| !name.is_empty()) {
        let here = directory.as_ref().map_or(root, AsFd::as_fd);
        directory = Some(open_component(here, parent, LOOK | OFlags::DIRECTORY)?);
    }
    let here = directory.as_ref().map_or(root, AsFd::as_fd);
    open_component(here, if last.is_empty() { b"." } else { last }, flags)
}

fn open_component(directory: BorrowedFd<'_>, name: &[u8], flags: OFlags) -> Result<OwnedFd> {
    if name == b".." {
        return Err(Errno::XDEV);
    }
    #[cfg(test)]
    tests::faults::next(tests::faults::Call::Open)?;
    rustix::fs::openat(directory, name, flags | OFlags::NOFOLLOW, Mode::empty())
}

/// What stands at a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A FIFO, socket, device or anything else that must not be opened.
    Other,
}

impl From<FileType> for Kind {
    fn from(file_type: FileType) -> Self {
        if file_type.is_file() {
            Self::File
        } else if file_type.is_dir() {
            Self::Directory
        } else {
            Self::Other
        }
    }
}

/// What tells one state of a file from any other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The device it is on.
    pub device: (u32, u32),
    /// Its inode.
    pub inode: u64,
    /// Its size in bytes.
    pub size: u64,
    /// When its contents last changed; its owner may set it to anything.
    pub modified: Moment,
    /// When it last changed in any way; only the kernel sets it.
    pub changed: Moment,
}

impl From<&Stat> for Identity {
    fn from(stat: &Stat) -> Self {
        let moment = |seconds, nanos| Moment {
            seconds,
            nanos: u32::try_from(nanos).unwrap_or_default(),
        };
        let (major, minor) = (rustix::fs::major, rustix::fs::minor);
        Self {
            device: (major(stat.st_dev), minor(stat.st_dev)),
            inode: stat.st_ino,
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            modified: moment(stat.st_mtime, stat.st_mtime_nsec),
            changed: moment(stat.st_ctime, stat.st_ctime_nsec),
        }
    }
}

/// A moment of a file's life: seconds and nanoseconds since 1970, possibly before.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Moment {
    /// Seconds since 1970; negative before.
    pub seconds: i64,
    /// Nanoseconds within the second.
    pub nanos: u32,
}

/// What stands at `path`, seen from `directory`; links are followed. Not confined: a client may
/// only be told of it if it equals what was opened beneath the root.
pub fn stat(directory: BorrowedFd<'_>, path: &CStr) -> Result<(Kind, Identity)> {
    stat_with(directory, path, AtFlags::empty())
}

/// By `statx`, or where the kernel or a container's filter does not have it, by `fstatat`.
fn stat_with(directory: BorrowedFd<'_>, path: &CStr, flags: AtFlags) -> Result<(Kind, Identity)> {
    #[cfg(test)]
    tests::faults::next(tests::faults::Call::Statx)?;
    let times = StatxFlags::MTIME | StatxFlags::CTIME;
    let wanted = StatxFlags::TYPE | StatxFlags::INO | StatxFlags::SIZE | times;
    let x = match rustix::fs::statx(directory, path, flags, wanted) {
        Err(Errno::NOSYS | Errno::PERM) => return stat_portably(directory, path, flags),
        other => other?,
    };
    let moment = |seconds, nanos| Moment { seconds, nanos };
    let identity = Identity {
        device: (x.stx_dev_major, x.stx_dev_minor),
        inode: x.stx_ino,
        size: x.stx_size,
        modified: moment(x.stx_mtime.tv_sec, x.stx_mtime.tv_nsec),
        changed: moment(x.stx_ctime.tv_sec, x.stx_ctime.tv_nsec),
    };
    let file_type = FileType::from_raw_mode(RawMode::from(x.stx_mode));
    Ok((file_type.into(), identity))
}

/// What an open file is now.
pub fn fstat(file: BorrowedFd<'_>) -> Result<(Kind, Identity)> {
    stat_with(file, c"", AtFlags::EMPTY_PATH)
}

fn stat_portably(
    directory: BorrowedFd<'_>,
    path: &CStr,
    flags: AtFlags,
) -> Result<(Kind, Identity)> {
    let stat = if flags.contains(AtFlags::EMPTY_PATH) {
        rustix::fs::fstat(directory)?
    } else {
        rustix::fs::statat(directory, path, flags)?
    };
    let file_type = FileType::from_raw_mode(stat.st_mode);
    Ok((file_type.into(), Identity::from(&stat)))
}

#[cfg(test)]
pub(crate) mod tests;
