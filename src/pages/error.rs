//! The page that says why there is nothing else to see. It stays below 4 KiB unless the detail is
//! longer.

use super::PAGE_STYLE;
use crate::pages::escape::Html;

/// A small page for a status code and its reason phrase. `detail` says why, for the reader; it
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
    let stop = if text.ends_with(['.', '!', '?']) {
        ""
    } else {
        "."
    };
    format!("{}{}{stop}", first.to_uppercase(), rest.as_str())
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
