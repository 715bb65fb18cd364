//! What is told of an answer while it is made.
//!
//! What lives here: [`Story`], a list of sentences, which `answer.rs` and its like add to as they decide, and the wording of what was found.
//! It may not decide anything. Invariant: while nobody listens, a sentence is not even made. Read next: `crate::tools::explain`.

use crate::http::path::SitePath;
use crate::server::answer::Http;
use crate::site::Found;

/// What was told so far, if anybody listens.
#[derive(Debug, Default)]
pub struct Story(Option<Vec<Line>>);

/// One sentence, and what it is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// A word or two.
    pub topic: &'static str,
    /// Safe for a terminal.
    pub words: String,
}

impl Story {
    /// One that somebody listens to.
    pub fn heard() -> Self {
        Self(Some(Vec::new()))
    }

    /// Adds a sentence, if anybody listens.
    pub fn tell(&mut self, topic: &'static str, words: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.0 {
            lines.push(Line {
                topic,
                words: words(),
            });
        }
    }

    /// All of it.
    pub fn lines(&self) -> &[Line] {
        self.0.as_deref().unwrap_or_default()
    }
}

/// A path as it can be printed.
pub(crate) fn shown(path: &SitePath) -> String {
    if path.as_bytes().is_empty() {
        return "the root".to_owned();
    }
    let slash = if path.is_directory() { "/" } else { "" };
    // Names are bytes, but mostly UTF-8, which is shown as it is.
    let name = crate::cli::printable(std::os::unix::ffi::OsStrExt::from_bytes(path.as_bytes()));
    format!("{name}{slash}")
}

impl Http {
    /// Tells what stands at a path.
    pub(crate) fn tell_found(&mut self, path: &SitePath, found: &Found) {
        let Self { story, site, .. } = self;
        story.tell("found", || {
            let path_shown = shown(path);
            match found {
                Found::File(opened) => {
                    format!("{path_shown} is a file of {} bytes", opened.identity.size)
                }
                Found::Directory(_) => format!("{path_shown} is a directory"),
                Found::Missing => format!("{path_shown} is missing: {}", site.why_missing(path)),
                Found::Forbidden => format!("{path_shown} may not be read by this user"),
                Found::Later(e) => format!("{path_shown}: cannot be opened at present: {e}"),
                Found::Failed(e) => format!("{path_shown}: {e}"),
            }
        });
    }
}
