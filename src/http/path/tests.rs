#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test may stop at the first surprise"
)]

use super::*;
use crate::http::random::Random;

#[track_caller]
fn decoded(raw: &str, expected: Result<(&str, bool), u16>) {
    let path = SitePath::decode(raw.as_bytes());
    let got = path.as_ref().map(|p| {
        (
            String::from_utf8_lossy(p.as_bytes()).into_owned(),
            p.is_directory(),
        )
    });
    let expected = expected.map(|(p, d)| (p.to_owned(), d));
    assert_eq!(got.map_err(|r| r.status.0), expected, "{raw:?}");
}

#[test]
fn paths_are_decoded_once_and_normalised() {
    decoded("/", Ok(("", true)));
    decoded("/a", Ok(("a", false)));
    decoded("/a/", Ok(("a", true)));
    decoded("//a///b", Ok(("a/b", false)));
    decoded("/a/./b/.", Ok(("a/b", true)));
    decoded("/a/../b", Ok(("b", false)));
    decoded("/a/b/..", Ok(("a", true)));
    decoded("/a/%2e%2E/b", Ok(("b", false)));
    decoded("/a%20b%3Fc%23d%25e", Ok(("a b?c#d%e", false)));
    decoded("/%252e%252e/a", Ok(("%2e%2e/a", false)));
    decoded("/...", Ok(("...", false)));
}

#[test]
fn nothing_outside_can_be_named() {
    decoded("/..", Err(400));
    decoded("/../etc/passwd", Err(400));
    decoded("/a/../../etc", Err(400));
    decoded("/%2e%2e/x", Err(400));
    decoded("/a%00b", Err(400));
    decoded("/a\0b", Err(400));
    decoded("/a%2Fb", Err(404));
    decoded("/a%2fb", Err(404));
    decoded("/%", Err(400));
    decoded("/%4", Err(400));
    decoded("/%zz", Err(400));
}

#[test]
fn any_bytes_give_a_path_within_or_none() {
    let mut random = Random::new(1);
    let alphabet = b"/./..%2e%2f%00%aab\xff\\?";
    for _ in 0..200_000 {
        let mut raw = vec![b'/'];
        for _ in 0..12 {
            raw.push(random.one_of(alphabet));
        }
        let Ok(path) = SitePath::decode(&raw) else {
            continue;
        };
        for segment in path.as_bytes().split(|&b| b == b'/') {
            let root = path.as_bytes().is_empty();
            assert!(
                root || !matches!(segment, b"" | b"." | b".."),
                "{} has {}",
                raw.escape_ascii(),
                segment.escape_ascii()
            );
            assert!(!segment.contains(&0));
        }
        // Naming it in a URL and decoding that leads to the same place.
        assert_eq!(
            SitePath::decode(path.to_url().as_bytes()).as_ref(),
            Ok(&path),
            "{}",
            raw.escape_ascii()
        );
        assert!(!path.to_url().starts_with("//"));
    }
}

#[test]
fn forms_of_targets() {
    let path_of = |raw: &str, method: &str| {
        parse(raw.as_bytes(), method)
            .map(|t| String::from_utf8_lossy(t.path).into_owned())
            .map_err(|r| r.status.0)
    };
    assert_eq!(path_of("/a", "GET"), Ok("/a".to_owned()));
    assert_eq!(path_of("http://h", "GET"), Ok("/".to_owned()));
    assert_eq!(path_of("HTTPS://h:1/a?b", "GET"), Ok("/a".to_owned()));
    assert_eq!(path_of("http://h?q", "GET"), Ok("/".to_owned()));
    assert_eq!(path_of("*", "OPTIONS"), Ok("*".to_owned()));
    assert_eq!(path_of("h:443", "CONNECT"), Ok(String::new()));
    for raw in [
        "*",
        "a",
        "h:80",
        "ftp://h/",
        "http:///a",
        "/a#b",
        "http://h/#",
    ] {
        assert_eq!(path_of(raw, "GET"), Err(400), "{raw}");
    }
}

#[test]
fn hidden_segments() {
    let hidden = |raw: &str| SitePath::decode(raw.as_bytes()).map(|p| p.is_hidden());
    assert_eq!(hidden("/.git/config"), Ok(true));
    assert_eq!(hidden("/a/.b"), Ok(true));
    assert_eq!(hidden("/.well-known/x"), Ok(false));
    assert_eq!(hidden("/.well-known/.x"), Ok(true));
    assert_eq!(hidden("/a.b"), Ok(false));
}
