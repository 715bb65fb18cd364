//! What idler serves: the files beneath a root directory.
//!
//! What lives here: from a [`SitePath`] to an open file, and back to "missing". It may not know sockets, the loop, or HTTP.
//! Invariant: everything goes through `open.rs`, beneath the root. Read next: `open.rs`, `cache.rs`.

pub mod cache;
pub mod directory;
pub mod media;
pub mod open;
pub mod siblings;

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::http::path::SitePath;

use crate::site::cache::Condition;
use crate::site::open::{Identity, Kind, Opened, Opener, look, look_at};

/// A root directory, held open, whose path is asked again once a turn: a build that makes the directory anew,
/// or a release link that moves, is followed without a restart.
#[derive(Debug)]
pub struct Site {
    /// Absolute.
    path: PathBuf,
    c_path: CString,
    /// `None` while there is nothing at the path.
    root: Option<OwnedFd>,
    identity: Identity,
    opener: Opener,
    /// Serving one file only: its name within the root.
    only: Option<Vec<u8>>,
    hidden: bool,
    looked: u64,
}

/// What stands at a path of a site.
#[derive(Debug)]
pub enum Found {
    /// A regular file, open for reading.
    File(Opened),
    /// A directory, open for reading.
    Directory(Opened),
    /// Nothing that is served.
    Missing,
    /// Something that this process may not read.
    Forbidden,
    /// It cannot be opened at present: no descriptor or memory is left, or another process has a lease on it (fcntl(2)).
    Later(io::Error),
    /// The file system failed (EIO and its like).
    Failed(io::Error),
}

impl Site {
    /// Opens the root at `path`: a directory, or one file of it. `hidden`: whether names that begin with a dot are served.
    ///
    /// # Errors
    /// If there is nothing that can be read at `path`.
    pub fn open(path: &Path, hidden: bool) -> io::Result<Self> {
        let absolute = std::path::absolute(path)?;
        let (kind, _) = look(CWD, &c_string(absolute.as_os_str().as_bytes())?)?;
        let (directory, only) = match kind {
            Kind::Directory => (absolute, None),
            Kind::File => {
                let name = absolute.file_name().unwrap_or_default().as_bytes().to_vec();
                (
                    absolute.parent().unwrap_or(Path::new("/")).to_owned(),
                    Some(name),
                )
            }
            Kind::Other => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "neither a directory nor a regular file (name one of these)",
                ));
            }
        };
        let root = open_root(&directory)?;
        let opener = Opener::probe(root.as_fd());
        let (_, identity) = look_at(root.as_fd())?;
        let c_path = c_string(directory.as_os_str().as_bytes())?;
        let site = Self {
            path: directory,
            c_path,
            root: Some(root),
            identity,
            opener,
            only,
            hidden,
            looked: 0,
        };
        // A root that cannot be read is an error now, not a surprise at the first request.
        let root = site.root.as_ref().ok_or(Errno::NOENT)?;
        site.opener.open(
            root.as_fd(),
            &site
                .only
                .as_deref()
                .map_or(Ok(CString::default()), c_string)?,
        )?;
        Ok(site)
    }

    /// The absolute path of the root, for messages to whoever runs the server. Never for a client.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// In which way files are opened.
    pub fn opener(&self) -> Opener {
        self.opener
    }

    /// The name of the one file that is served, if it is only one.
    pub fn only(&self) -> Option<&[u8]> {
        self.only.as_deref()
    }

    /// Whether names that begin with a dot are served.
    pub fn shows_hidden(&self) -> bool {
        self.hidden
    }

    /// Opens what stands at `path`. Asks for the root once a `turn`. Bounded by the depth of the path.
    pub fn find(&mut self, path: &SitePath, turn: u64) -> Found {
        let opener = self.opener;
        let Some((root, inner)) = self.reach(path, turn) else {
            return Found::Missing;
        };
        match opener.open(root.as_fd(), &inner) {
            Ok(opened) if opened.kind == Kind::Directory => Found::Directory(opened),
            // `file/` is not `file`.
            Ok(_) if path.is_directory() && !path.as_bytes().is_empty() => Found::Missing,
            Ok(opened) => Found::File(opened),
            Err(e) => match Errno::from_io_error(&e) {
                Some(Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::LOOP) => {
                    Found::Missing
                }
                Some(Errno::ACCESS | Errno::PERM) => Found::Forbidden,
                Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::BUSY) => Found::Later(e),
                _ => Found::Failed(e),
            },
        }
    }

    /// The root as it is in this `turn`, and the path beneath it; `None` if nothing there is served.
    fn reach(&mut self, path: &SitePath, turn: u64) -> Option<(&OwnedFd, CString)> {
        if path.is_hidden() && !self.hidden {
            return None;
        }
        let inner = match &self.only {
            None => path.as_bytes(),
            Some(name) if path.as_bytes().is_empty() || path.as_bytes() == name.as_slice() => {
                name.as_slice()
            }
            Some(_) => return None,
        };
        let inner = c_string(inner).ok()?;
        self.refresh(turn);
        Some((self.root.as_ref()?, inner))
    }

    /// Why [`find`](Self::find) says that something is missing, in words for whoever runs the server. Never for a client.
    pub fn why_missing(&self, path: &SitePath) -> &'static str {
        if path.is_hidden() && !self.hidden {
            return "names that begin with a dot are not served";
        }
        if self.only.is_some() {
            return "only one file is served";
        }
        let (Some(root), Ok(inner)) = (&self.root, c_string(path.as_bytes())) else {
            return "the root itself is gone";
        };
        self.opener.why_missing(root.as_fd(), &inner)
    }

    /// What stands at `path`, for a listing: a link is followed as far as it stays beneath the root.
    pub fn meta(&mut self, path: &SitePath, turn: u64) -> Option<(Kind, Identity)> {
        let opener = self.opener;
        let (root, inner) = self.reach(path, turn)?;
        opener.look(root.as_fd(), &inner).ok()
    }

    /// What must still be so for what was found at `path` to be served again: asked by the *absolute* path, so that one
    /// question finds out about the file, every directory above it and the root itself. `None` if it is not so even now.
    pub fn condition(&self, path: &SitePath, identity: Identity) -> Option<Condition> {
        let condition = Condition {
            path: self.absolute(path)?,
            identity,
        };
        look(CWD, &condition.path)
            .is_ok_and(|(_, now)| now == identity)
            .then_some(condition)
    }

    /// What stands at `path` now, asked by the absolute path and without opening it: for a [`condition`](Self::condition)
    /// to be made later, and for nothing that a client is told.
    pub fn identity(&self, path: &SitePath) -> Option<Identity> {
        look(CWD, &self.absolute(path)?)
            .ok()
            .map(|(_, identity)| identity)
    }

    fn absolute(&self, path: &SitePath) -> Option<CString> {
        let inner = if path.as_bytes().is_empty() {
            self.only.as_deref().unwrap_or_default()
        } else {
            path.as_bytes()
        };
        let mut whole = self.path.as_os_str().as_bytes().to_vec();
        whole.push(b'/');
        whole.extend_from_slice(inner);
        c_string(&whole).ok()
    }

    /// Looks whether the root's path still names the directory that is open, once a turn.
    fn refresh(&mut self, turn: u64) {
        if self.looked == turn {
            return;
        }
        self.looked = turn;
        let same = |a: &Identity, b: &Identity| a.device == b.device && a.inode == b.inode;
        match look(CWD, &self.c_path) {
            Ok((Kind::Directory, now)) if self.root.is_some() && same(&now, &self.identity) => {}
            Ok((Kind::Directory, now)) => match open_root(&self.path) {
                Ok(root) => {
                    log::info!("the root {} is another directory now", self.path.display());
                    self.root = Some(root);
                    self.identity = now;
                }
                // What is open stays open: a directory that cannot be opened for lack of descriptors is not gone.
                Err(e) => log::debug!("the root {} cannot be opened: {e}", self.path.display()),
            },
            // Not allowed to ask by path (privileges were dropped): the root is pinned to what is open.
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {}
            Ok((Kind::File | Kind::Other, _)) | Err(_) => {
                if self.root.take().is_some() {
                    log::warn!(
                        "the root {} is gone; everything is 404 until it is back",
                        self.path.display()
                    );
                }
            }
        }
    }
}

fn open_root(path: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(
        path,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?)
}

fn c_string(bytes: &[u8]) -> io::Result<CString> {
    CString::new(bytes).map_err(|_| Errno::NOENT.into())
}
