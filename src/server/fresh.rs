//! How long a file may be kept by whoever got it: what `Cache-Control` says of it.
//!
//! What lives here: the value of that field, and which names contain a hash of the content. It may
//! not know requests or files. Invariant: a name counts as hashed only if hardly anybody would
//! choose it: a mistake would be kept for a year. Read next: `policy.rs`.

use std::borrow::Cow;

use crate::cli::CachePolicy;

/// What of a name made by a build tool is the hash, at least, in characters. Vite, Rollup, esbuild
/// and Parcel use eight.
const HASH_CHARS_MIN: usize = 8;

/// The value of `Cache-Control` (RFC 9111 §5.2.2, RFC 8246) for the file with this name. `private`:
/// no cache that several people share may keep it.
pub fn cache_control(policy: CachePolicy, private: bool, name: &[u8]) -> Cow<'static, str> {
    if policy.immutable && is_hashed(name) {
        return if private {
            "private, max-age=31536000, immutable".into()
        } else {
            "public, max-age=31536000, immutable".into()
        };
    }
    match (policy.max_age, private) {
        (None, _) => "no-cache".into(),
        (Some(age), false) => format!("max-age={}", age.as_secs()).into(),
        (Some(age), true) => format!("private, max-age={}", age.as_secs()).into(),
    }
}

/// Whether a name has a hash of the content in it, as build tools make them: `app.3f9a1c2b.js`,
/// `index-DhY7_x1a.css`, `chunk-OTV4XJ2F.js`, `4bd1b696100b9d70.js`. Bounded by its length.
pub fn is_hashed(name: &[u8]) -> bool {
    let name = name.rsplit(|&b| b == b'/').next().unwrap_or_default();
    let Some(dot) = name.iter().rposition(|&b| b == b'.') else {
        return false;
    };
    name[..dot]
        .split(|&b| b == b'.')
        .enumerate()
        .any(|(nth, part)| {
            let last = part.rsplit(|&b| b == b'-' || b == b'_').next();
            if last.is_some_and(is_hex) {
                return true;
            }
            // Eight characters of another alphabet, which may contain the separators themselves.
            let at = part.len().wrapping_sub(HASH_CHARS_MIN);
            let separated = at == 0 && nth > 0 || part.get(at.wrapping_sub(1)) == Some(&b'-');
            separated
                && part
                    .get(at..)
                    .is_some_and(|tail| is_base32(tail) || is_base64(tail))
        })
}

fn is_hex(text: &[u8]) -> bool {
    text.len() >= HASH_CHARS_MIN
        && text.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        && is_mixed(text)
}

fn is_base32(text: &[u8]) -> bool {
    text.iter().all(|b| matches!(b, b'A'..=b'Z' | b'2'..=b'7')) && is_mixed(text)
}

fn is_base64(text: &[u8]) -> bool {
    let fits = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    text.iter().all(fits)
        && text.iter().any(u8::is_ascii_uppercase)
        && text.iter().any(u8::is_ascii_lowercase)
        && is_mixed(text)
}

/// A letter behind a digit: neither a word, nor a date, nor a word with its number.
fn is_mixed(text: &[u8]) -> bool {
    let digit = text.iter().position(u8::is_ascii_digit);
    digit.is_some_and(|at| text[at..].iter().any(u8::is_ascii_alphabetic))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn names_made_by_build_tools_are_known() {
        for name in [
            "app.3f9a1c2b.js",
            "index-DhY7_x1a.css",
            "index-Dh-7_x1a.css",
            "chunk-OTV4XJ2F.js",
            "4bd1b696100b9d70.js",
            "assets/main-app-0c9f1ab4b1e8.js",
            "app.3f9a1c2b.js.map",
            "logo.5d5d9eefa31e5e13a6610d9fa7a283bb.svg",
            "vendors_3f9a1c2b.chunk.js",
            "page.DhY7ax1a.js",
        ] {
            assert!(is_hashed(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn names_that_people_choose_are_not() {
        for name in [
            "",
            "index.html",
            "jquery-3.7.1.min.js",
            "report-20240131.pdf",
            "2024-01-31.html",
            "deadbeef.txt",
            "photo-IMG20231.jpg",
            "VERSION2.txt",
            "a-VERSION2.txt",
            "README-ChangeLog.md",
            "app.3f9a1c2.js",
            "3f9a1c2b",
            "DhY7ax1a.css",
            "app-ABCDEFGH.js",
            ".3f9a1c2b",
            "3f9a1c2b/index.html",
            "é1a.é",
        ] {
            assert!(!is_hashed(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn the_field_says_what_was_asked_for() {
        let policy = |seconds: Option<u64>, immutable| CachePolicy {
            max_age: seconds.map(Duration::from_secs),
            immutable,
        };
        for (policy, private, name, value) in [
            (policy(None, false), false, "app.3f9a1c2b.js", "no-cache"),
            (policy(None, true), false, "app.js", "no-cache"),
            (policy(Some(60), false), false, "app.js", "max-age=60"),
            (policy(Some(0), true), true, "app.js", "private, max-age=0"),
            (
                policy(None, true),
                false,
                "app.3f9a1c2b.js",
                "public, max-age=31536000, immutable",
            ),
            (
                policy(None, true),
                true,
                "app.3f9a1c2b.js",
                "private, max-age=31536000, immutable",
            ),
        ] {
            assert_eq!(cache_control(policy, private, name.as_bytes()), value);
        }
    }
}
