//! What a request can get, what idler says where something is wrong, and the sentences of
//! `idler explain`: each rule hands its own to a callback, where it decides. A sentence is only
//! formatted by a callback that prints it, so that answering pays for none.

use std::fmt;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use crate::http::path::SitePath;
use crate::http::range::{Multipart, Span};
use crate::http::status::{Refusal, Status};
use crate::http::text::printable;
use crate::pages::ListingQuery;
use crate::site::Found;
use crate::site::cache::{FileMeta, Representation};

/// What a request gets.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// 200: a small file, whole, which is kept behind its own head of this length.
    Kept { reply: Rc<[u8]>, head_len: usize },
    /// A file, or as much of it as is to be sent.
    File { file: Representation, part: Part },
    /// A list of what is in a directory.
    Directory(Box<DirectoryList>),
    /// Another address; `why` is for people who read the page.
    Redirect {
        status: Status,
        location: Vec<u8>,
        why: Option<&'static str>,
    },
    /// An error, with the page that the site has for it; without one, idler writes its own.
    Error {
        refusal: Refusal,
        page: Option<Representation>,
        /// The file whose conditions or ranges led to it.
        file: Option<Rc<FileMeta>>,
    },
    /// A text that idler writes itself, and that nothing may keep.
    Text {
        status: Status,
        media_type: &'static str,
        body: Vec<u8>,
    },
    /// 204: which methods there are; `preflight`: for a script of another site as well.
    Methods { preflight: bool },
}

impl Outcome {
    pub(crate) fn text(status: Status, media_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self::Text {
            status,
            media_type,
            body,
        }
    }
}

/// How much of a file is sent.
#[derive(Debug)]
pub(crate) enum Part {
    /// 200: all of it.
    Whole,
    /// 304: nothing, since the client has it.
    NotModified,
    /// 206: these bytes.
    One(Span),
    /// 206: several parts in one body.
    Several(Box<Multipart>),
}

/// See [`Outcome::Directory`].
#[derive(Debug)]
pub(crate) struct DirectoryList {
    pub(crate) directory: OwnedFd,
    pub(crate) path: SitePath,
    /// The index of its site.
    pub(crate) site: usize,
    pub(crate) shows_hidden: bool,
    pub(crate) query: ListingQuery,
    /// Whether the Accept field decided between HTML and JSON.
    pub(crate) negotiated: bool,
    /// 304 instead of the list.
    pub(crate) not_modified: bool,
}

pub(crate) const NOT_ALLOWED: Refusal = Refusal::new(
    Status::FORBIDDEN,
    "this site is not for the address that asks",
);
pub(crate) const NO_PASSWORD: Refusal = Refusal::new(
    Status::UNAUTHORIZED,
    "this site asks for a name and a password",
);
pub(crate) const TOO_MANY_PASSWORDS: Refusal = Refusal::new(
    Status::TOO_MANY_REQUESTS,
    "too many passwords were tried; try again in a second",
);
pub(crate) const METHOD_NOT_ALLOWED: Refusal = Refusal::new(
    Status::METHOD_NOT_ALLOWED,
    "only GET, HEAD and OPTIONS are allowed here",
);
pub(crate) const METHOD_NOT_KNOWN: Refusal =
    Refusal::new(Status::NOT_IMPLEMENTED, "this method is not known");
pub(crate) const MISSING: Refusal =
    Refusal::new(Status::NOT_FOUND, "there is nothing at this address");
pub(crate) const FORBIDDEN: Refusal =
    Refusal::new(Status::FORBIDDEN, "the server may not read this");
pub(crate) const NOT_AT_PRESENT: Refusal =
    Refusal::new(Status::UNAVAILABLE, "the file cannot be opened at present");
pub(crate) const UNREADABLE: Refusal =
    Refusal::new(Status::INTERNAL_ERROR, "the file cannot be read");
pub(crate) const CONDITION_FAILED: Refusal = Refusal::new(
    Status::PRECONDITION_FAILED,
    "what is there is not what the request expects it to be",
);
pub(crate) const NO_SUCH_RANGE: Refusal = Refusal::new(
    Status::RANGE_NOT_SATISFIABLE,
    "the file has nothing in this range",
);
pub(crate) const HEAD_TOO_SLOW: Refusal =
    Refusal::new(Status::REQUEST_TIMEOUT, "the head did not come in time");
pub(crate) const TOO_MANY_FROM_ADDRESS: Refusal = Refusal::new(
    Status::UNAVAILABLE,
    "this address has as many connections as it may",
);
pub(crate) const ALL_SLOTS_TAKEN: Refusal = Refusal::new(
    Status::UNAVAILABLE,
    "the server has as many connections as it can hold",
);

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
