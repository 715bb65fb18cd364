#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use super::*;

fn entry() -> Entry<'static> {
    Entry {
        peer: Client::Address("127.0.0.1".parse().unwrap()),
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
        peer: Client::Unix,
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
        peer: Client::Address("::ffff:192.0.2.1".parse().unwrap()),
        ..entry()
    };
    assert!(written(&mapped, Format::Combined).starts_with("192.0.2.1 "));
}

#[test]
fn a_time_beyond_the_calendar_spoils_no_line() {
    let odd = Entry {
        time_unix: i64::MAX,
        ..entry()
    };
    assert!(written(&odd, Format::Combined).contains(" [-] "));
    assert!(written(&odd, Format::Json).starts_with(r#"{"time":null,"peer":"#));
    assert!(written(&odd, Format::Short).starts_with("127.0.0.1 200 "));
}
