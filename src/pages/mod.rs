//! The pages that idler writes itself: listings and errors, as HTML and JSON.
//!
//! They have no scripts and no pictures, and fetch nothing. Nothing that came from outside (a name,
//! a path, a detail) reaches a page unescaped; `escape.rs` sees to that.

mod escape;
mod listing;

use crate::pages::escape::Html;
pub use crate::pages::listing::{ListingJson, ListingPage, ListingQuery};

/// The `Content-Type` of every HTML page made here.
pub const HTML_TYPE: &str = "text/html; charset=utf-8";

/// The `Content-Type` of a listing as JSON. No charset: RFC 8259 §11 knows none.
pub const JSON_TYPE: &str = "application/json";

/// The `Content-Security-Policy` of every page made here: nothing but the two style sheets below,
/// each by its hash. So even a name that slipped through escaping could neither run, nor load, nor
/// send anything.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; \
    style-src 'sha256-ndNS8oy3qpoKujjUCZBNh8R1WbV2WZYkIWAD4HOOGVk=' \
    'sha256-LE/5vbcrPHVjYfSU1KWpg90Ghgt/9ROMlKdONoLMlXA='; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What all pages look like.
const PAGE_STYLE: &str = include_str!("page.css");

/// What listings have beyond that.
const LISTING_STYLE: &str = include_str!("listing.css");

/// A small page for a status code and its reason phrase, below 4 KiB unless `detail` is longer.
/// `detail` says why, for the reader; it
/// becomes a sentence if it is none, so that the same words can stand in a log line.
///
/// Both texts are escaped. The caller must not put paths of this machine into them.
pub fn error_page(status: u16, reason: &str, detail: Option<&str>) -> Vec<u8> {
    let reason = Html(reason.as_bytes());
    let detail = sentence(detail.unwrap_or_default());
    let detail = Html(detail.as_bytes());
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{status} {reason}</title>\n<style>{PAGE_STYLE}</style>\n</head>\n\
         <body>\n<main>\n<p class=\"status\">{status}</p>\n<h1>{reason}</h1>\n\
         <p>{detail}</p>\n</main>\n</body>\n</html>\n"
    )
    .into_bytes()
}

/// With a capital letter and a full stop.
fn sentence(text: &str) -> String {
    let mut rest = text.chars();
    let Some(first) = rest.next() else {
        return String::new();
    };
    let is_closed = text.ends_with(['.', '!', '?']);
    let stop = if is_closed { "" } else { "." };
    format!("{}{}{stop}", first.to_uppercase(), rest.as_str())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
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

    fn page(status: u16, reason: &str, detail: Option<&str>) -> String {
        String::from_utf8(error_page(status, reason, detail)).unwrap()
    }

    #[test]
    fn says_status_reason_and_cause() {
        let page = page(404, "Not Found", Some("there is nothing at this address"));
        assert!(page.starts_with("<!doctype html>"));
        assert!(page.contains("<title>404 Not Found</title>"));
        assert!(page.contains("<h1>Not Found</h1>"));
        assert!(page.contains("There is nothing at this address."));
        assert!(page.ends_with("</html>\n"));
    }

    #[test]
    fn a_detail_is_escaped() {
        let page = page(500, "Bad <b>", Some("<script>alert('1')</script>"));
        assert!(page.contains("Bad &lt;b&gt;"));
        assert!(page.contains("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;"));
        assert!(!page.contains("<script"));
    }

    #[test]
    fn a_detail_becomes_a_sentence() {
        assert_eq!(sentence("there is no such part"), "There is no such part.");
        assert_eq!(sentence("Please try again?"), "Please try again?");
        assert_eq!(sentence("übel"), "Übel.");
        assert_eq!(sentence(""), "");
    }

    #[test]
    fn is_small_whatever_the_status() {
        for status in 400..600 {
            let page = page(status, "Reason", None);
            assert!(page.len() < 4096, "{}", page.len());
            assert_eq!(page.matches("Reason").count(), 2);
        }
    }

    #[test]
    fn fetches_nothing() {
        let page = page(404, "Not Found", None);
        for word in ["src=", "href=", "url(", "<script", "<link", "http-equiv"] {
            assert!(!page.contains(word), "{word}");
        }
    }
}
