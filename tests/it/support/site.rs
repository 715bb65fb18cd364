//! Temporary folders, and the odd things that can stand in a site.
//!
//! It may not know the server. Invariant: a folder is gone when its value is dropped.
//! Read next: `idler.rs`.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, CWD, Mode, Timespec, Timestamps, UTIME_OMIT};

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A temporary folder.
#[derive(Debug)]
pub(crate) struct Site {
    path: PathBuf,
}

impl Site {
    /// An empty one, two levels below the system's folder for such things.
    pub(crate) fn new() -> Self {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir()
            .join(format!("idler-it-{}-{number}", std::process::id()))
            .join("site");
        fs::create_dir_all(&path).expect("a temporary folder can be made");
        Self {
            path: path.canonicalize().expect("what was made is there"),
        }
    }

    /// One that holds these files.
    pub(crate) fn with(files: &[(&str, &[u8])]) -> Self {
        let site = Self::new();
        for (name, bytes) in files {
            site.file(name, bytes);
        }
        site
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A path next to the site, not below it.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.path.with_file_name(name)
    }

    /// Writes a file, and the folders on the way to it.
    pub(crate) fn file(&self, name: impl AsRef<OsStr>, bytes: &[u8]) -> PathBuf {
        let path = self.path.join(Path::new(name.as_ref()));
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).expect("folders can be made");
        }
        fs::write(&path, bytes).expect("files can be written");
        path
    }

    /// Writes a file under a temporary name, and then gives it its own, at once.
    pub(crate) fn replace(&self, name: &str, bytes: &[u8]) {
        let draft = self.beside("draft");
        fs::write(&draft, bytes).expect("files can be written");
        fs::rename(&draft, self.path.join(name)).expect("files can be renamed");
    }

    /// Makes a folder.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let path = self.path.join(name);
        fs::create_dir_all(&path).expect("folders can be made");
        path
    }

    /// A file of `bytes` zeros that takes no room.
    pub(crate) fn sparse(&self, name: &str, bytes: u64) -> PathBuf {
        let path = self.file(name, b"");
        File::options()
            .write(true)
            .open(&path)
            .and_then(|file| file.set_len(bytes))
            .expect("files can be made long");
        path
    }

    /// A symbolic link; `target` is taken as it is.
    pub(crate) fn link(&self, name: &str, target: impl AsRef<Path>) {
        std::os::unix::fs::symlink(target, self.path.join(name)).expect("links can be made");
    }

    /// A FIFO with nobody at its other end.
    pub(crate) fn fifo(&self, name: &str) {
        rustix::fs::mkfifoat(CWD, self.path.join(name), Mode::from_raw_mode(0o644))
            .expect("FIFOs can be made");
    }

    /// Sets when a file was last changed, in seconds since 1970.
    pub(crate) fn modified(&self, name: &str, seconds: i64) {
        let times = Timestamps {
            last_access: Timespec {
                tv_sec: 0,
                tv_nsec: UTIME_OMIT,
            },
            last_modification: Timespec {
                tv_sec: seconds,
                tv_nsec: 0,
            },
        };
        rustix::fs::utimensat(CWD, self.path.join(name), &times, AtFlags::empty())
            .expect("files can be dated");
    }

    /// Dates a file well back, so that nothing about it is too fresh to be trusted.
    pub(crate) fn age(&self, name: &str) {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        let then = now.as_secs().saturating_sub(1_000_000);
        self.modified(name, i64::try_from(then).unwrap_or(0));
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(folder) = self.path.parent() {
            // What cannot be removed is in the system's folder for temporary things: no reason to fail.
            let _ = fs::remove_dir_all(folder);
        }
    }
}
