#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test may stop at the first surprise"
)]

use super::*;

/// Parses a head given without its last blank line.
fn parse<T>(head: &str, look: impl FnOnce(Result<Request<'_>, Refusal>) -> T) -> T {
    let head = format!("{head}\r\n\r\n");
    let mut fields = NO_FIELDS;
    look(Request::parse(head.as_bytes(), false, &mut fields))
}

#[track_caller]
fn refused(head: &str, status: u16) {
    parse(head, |r| match r {
        Ok(request) => panic!("{head:?} was understood: {request:?}"),
        Err(refusal) => assert_eq!(refusal.status.0, status, "{head:?}: {}", refusal.why),
    });
}

#[track_caller]
fn body(fields: &str, expected: BodyLength) {
    parse(&format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}"), |r| {
        assert_eq!(r.map(|r| r.body), Ok(expected), "{fields:?}")
    });
}

#[test]
fn an_ordinary_request() {
    parse(
        "GET /a?b=c HTTP/1.1\r\nHost: example.org:80\r\nUser-Agent: x",
        |r| {
            let r = r.expect("an ordinary request");
            assert_eq!(
                (r.method, r.minor, r.keep_alive, r.body),
                (Method::Get, 1, true, BodyLength::None)
            );
            assert_eq!(
                (r.target.path, r.target.query),
                (&b"/a"[..], Some(&b"b=c"[..]))
            );
            assert_eq!(r.host, Some(&b"example.org"[..]));
            assert_eq!(r.has, HeaderFlags::default());
            assert_eq!(r.value("user-agent"), Some(&b"x"[..]));
        },
    );
}

#[test]
fn hosts() {
    refused("GET / HTTP/1.1", 400);
    refused("GET / HTTP/1.1\r\nHost: a\r\nHost: a", 400);
    for host in [
        "a b",
        "a/b",
        "a@b",
        "a:b",
        "a:123456",
        "[::1",
        "[]",
        "[x]:80",
        "a%2",
        "a%zz",
        "\u{e9}",
        "a,b:80:80",
        "a?b",
    ] {
        refused(&format!("GET / HTTP/1.1\r\nHost: {host}"), 400);
    }
    for (host, name) in [
        ("", ""),
        ("a", "a"),
        ("a:", "a"),
        ("A.b-c_d:8080", "A.b-c_d"),
        ("[::1]:80", "[::1]"),
        ("127.0.0.1", "127.0.0.1"),
        ("a%20b", "a%20b"),
    ] {
        parse(&format!("GET / HTTP/1.1\r\nHost: {host}"), |r| {
            assert_eq!(r.map(|r| r.host.map(<[u8]>::to_vec)), Ok(Some(name.into())))
        });
    }
    parse("GET / HTTP/1.0", |r| {
        assert_eq!(r.map(|r| r.host.is_none()), Ok(true))
    });
    parse("GET http://b.org/x HTTP/1.1\r\nHost: a", |r| {
        assert_eq!(
            r.map(|r| r.host.map(<[u8]>::to_vec)),
            Ok(Some(b"b.org".to_vec()))
        )
    });
}

#[test]
fn persistence() {
    for (head, keep) in [
        ("GET / HTTP/1.1\r\nHost: a", true),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close", false),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, CLOSE", false),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nConnection: close",
            false,
        ),
        ("GET / HTTP/1.0", false),
        ("GET / HTTP/1.0\r\nConnection: Keep-Alive", true),
        ("GET / HTTP/1.0\r\nConnection: keep-alive, close", false),
    ] {
        parse(head, |r| {
            assert_eq!(r.map(|r| r.keep_alive), Ok(keep), "{head:?}")
        });
    }
}

#[test]
fn lengths_of_bodies() {
    body("Content-Length: 0", BodyLength::None);
    body("Content-Length: 7", BodyLength::Bytes(7));
    body("content-length: 007", BodyLength::Bytes(7));
    body(
        "Content-Length: 18446744073709551615",
        BodyLength::Bytes(u64::MAX),
    );
    body("Transfer-Encoding: Chunked", BodyLength::Chunked);
    for length in [
        "",
        "+5",
        "-1",
        "5, 5",
        "0x5",
        "5 5",
        "18446744073709551616",
        "5;",
    ] {
        refused(
            &format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}"),
            400,
        );
    }
}

#[test]
fn what_request_smuggling_lives_on() {
    let with =
        |fields: &str, status| refused(&format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}"), status);
    with("Content-Length: 5\r\nContent-Length: 5", 400);
    with("Content-Length: 5\r\nTransfer-Encoding: chunked", 400);
    with("Transfer-Encoding: chunked, chunked", 400);
    with(
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        400,
    );
    with("Transfer-Encoding: chunked, gzip", 400);
    with("Transfer-Encoding: ", 400);
    with("Transfer-Encoding: ,chunked", 400);
    with("Transfer-Encoding: gzip, chunked", 501);
    with("Transfer-Encoding: xchunked", 501);
    with("Transfer-Encoding: identity", 501);
    with("Transfer-Encoding : chunked", 400);
    with("X: a\r\n b", 400);
    with("X: a\rb", 400);
    with("X: a\0b", 400);
    with("X: a\x01b", 400);
    with("X\x01: a", 400);
    with(": a", 400);
    refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked", 400);
    refused("GET  / HTTP/1.1\r\nHost: a", 400);
    refused("GET / HTTP/1.1 \r\nHost: a", 400);
    refused("GET /a\tb HTTP/1.1\r\nHost: a", 400);
}

#[test]
fn versions() {
    refused("GET / HTTP/2.0\r\nHost: a", 505);
    refused("GET / HTTP/0.9", 505);
    refused("GET / HTTP/3.1", 505);
    refused("GET / http/1.1\r\nHost: a", 400);
    refused("GET / HTTP/1.1.1\r\nHost: a", 400);
    refused("GET /", 400);
}

#[test]
fn expectations() {
    parse("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue", |r| {
        assert_eq!(r.map(|r| r.expects_continue), Ok(true))
    });
    refused("PUT / HTTP/1.1\r\nHost: a\r\nExpect: tea", 417);
    parse("PUT / HTTP/1.0\r\nExpect: tea", |r| {
        assert_eq!(r.map(|r| r.expects_continue), Ok(false))
    });
}

#[test]
fn too_many_lines() {
    let many = "X: y\r\n".repeat(HEADER_LINES_MAX);
    refused(&format!("GET / HTTP/1.1\r\nHost: a\r\n{many}Z: z"), 431);
}

#[test]
fn fields_of_interest_are_noticed() {
    let none = HeaderFlags::default();
    let condition = HeaderFlags {
        condition: true,
        ..none
    };
    let range = HeaderFlags {
        range: true,
        ..none
    };
    let accept_encoding = HeaderFlags {
        accept_encoding: true,
        ..none
    };
    for (field, has) in [
        ("If-None-Match: *", condition),
        ("if-range: x", condition),
        ("If-Match: *", condition),
        ("If-Modified-Since: x", condition),
        ("If-Unmodified-Since: x", condition),
        ("Range: bytes=0-", range),
        ("Accept-Encoding: br", accept_encoding),
        ("Accept: */*", none),
        ("Cookie: a", none),
    ] {
        parse(&format!("GET / HTTP/1.1\r\nHost: a\r\n{field}"), |r| {
            assert_eq!(r.map(|r| r.has), Ok(has), "{field:?}")
        });
    }
}
