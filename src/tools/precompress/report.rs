//! What `idler precompress` says: progress on a terminal, failures, and one line at the end.
//!
//! What lives here: counting and wording. It may not know files beyond their names. Invariant: names are
//! escaped before a terminal sees them, and whatever failed is said and shows in the exit code. Read next: `precompress.rs`.

use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use super::Outcome;
use crate::tools::precompress::coders::ARE_SOME_MISSING;

/// What has been done so far.
#[derive(Debug)]
pub(super) struct Report {
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

/// Characters of a name that progress shows; a line that is wrapped cannot be taken back.
const SHOWN_CHARS_MAX: usize = 60;

impl Report {
    pub(super) fn new(quiet: bool) -> Self {
        Self {
            progress: !quiet && io::stderr().is_terminal(),
            files: 0,
            too_long: 0,
            written: 0,
            written_bytes: 0,
            original_bytes: 0,
            fresh: 0,
            not_smaller: 0,
            failed: 0,
        }
    }

    /// A file whose turn it is.
    pub(super) fn file(&mut self, path: &Path) {
        self.files += 1;
        if self.progress {
            let shown = shown(path);
            let skip = shown.chars().count().saturating_sub(SHOWN_CHARS_MAX);
            let end: String = shown.chars().skip(skip).collect();
            let _ = write!(io::stderr(), "\r\x1b[K{} {end}", self.files);
        }
    }

    /// What became of a sibling of a file of so many bytes.
    pub(super) fn sibling(&mut self, outcome: Outcome, original: u64) {
        match outcome {
            Outcome::Written(bytes) => {
                self.written += 1;
                self.written_bytes += bytes;
                self.original_bytes += original;
            }
            Outcome::Fresh => self.fresh += 1,
            Outcome::NotSmaller => self.not_smaller += 1,
        }
    }

    /// A file that would take too long.
    pub(super) fn too_long(&mut self) {
        self.too_long += 1;
    }

    /// Something could not be done; the rest goes on.
    pub(super) fn failed(&mut self, path: &Path, why: &str) {
        self.failed += 1;
        self.complain(&format!("{}: {why}", shown(path)));
    }

    /// A line on standard error.
    pub(super) fn complain(&mut self, line: &str) {
        self.wipe();
        let _ = writeln!(io::stderr(), "idler: {line}");
    }

    fn wipe(&self) {
        if self.progress {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }

    /// The last line, and the exit code.
    pub(super) fn finish(self) -> ExitCode {
        self.wipe();
        let printed = writeln!(io::stdout(), "{self}");
        match printed {
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
        if ARE_SOME_MISSING {
            f.write_str("; .gz alone, since this idler was built without its feature precompress")?;
        }
        Ok(())
    }
}

fn shown(path: &Path) -> String {
    crate::cli::printable(path.as_os_str())
}
