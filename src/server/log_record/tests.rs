#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use super::*;
use crate::event_loop::clock::Clock;
use std::time::{Duration, UNIX_EPOCH};

fn record() -> LogRecord {
    LogRecord {
        client: PeerAddress::Ip("127.0.0.1".parse().unwrap()),
        user: None,
        request: b"GET / HTTP/1.1".to_vec(),
        referer: None,
        user_agent: Some(b"curl/8.5".to_vec()),
        status: Status::OK,
        begun: Clock::start().read().instant,
    }
}

fn written_at(unix_seconds: u64, record: &LogRecord, format: LogFormat) -> String {
    let now = Now {
        instant: record.begun + Duration::from_micros(1_234),
        wall: UNIX_EPOCH + Duration::from_secs(unix_seconds),
        ..Clock::start().read()
    };
    let mut into = Vec::new();
    record.write(format, 5, &now, &mut into);
    String::from_utf8(into).unwrap()
}

fn written(record: &LogRecord, format: LogFormat) -> String {
    written_at(1_893_456_000, record, format)
}

#[test]
fn the_three_formats() {
    let e = record();
    assert_eq!(
        written(&e, LogFormat::Combined),
        r#"127.0.0.1 - - [01/Jan/2030:00:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "curl/8.5""#
    );
    assert_eq!(
        written(&e, LogFormat::Json),
        concat!(
            r#"{"time":"2030-01-01T00:00:00Z","peer":"127.0.0.1","user":null,"#,
            r#""request":"GET / HTTP/1.1","status":200,"bytes":5,"seconds":0.001234,"#,
            r#""referer":null,"user_agent":"curl/8.5"}"#
        )
    );
    assert_eq!(
        written(&e, LogFormat::Short),
        "00:00:00 127.0.0.1 200 5 1.2ms GET / HTTP/1.1"
    );
}

#[test]
fn nobody_forges_a_line_or_reaches_a_terminal() {
    let nasty = LogRecord {
        client: PeerAddress::Unix,
        user: Some(b"a b\"c".to_vec()),
        request: b"GET /\r\n\x1b[2J\"\\\x00\xff\xc3\xa9 HTTP/1.1".to_vec(),
        referer: Some(Vec::new()),
        user_agent: Some(b"\x7f\t".to_vec()),
        ..record()
    };
    assert_eq!(
        written(&nasty, LogFormat::Combined),
        concat!(
            r#"unix - a\x20b\x22c [01/Jan/2030:00:00:00 +0000] "#,
            r#""GET /\x0D\x0A\x1B[2J\x22\x5C\x00\xFF\xC3\xA9 HTTP/1.1" 200 5 "-" "\x7F\x09""#
        )
    );
    assert!(written(&nasty, LogFormat::Json).contains(
        r#""request":"GET /\u000d\u000a\u001b[2J\"\\\u0000\ufffd\u00e9 HTTP/1.1","status""#
    ));
    for format in [LogFormat::Combined, LogFormat::Json, LogFormat::Short] {
        let every_byte: Vec<u8> = (0..=255).collect();
        let line = written(
            &LogRecord {
                user: Some(every_byte.clone()),
                request: every_byte.clone(),
                referer: Some(every_byte),
                ..record()
            },
            format,
        );
        assert!(line.bytes().all(|b| matches!(b, b' '..=b'~')), "{line}");
    }
}

#[test]
fn json_has_surrogate_pairs_for_what_needs_them() {
    let smiling = LogRecord {
        request: "\u{1f600}".into(),
        ..record()
    };
    assert!(written(&smiling, LogFormat::Json).contains(r#""request":"\ud83d\ude00""#));
}

#[test]
fn long_texts_are_cut_and_marked() {
    let long = vec![b'a'; LOG_FIELD_BYTES_MAX + 1];
    let fits = &long[1..];
    let line = |request: &[u8]| {
        let request = request.to_vec();
        written(
            &LogRecord {
                request,
                ..record()
            },
            LogFormat::Short,
        )
    };
    assert!(line(&long).ends_with("aaa..."));
    assert!(line(fits).ends_with("aaaa"));
    // A cut in the middle of a character is no reason for broken JSON.
    let text = "é".repeat(LOG_FIELD_BYTES_MAX);
    let odd = &text.as_bytes()[1..];
    let json = written(
        &LogRecord {
            request: odd.to_vec(),
            ..record()
        },
        LogFormat::Json,
    );
    assert!(json.contains(r#"\ufffd..."#), "{json}");
}

#[test]
fn v4_clients_of_a_v6_socket_are_shown_as_v4() {
    let mapped = LogRecord {
        client: PeerAddress::Ip("::ffff:192.0.2.1".parse().unwrap()),
        ..record()
    };
    assert!(written(&mapped, LogFormat::Combined).starts_with("192.0.2.1 "));
}

#[test]
fn a_time_beyond_the_calendar_spoils_no_line() {
    let written = |format| written_at(i64::MAX.unsigned_abs(), &record(), format);
    assert!(written(LogFormat::Combined).contains(" [-] "));
    assert!(written(LogFormat::Json).starts_with(r#"{"time":null,"peer":"#));
    assert!(written(LogFormat::Short).starts_with("127.0.0.1 200 "));
}
