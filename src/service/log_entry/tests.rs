#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use super::*;

fn entry() -> Entry<'static> {
    Entry {
        peer: Some("127.0.0.1".parse().unwrap()),
        user: None,
        time_unix: 1_893_456_000,
        request: b"GET / HTTP/1.1",
        status: 200,
        body_bytes: 5,
        referer: None,
        user_agent: Some(b"curl/8.5"),
        duration: Duration::from_micros(1_234),
    }
}

fn written(entry: &Entry<'_>, format: Format) -> String {
    let mut into = Vec::new();
    entry.write(format, &mut into);
    String::from_utf8(into).unwrap()
}

#[test]
fn the_three_formats() {
    let e = entry();
    assert_eq!(
        written(&e, Format::Combined),
        r#"127.0.0.1 - - [01/Jan/2030:00:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "curl/8.5""#
    );
    assert_eq!(
        written(&e, Format::Json),
        r#"{"time":"2030-01-01T00:00:00Z","peer":"127.0.0.1","user":null,"request":"GET / HTTP/1.1","status":200,"bytes":5,"seconds":0.001234,"referer":null,"user_agent":"curl/8.5"}"#
    );
    assert_eq!(
        written(&e, Format::Short),
        "00:00:00 127.0.0.1 200 5 1.2ms GET / HTTP/1.1"
    );
}

#[test]
fn nobody_forges_a_line_or_reaches_a_terminal() {
    let nasty = Entry {
        peer: None,
        user: Some(b"a b\"c"),
        request: b"GET /\r\n\x1b[2J\"\\\x00\xff\xc3\xa9 HTTP/1.1",
        referer: Some(b""),
        user_agent: Some(b"\x7f\t"),
        ..entry()
    };
    assert_eq!(
        written(&nasty, Format::Combined),
        r#"unix - a\x20b\x22c [01/Jan/2030:00:00:00 +0000] "GET /\x0D\x0A\x1B[2J\x22\x5C\x00\xFF\xC3\xA9 HTTP/1.1" 200 5 "-" "\x7F\x09""#
    );
    assert!(written(&nasty, Format::Json).contains(
        r#""request":"GET /\u000d\u000a\u001b[2J\"\\\u0000\ufffd\u00e9 HTTP/1.1","status""#
    ));
    for format in [Format::Combined, Format::Json, Format::Short] {
        let every_byte: Vec<u8> = (0..=255).collect();
        let line = written(
            &Entry {
                user: Some(&every_byte),
                request: &every_byte,
                referer: Some(&every_byte),
                ..entry()
            },
            format,
        );
        assert!(line.bytes().all(|b| matches!(b, b' '..=b'~')), "{line}");
    }
}

#[test]
fn json_has_surrogate_pairs_for_what_needs_them() {
    let smiling = Entry {
        request: "\u{1f600}".as_bytes(),
        ..entry()
    };
    assert!(written(&smiling, Format::Json).contains(r#""request":"\ud83d\ude00""#));
}

#[test]
fn long_texts_are_cut_and_marked() {
    let long = vec![b'a'; LOG_FIELD_BYTES_MAX + 1];
    let fits = &long[1..];
    let line = |request| written(&Entry { request, ..entry() }, Format::Short);
    assert!(line(&long).ends_with("aaa..."));
    assert!(line(fits).ends_with("aaaa"));
    // A cut in the middle of a character is no reason for broken JSON.
    let text = "é".repeat(LOG_FIELD_BYTES_MAX);
    let odd = &text.as_bytes()[1..];
    let json = written(
        &Entry {
            request: odd,
            ..entry()
        },
        Format::Json,
    );
    assert!(json.contains(r#"\ufffd..."#), "{json}");
}

#[test]
fn v4_clients_of_a_v6_socket_are_shown_as_v4() {
    let mapped = Entry {
        peer: Some("::ffff:192.0.2.1".parse().unwrap()),
        ..entry()
    };
    assert!(written(&mapped, Format::Combined).starts_with("192.0.2.1 "));
}

#[test]
fn the_calendar_agrees_with_known_days() {
    let at = |seconds| {
        let c = Civil::from_unix(seconds);
        format!(
            "{}-{:02}-{:02} {:02}:{:02}:{:02} {}",
            c.year, c.month, c.day, c.hour, c.minute, c.second, c.month_name
        )
    };
    assert_eq!(at(0), "1970-01-01 00:00:00 Jan");
    assert_eq!(at(-1), "1969-12-31 23:59:59 Dec");
    assert_eq!(at(951_782_400), "2000-02-29 00:00:00 Feb");
    assert_eq!(at(951_868_800), "2000-03-01 00:00:00 Mar");
    assert_eq!(at(1_709_251_199), "2024-02-29 23:59:59 Feb");
    assert_eq!(at(4_107_542_400), "2100-03-01 00:00:00 Mar");
    // Every day for 800 years: one after the other, as httpdate counts them too where it can.
    let mut expected = (1970, 1, 1);
    for day in 0..292_194 {
        let c = Civil::from_unix(day * 86_400);
        assert_eq!((c.year, c.month, c.day), expected);
        let leap = c.year % 4 == 0 && (c.year % 100 != 0 || c.year % 400 == 0);
        let last = match c.month {
            2 => 28 + i64::from(leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        expected = match (c.month, c.day) {
            (12, 31) => (c.year + 1, 1, 1),
            (month, day) if day == last => (c.year, month + 1, 1),
            (month, day) => (c.year, month, day + 1),
        };
    }
    // The edges of the type are no reason to stop.
    let _ = (
        Civil::from_unix(i64::MAX / 2),
        Civil::from_unix(i64::MIN / 2),
    );
}
