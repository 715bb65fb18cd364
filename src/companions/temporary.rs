//! A file that is not there until it is whole.
//!
//! What lives here: writing under a temporary name in the directory where the file belongs, and
//! renaming at the end. It may not know where the bytes come from. Invariant: dropped before it
//! was kept, it leaves nothing behind. Read next: `transfer/receive.rs`.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::http::printable::printable;
use crate::limits::TEMPORARY_NAMES_MAX;

use crate::companions::client::Failure;

/// See the module.
#[derive(Debug)]
pub(crate) struct Temporary {
    file: File,
    /// Until it is kept.
    path: Option<PathBuf>,
}

impl Temporary {
    /// A new file in `directory`. Tries [`TEMPORARY_NAMES_MAX`] names.
    pub(crate) fn new(directory: &Path) -> Result<Self, Failure> {
        let process = std::process::id();
        for attempt in 0..TEMPORARY_NAMES_MAX {
            let path = directory.join(format!(".idler-{process}-{attempt}.part"));
            // Never an existing file, nor through a link that stands there.
            let opened = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o666)
                .open(&path);
            match opened {
                Ok(file) => {
                    let path = Some(path);
                    return Ok(Self { file, path });
                }
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                Err(e) => return Err(cannot_write(directory, &e)),
            }
        }
        Err(cannot_write(directory, &ErrorKind::AlreadyExists.into()))
    }

    /// Appends. A file on a disk is as good as immediate, and a client has nothing else to do.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = self.file.write_all(bytes);
        written.map_err(|e| match &self.path {
            Some(path) => cannot_write(path, &e),
            None => Failure::new(format!("cannot write: {e}")),
        })
    }

    /// Gives the file its name: over an existing one only with `force`.
    pub(crate) fn keep_as(&mut self, path: &Path, force: bool) -> Result<(), Failure> {
        let Some(temporary) = &self.path else {
            return Ok(());
        };
        let there = std::fs::symlink_metadata(path).map(|there| there.file_type());
        if there.is_ok_and(|kind| !kind.is_file() && !kind.is_symlink()) {
            let path = printable(path.as_os_str().as_encoded_bytes());
            return Err(Failure::new(format!(
                "{path} is there, and is no regular file; it is left alone"
            )));
        }
        let done = if force {
            std::fs::rename(temporary, path)
        } else {
            // In one step: a look first would leave a moment in which another file could appear.
            rename_to_new(temporary, path)
        };
        match done {
            Ok(()) => {
                self.path = None;
                Ok(())
            }
            Err(e) if e.kind() == ErrorKind::AlreadyExists => Err(Failure::new(format!(
                "{} exists already; --force replaces it, -o names another place",
                printable(path.as_os_str().as_encoded_bytes())
            ))),
            Err(e) => Err(cannot_write(path, &e)),
        }
    }
}

/// Renames, but never over an existing file. Where the file system cannot do that in one step, a
/// link takes its place.
fn rename_to_new(from: &Path, to: &Path) -> std::io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS) => {
            std::fs::hard_link(from, to)?;
            std::fs::remove_file(from)
        }
        done => Ok(done?),
    }
}

pub(crate) fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    let path = printable(path.as_os_str().as_encoded_bytes());
    Failure::new(format!("cannot write to {path}: {error}"))
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // If it cannot be removed, it is too late to say so.
            let _ = std::fs::remove_file(path);
        }
    }
}
