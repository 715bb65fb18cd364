//! Small files that options name: read at the start, and again on SIGHUP.
//!
//! A file that is wrong, slow or gone changes nothing but the log: what was made of it before
//! stays.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use log::{error, info};
use rustix::fs::{Mode, OFlags};

/// A file, and what was made of it.
#[derive(Debug)]
pub struct ReloadableFile<T> {
    /// Where it is.
    pub path: PathBuf,
    bytes_max: usize,
    parse: fn(&[u8]) -> Result<T, String>,
    /// What was made of it.
    pub made: T,
}

impl<T> ReloadableFile<T> {
    /// Reads the file at `path`, at most `bytes_max` of it.
    ///
    /// # Errors
    /// One line for the user.
    pub fn open(
        path: &Path,
        bytes_max: usize,
        parse: fn(&[u8]) -> Result<T, String>,
    ) -> Result<Self, String> {
        Ok(Self {
            made: read(path, bytes_max, parse)?,
            path: path.to_owned(),
            bytes_max,
            parse,
        })
    }

    /// Reads it again. If anything is wrong with it, one line of the log says so, and what was
    /// there before stays. Bounded by its greatest length.
    pub fn reload(&mut self) {
        match read(&self.path, self.bytes_max, self.parse) {
            Ok(made) => {
                self.made = made;
                info!("{} was read again", self.path.display());
            }
            Err(line) => error!("{line}; what was read before stays in force"),
        }
    }
}

fn read<T>(
    path: &Path,
    bytes_max: usize,
    parse: fn(&[u8]) -> Result<T, String>,
) -> Result<T, String> {
    let bytes = contents(path, bytes_max).map_err(|e| {
        format!(
            "cannot read {}: {} (name a file that this user can read, or leave the option out)",
            path.display(),
            crate::process::words_of(&e)
        )
    })?;
    parse(&bytes).map_err(|why| format!("cannot use {}: {why}", path.display()))
}

/// Without waiting: a FIFO would stop the whole server.
fn contents(path: &Path, bytes_max: usize) -> std::io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    // One more than allowed, so that a file that is too long shows itself.
    file.take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > bytes_max {
        return Err(std::io::Error::other(format!(
            "longer than {bytes_max} bytes"
        )));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    fn upper(bytes: &[u8]) -> Result<String, String> {
        let text = String::from_utf8(bytes.to_vec()).map_err(|_| "no text".to_owned())?;
        Ok(text.to_uppercase())
    }

    #[test]
    fn what_is_wrong_changes_nothing() {
        let folder = std::env::temp_dir().join(format!("idler-given-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("file");
        std::fs::write(&path, "one").unwrap();
        let mut file = ReloadableFile::open(&path, 5, upper).unwrap();
        assert_eq!(file.made, "ONE");
        for wrong in [&b"longer"[..], b"\xff"] {
            std::fs::write(&path, wrong).unwrap();
            file.reload();
            assert_eq!(file.made, "ONE");
        }
        std::fs::write(&path, "two").unwrap();
        file.reload();
        assert_eq!(file.made, "TWO");
        std::fs::remove_file(&path).unwrap();
        file.reload();
        assert_eq!(file.made, "TWO");
        assert!(
            ReloadableFile::open(&path, 5, upper)
                .unwrap_err()
                .contains("no such file")
        );
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, Mode::from_raw_mode(0o600)).unwrap();
        assert!(
            ReloadableFile::open(&path, 5, upper)
                .unwrap_err()
                .contains("not a regular file")
        );
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
