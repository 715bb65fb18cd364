//! The sentences of `idler explain`: each rule hands its own to a callback, where it decides.
//!
//! A sentence is only formatted by a callback that prints it, so that answering pays for none.

use std::fmt;

use crate::http::path::SitePath;
use crate::http::printable::printable;
use crate::site::Found;

/// Is told what a rule has decided: a topic of a word or two, and a sentence that is safe for a
/// terminal.
pub type NoteFn<'a> = &'a mut dyn FnMut(&'static str, fmt::Arguments<'_>);

/// A path as it can be printed.
pub(crate) fn display(path: &SitePath) -> impl fmt::Display {
    fmt::from_fn(move |f| {
        if path.as_bytes().is_empty() {
            return f.write_str("the root");
        }
        // Names are bytes, but mostly UTF-8, which is shown as it is.
        let name = printable(path.as_bytes());
        let slash = if path.is_directory() { "/" } else { "" };
        write!(f, "{name}{slash}")
    })
}

/// What stands at a path of a site.
pub(crate) fn display_found(path: &SitePath, found: &Found) -> impl fmt::Display {
    fmt::from_fn(move |f| {
        let name = display(path);
        match found {
            Found::File(opened) => {
                write!(f, "{name} is a file of {} bytes", opened.identity.size)
            }
            Found::Directory(_) => write!(f, "{name} is a directory"),
            Found::Missing(why) => write!(f, "{name} is missing: {why}"),
            Found::Forbidden => write!(f, "{name} may not be read by this user"),
            Found::Later(e) => write!(f, "{name}: cannot be opened at present: {e}"),
            Found::Failed(e) => write!(f, "{name}: {e}"),
        }
    })
}
