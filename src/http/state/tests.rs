#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may stop at the first surprise"
)]

use super::*;
use crate::http::body::BodyError;
use crate::http::request::{NO_FIELDS, Request};
use crate::http::response::FileSpan;
use crate::http::status::Status;
use crate::limits::HEAD_BYTES_MAX;

type Out = Outgoing<&'static str>;

/// What feeding led to, in words that a test can compare.
#[derive(Debug, PartialEq, Eq)]
enum Fed {
    More { idle: bool, kept: usize },
    Request { line: String, rest: usize },
    Refuse(u16),
    Broken(BodyError),
}

/// Feeds `pieces` one after the other, answering each request, until nothing is left.
fn feed(pieces: &[&[u8]]) -> Vec<Fed> {
    let mut out = Vec::new();
    let mut reading = Reading::default();
    for piece in pieces {
        let mut fresh = *piece;
        loop {
            match reading.feed(fresh, 200) {
                HeadProgress::Partial(more) => {
                    out.push(Fed::More {
                        idle: more.is_idle(),
                        kept: more.kept(),
                    });
                    reading = more;
                    break;
                }
                HeadProgress::Whole(head) => {
                    let mut fields = NO_FIELDS;
                    let (line, drain) = match Request::parse(head.bytes(), head.bare, &mut fields) {
                        Ok(request) => (
                            format!(
                                "{} {}",
                                request.method_name,
                                request.raw_target.escape_ascii()
                            ),
                            request.body.drain(),
                        ),
                        Err(refusal) => {
                            out.push(Fed::Refuse(refusal.status.0));
                            return out;
                        }
                    };
                    reading = head.into_rest(drain);
                    out.push(Fed::Request {
                        line,
                        rest: reading.kept(),
                    });
                    fresh = b"";
                    if !reading.has_leftovers() {
                        break;
                    }
                }
                HeadProgress::Refused(refusal) => {
                    out.push(Fed::Refuse(refusal.status.0));
                    return out;
                }
                HeadProgress::BadBody(e) => {
                    out.push(Fed::Broken(e));
                    return out;
                }
            }
        }
    }
    out
}

fn requests(fed: &[Fed]) -> Vec<&str> {
    fed.iter()
        .filter_map(|h| {
            if let Fed::Request { line, .. } = h {
                Some(line.as_str())
            } else {
                None
            }
        })
        .collect()
}

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n";

fn sending(rest: Option<Reading>) -> Out {
    let head = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    let head_len = head.len();
    Outgoing::new(
        Bytes::Own(head),
        head_len,
        Body::Span(FileSpan {
            file: "file",
            at: 10,
            len: 5,
        }),
        rest,
    )
}

#[test]
fn row_1_bytes_without_a_blank_line_are_kept() {
    assert_eq!(
        feed(&[b"GET / HT", b"TP/1.1\r\n"]),
        [
            Fed::More {
                idle: false,
                kept: 8
            },
            Fed::More {
                idle: false,
                kept: 16
            }
        ]
    );
}

#[test]
fn row_2_a_head_longer_than_its_limit_is_refused() {
    let long = [b"GET / HTTP/1.1\r\nX: ".to_vec(), b"a".repeat(300)].concat();
    assert_eq!(feed(&[&long]), [Fed::Refuse(431)]);
    let line = [b"GET /".to_vec(), b"a".repeat(9000)].concat();
    let HeadProgress::Refused(refusal) = Reading::default().feed(&line, HEAD_BYTES_MAX) else {
        panic!("the line is longer than its limit")
    };
    assert_eq!(refusal.status, Status::URI_TOO_LONG);
}

#[test]
fn row_3_a_head_that_breaks_a_rule_is_refused() {
    assert_eq!(feed(&[b"GET / HTTP/1.1\r\n\r\n"]), [Fed::Refuse(400)]);
}

#[test]
fn row_4_a_whole_head_is_understood() {
    assert_eq!(
        feed(&[GET]),
        [Fed::Request {
            line: "GET /a".to_owned(),
            rest: 0
        }]
    );
}

#[test]
fn rows_5_to_10_idle_and_busy_are_told_apart() {
    assert!(Reading::default().is_idle());
    let HeadProgress::Partial(reading) = Reading::default().feed(b"G", 200) else {
        panic!("a whole head?")
    };
    assert!(!reading.is_idle());
    assert!(
        !reading.has_leftovers(),
        "it has been searched: only new bytes can change anything"
    );
}

#[test]
fn row_11_headers_remain() {
    let mut out = sending(None);
    out.advance(3);
    assert!(!out.head_is_out());
    assert!(matches!(out.output(), Output::Bytes(rest, true) if rest.len() == 16));
}

#[test]
fn row_12_the_body_follows_the_headers() {
    let mut out = sending(None);
    out.advance(19);
    assert!(out.head_is_out());
    assert!(matches!(out.output(), Output::Span(&"file", 10, 5)));
}

#[test]
fn row_13_a_kept_connection_searches_what_is_left_first() {
    let two = [GET, b"GET /b HTTP/1.1\r\nHost: x\r\n\r\nGET /c"].concat();
    let fed = feed(&[&two, b" HTTP/1.1\r\nHost: x\r\n\r\n"]);
    assert_eq!(requests(&fed), ["GET /a", "GET /b", "GET /c"]);
    assert_eq!(
        fed[0],
        Fed::Request {
            line: "GET /a".to_owned(),
            rest: two.len() - GET.len()
        }
    );
    assert!(
        sending(Some(Reading::default()))
            .finish()
            .is_some_and(|r| r.is_idle())
    );
}

#[test]
fn row_14_without_reuse_it_is_closed() {
    assert!(sending(None).finish().is_none());
}

#[test]
fn row_15_and_16_the_body_remains_until_it_is_out() {
    let mut out = sending(None);
    out.advance(19);
    out.advance(2);
    assert!(
        matches!(out.output(), Output::Span(&"file", 12, 3)),
        "a file that ends here has shrunk"
    );
    out.advance(3);
    assert!(matches!(out.output(), Output::Done));
    assert_eq!(out.body_sent(), 5);
}

#[test]
fn row_18_reuse_can_be_withdrawn() {
    let mut out = sending(Some(Reading::default()));
    out.withdraw_reuse();
    assert!(out.finish().is_none());
}

#[test]
fn a_piece_that_is_produced_follows_the_one_before() {
    let mut out: Out = Outgoing::new(Bytes::Own(b"head".to_vec()), 4, Body::Produced, None);
    out.advance(4);
    assert!(matches!(out.output(), Output::Produce));
    out.produce(b"one".to_vec(), false);
    assert!(matches!(out.output(), Output::Bytes(b"one", true)));
    out.advance(3);
    out.produce(b"two".to_vec(), true);
    assert!(matches!(out.output(), Output::Bytes(b"two", false)));
    out.advance(3);
    assert!(matches!(out.output(), Output::Done));
    assert_eq!(out.body_sent(), 6);
}

#[test]
fn bodies_are_thrown_away_before_the_next_head() {
    let post = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n";
    let all = [post.as_slice(), b"01234", GET].concat();
    assert_eq!(requests(&feed(&[&all])), ["POST /", "GET /a"]);
    let chunked = [
        &b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
            3\r\nabc\r\n0\r\nT: u\r\n\r\n"[..],
        GET,
    ]
    .concat();
    assert_eq!(requests(&feed(&[&chunked])), ["POST /", "GET /a"]);
    let broken = [
        &b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"[..],
        GET,
    ]
    .concat();
    assert_eq!(
        feed(&[&broken]).last(),
        Some(&Fed::Broken(BodyError::Malformed))
    );
}

#[test]
fn a_later_minor_version_is_served_as_1_1() {
    let fed = feed(&[b"GET /a HTTP/1.7\r\nHost: x\r\n\r\n"]);
    assert_eq!(requests(&fed), ["GET /a"]);
    assert_eq!(
        feed(&[b"GET /a HTTP/2.0\r\nHost: x\r\n\r\n"]),
        [Fed::Refuse(505)]
    );
}

#[test]
fn a_cut_anywhere_changes_nothing() {
    let conversations: [&[u8]; 4] = [
        b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n\
            GET /b HTTP/1.3\r\nHost: x\r\nX: y\r\n\r\n\
            GET /c HTTP/1.0\r\n\r\n",
        b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n\
            0123456GET /b HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /p HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
            2;a=b\r\nab\r\n0\r\nT: u\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\nGET /a HTTP/1.0\n\nGET /b HTTP/1.0\r\n\r\n",
    ];
    for whole in conversations {
        let all = feed(&[whole]);
        let expected = (requests(&all), all.last());
        assert!(expected.0.len() >= 2);
        for cut in 1..whole.len() {
            let (a, b) = whole.split_at(cut);
            assert_eq!(requests(&feed(&[a, b])), expected.0, "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = whole.chunks(1).collect();
        assert_eq!(requests(&feed(&bytes)), expected.0, "byte by byte");
    }
}

#[test]
fn it_never_keeps_more_than_the_limit_and_one_reading() {
    let mut reading = Reading::default();
    for _ in 0..1000 {
        match reading.feed(b"X: aaaaaaaaaaaaaa\r\n", 200) {
            HeadProgress::Partial(more) => {
                assert!(more.kept() <= 200);
                reading = more;
            }
            HeadProgress::Refused(_) => return,
            HeadProgress::Whole(_) | HeadProgress::BadBody(_) => panic!("neither whole nor a body"),
        }
    }
    panic!("never refused");
}

#[test]
fn the_table_names_each_row_once() {
    let mut numbers: Vec<u8> = TRANSITIONS.iter().map(|t| t.number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=28).collect::<Vec<_>>());
}

#[test]
fn a_row_leads_only_between_its_states() {
    assert!(is_transition(13, "WritingHeaders", "ReadingHead"));
    assert!(is_transition(13, "WritingBody", "ReadingHead"));
    assert!(is_transition(18, "WritingBody", "WritingBody"));
    assert!(is_transition(21, "Lingering", "Closed"));
    assert!(is_transition(0, "Lingering", "Lingering"));
    assert!(!is_transition(13, "ReadingHead", "ReadingHead"));
    assert!(!is_transition(18, "WritingHeaders", "WritingBody"));
    assert!(!is_transition(21, "Lingering", "ReadingHead"));
    assert!(!is_transition(0, "ReadingHead", "Closed"));
    assert!(!is_transition(99, "Lingering", "Lingering"), "no such row");
}
