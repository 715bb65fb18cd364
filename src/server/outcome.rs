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
    /// A text of this media type that idler writes itself, and that nothing may keep.
    Text(Status, &'static str, Vec<u8>),
    /// 204: which methods there are; `preflight`: for a script of another site as well.
    Methods { preflight: bool },
}

/// For a load balancer: 503 from the first signal to stop on.
pub(crate) fn health(stopping: bool) -> Outcome {
    let (status, body) = match stopping {
        true => (Status::UNAVAILABLE, "stopping\n"),
        false => (Status::OK, "ok\n"),
    };
    Outcome::Text(status, "text/plain; charset=utf-8", body.into())
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

/// What a request can be refused for, each with its status and its words.
macro_rules! refusals {
    ($($name:ident: $status:ident, $why:literal;)*) => {
        $(pub(crate) const $name: Refusal = Refusal::new(Status::$status, $why);)*
    };
}

refusals! {
    NOT_ALLOWED: FORBIDDEN, "this site is not for the address that asks";
    NO_PASSWORD: UNAUTHORIZED, "this site asks for a name and a password";
    TOO_MANY_PASSWORDS: TOO_MANY_REQUESTS, "too many passwords were tried; try again in a second";
    METHOD_NOT_ALLOWED: METHOD_NOT_ALLOWED, "only GET, HEAD and OPTIONS are allowed here";
    METHOD_NOT_KNOWN: NOT_IMPLEMENTED, "this method is not known";
    MISSING: NOT_FOUND, "there is nothing at this address";
    FORBIDDEN: FORBIDDEN, "the server may not read this";
    NOT_AT_PRESENT: UNAVAILABLE, "the file cannot be opened at present";
    UNREADABLE: INTERNAL_ERROR, "the file cannot be read";
    CONDITION_FAILED: PRECONDITION_FAILED, "what is there is not what the request expects it to be";
    NO_SUCH_RANGE: RANGE_NOT_SATISFIABLE, "the file has nothing in this range";
    HEAD_TOO_SLOW: REQUEST_TIMEOUT, "the head did not come in time";
    TOO_MANY_FROM_ADDRESS: UNAVAILABLE, "this address has as many connections as it may";
    ALL_SLOTS_TAKEN: UNAVAILABLE, "the server has as many connections as it can hold";
}

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
