//! Replies of good and bad servers, whole, byte by byte and cut anywhere.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop at the first surprise"
)]

use super::*;
use crate::http::random::Random;
use crate::limits::{CHUNK_LINE_BYTES_MAX, REPLY_HEAD_BYTES_MAX, TRAILER_BYTES_MAX};

/// What a reply amounts to.
#[derive(PartialEq, Eq, Debug)]
struct Outcome {
    interim: Vec<u16>,
    head: ReplyHead,
    body: Vec<u8>,
    trailers: Vec<(String, String)>,
    /// Bytes behind the reply.
    rest: usize,
}

fn play(wire: &[u8], cuts: &[usize], to_head: bool) -> Result<Outcome, String> {
    let mut reply = Reply::new(to_head);
    let (mut interim, mut head, mut body) = (Vec::new(), None, Vec::new());
    let mut at = 0;
    for &cut in cuts.iter().chain([&wire.len()]) {
        while at < cut {
            let (used, event) = reply.feed(&wire[at..cut])?;
            at += used;
            match event {
                Event::More => assert!(used > 0, "would spin"),
                Event::Interim(head) => interim.push(head.status),
                Event::Head(h) => head = Some(h),
                Event::Data(data) => body.extend_from_slice(data),
                Event::Done => {
                    return Ok(Outcome {
                        interim,
                        head: head.unwrap(),
                        body,
                        trailers: reply.trailers().to_vec(),
                        rest: wire.len() - at,
                    });
                }
            }
        }
    }
    let late = reply.end()?;
    Ok(Outcome {
        interim,
        head: head.or(late).unwrap(),
        body,
        trailers: reply.trailers().to_vec(),
        rest: wire.len() - at,
    })
}

fn check_as(wire: &[u8], to_head: bool) -> Result<Outcome, String> {
    let whole = play(wire, &[], to_head);
    let every: Vec<usize> = (0..wire.len()).collect();
    assert_eq!(play(wire, &every, to_head), whole, "byte by byte");
    for cut in 0..=wire.len() {
        assert_eq!(play(wire, &[cut], to_head), whole, "cut at {cut}");
    }
    whole
}

fn ok(wire: &str) -> Outcome {
    check_as(wire.as_bytes(), false).expect(wire)
}

fn wrong(wire: &str) -> String {
    check_as(wire.as_bytes(), false).expect_err(wire)
}

#[test]
fn a_request_is_what_the_rfc_wants() {
    let url = Url::parse("http://h:81/a?b").unwrap();
    let mut request = ClientRequest {
        method: "GET",
        url: &url,
        fields: &[],
        close: true,
    };
    let agent = concat!("User-Agent: idler/", env!("CARGO_PKG_VERSION"));
    assert_eq!(
        String::from_utf8(request.to_bytes()).unwrap(),
        format!(
            "GET /a?b HTTP/1.1\r\nHost: h:81\r\n{agent}\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        )
    );
    let fields = [
        ("host", "x"),
        ("User-Agent", ""),
        ("X-A", "1"),
        ("x-a", "2"),
    ];
    let fields = fields.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
    request.fields = &fields;
    request.close = false;
    assert_eq!(
        String::from_utf8(request.to_bytes()).unwrap(),
        "GET /a?b HTTP/1.1\r\nAccept: */*\r\nConnection: keep-alive\r\nhost: x\r\nX-A: 1\r\n\
         x-a: 2\r\n\r\n"
    );
}

#[test]
fn a_plain_reply_has_nothing_wrong() {
    let o = ok("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A:  b \r\n\r\nhello");
    assert_eq!(o.head.status, 200);
    assert!(o.head.odd.is_empty());
    assert_eq!(o.head.field("x-a"), Some("b"));
    assert_eq!(o.head.body, BodyLength::Bytes(5));
    assert!(o.head.keeps_open());
    assert_eq!(o.body, b"hello");
}

#[test]
fn what_follows_a_reply_is_left_alone() {
    let o = ok("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 ");
    assert_eq!((o.body.as_slice(), o.rest), (&b"hi"[..], 9));
}

#[test]
fn replies_without_a_body_have_none_whatever_they_say() {
    for status in ["204 No Content", "304 Not Modified"] {
        let wire = format!("HTTP/1.1 {status}\r\nContent-Length: 5\r\n\r\nhello");
        let o = ok(&wire);
        assert_eq!((o.body.len(), o.rest), (0, 5));
    }
    let wire = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nrest";
    let o = check_as(wire, true).unwrap();
    assert_eq!((o.body.len(), o.rest), (0, 4));
}

#[test]
fn interim_replies_are_passed_over() {
    let o = ok(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n\
         HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
    );
    assert_eq!(o.interim, [100, 103]);
    assert_eq!(o.head.status, 200);
    assert_eq!(o.body, b"x");
    assert_eq!(
        wrong("HTTP/1.1 100 Continue\r\n\r\n"),
        "the server closed the connection without a reply",
        "an interim reply is none"
    );
}

#[test]
fn a_body_may_last_until_the_close() {
    let o = ok("HTTP/1.0 200 OK\r\n\r\nall of it");
    assert_eq!(o.head.body, BodyLength::UntilClose);
    assert!(!o.head.keeps_open());
    assert_eq!(o.body, b"all of it");
}

#[test]
fn chunks_are_put_together() {
    let o = ok(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n00A;x=\"y\"\r\n\
         , world!!!\r\n0\r\nX-Sum: 1\r\nbad line\r\nY: 2\r\n\r\nnext",
    );
    assert_eq!(o.body, b"hello, world!!!");
    let pair = |n: &str, v: &str| (n.to_owned(), v.to_owned());
    assert_eq!(o.trailers, [pair("X-Sum", "1"), pair("Y", "2")]);
    assert_eq!(o.rest, 4);
    assert!(o.head.keeps_open());
    let o = ok("HTTP/1.1 200 OK\nTransfer-Encoding: Chunked\n\n2\nhi\n0\n\n");
    assert_eq!(o.body, b"hi");
}

#[test]
fn chunks_that_make_no_sense_are_refused() {
    let chunked = |rest: &str| {
        wrong(&format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{rest}"
        ))
    };
    assert_eq!(chunked("x\r\n"), "the size of a chunk is none: x");
    assert_eq!(chunked("\r\n"), "the size of a chunk is none: ");
    assert_eq!(chunked("-1\r\n"), "the size of a chunk is none: -1");
    let large = "1".repeat(17);
    assert_eq!(
        chunked(&format!("{large}\r\n")),
        format!("the size of a chunk is none: {large}")
    );
    assert_eq!(chunked("2\r\nabc\r\n"), "a chunk is not as long as it said");
    let long = "1".repeat(CHUNK_LINE_BYTES_MAX + 1);
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let play = |rest: &str| play(format!("{head}{rest}").as_bytes(), &[], false);
    assert_eq!(
        play(&long),
        Err("the size of a chunk is none: the line is too long".to_owned())
    );
    let lines = "a: b\r\n".repeat(TRAILER_BYTES_MAX / 4 + 1);
    assert_eq!(
        play(&format!("0\r\n{lines}")),
        Err(format!(
            "the reply's trailers are longer than {TRAILER_BYTES_MAX} bytes"
        ))
    );
}

#[test]
fn a_body_cut_short_says_what_is_missing() {
    let cut = |what: &str| format!("the body was cut short: {what} missing");
    let length = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n";
    assert_eq!(wrong(&format!("{length}abc")), cut("7 bytes are"));
    assert_eq!(wrong(&format!("{length}012345678")), cut("1 byte is"));
    assert_eq!(wrong(length), cut("10 bytes are"));
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(
        wrong(&format!("{chunked}5\r\nab")),
        cut("at least 3 bytes are")
    );
    for rest in [
        "",
        "5",
        "5\r\nabcde",
        "5\r\nabcde\r\n0\r\n",
        "0\r\nA: b\r\n",
    ] {
        assert_eq!(wrong(&format!("{chunked}{rest}")), cut("its last chunk is"));
    }
}

#[test]
fn sloppy_servers_are_understood_and_told_what_was_wrong() {
    let o = ok("HTTP/1.1 200 OK\nContent-Length: 2\n\nhi");
    assert_eq!(o.head.odd, ["lines end in LF; HTTP wants CR LF"]);
    assert_eq!(o.body, b"hi");

    let o = ok(" HTTP/1.1 200 OK\r\n\r\nhi");
    assert_eq!(o.head.odd, ["there are blanks or blank lines before HTTP/"]);
    assert_eq!(o.body, b"hi");

    let o = ok("\r\n\n  HTTP/1.1 200 OK\r\n\r\n");
    assert_eq!(o.head.odd, ["there are blanks or blank lines before HTTP/"]);
    assert_eq!(o.head.raw, b"\r\n\n  HTTP/1.1 200 OK\r\n\r\n");

    for only in ["HTTP/1.1 404 Not Found\r\n", "HTTP/1.1 404 Not Found"] {
        let o = ok(only);
        assert_eq!(o.head.status, 404);
        assert_eq!(
            o.head.odd,
            ["the connection was closed before the blank line that ends a head"]
        );
        assert_eq!(o.body, b"");
    }

    let o = ok("http/1.1  200\r\nA : b\r\nno colon\r\n folded\r\nC: d\r\n\te\r\n\r\n");
    assert_eq!(
        o.head.odd,
        [
            "the version is http/1.1; HTTP/1.1 was asked for",
            "version, status and reason are not separated by one space each",
            "there are blanks behind the name A",
            "a header line has no colon: no colon",
            "a header line begins with a blank",
        ]
    );
    assert_eq!(o.head.field("a"), Some("b folded"));
    assert_eq!(o.head.field("c"), Some("d e"));

    let o = ok("HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nhi");
    assert_eq!(o.head.odd, ["Content-Length is not a number: many"]);
    assert_eq!(o.body, b"hi");

    let o = ok(
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\n\
         x\r\n0\r\n\r\n",
    );
    assert_eq!(
        o.head.odd,
        [
            "Content-Length and Transfer-Encoding contradict each other",
            "the transfer coding gzip is not understood"
        ]
    );
    assert_eq!(o.body, b"x");
}

#[test]
fn lengths_may_be_repeated_but_not_contradict_each_other() {
    let o = ok("HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!(o.body, b"hi");
    assert_eq!(
        wrong("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi"),
        "the reply has two lengths, 2 and 3"
    );
}

#[test]
fn what_is_no_reply_is_refused_at_once() {
    assert_eq!(
        wrong(""),
        "the server closed the connection without a reply"
    );
    assert_eq!(wrong("<html>"), "this is not an HTTP reply: <");
    assert_eq!(wrong("HTTX/1.1"), "this is not an HTTP reply: HTTX");
    for line in [
        "HTTP/1.1",
        "HTTP/1.1 OK",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 099 x",
    ] {
        assert_eq!(
            wrong(&format!("{line}\r\n\r\n")),
            format!("the status line has no status: {line}")
        );
    }
    let long = format!("HTTP/1.1 200 {}", "x".repeat(REPLY_HEAD_BYTES_MAX));
    assert_eq!(
        play(long.as_bytes(), &[], false),
        Err(format!(
            "the reply's head is longer than {REPLY_HEAD_BYTES_MAX} bytes"
        ))
    );
    let blank = " ".repeat(REPLY_HEAD_BYTES_MAX + 1);
    assert_eq!(
        play(blank.as_bytes(), &[], false),
        Err(format!(
            "the reply's head is longer than {REPLY_HEAD_BYTES_MAX} bytes"
        ))
    );
}

#[test]
fn connections_are_kept_as_the_version_says() {
    let keeps = |head: &str| {
        let wire = format!("{head}\r\nContent-Length: 0\r\n\r\n");
        ok(&wire).head.keeps_open()
    };
    assert!(keeps("HTTP/1.1 200 OK"));
    assert!(!keeps("HTTP/1.1 200 OK\r\nConnection: x, Close"));
    assert!(!keeps("HTTP/1.0 200 OK"));
    assert!(keeps("HTTP/1.0 200 OK\r\nConnection: Keep-Alive"));
}

#[test]
fn content_ranges_are_read_strictly() {
    let part = |first, last, whole| Some(ContentRange::Part { first, last, whole });
    assert_eq!(content_range("bytes 5-9/10"), part(5, 9, Some(10)));
    assert_eq!(content_range("Bytes 5-9/*"), part(5, 9, None));
    assert_eq!(
        content_range("bytes */10"),
        Some(ContentRange::Unsatisfied(10))
    );
    for bad in [
        "",
        "bytes",
        "bytes 5-9",
        "bytes 9-5/10",
        "bytes 5-10/10",
        "bytes 5-/10",
        "lines 1-2/3",
        "bytes +5-9/10",
        "bytes */*",
    ] {
        assert_eq!(content_range(bad), None, "{bad}");
    }
}

#[test]
fn mutants_end_in_a_reply_or_a_reason_however_they_are_cut() {
    let wire = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n\
                 hello\r\n0\r\nA: b\r\n\r\n";
    let mut random = Random::new(5);
    for _ in 0..20_000 {
        let mut mutant = wire.to_vec();
        for _ in 0..=random.below(4) {
            let at = random.below(mutant.len());
            match random.below(3) {
                0 => mutant[at] = random.byte(),
                1 => mutant.insert(at, b"\r\n :0aH/"[random.below(8)]),
                _ => {
                    mutant.remove(at);
                }
            }
        }
        let whole = play(&mutant, &[], false);
        let cut = random.below(mutant.len());
        assert_eq!(play(&mutant, &[cut], false), whole);
    }
}
