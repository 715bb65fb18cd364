//! What idler serves: the files beneath a root directory.
//!
//! [`Site::find`] leads from a [`SitePath`] to an open file. Everything is opened by `open.rs`,
//! beneath the root; `cache.rs` keeps what was served before.

pub mod cache;
pub mod directory;
pub mod media;
pub mod open;

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::http::path::SitePath;
use crate::site::cache::Condition;
pub use crate::site::open::Found;
use crate::site::open::{Identity, Kind, Opener, fstat, stat};

/// A root directory, held open. Its path is looked up again once a turn, so that a build that makes
/// the directory anew, or a release link that moves, is followed without a restart.
#[derive(Debug)]
pub struct Site {
    /// The absolute path of the root, for messages to the administrator. Never for a client.
    pub(crate) path: PathBuf,
    c_path: CString,
    /// `None` while there is nothing at the path.
    root: Option<OwnedFd>,
    identity: Identity,
    /// In which way files are opened.
    pub(crate) opener: Opener,
    /// Serving one file only: its name within the root.
    pub(crate) only: Option<Vec<u8>>,
    /// Whether names that begin with a dot are served.
    pub(crate) hidden: bool,
    /// The turn in which the root was looked up last.
    checked: u64,
}

impl Site {
    /// Opens the root at `path`: a directory, or one file of it. `hidden`: whether names that begin
    /// with a dot are served.
    ///
    /// # Errors
    /// If there is nothing that can be read at `path`.
    pub fn open(path: &Path, hidden: bool) -> io::Result<Self> {
        let mut path = std::path::absolute(path)?;
        let mut only = None;
        match stat(CWD, &c_string(path.as_os_str().as_bytes())?)? {
            (Kind::Directory, _) => {}
            (Kind::File, _) => {
                only = Some(path.file_name().unwrap_or_default().as_bytes().to_vec());
                path.pop();
            }
            (Kind::Other, _) => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "neither a directory nor a regular file (name one of these)",
                ));
            }
        }
        let root = open_root(&path)?;
        let opener = Opener::probe(root.as_fd());
        // A root that cannot be read is an error now, not a surprise at the first request.
        let name = c_string(only.as_deref().unwrap_or_default())?;
        match opener.find(root.as_fd(), &name) {
            Found::File(_) | Found::Directory(_) => {}
            Found::Missing(_) => return Err(Errno::NOENT.into()),
            Found::Forbidden => return Err(Errno::ACCESS.into()),
            Found::Later(error) | Found::Failed(error) => return Err(error),
        }
        let (_, identity) = fstat(root.as_fd())?;
        Ok(Self {
            c_path: c_string(path.as_os_str().as_bytes())?,
            path,
            root: Some(root),
            identity,
            opener,
            only,
            hidden,
            checked: 0,
        })
    }

    /// Opens what stands at `path`. Looks up the root once a `turn`. Bounded by the length of the
    /// path.
    pub fn find(&mut self, path: &SitePath, turn: u64) -> Found {
        let opener = self.opener;
        let found = match self.resolve(path, turn) {
            Ok((root, inner)) => opener.find(root, &inner),
            Err(why) => return Found::Missing(why),
        };
        let asks_for_directory = path.is_directory() && !path.as_bytes().is_empty();
        if asks_for_directory && matches!(found, Found::File(_)) {
            return Found::Missing("a file is asked for as if it were a directory");
        }
        found
    }

    /// What stands at `path`, for a listing: a link is followed as far as it stays beneath the
    /// root.
    pub fn meta(&mut self, path: &SitePath, turn: u64) -> Option<(Kind, Identity)> {
        let opener = self.opener;
        let (root, inner) = self.resolve(path, turn).ok()?;
        opener.stat(root, &inner).ok()
    }

    /// The root as it is in this `turn`, and the path beneath it; or why nothing there is served.
    fn resolve(
        &mut self,
        path: &SitePath,
        turn: u64,
    ) -> Result<(BorrowedFd<'_>, CString), &'static str> {
        if path.is_hidden() && !self.hidden {
            return Err("names that begin with a dot are not served");
        }
        let inner = self.inner(path);
        if self.only.as_deref().is_some_and(|only| only != inner) {
            return Err("only one file is served");
        }
        let inner = c_string(inner).map_err(|_| "there is nothing")?;
        self.refresh(turn);
        let root = self.root.as_ref().ok_or("the root itself is gone")?;
        Ok((root.as_fd(), inner))
    }

    /// The path beneath the root: in a site of one file, the root's path leads to that file.
    pub fn inner<'a>(&'a self, path: &'a SitePath) -> &'a [u8] {
        match &self.only {
            Some(only) if path.as_bytes().is_empty() => only,
            _ => path.as_bytes(),
        }
    }

    /// What must stay so for what was found at `path` to be served again. It names the *absolute*
    /// path, so that one question finds out about the file, every directory above it and the root
    /// itself. `None` if it is not so even now.
    pub fn condition(&self, path: &SitePath, identity: Identity) -> Option<Condition> {
        let path = self.absolute(path)?;
        let condition = Condition { path, identity };
        condition.holds().then_some(condition)
    }

    /// What stands at `path` now, by its absolute path and without opening it: for a
    /// [`condition`](Self::condition) to be made later, and for nothing that a client is told.
    pub fn identity(&self, path: &SitePath) -> Option<Identity> {
        let (_, identity) = stat(CWD, &self.absolute(path)?).ok()?;
        Some(identity)
    }

    fn absolute(&self, path: &SitePath) -> Option<CString> {
        let parts = [self.path.as_os_str().as_bytes(), self.inner(path)];
        c_string(&parts.join(&b'/')).ok()
    }

    /// Looks once a turn whether the root's path still names the directory that is open.
    fn refresh(&mut self, turn: u64) {
        if self.checked == turn {
            return;
        }
        self.checked = turn;
        let same = |a: &Identity, b: &Identity| a.device == b.device && a.inode == b.inode;
        match stat(CWD, &self.c_path) {
            Ok((Kind::Directory, now)) if self.root.is_some() && same(&now, &self.identity) => {}
            Ok((Kind::Directory, now)) => match open_root(&self.path) {
                Ok(root) => {
                    log::info!("the root {} is another directory now", self.path.display());
                    self.root = Some(root);
                    self.identity = now;
                }
                // What is open stays open: descriptors may have run out, and the directory is
                // there.
                Err(e) => log::debug!("the root {} cannot be opened: {e}", self.path.display()),
            },
            // The path may not be searched any more (privileges were dropped): what is open stays.
            Err(Errno::ACCESS | Errno::PERM) => {}
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

fn open_root(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty())
}

fn c_string(bytes: &[u8]) -> io::Result<CString> {
    CString::new(bytes).map_err(|_| Errno::NOENT.into())
}
