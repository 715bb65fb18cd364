//! The page that says why there is nothing else to see.
//!
//! What lives here: [`error_page`] and one sentence for each status that has a cause worth telling.
//! It may not know paths of this machine, nor whether the request was a browser's.
//! Invariant: a page stays below 4 KiB unless the detail is longer.
//! Read next: `escape.rs`.

use super::{PAGE_STYLE, put};
use crate::pages::escape::Html;

/// A small page for a status code and its reason phrase. `detail` says why, for the reader; it becomes a
/// sentence if it is none, so that the same words can stand in a log line. Without it the page says what the
/// status commonly means.
///
/// Both texts are escaped. The caller must not put paths of this machine into them.
pub fn error_page(status: u16, reason: &str, detail: Option<&str>) -> Vec<u8> {
    let mut out = Vec::with_capacity(2048);
    let reason = Html(reason.as_bytes());
    let detail = sentence(detail.unwrap_or(common_cause(status)));
    let detail = Html(detail.as_bytes());
    put(
        &mut out,
        format_args!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n\
             <title>{status} {reason}</title>\n<style>{PAGE_STYLE}</style>\n</head>\n\
             <body>\n<main>\n<p class=\"status\">{status}</p>\n<h1>{reason}</h1>\n\
             <p>{detail}</p>\n</main>\n</body>\n</html>\n"
        ),
    );
    out
}

/// With a capital letter and a full stop.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let Some(first) = characters.next() else {
        return String::new();
    };
    let stop = if text.ends_with(['.', '!', '?']) {
        ""
    } else {
        "."
    };
    first
        .to_uppercase()
        .chain(characters.as_str().chars())
        .chain(stop.chars())
        .collect()
}

fn common_cause(status: u16) -> &'static str {
    match status {
        400 => "The request was not understood.",
        401 => "This needs a name and a password.",
        403 => "This may not be seen.",
        404 => "There is nothing at this address.",
        405 => "Files can be read here, and nothing else be done with them.",
        408 => "The request took too long to arrive.",
        412 => "The file is not the one that was asked for.",
        413 => "The request was larger than is accepted here.",
        414 => "The address is longer than is accepted here.",
        416 => "The file has no such part.",
        417 => "What the request expects cannot be met.",
        421 => "No site of this name is served here.",
        429 => "There were too many requests. Please try again in a moment.",
        431 => "The headers of the request are larger than is accepted here.",
        500 => "The server failed to read this.",
        501 => "The server does not know how to do this.",
        503 => "The server is busy. Please try again in a moment.",
        505 => "The server speaks HTTP/1.1.",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    fn page(status: u16, reason: &str, detail: Option<&str>) -> String {
        String::from_utf8(error_page(status, reason, detail)).unwrap()
    }

    #[test]
    fn says_status_reason_and_cause() {
        let page = page(404, "Not Found", None);
        assert!(page.starts_with("<!doctype html>"));
        assert!(page.contains("<title>404 Not Found</title>"));
        assert!(page.contains("<h1>Not Found</h1>"));
        assert!(page.contains("There is nothing at this address."));
        assert!(page.ends_with("</html>\n"));
    }

    #[test]
    fn a_detail_takes_the_place_of_the_common_cause_and_is_escaped() {
        let page = page(500, "Bad <b>", Some("<script>alert('1')</script>"));
        assert!(page.contains("Bad &lt;b&gt;"));
        assert!(page.contains("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;"));
        assert!(!page.contains("<script"));
        assert!(!page.contains(common_cause(500)));
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
