//! Names and passwords as browsers send them, in an `Authorization` field of the scheme Basic (RFC
//! 7617). A password is in none of the `Debug` outputs.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use httparse::Header;

use crate::http::fields::{Single, split_once, trim};

/// What a client says it is.
#[derive(Clone, PartialEq, Eq)]
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
        match Single::read(headers, "Authorization") {
            Single::One(value) => Self::parse(value),
            Single::Absent | Single::Several => None,
        }
    }

    fn parse(value: &[u8]) -> Option<Self> {
        let (scheme, rest) = split_once(value, b' ')?;
        if !scheme.eq_ignore_ascii_case(b"Basic") {
            return None;
        }
        let mut text = STANDARD.decode(trim(rest)).ok()?;
        let colon = text.iter().position(|&byte| byte == b':')?;
        let password = text.split_off(colon + 1);
        text.pop();
        Some(Self {
            user: text,
            password,
        })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials of {}", self.user.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Option<(String, String)> {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Credentials::parse(value.as_bytes()).map(|c| (text(c.user), text(c.password)))
    }

    fn both(user: &str, password: &str) -> Option<(String, String)> {
        Some((user.to_owned(), password.to_owned()))
    }

    #[test]
    fn names_and_passwords_are_told_apart() {
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
        let header = |value| Header {
            name: "authorization",
            value,
        };
        let (one, other) = (header(b"Basic YTpi"), header(b"Basic YTpj"));
        assert!(Credentials::read(&[one]).is_some());
        assert_eq!(Credentials::read(&[one, other]), None);
        assert_eq!(Credentials::read(&[]), None);
    }

    #[test]
    fn passwords_are_not_shown() {
        let shown = format!("{:?}", Credentials::parse(b"Basic YTpzZWNyZXQ="));
        assert!(shown.contains("of a") && !shown.contains("secret"));
    }
}
