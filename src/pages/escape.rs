//! Names made harmless, for HTML and for links, as [`Display`](fmt::Display) of a wrapper.
//!
//! Names are bytes: [`Html`] shows what can be shown, [`Href`] keeps every byte. Each is safe in
//! every place of a page that it is meant for.

use std::fmt::{self, Write as _};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

/// A name as text of HTML, also within a quoted attribute.
/// Characters of HTML become entities; bytes that are no UTF-8 become U+FFFD. Control characters,
/// which nobody sees, and those that turn the direction of writing, which make `gnp.exe` out of
/// `exe.png`, are shown by their number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Html<'a>(pub(super) &'a [u8]);

/// A name as one segment of a relative link: exactly its bytes, all but RFC 3986's unreserved ones
/// as `%XX`. So no name can end the attribute, begin a query, look like a scheme or name another
/// host.
#[derive(Clone, Copy, Debug)]
pub(super) struct Href<'a>(pub(super) &'a [u8]);

impl fmt::Display for Html<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            let text = chunk.valid();
            let mut written = 0;
            for (at, c) in text.char_indices() {
                let entity = match c {
                    '&' => "&amp;",
                    '<' => "&lt;",
                    '>' => "&gt;",
                    '"' => "&quot;",
                    '\'' => "&#39;",
                    _ if is_unseen(c) => "",
                    _ => continue,
                };
                f.write_str(&text[written..at])?;
                written = at + c.len_utf8();
                if entity.is_empty() {
                    write!(f, "[U+{:04X}]", u32::from(c))?;
                } else {
                    f.write_str(entity)?;
                }
            }
            f.write_str(&text[written..])?;
            if !chunk.invalid().is_empty() {
                f.write_char(char::REPLACEMENT_CHARACTER)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Href<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
            .remove(b'-')
            .remove(b'.')
            .remove(b'_')
            .remove(b'~');
        percent_encode(self.0, RESERVED).fmt(f)
    }
}

/// Controls, line separators, and what steers direction or has no width, so that two names could
/// look alike. The joiners U+200C and U+200D are not among them: Persian and emoji are written with
/// them.
fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{115f}'
                | '\u{1160}'
                | '\u{180e}'
                | '\u{200b}'
                | '\u{200e}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::random::Random;
    use percent_encoding::percent_decode;

    fn html(name: &[u8]) -> String {
        Html(name).to_string()
    }

    fn href(name: &[u8]) -> String {
        Href(name).to_string()
    }

    #[test]
    fn html_has_no_markup_left() {
        assert_eq!(
            html(b"<img src=x onerror=alert(1)>"),
            "&lt;img src=x onerror=alert(1)&gt;"
        );
        assert_eq!(html(b"\"'&amp;"), "&quot;&#39;&amp;amp;");
        assert_eq!(html("plain ünïcode 日本".as_bytes()), "plain ünïcode 日本");
    }

    #[test]
    fn html_shows_what_is_not_seen() {
        assert_eq!(
            html(b"a\nb\tc\0\x1b\x7f"),
            "a[U+000A]b[U+0009]c[U+0000][U+001B][U+007F]"
        );
        assert_eq!(
            html("photo\u{202e}gpj.exe".as_bytes()),
            "photo[U+202E]gpj.exe"
        );
        assert_eq!(
            html("a\u{200b}b\u{85}\u{2066}".as_bytes()),
            "a[U+200B]b[U+0085][U+2066]"
        );
        assert_eq!(html("👩\u{200d}🚀".as_bytes()), "👩\u{200d}🚀");
        assert_eq!(html("שלום".as_bytes()), "שלום");
        assert_eq!(html(b"a\xffb\xc3"), "a\u{fffd}b\u{fffd}");
    }

    #[test]
    fn links_keep_every_byte_and_mean_nothing_else() {
        for name in [
            &b"plain.txt"[..],
            b"javascript:alert(1)",
            b"a:b",
            b"//x",
            b"..%2f",
            b"%2e%2e",
            b"a b?c#d",
            b"\"'<>&",
            b"new\nline",
            b"\xff\xfe",
            b"back\\slash",
            "ü".as_bytes(),
            b"-._~",
            b"\0\x7f",
        ] {
            let link = href(name);
            assert_eq!(percent_decode(link.as_bytes()).collect::<Vec<_>>(), name);
            assert!(
                link.bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b)),
                "{link}"
            );
        }
        assert_eq!(href(b"javascript:alert(1)"), "javascript%3Aalert%281%29");
        assert_eq!(href(b"-._~"), "-._~");
    }

    #[test]
    fn no_bytes_at_all_break_out() {
        let mut random = Random::new(7);
        for _ in 0..5_000 {
            let name: Vec<u8> = (0..random.below(40))
                .map(|_| {
                    let byte = random.byte();
                    // Half of them from those that mean something.
                    if byte & 1 == 0 {
                        b"<>&\"'\\/\n\x80\xe2"[usize::from(byte / 2) % 10]
                    } else {
                        byte
                    }
                })
                .collect();
            let html = html(&name);
            assert!(!html.contains(['<', '>', '"', '\'', '\n', '\0']), "{html}");
        }
    }
}
