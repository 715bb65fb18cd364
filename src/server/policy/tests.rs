//! Which headers a path meets, which names are hashed, and what is said of freshness.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use super::*;
use crate::cli::HeaderLine;

fn headers(rules: &[(&str, &str, &str)]) -> Headers {
    let given: Vec<HeaderRule> = rules
        .iter()
        .map(|(path, name, value)| HeaderRule {
            path: path.as_bytes().to_vec(),
            line: HeaderLine {
                name: (*name).to_owned(),
                value: value.as_bytes().to_vec(),
            },
        })
        .collect();
    Headers::new(&given).unwrap()
}

fn lines(headers: &Headers, path: &str) -> String {
    let mut out = Vec::new();
    headers.meeting(path.as_bytes()).write(&mut out);
    String::from_utf8(out).unwrap().replace("\r\n", ";")
}

#[test]
fn the_longest_path_wins() {
    let headers = headers(&[
        ("", "A", "all"),
        ("/assets/", "a", "assets"),
        ("/assets/x.js", "A", "x"),
        ("", "B", "1"),
        ("", "b", "2"),
        ("/with%20blank/", "C", "3"),
    ]);
    for (path, expected) in [
        ("index.html", "A: all;B: 1;b: 2;"),
        ("assets", "A: all;B: 1;b: 2;"),
        ("assets/y.js", "a: assets;B: 1;b: 2;"),
        ("assets/x.js", "A: x;B: 1;b: 2;"),
        ("assets/x.jsx", "a: assets;B: 1;b: 2;"),
        ("assetsx/x.js", "A: all;B: 1;b: 2;"),
        ("with blank/a", "C: 3;A: all;B: 1;b: 2;"),
    ] {
        assert_eq!(lines(&headers, path), expected, "{path}");
    }
}

#[test]
fn what_is_not_given_is_ours_to_say() {
    let headers = headers(&[("/a/", "cache-control", "x")]);
    assert!(headers.meeting(b"a/b").have("Cache-Control"));
    assert!(!headers.meeting(b"b").have("Cache-Control"));
}

#[test]
fn pages_of_our_own_are_not_kept() {
    let headers = headers(&[
        ("", "Cache-Control", "max-age=9"),
        ("", "A", "1"),
        ("/b/", "B", "1"),
    ]);
    let mut out = Vec::new();
    headers
        .meeting(b"")
        .without(&[CACHE_CONTROL, "Expires", "Pragma"])
        .write(&mut out);
    assert_eq!(out, b"A: 1\r\n");
}

#[test]
fn a_path_above_the_root_is_refused() {
    let rule = HeaderRule {
        path: b"/../x".to_vec(),
        line: HeaderLine {
            name: "A".to_owned(),
            value: Vec::new(),
        },
    };
    assert!(
        Headers::new(&[rule])
            .unwrap_err()
            .contains("above the root")
    );
}

#[test]
fn names_made_by_build_tools_are_known() {
    for name in [
        "app.3f9a1c2b.js",
        "index-DhY7_x1a.css",
        "index-Dh-7_x1a.css",
        "chunk-OTV4XJ2F.js",
        "4bd1b696100b9d70.js",
        "assets/main-app-0c9f1ab4b1e8.js",
        "app.3f9a1c2b.js.map",
        "logo.5d5d9eefa31e5e13a6610d9fa7a283bb.svg",
        "vendors_3f9a1c2b.chunk.js",
        "page.DhY7ax1a.js",
    ] {
        assert!(is_hashed(name.as_bytes()), "{name}");
    }
}

#[test]
fn names_that_people_choose_are_not() {
    for name in [
        "",
        "index.html",
        "jquery-3.7.1.min.js",
        "report-20240131.pdf",
        "2024-01-31.html",
        "deadbeef.txt",
        "photo-IMG20231.jpg",
        "VERSION2.txt",
        "a-VERSION2.txt",
        "README-ChangeLog.md",
        "app.3f9a1c2.js",
        "3f9a1c2b",
        "DhY7ax1a.css",
        "app-ABCDEFGH.js",
        ".3f9a1c2b",
        "3f9a1c2b/index.html",
        "é1a.é",
    ] {
        assert!(!is_hashed(name.as_bytes()), "{name}");
    }
}

#[test]
fn the_field_says_what_was_asked_for() {
    let policy = |seconds: Option<u64>, immutable| CachePolicy {
        max_age: seconds.map(Duration::from_secs),
        immutable,
    };
    for (policy, private, name, value) in [
        (policy(None, false), false, "app.3f9a1c2b.js", "no-cache"),
        (policy(None, true), false, "app.js", "no-cache"),
        (policy(Some(60), false), false, "app.js", "max-age=60"),
        (policy(Some(0), true), true, "app.js", "private, max-age=0"),
        (
            policy(None, true),
            false,
            "app.3f9a1c2b.js",
            "public, max-age=31536000, immutable",
        ),
        (
            policy(None, true),
            true,
            "app.3f9a1c2b.js",
            "private, max-age=31536000, immutable",
        ),
    ] {
        assert_eq!(cache_control(policy, private, name.as_bytes()), value);
    }
}
