//! Header lines and media types: text that goes to the network as it was given.
//!
//! What lives here: their syntax, and which names are refused. It may not know replies.
//! Invariant: nothing accepted here can end a header line or contradict what idler itself says.
//! Read next: `serve.rs`.

use super::shown;
use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

/// One header line, valid by RFC 9110 §5.1 and §5.5. For replies it is not one that idler itself
/// must get right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderLine {
    /// A token, spelled as it was given.
    pub name: String,
    /// Without surrounding blanks; no control bytes but tabs.
    pub value: Vec<u8>,
}

/// A header line for some replies: `/assets/ Name: value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderRule {
    /// The path it is for, as it was typed: a file, or with a slash at its end everything beneath; empty: all replies.
    pub path: Vec<u8>,
    /// The line.
    pub line: HeaderLine,
}

/// `.ext=media/type`: what `--type` says about an extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeRule {
    /// In lower case, without its dot.
    pub extension: String,
    /// Valid by RFC 9110 §8.3.1, parameters included.
    pub media_type: String,
}

/// `Name: value` for replies: by RFC 9110 §5.1 and §5.5, and none that idler alone can get right.
pub(crate) fn header_line(given: &OsStr) -> Result<HeaderLine, String> {
    let line = request_header_line(given)?;
    let mut refused = REFUSED_HEADERS.iter();
    match refused.find(|(name, _)| name.eq_ignore_ascii_case(&line.name)) {
        Some((_, why)) => Err(format!("{}: {why}", shown(given))),
        None => Ok(line),
    }
}

/// A header line for replies, with the path it is for in front or without. No name begins with a slash, so that
/// nothing can be meant both ways.
pub(crate) fn header_rule(given: &OsStr) -> Result<HeaderRule, String> {
    let bytes = given.as_bytes();
    let blank = bytes.iter().position(|byte| b" \t".contains(byte));
    let (path, line) = match blank {
        Some(at) if bytes.first() == Some(&b'/') => (&bytes[..at], trim_blanks(&bytes[at..])),
        Some(_) | None => (&b""[..], bytes),
    };
    if path.iter().any(|byte| b"?#".contains(byte)) {
        return Err(format!(
            "{}: a path has no query; write %3F for a question mark",
            shown(given)
        ));
    }
    Ok(HeaderRule {
        path: path.to_vec(),
        line: header_line(OsStr::from_bytes(line))?,
    })
}

/// `Name: value`, by RFC 9110 §5.1 and §5.5.
pub(crate) fn request_header_line(given: &OsStr) -> Result<HeaderLine, String> {
    let refuse = |why: &str| Err(format!("{}: {why}", shown(given)));
    let Some(colon) = given.as_bytes().iter().position(|&byte| byte == b':') else {
        return refuse("not a header line such as 'Name: value'");
    };
    let (name, value) = given.as_bytes().split_at(colon);
    let Some(name) = str::from_utf8(name).ok().filter(|name| is_token(name)) else {
        return refuse("the name before ':' is not a token of letters, digits and !#$%&'*+-.^_`|~");
    };
    let value = trim_blanks(&value[1..]);
    if value.iter().any(|&byte| is_control(byte)) {
        return refuse("the value contains a control byte; only tabs are allowed");
    }
    Ok(HeaderLine {
        name: name.to_owned(),
        value: value.to_vec(),
    })
}

const CONNECTION: &str = "belongs to the connection, which idler alone knows";
const FRAMING: &str = "says where the reply ends, which idler alone knows";
const OWN: &str = "is idler's own to say";

/// Header names that `--header` refuses, and why. Those of the connection (RFC 9110 §7.6.1) and of
/// framing would break replies; those that describe the very file sent would be a lie about the next.
const REFUSED_HEADERS: &[(&str, &str)] = &[
    ("Connection", CONNECTION),
    ("Keep-Alive", CONNECTION),
    ("Proxy-Connection", CONNECTION),
    ("Proxy-Authenticate", CONNECTION),
    ("Proxy-Authorization", CONNECTION),
    ("TE", CONNECTION),
    ("Upgrade", CONNECTION),
    ("Content-Length", FRAMING),
    ("Transfer-Encoding", FRAMING),
    ("Trailer", FRAMING),
    ("Content-Range", FRAMING),
    ("Content-Encoding", OWN),
    ("Accept-Ranges", OWN),
    ("Allow", OWN),
    ("Date", OWN),
    ("ETag", OWN),
    ("Last-Modified", OWN),
    ("Location", OWN),
    ("Retry-After", OWN),
    ("Server", OWN),
    ("X-Content-Type-Options", "is always sent, as 'nosniff'"),
    (
        "Content-Type",
        "depends on the file; try --type .ext=media/type",
    ),
];

/// RFC 9110 §5.6.2.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn is_control(byte: u8) -> bool {
    byte.is_ascii_control() && byte != b'\t'
}

fn trim_blanks(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// `.ext=media/type`, with parameters or without (RFC 9110 §8.3.1).
pub(crate) fn type_rule(given: &OsStr) -> Result<TypeRule, String> {
    let rule = given
        .to_str()
        .and_then(|text| text.strip_prefix('.'))
        .and_then(|text| text.split_once('='));
    match rule {
        Some((extension, media_type)) if is_extension(extension) && is_media_type(media_type) => {
            Ok(TypeRule {
                extension: extension.to_ascii_lowercase(),
                media_type: media_type.to_owned(),
            })
        }
        Some(_) | None => Err(format!(
            "{} is not of the form .ext=media/type, such as .wasm=application/wasm",
            shown(given)
        )),
    }
}

fn is_extension(text: &str) -> bool {
    let odd = |char: char| matches!(char, '/' | '.') || char.is_control();
    !text.is_empty() && !text.contains(odd)
}

/// Parameters are tokens on both sides: quoted values have no use in a type for an extension.
fn is_media_type(text: &str) -> bool {
    let mut parts = text.split(';');
    let kind = parts.next().unwrap_or_default();
    let kind = kind.trim_end_matches([' ', '\t']).split_once('/');
    kind.is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
        && parts.all(|parameter| {
            let parameter = parameter.trim_matches([' ', '\t']).split_once('=');
            parameter.is_some_and(|(name, value)| is_token(name) && is_token(value))
        })
}
