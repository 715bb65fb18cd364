//! Bytes from outside, made fit for one line of a terminal or an error message.

use std::fmt::Write as _;

/// What a stranger sent, made fit to be printed on one line: text stays text, and everything that
/// could move the cursor or recolour the terminal is shown as `\n`, `\x1b` and the like.
/// One line end at the very end is left out. At most ten times as long as `bytes`.
pub fn printable(bytes: &[u8]) -> String {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() || is_invisible(c) {
                text.extend(c.escape_default());
            } else {
                text.push(c);
            }
        }
        for byte in chunk.invalid() {
            // Writing to a String cannot fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// Marks that change the direction of writing: they make a line look like another one.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_cannot_move_the_cursor() {
        assert_eq!(printable(b"hello\r\n"), "hello");
        assert_eq!(printable(b"a\x1b[2Jb\n\nc"), "a\\u{1b}[2Jb\\n\\nc");
        assert_eq!(printable(b"\xff\xfeok\xc3"), "\\xff\\xfeok\\xc3");
        assert_eq!(printable("\u{202e}txt.exe".as_bytes()), "\\u{202e}txt.exe");
        assert_eq!(printable("søk 日本".as_bytes()), "søk 日本");
    }
}
