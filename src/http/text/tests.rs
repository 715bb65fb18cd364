//! What may stand on one line, how amounts are rounded, and strings that stay strings.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use super::*;
use crate::http::random::Random;

#[test]
fn what_is_printed_cannot_move_the_cursor() {
    assert_eq!(printable(b"hello\r\n"), "hello");
    assert_eq!(printable(b"a\x1b[2Jb\n\nc"), "a\\u{1b}[2Jb\\n\\nc");
    assert_eq!(printable(b"\xff\xfeok\xc3"), "\\xff\\xfeok\\xc3");
    assert_eq!(printable("\u{202e}txt.exe".as_bytes()), "\\u{202e}txt.exe");
    assert_eq!(printable("søk 日本".as_bytes()), "søk 日本");
}

#[test]
fn sizes() {
    for (bytes, expected) in [
        (0, "0 B"),
        (1, "1 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (10_188, "9.9 KiB"),
        (10_240, "10 KiB"),
        (1_048_063, "1023 KiB"),
        (1_048_575, "1.0 MiB"),
        (1_048_576, "1.0 MiB"),
        (4_404_019, "4.2 MiB"),
        (5_000_000_000, "4.7 GiB"),
        (u64::MAX, "16 EiB"),
    ] {
        assert_eq!(Size(bytes).to_string(), expected, "{bytes}");
    }
}

#[test]
fn with_a_precision_sizes_always_have_a_decimal() {
    for (bytes, expected) in [
        (1000, "1000 B"),
        (524_288, "512.0 KiB"),
        (1_048_524, "1023.9 KiB"),
        (1_048_525, "1.0 MiB"),
        (u64::MAX, "16.0 EiB"),
    ] {
        assert_eq!(format!("{:.1}", Size(bytes)), expected, "{bytes}");
    }
}

#[test]
fn counts() {
    for (count, expected) in [
        (0, "0"),
        (999, "999"),
        (1_000, "1,000"),
        (100_000, "100,000"),
        (u64::MAX, "18,446,744,073,709,551,615"),
    ] {
        assert_eq!(Count(count).to_string(), expected);
    }
}

const STYLES: [JsonStyle; 3] = [JsonStyle::Utf8, JsonStyle::Ascii, JsonStyle::Log];

fn json(style: JsonStyle, text: &[u8]) -> String {
    JsonString(style, text).to_string()
}

#[test]
fn strings_are_strings() {
    for style in STYLES {
        assert_eq!(json(style, b"a\"b\\c/d"), r#""a\"b\\c/d""#);
    }
    assert_eq!(
        json(JsonStyle::Utf8, b"\n\t\r\0\x1f\x7f"),
        "\"\\n\\t\\u000d\\u0000\\u001f\x7f\""
    );
    assert_eq!(
        json(JsonStyle::Ascii, b"\n\t\r\0\x1f\x7f"),
        r#""\n\t\r\u0000\u001f\u007f""#
    );
    assert_eq!(
        json(JsonStyle::Log, b"\n\t\r\0\x1f\x7f"),
        r#""\u000a\u0009\u000d\u0000\u001f\u007f""#
    );
}

#[test]
fn ascii_has_surrogate_pairs_for_what_needs_them() {
    let text = "ü\u{202e}\u{1f600}".as_bytes();
    assert_eq!(json(JsonStyle::Utf8, text), "\"ü\u{202e}\u{1f600}\"");
    for style in [JsonStyle::Ascii, JsonStyle::Log] {
        assert_eq!(json(style, text), r#""\u00fc\u202e\ud83d\ude00""#);
    }
}

#[test]
fn what_is_no_utf_8_is_replaced() {
    assert_eq!(json(JsonStyle::Utf8, b"a\xffb"), "\"a\u{fffd}b\"");
    assert_eq!(json(JsonStyle::Log, b"a\xffb"), r#""a\ufffdb""#);
}

#[test]
fn no_bytes_at_all_break_out() {
    let mut random = Random::new(7);
    for n in 0..5_000 {
        let text: Vec<u8> = (0..n % 40)
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
        for style in STYLES {
            let json = json(style, &text);
            let read: String = serde_json::from_str(&json).unwrap();
            assert_eq!(read, String::from_utf8_lossy(&text));
            assert!(style == JsonStyle::Utf8 || json.is_ascii(), "{json}");
            assert!(json.chars().all(|c| c >= ' '), "{json}");
        }
    }
}

#[test]
fn times() {
    for (seconds, expected) in [
        (0, "\"1970-01-01T00:00:00Z\""),
        (-1, "\"1969-12-31T23:59:59Z\""),
        (951_782_399, "\"2000-02-28T23:59:59Z\""),
        (951_782_400, "\"2000-02-29T00:00:00Z\""),
        (951_868_800, "\"2000-03-01T00:00:00Z\""),
        (1_709_164_800, "\"2024-02-29T00:00:00Z\""),
        (4_107_542_400, "\"2100-03-01T00:00:00Z\""),
        (2_147_483_648, "\"2038-01-19T03:14:08Z\""),
        (253_402_300_799, "\"9999-12-31T23:59:59Z\""),
        (253_402_300_800, "null"),
        (-62_167_219_200, "\"0000-01-01T00:00:00Z\""),
        (-62_167_219_201, "null"),
        (i64::MAX, "null"),
        (i64::MIN, "null"),
    ] {
        assert_eq!(json_time(seconds), expected, "{seconds}");
    }
}
