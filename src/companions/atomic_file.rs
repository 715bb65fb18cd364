//! A file that is not there until it is whole: written under a temporary name in the directory
//! where it belongs, and renamed at the end. Dropped before that, it leaves nothing behind.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::companions::client::Failure;
use crate::http::text::printable;
use crate::limits::TEMPORARY_NAMES_MAX;

/// See the module.
#[derive(Debug)]
pub(crate) struct AtomicFile {
    file: File,
    path: PathBuf,
}

impl AtomicFile {
    /// A new file in `directory`. Tries [`TEMPORARY_NAMES_MAX`] names.
    pub(crate) fn new(directory: &Path) -> Result<Self, Failure> {
        let process = std::process::id();
        // Never an existing file, nor through a link that stands there.
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o666);
        for attempt in 0..TEMPORARY_NAMES_MAX {
            let path = directory.join(format!(".idler-{process}-{attempt}.part"));
            match options.open(&path) {
                Ok(file) => return Ok(Self { file, path }),
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                Err(e) => return Err(cannot_write(directory, &e)),
            }
        }
        Err(cannot_write(directory, &ErrorKind::AlreadyExists.into()))
    }

    /// Appends. A file on a disk is as good as immediate, and a client has nothing else to do.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = self.file.write_all(bytes);
        written.map_err(|e| cannot_write(&self.path, &e))
    }

    /// Gives the file its name: over an existing one only with `force`.
    pub(crate) fn keep_as(&self, path: &Path, force: bool) -> Result<(), Failure> {
        let there = std::fs::symlink_metadata(path).map(|there| there.file_type());
        if there.is_ok_and(|kind| !kind.is_file() && !kind.is_symlink()) {
            return Err(Failure::new(format!(
                "{} is there, and is no regular file; it is left alone",
                shown(path)
            )));
        }
        let renamed = if force {
            std::fs::rename(&self.path, path)
        } else {
            rename_to_new(&self.path, path)
        };
        renamed.map_err(|e| {
            if e.kind() != ErrorKind::AlreadyExists {
                return cannot_write(path, &e);
            }
            Failure::new(format!(
                "{} exists already; --force replaces it, -o names another place",
                shown(path)
            ))
        })
    }
}

/// Renames, but never over an existing file, and in one step: a look first would leave a moment in
/// which another file could appear. Where the file system cannot do that, a link takes its place.
fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS) => std::fs::hard_link(from, to),
        done => Ok(done?),
    }
}

/// The directory that holds what `path` names.
pub(crate) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A path, fit for a terminal.
pub(crate) fn shown(path: &Path) -> String {
    printable(path.as_os_str().as_encoded_bytes())
}

pub(crate) fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("cannot write to {}: {error}", shown(path)))
}

impl Drop for AtomicFile {
    /// Removes the temporary name, unless the file has another one instead. If that fails, it is
    /// too late to say so.
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
