//! The pages that idler writes itself: listings and errors, as HTML and JSON.
//!
//! They have no scripts and no pictures, and fetch nothing. Nothing that came from outside (a name,
//! a path, a detail) reaches a page unescaped; `escape.rs` sees to that.

mod error;
mod escape;
mod json;
mod listing;

pub use crate::pages::error::error_page;
pub use crate::pages::json::ListingJson;
pub use crate::pages::listing::{ListingPage, ListingQuery};

/// The `Content-Type` of every HTML page made here.
pub const HTML_TYPE: &str = "text/html; charset=utf-8";

/// The `Content-Type` of a listing as JSON. No charset: RFC 8259 §11 knows none.
pub const JSON_TYPE: &str = "application/json";

/// The `Content-Security-Policy` of every page made here: nothing but the two style sheets below,
/// each by its hash. So even a name that slipped through escaping could neither run, nor load, nor
/// send anything.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; \
    style-src 'sha256-ermZAqjlMy8pXF9co4cO3PrtpNV3H0kEnW5DQPlTTSk=' \
    'sha256-cXR3DMQ3o+xA439SAG12VSlgPPjPhOqql4bLEUyX00Q='; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What all pages look like.
const PAGE_STYLE: &str = include_str!("page.css");

/// What listings have beyond that.
const LISTING_STYLE: &str = include_str!("listing.css");

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    /// Base64 of RFC 4648 §4, for the 32 bytes of a hash.
    fn base64(bytes: &[u8]) -> String {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::new();
        for group in bytes.chunks(3) {
            let bits = group
                .iter()
                .fold(0_u32, |bits, &byte| bits << 8 | u32::from(byte));
            let bits = bits << (8 * (3 - group.len()));
            for place in 0..=group.len() {
                text.push(LETTERS[(bits >> (18 - 6 * place) & 63) as usize].into());
            }
            text.push_str(&"=="[..3 - group.len()]);
        }
        text
    }

    #[test]
    fn base64_of_this_test_is_right() {
        assert_eq!(base64(b"idler"), "aWRsZXI=");
        assert_eq!(base64(b"idle"), "aWRsZQ==");
        assert_eq!(base64(b"idl"), "aWRs");
    }

    #[test]
    fn the_policy_names_the_hashes_of_the_style_sheets() {
        for style in [PAGE_STYLE, LISTING_STYLE] {
            let hash = format!("'sha256-{}'", base64(&Sha256::digest(style)));
            assert!(
                CONTENT_SECURITY_POLICY.contains(&hash),
                "a style sheet changed; its hash is now {hash}"
            );
        }
        assert_eq!(CONTENT_SECURITY_POLICY.matches("'sha256-").count(), 2);
        assert!(
            CONTENT_SECURITY_POLICY
                .bytes()
                .all(|b| matches!(b, b' '..=b'~'))
        );
    }

    #[test]
    fn style_sheets_load_nothing() {
        for style in [PAGE_STYLE, LISTING_STYLE] {
            for word in ["url(", "@import", "@font-face", "http", "</"] {
                assert!(!style.contains(word), "{word}");
            }
        }
    }
}
