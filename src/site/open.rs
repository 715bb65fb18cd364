//! How a path becomes a file, and never a file outside: the only file that opens what a site holds.
//!
//! What lives here: opening beneath a root directory that is itself an open descriptor, and asking what
//! stands at a path. It may not know who asks, or what will be sent.
//! Invariant: whatever is opened lies beneath the root, and is a regular file or a directory; opening
//! never waits. Read next: `mod.rs`.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawMode, ResolveFlags, Stat, Statx, StatxFlags};
use rustix::io::Errno;

use crate::limits::OPEN_RETRIES_MAX;

/// A moment of a file's life: seconds and nanoseconds since 1970, possibly before.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Moment {
    /// Seconds since 1970; negative before.
    pub seconds: i64,
    /// Nanoseconds within the second.
    pub nanos: u32,
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
    /// When its contents last changed; anybody may set it.
    pub modified: Moment,
    /// When it last changed in any way; only the kernel sets it.
    pub changed: Moment,
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
        match file_type {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Directory,
            FileType::Symlink
            | FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown => Self::Other,
        }
    }
}

/// Something opened, and what was known of it when it was.
#[derive(Debug)]
pub struct Opened {
    /// The descriptor, read-only and non-blocking.
    pub file: File,
    /// A regular file or a directory.
    pub kind: Kind,
    /// Its identity when it was opened.
    pub identity: Identity,
}

/// What stands at `path`, seen from `directory`; links are followed. Not confined: what is seen must not
/// be told to a client unless it equals what was opened beneath the root.
///
/// # Errors
/// Whatever statx(2) reports.
pub fn look(directory: BorrowedFd<'_>, path: &CStr) -> io::Result<(Kind, Identity)> {
    look_with(directory, path, AtFlags::empty())
}

/// What an open file is now.
///
/// # Errors
/// Whatever statx(2) reports.
pub fn look_at(file: BorrowedFd<'_>) -> io::Result<(Kind, Identity)> {
    look_with(file, c"", AtFlags::EMPTY_PATH)
}

/// `statx`, or where the kernel or a filter does not have it, `fstatat`.
fn look_with(
    directory: BorrowedFd<'_>,
    path: &CStr,
    flags: AtFlags,
) -> io::Result<(Kind, Identity)> {
    let wanted = StatxFlags::TYPE
        | StatxFlags::INO
        | StatxFlags::SIZE
        | StatxFlags::MTIME
        | StatxFlags::CTIME;
    match statx(directory, path, flags, wanted) {
        Ok(x) => Ok((
            FileType::from_raw_mode(RawMode::from(x.stx_mode)).into(),
            Identity {
                device: (x.stx_dev_major, x.stx_dev_minor),
                inode: x.stx_ino,
                size: x.stx_size,
                modified: Moment {
                    seconds: x.stx_mtime.tv_sec,
                    nanos: x.stx_mtime.tv_nsec,
                },
                changed: Moment {
                    seconds: x.stx_ctime.tv_sec,
                    nanos: x.stx_ctime.tv_nsec,
                },
            },
        )),
        Err(Errno::NOSYS | Errno::PERM) => look_portably(directory, path, flags),
        Err(e) => Err(e.into()),
    }
}

fn statx(
    directory: BorrowedFd<'_>,
    path: &CStr,
    flags: AtFlags,
    wanted: StatxFlags,
) -> rustix::io::Result<Statx> {
    #[cfg(test)]
    tests::faults::next(tests::faults::Call::Statx)?;
    rustix::fs::statx(directory, path, flags, wanted)
}

/// The portable way of [`look`].
fn look_portably(
    directory: BorrowedFd<'_>,
    path: &CStr,
    flags: AtFlags,
) -> io::Result<(Kind, Identity)> {
    let stat = if flags.contains(AtFlags::EMPTY_PATH) {
        rustix::fs::fstat(directory)?
    } else {
        rustix::fs::statat(directory, path, flags)?
    };
    Ok((
        FileType::from_raw_mode(stat.st_mode).into(),
        Identity::from(&stat),
    ))
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

/// Opens beneath a root, in the strongest way that the system has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opener {
    /// `openat2(RESOLVE_BENEATH)`: the kernel follows links as long as they stay beneath the root.
    Openat2,
    /// Component by component; links are refused altogether.
    Walk,
}

impl Opener {
    /// Finds out whether `openat2` works here: old kernels do not have it (ENOSYS), old container filters forbid it (EPERM).
    pub fn probe(root: BorrowedFd<'_>) -> Self {
        match openat2(root, c".", FLAGS) {
            Err(e) if matches!(Errno::from_io_error(&e), Some(Errno::NOSYS | Errno::PERM)) => {
                Self::Walk
            }
            _ => Self::Openat2,
        }
    }

    /// Opens `path` beneath `root`. The empty path is the root itself.
    ///
    /// # Errors
    /// ENOENT for what is not there, is not a regular file or directory, or lies outside; EACCES, EMFILE and others as open(2)
    /// reports them.
    pub fn open(self, root: BorrowedFd<'_>, path: &CStr) -> io::Result<Opened> {
        self.try_open(root, path).map_err(as_missing)
    }

    /// Why [`open`](Self::open) says that nothing is there, in words.
    pub fn why_missing(self, root: BorrowedFd<'_>, path: &CStr) -> &'static str {
        let error = match self.try_open(root, path) {
            Ok(_) => return "a file is asked for as if it were a directory",
            Err(e) => Errno::from_io_error(&e),
        };
        match error {
            Some(Errno::XDEV) => "a link on the way is absolute or leads out of the root",
            Some(Errno::LOOP) => "links on the way lead in a circle, or are not followed here",
            Some(Errno::NOTDIR) => "a file stands where the path needs a directory",
            Some(Errno::NXIO | Errno::NODEV) if self == Self::Walk => {
                "it is neither a file nor a directory; links are not followed here"
            }
            Some(Errno::NXIO | Errno::NODEV) => "it is neither a file nor a directory",
            Some(Errno::NAMETOOLONG) => "a name is too long",
            _ => "there is nothing",
        }
    }

    fn try_open(self, root: BorrowedFd<'_>, path: &CStr) -> io::Result<Opened> {
        // Looked at before it is opened: opening a FIFO wakes its writer, and opening a device may do anything.
        // The answer is not trusted: what was opened is looked at again.
        self.look(root, path)?;
        let file = File::from(self.reach(root, path, FLAGS)?);
        let (kind, identity) = served(look_at(file.as_fd())?)?;
        Ok(Opened {
            file,
            kind,
            identity,
        })
    }

    /// What stands at `path` beneath `root`. Neither opens it nor asks for anything outside, where a file system may not answer.
    ///
    /// # Errors
    /// ENXIO for what is neither a regular file nor a directory, and others as open(2) and statx(2) report them.
    pub fn look(self, root: BorrowedFd<'_>, path: &CStr) -> io::Result<(Kind, Identity)> {
        let place = self.reach(root, path, OFlags::PATH | OFlags::CLOEXEC)?;
        served(look_at(place.as_fd())?)
    }

    fn reach(self, root: BorrowedFd<'_>, path: &CStr, flags: OFlags) -> io::Result<OwnedFd> {
        let path = if path.is_empty() { c"." } else { path };
        match self {
            Self::Openat2 => openat2(root, path, flags),
            Self::Walk => walk(root, path, flags),
        }
    }
}

/// Nothing but regular files and directories is served.
fn served(seen: (Kind, Identity)) -> io::Result<(Kind, Identity)> {
    match seen.0 {
        Kind::File | Kind::Directory => Ok(seen),
        Kind::Other => Err(Errno::NXIO.into()),
    }
}

/// What open(2) says of a path that leads outside (EXDEV), into a loop (ELOOP), through a file (ENOTDIR) or to
/// something that cannot be opened (ENXIO, ENODEV) is no business of the client's: as if missing.
fn as_missing(error: io::Error) -> io::Error {
    match Errno::from_io_error(&error) {
        Some(
            Errno::XDEV
            | Errno::LOOP
            | Errno::NOTDIR
            | Errno::NXIO
            | Errno::NODEV
            | Errno::NAMETOOLONG
            | Errno::INVAL,
        ) => Errno::NOENT.into(),
        _ => error,
    }
}

// Non-blocking: a FIFO that takes the place of a file just now would otherwise stop the whole server here.
const FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOCTTY);

fn openat2(root: BorrowedFd<'_>, path: &CStr, flags: OFlags) -> io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let call = || {
        #[cfg(test)]
        tests::faults::next(tests::faults::Call::Open)?;
        rustix::fs::openat2(root, path, flags, Mode::empty(), resolve)
    };
    for _ in 0..OPEN_RETRIES_MAX {
        match call() {
            // A rename somewhere in the tree raced with `..` in a link (openat2(2)); or another process has a lease on
            // the file, and was asked by this call to give it up (fcntl(2)). Neither brings an edge.
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
    Err(Errno::BUSY.into())
}

/// The portable way of [`openat2`]: each component is opened without following links. Bounded by the length of `path`.
fn walk(root: BorrowedFd<'_>, path: &CStr, flags: OFlags) -> io::Result<OwnedFd> {
    let mut components = path
        .to_bytes()
        .split(|&b| b == b'/')
        .filter(|c| !c.is_empty())
        .peekable();
    let mut here: Option<OwnedFd> = None;
    while let Some(component) = components.next() {
        if component == b".." {
            return Err(Errno::XDEV.into());
        }
        let directory = here.as_ref().map_or(root, AsFd::as_fd);
        let last = components.peek().is_none();
        let flags = if last && path.to_bytes().ends_with(b"/") {
            flags | OFlags::NOFOLLOW | OFlags::DIRECTORY
        } else if last {
            flags | OFlags::NOFOLLOW
        } else {
            OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::DIRECTORY
        };
        #[cfg(test)]
        tests::faults::next(tests::faults::Call::Open)?;
        here = Some(rustix::fs::openat(
            directory,
            component,
            flags,
            Mode::empty(),
        )?);
    }
    match here {
        Some(fd) => Ok(fd),
        None => Ok(rustix::fs::openat(root, c".", flags, Mode::empty())?),
    }
}

#[cfg(test)]
pub(crate) mod tests;
