//! Finding fields by name, and cutting their values apart (RFC 9110 §5.3, §5.6).
//!
//! Every slice handed out lies in the head it was read from. Work is bounded by the length of the
//! head.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use httparse::Header;

/// The values of all lines named `name`, in order. Names are compared without regard to case
/// (§5.1).
pub(crate) fn lines<'h>(
    headers: &'h [Header<'h>],
    name: &'static str,
) -> impl Iterator<Item = &'h [u8]> {
    headers
        .iter()
        .filter(move |header| header.name.eq_ignore_ascii_case(name))
        .map(|header| header.value)
}

/// The value of a field that stands in the head exactly once (§5.3).
pub(crate) fn single<'h>(headers: &'h [Header<'h>], name: &'static str) -> Option<&'h [u8]> {
    let mut values = lines(headers, name);
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

/// `bytes` without spaces and tabs at either end (OWS, §5.6.3).
pub(crate) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// The bytes before the first `separator`, and those behind it.
pub(crate) fn split_once(bytes: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|&byte| byte == separator)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

/// The pieces of `value` between separators that stand outside quoted strings (§5.6.4), trimmed;
/// empty ones are left out, as §5.6.1.2 asks of recipients.
pub(crate) fn elements(value: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = value;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let end = end_of_element(rest, separator);
            let element = trim(&rest[..end]);
            rest = rest.get(end + 1..).unwrap_or_default();
            if !element.is_empty() {
                return Some(element);
            }
        }
        None
    })
}

/// Where the first separator outside quotes stands, or the end.
fn end_of_element(bytes: &[u8], separator: u8) -> usize {
    let mut rest = bytes.iter();
    while let Some(&byte) = rest.find(|&&byte| byte == separator || byte == b'"') {
        if byte == separator {
            return bytes.len() - rest.len() - 1;
        }
        // A quoted string goes on to its next quote that is not escaped.
        while let Some(b'\\') = rest.find(|&&byte| byte == b'"' || byte == b'\\') {
            rest.next();
        }
    }
    bytes.len()
}

/// `1*DIGIT` that fits into 64 bits.
pub(crate) fn decimal(digits: &[u8]) -> Option<u64> {
    // The standard library would take a sign as well.
    if !digits.first()?.is_ascii_digit() {
        return None;
    }
    str::from_utf8(digits).ok()?.parse().ok()
}

/// What a client says it is, in an `Authorization` field of the scheme Basic (RFC 7617). Nothing
/// can print it.
pub struct Credentials {
    /// The name: what stands before the first colon.
    pub user: Vec<u8>,
    /// The password; may be empty and contain colons.
    pub password: Vec<u8>,
}

impl Credentials {
    /// Reads those of a request: none if there is no such field or more than one, if it is of
    /// another scheme, or malformed. Bounded by the length of the head.
    pub fn read(headers: &[Header<'_>]) -> Option<Self> {
        let (scheme, rest) = split_once(single(headers, "Authorization")?, b' ')?;
        if !scheme.eq_ignore_ascii_case(b"Basic") {
            return None;
        }
        let text = STANDARD.decode(trim(rest)).ok()?;
        let (user, password) = split_once(&text, b':')?;
        let (user, password) = (user.to_vec(), password.to_vec());
        Some(Self { user, password })
    }
}

/// Whether `bytes` are a token (§5.6.2).
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

/// Whether `bytes` are a quoted string and nothing more (§5.6.4).
pub(crate) fn is_quoted_string(bytes: &[u8]) -> bool {
    let [b'"', inner @ .., b'"'] = bytes else {
        return false;
    };
    let mut rest = inner.iter();
    while let Some(&byte) = rest.next() {
        // A backslash takes the byte behind it along.
        if byte == b'"' || byte == b'\\' && rest.next().is_none() {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header<'a>(name: &'a str, value: &'a [u8]) -> Header<'a> {
        Header { name, value }
    }

    #[test]
    fn names_are_compared_without_case_and_lines_keep_their_order() {
        let headers = [
            header("Accept", b"a"),
            header("ACCEPT", b"b"),
            header("Accept-Encoding", b"c"),
            header("accept", b"d"),
        ];
        let found: Vec<&[u8]> = lines(&headers, "accept").collect();
        assert_eq!(found, [b"a", b"b", b"d"]);
    }

    #[test]
    fn a_single_field_knows_when_it_stands_twice() {
        let headers = [
            header("Range", b"x"),
            header("If-Range", b"y"),
            header("range", b"x"),
        ];
        assert_eq!(single(&headers, "host"), None);
        assert_eq!(single(&headers, "if-range"), Some(&b"y"[..]));
        assert_eq!(single(&headers, "range"), None);
        let thrice = [headers[0], headers[0], headers[0]];
        assert_eq!(single(&thrice, "range"), None);
    }

    #[test]
    fn elements_are_cut_outside_quotes_only() {
        let cases: [(&[u8], &[&[u8]]); 9] = [
            (b"", &[]),
            (b" , ,\t,", &[]),
            (b"a", &[b"a"]),
            (b" a , b ", &[b"a", b"b"]),
            (b",a,,b,", &[b"a", b"b"]),
            (b"\"a,b\",c", &[b"\"a,b\"", b"c"]),
            (b"\"a\\\",b\",c", &[b"\"a\\\",b\"", b"c"]),
            (b"\"open,c", &[b"\"open,c"]),
            (b"a\\,b", &[b"a\\", b"b"]), // a backslash escapes inside quotes only
        ];
        for (value, expected) in cases {
            let found: Vec<&[u8]> = elements(value, b',').collect();
            assert_eq!(found, expected, "{}", value.escape_ascii());
        }
    }

    #[test]
    fn tokens_and_quoted_strings() {
        assert!(is_token(b"x-gzip") && is_token(b"*"));
        assert!(!is_token(b"") && !is_token(b"a b") && !is_token(b"a/b") && !is_token(b"\xe4"));
        for yes in [&b"\"\""[..], b"\"a b\"", b"\"a\\\"b\"", b"\"\\\\\""] {
            assert!(is_quoted_string(yes), "{}", yes.escape_ascii());
        }
        for no in [&b"\""[..], b"", b"a", b"\"a", b"\"a\"b\"", b"\"a\\\""] {
            assert!(!is_quoted_string(no), "{}", no.escape_ascii());
        }
    }

    fn credentials(headers: &[Header<'_>]) -> Option<(String, String)> {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Credentials::read(headers).map(|c| (text(c.user), text(c.password)))
    }

    #[test]
    fn names_and_passwords_are_told_apart() {
        let read = |value: &str| credentials(&[header("authorization", value.as_bytes())]);
        let both = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        // The first is the example of RFC 7617 §2.
        assert_eq!(
            read("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
            both("Aladdin", "open sesame")
        );
        assert_eq!(read("BASIC  YTpiOmM="), both("a", "b:c"));
        assert_eq!(read("basic Og=="), both("", ""));
        for wrong in [
            "",
            "Basic",
            "Basic ",
            "BasicYTpi",
            "Bearer YTpi",
            "Basic YTpi YTpi",
            "Basic YQ==",
            "Basic YTpi=",
            "Basic !!!!",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_field_on_two_lines_is_not_believed() {
        let one = header("authorization", b"Basic YTpi");
        let other = header("authorization", b"Basic YTpj");
        assert!(credentials(&[one]).is_some());
        assert_eq!(credentials(&[one, other]), None);
        assert_eq!(credentials(&[]), None);
    }
}
