//! A file as one JSON object: `{"filename": "…", "filedata": "…base64…"}`, and then the end of input.
//!
//! What lives here: the encoder, the decoder, and what a received name may be. It may not know files or sockets: bytes
//! go in and come out in pieces of any size, and memory stays constant however large the file is.
//! The courses' programs are twenty lines of Python around `json.dumps` and `json.loads`, and hold the
//! file three times in memory; on the wire they cannot be told apart from this.
//!
//! Invariant: a name that comes out of here is one plain component. Read next: `encode.rs`, `decode.rs`.

mod decode;
mod encode;
mod json;

pub use crate::companions::transfer::document::decode::{Decoder, Malformed};
pub use crate::companions::transfer::document::encode::{Encoder, Piece, encode_base64};

/// The key under which the name stands.
const NAME_KEY: &str = "filename";

/// The key under which the contents stand, in base64 (RFC 4648 §4).
const DATA_KEY: &str = "filedata";

/// Why a name was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadName {
    /// It is empty, or ends in a slash.
    Empty,
    /// It is `.` or `..`.
    Directory,
    /// It contains a NUL.
    Nul,
}

impl std::fmt::Display for BadName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Empty => "the file name is empty",
            Self::Directory => "the file name is that of a directory (\".\" or \"..\")",
            Self::Nul => "the file name contains a NUL",
        })
    }
}

/// What is left of a name that a stranger chose: its last component, which names a file in whatever directory it is put.
///
/// # Errors
/// If nothing is left that could name a file.
pub fn last_component(name: &str) -> Result<&str, BadName> {
    if name.contains('\0') {
        return Err(BadName::Nul);
    }
    match name.rsplit('/').next().unwrap_or(name) {
        "" => Err(BadName::Empty),
        "." | ".." => Err(BadName::Directory),
        last => Ok(last),
    }
}

#[cfg(test)]
mod tests;
