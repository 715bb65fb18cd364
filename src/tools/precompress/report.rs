//! What `idler precompress` says: progress on a terminal, failures, and one line at the end.
//!
//! Names are escaped before a terminal sees them. Each failure is said, and shows in the exit code.

use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use crate::companions::progress::redraw;
use crate::http::printable::printable;
use crate::limits::PRECOMPRESS_SHOWN_CHARS_MAX;
use crate::process::words_of;

/// What has been done so far.
#[derive(Default, Debug)]
pub(super) struct Report {
    /// Whether standard error is a terminal that shows progress.
    progress: bool,
    files: u64,
    pub(super) too_long: u64,
    written: u64,
    written_bytes: u64,
    /// Of the originals of what was written.
    original_bytes: u64,
    fresh: u64,
    not_smaller: u64,
    failed: u64,
}

/// What became of one sibling.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sibling {
    /// Written, with this many bytes.
    Written(u64),
    /// It was there, and no older than its original.
    Fresh,
    /// It would not have been smaller.
    NotSmaller,
}

impl Report {
    pub(super) fn new(quiet: bool) -> Self {
        Self {
            progress: !quiet && io::stderr().is_terminal(),
            ..Self::default()
        }
    }

    /// The next file.
    pub(super) fn file(&mut self, path: &Path) {
        self.files += 1;
        if self.progress {
            let name = printable(path.as_os_str().as_encoded_bytes());
            let skip = name.chars().count();
            let skip = skip.saturating_sub(PRECOMPRESS_SHOWN_CHARS_MAX);
            let end: String = name.chars().skip(skip).collect();
            redraw(&format!("{} {end}", self.files));
        }
    }

    /// What became of a sibling of a file of so many bytes.
    pub(super) fn sibling(&mut self, sibling: Sibling, original_bytes: u64) {
        match sibling {
            Sibling::Written(bytes) => {
                self.written += 1;
                self.written_bytes += bytes;
                self.original_bytes += original_bytes;
            }
            Sibling::Fresh => self.fresh += 1,
            Sibling::NotSmaller => self.not_smaller += 1,
        }
    }

    /// Something could not be done; the rest goes on.
    pub(super) fn failed(&mut self, path: &Path, error: &io::Error) {
        self.failed += 1;
        self.clear();
        let (path, why) = (
            printable(path.as_os_str().as_encoded_bytes()),
            words_of(error),
        );
        let _ = writeln!(io::stderr(), "idler: {path}: {why}");
    }

    fn clear(&self) {
        if self.progress {
            redraw("");
        }
    }

    /// The last line, and the exit code.
    pub(super) fn finish(self) -> ExitCode {
        self.clear();
        match writeln!(io::stdout(), "{self}") {
            Err(e) if e.kind() != io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
            _ if self.failed > 0 => ExitCode::FAILURE,
            _ => ExitCode::SUCCESS,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} files: {} siblings written", self.files, self.written)?;
        if let Some(saved) = self.original_bytes.checked_sub(self.written_bytes)
            && let Some(percent) = (saved * 100).checked_div(self.original_bytes)
        {
            write!(f, " ({percent}% smaller)")?;
        }
        for (count, what) in [
            (self.fresh, "fresh"),
            (self.not_smaller, "would not be smaller"),
            (self.too_long, "files too long"),
            (self.failed, "failed"),
        ] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        if cfg!(not(feature = "precompress")) {
            f.write_str("; .gz alone, since this idler was built without its feature precompress")?;
        }
        Ok(())
    }
}
