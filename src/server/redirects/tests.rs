//! The file of redirects: what it may say, what is refused, and where a path is sent.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use percent_encoding::percent_encode;

use super::*;
use crate::http::random::Random;

fn parse(file: &str) -> Redirects {
    Redirects::parse(file.as_bytes()).unwrap_or_else(|error| panic!("{file:?}: {error}"))
}

/// The path of a request that is `decoded` once it is decoded.
fn request(decoded: &[u8]) -> Option<SitePath> {
    let encoded = percent_encode(decoded, ENCODED_IN_PATH).to_string();
    SitePath::decode(encoded.as_bytes()).ok()
}

/// Status and location for a path with a query, if any.
fn meet(redirects: &Redirects, path: &str, query: Option<&str>) -> Option<(u16, String)> {
    let path = request(path.as_bytes()).unwrap();
    let found = redirects.find(&path)?;
    Some((found.status().0, found.location(query.map(str::as_bytes))))
}

fn location(file: &str, path: &str) -> Option<String> {
    meet(&parse(file), path, None).map(|(_, location)| location)
}

fn wrong(file: &str) -> (u32, String) {
    match Redirects::parse(file.as_bytes()) {
        Ok(redirects) => panic!("{file:?} was read as {redirects:?}"),
        // 0 stands for the file as a whole.
        Err(error) => match error.strip_prefix("line ").and_then(|e| e.split_once(": ")) {
            Some((line, why)) => (line.parse().unwrap(), why.to_owned()),
            None => (0, error),
        },
    }
}

#[test]
fn a_file_of_redirects() {
    let redirects = parse(
        "\u{feff}# where things went\r\n\
         \r\n\
         /old.html\t/new.html   301\r\n\
           /blog/*  https://blog.example/posts/* 308   # all of it\n\
         /tmp /  307\n\
         # /not /this 302\n\
         /see\t\t\thttp://other.example 303\n\
         /with%20space%25 /b%20c?d=e#f 302",
    );
    assert_eq!(redirects.count(), 5);
    for (path, expected) in [
        ("/old.html", Some((301, "/new.html"))),
        ("/old.html/", None),
        ("/old", None),
        ("/OLD.html", None),
        ("/blog/", Some((308, "https://blog.example/posts/"))),
        (
            "/blog/2024/x",
            Some((308, "https://blog.example/posts/2024/x")),
        ),
        ("/blog", None),
        ("/blogs", None),
        ("/tmp", Some((307, "/"))),
        ("/see", Some((303, "http://other.example"))),
        ("/with space%", Some((302, "/b%20c?d=e#f"))),
        ("/not", None),
        ("/", None),
    ] {
        let expected = expected.map(|(code, location)| (code, location.to_owned()));
        assert_eq!(meet(&redirects, path, None), expected, "{path}");
    }
    let path = request(b"/blog/x").unwrap();
    assert_eq!(redirects.find(&path).unwrap().line(), 4);
    for empty in ["", "\n\n", "# nothing\n", "\u{feff}", " \t\r\n"] {
        assert_eq!(parse(empty).count(), 0, "{empty:?}");
    }
}

#[test]
fn the_exact_path_comes_first_then_the_longest_prefix() {
    for file in [
        "/* /top/1 302\n/a/* /x/* 302\n/a/b/* /y/* 302\n/a/b/c /z 302\n\
         /top/1 https://stop.example 302",
        "/top/1 https://stop.example 302\n/a/b/c /z 302\n/a/b/* /y/* 302\n/a/* /x/* 302\n\
         /* /top/1 302",
    ] {
        // All of these lead to /top/1 in the end, which leads off the site.
        let redirects = parse(file);
        for (path, expected) in [
            ("/a/b/c", "/z"),
            ("/a/b/c/", "/y/c/"),
            ("/a/b/d", "/y/d"),
            ("/a/b/", "/y/"),
            ("/a/b", "/x/b"),
            ("/a/", "/x/"),
            ("/a", "/top/1"),
            ("/", "/top/1"),
            ("/anything/else", "/top/1"),
        ] {
            let (_, location) = meet(&redirects, path, None).unwrap();
            assert_eq!(location, expected, "{path}");
        }
    }
    // The same path may stand with a star and without.
    let both = "/a/ /one 302\n/a/* /two/* 302";
    assert_eq!(location(both, "/a/").unwrap(), "/one");
    assert_eq!(location(both, "/a/b").unwrap(), "/two/b");
}

#[test]
fn a_query_is_kept_where_the_target_has_none() {
    for (to, query, expected) in [
        ("/new", None, "/new"),
        ("/new", Some("a=1&b=%20"), "/new?a=1&b=%20"),
        ("/new", Some(""), "/new?"),
        ("/new?c=2", Some("a=1"), "/new?c=2"),
        ("/new?", Some("a=1"), "/new?"),
        ("/new#part", Some("a=1"), "/new?a=1#part"),
        ("/new#part?", Some("a=1"), "/new?a=1#part?"),
        ("https://x.example", Some("a=1"), "https://x.example?a=1"),
        // What may not stand in a URL is encoded, whatever sent it.
        (
            "/new",
            Some("a=<\r\nSet-Cookie: x>\"\\#é"),
            "/new?a=%3C%0D%0ASet-Cookie:%20x%3E%22%5C%23%C3%A9",
        ),
    ] {
        let redirects = parse(&format!("/old {to} 302"));
        let (_, location) = meet(&redirects, "/old", query).unwrap();
        assert_eq!(location, expected);
    }
}

#[test]
fn what_the_star_stood_for_is_encoded_again() {
    for (to, path, expected) in [
        ("/to/*", "/from/a b", "/to/a%20b"),
        ("/to/*", "/from/ä", "/to/%C3%A4"),
        ("/to/*", "/from/100%", "/to/100%25"),
        ("/to/*", "/from/a?b#c", "/to/a%3Fb%23c"),
        ("/to/*", "/from/a/b/", "/to/a/b/"),
        (
            "/to/*",
            "/from/x\r\nSet-Cookie: a",
            "/to/x%0D%0ASet-Cookie:%20a",
        ),
        (
            "/to/*",
            "/from/~a-b_c.d!$&'()*+,;=:@",
            "/to/~a-b_c.d!$&'()*+,;=:@",
        ),
        ("/fixed", "/from/a", "/fixed"),
        ("/#/*", "/from/a b", "/#/a%20b"),
        ("https://x.example/y/*", "/from/a", "https://x.example/y/a"),
        // No path becomes a host.
        ("/*", "/from//evil.example", "/evil.example"),
        ("/*", "/from////evil.example/x", "/evil.example/x"),
        ("/*", "/from/\\evil.example", "/%5Cevil.example"),
        (
            "https://x.example/*",
            "/from//evil.example",
            "https://x.example/evil.example",
        ),
        (
            "https://x.example/*",
            "/from/@evil.example",
            "https://x.example/@evil.example",
        ),
    ] {
        let file = format!("/from/* {to} 302");
        assert_eq!(location(&file, path).unwrap(), expected);
    }
    let redirects = parse("/from/* /#/* 302");
    let (_, location) = meet(&redirects, "/from/a", Some("q")).unwrap();
    assert_eq!(location, "/?q#/a");
}

#[test]
fn targets_beyond_ascii_are_encoded() {
    assert_eq!(
        location("/ä /ö?ü#ß 302", "/ä").unwrap(),
        "/%C3%B6?%C3%BC#%C3%9F"
    );
    assert_eq!(location("/%C3%A4 /x 302", "/ä").unwrap(), "/x");
    assert_eq!(location("/a%2Ab /x 302", "/a*b").unwrap(), "/x");
    assert_eq!(location("/a /x%2a 302", "/a").unwrap(), "/x%2a");
    assert_eq!(
        location("/a HTTPS://X.example/[1] 302", "/a").unwrap(),
        "HTTPS://X.example/[1]"
    );
}

#[test]
fn paths_are_decoded_as_those_of_requests() {
    for from in ["/a/b", "//a//b", "/./a/x/../b", "/%61/%62", "/a/c/%2e%2E/b"] {
        let file = format!("{from} /x 302");
        for path in ["/a/b", "//a/b", "/a/./b"] {
            assert_eq!(location(&file, path).unwrap(), "/x", "{from} {path}");
        }
        assert_eq!(location(&file, "/a/b/"), None, "{from}");
    }
    // The root, exactly and with all beneath.
    assert_eq!(location("/ /x 302", "/").unwrap(), "/x");
    assert_eq!(location("/ /x 302", "/a"), None);
    let all = "/* https://x.example/* 302";
    for (path, expected) in [("/", ""), ("/a", "a"), ("/a/", "a/"), ("/a/b", "a/b")] {
        let expected = format!("https://x.example/{expected}");
        assert_eq!(location(all, path), Some(expected));
    }
}

#[test]
fn a_file_with_anything_wrong_is_refused_with_the_line() {
    for (line, expected) in [
        ("/a", "where to?"),
        ("/a # /b 301", "where to?"),
        ("/a /b", "the status is missing"),
        ("/a /b # 301", "the status is missing"),
        ("/a /b 301 302", "more than three words"),
        ("/a b /c 301", "more than three words"),
        ("/a /b 200", "the status must be"),
        ("/a /b 300", "the status must be"),
        ("/a /b 304", "the status must be"),
        ("/a /b 404", "the status must be"),
        ("/a /b 0301", "the status must be"),
        ("/a /b 301!", "the status must be"),
        ("/a /b permanent", "the status must be"),
        ("a /b 301", "the path to redirect must begin"),
        (
            "https://x.example/a /b 301",
            "the path to redirect must begin",
        ),
        ("* /b 301", "a star stands at the end only"),
        ("/a?b /c 301", "redirects look at paths only"),
        ("/a#b /c 301", "redirects look at paths only"),
        ("/a%00 /b 301", "no request can have such a path"),
        ("/a%2Fb /c 301", "no request can have such a path"),
        ("/.. /a 301", "no request can have such a path"),
        ("/a/%2e%2E/../b /c 301", "no request can have such a path"),
        ("/../* /c 301", "no request can have such a path"),
        ("/a* /b 301", "a star stands at the end only"),
        ("/*/a /b 301", "a star stands at the end only"),
        ("/a/** /b 301", "a star stands at the end only"),
        ("/a/*/* /b 301", "a star stands at the end only"),
        ("/a/* /b* 301", "a star stands at the end only"),
        ("/a/* /*/b 301", "a star stands at the end only"),
        ("/a/* /b?c=* 301", "a star stands at the end only"),
        ("/a/* /b?c=/* 301", "a star stands at the end only"),
        (
            "/a/* https://x.example* 301",
            "a star stands at the end only",
        ),
        ("/a /b/* 301", "a star in the target needs one"),
        ("/a% /b 301", "a % needs two hexadecimal digits"),
        ("/a%2 /b 301", "a % needs two hexadecimal digits"),
        ("/a%zz /b 301", "a % needs two hexadecimal digits"),
        ("/a /b% 301", "a % needs two hexadecimal digits"),
        ("/a /b%+1 301", "a % needs two hexadecimal digits"),
        ("/a /b\\c 301", "the target has a character"),
        ("/a /\\evil.example 301", "the target has a character"),
        ("/a /<b> 301", "the target has a character"),
        ("/a /\"b\" 301", "the target has a character"),
        ("/a /b\x01 301", "the target has a character"),
        ("/a /b\x7f 301", "the target has a character"),
        ("/a b 301", "the target must be a path"),
        ("/a ../b 301", "the target must be a path"),
        ("/a //b.example 301", "the target must be a path"),
        ("/a javascript:alert(1) 301", "the target must be a path"),
        ("/a mailto:x@example.org 301", "the target must be a path"),
        ("/a ftp://x.example/ 301", "the target must be a path"),
        ("/a http:/x 301", "the target must be a path"),
        ("/a http:x 301", "the target must be a path"),
        ("/a http:// 301", "the target must be a path"),
        ("/a https:///x 301", "the target must be a path"),
        ("/a https://?x 301", "the target must be a path"),
        ("/a/* https://* 301", "the target must be a path"),
        ("/a/* //* 301", "the target must be a path"),
        ("/first /x 302", "this path is redirected in line 1 already"),
        (
            "/%66irst /x 302",
            "this path is redirected in line 1 already",
        ),
    ] {
        let file = format!("/first /ok 301\n\n{line}\n/last /ok 301\n");
        let (number, why) = wrong(&file);
        assert!(
            number == 3 && why.starts_with(expected),
            "{line}: line {number}: {why}"
        );
    }
    assert_eq!(
        wrong("/a/* /b 301\n/a/* /c 301"),
        (2, "this path is redirected in line 1 already".to_owned())
    );
    let error = Redirects::parse(b"/a /b 301\n/\xff% /c 301").unwrap_err();
    assert!(error.starts_with("line 2: "), "{error}");
}

fn circle() -> String {
    "this leads in a circle, or over more than 8 redirects".to_owned()
}

#[test]
fn circles_are_refused() {
    for (file, line) in [
        ("/a /a 302", 1),
        ("/a /%61 302", 1),
        ("/a /a?x=1 302", 1),
        ("/a /a#x 302", 1),
        ("/a /b 302\n/b /a 302", 1),
        (
            "/x https://x.example/ 302\n/a /b 302\n/b /c 302\n/c /a 302",
            2,
        ),
        ("/a/* /a/* 302", 1),
        ("/a/* /a/b/* 302", 1),
        ("/a/* /a/ 302", 1),
        ("/* /index.html 302", 1),
        ("/* /* 302", 1),
        ("/a/* /b/* 302\n/b/* /a/* 302", 1),
        ("/a /b/c 302\n/b/* /a 302", 1),
        // Requests for nothing more are led out of it; all others into paths that grow.
        ("/* /b/* 302\n/b/ https://x.example/ 302", 1),
    ] {
        assert_eq!(wrong(file), (line, circle()), "{file}");
    }
    // These look like circles and are none.
    for file in [
        "/a /a/ 302",
        "/a/ /a 302",
        "/a/* /a 302",
        "/a/* /A/* 302",
        "/a https://x.example/a 302",
        "/* https://x.example/* 302",
        "/* /index.html 302\n/index.html https://x.example/ 302",
    ] {
        parse(file);
    }
}

#[test]
fn a_chain_may_have_eight_redirects() {
    let chain = |n: usize| -> String { (0..n).map(|i| format!("/{i} /{} 302\n", i + 1)).collect() };
    parse(&chain(REDIRECT_HOPS_MAX));
    assert_eq!(wrong(&chain(REDIRECT_HOPS_MAX + 1)), (1, circle()));
}

#[test]
fn a_file_is_bounded() {
    let lines = |n: usize| -> String { (0..n).map(|i| format!("/from{i} /to 301\n")).collect() };
    let redirects = parse(&lines(REDIRECTS_MAX));
    assert_eq!(redirects.count(), REDIRECTS_MAX);
    assert_eq!(location_of_last(&redirects), "/to");
    let more = format!("more than {REDIRECTS_MAX} redirects");
    assert_eq!(wrong(&lines(REDIRECTS_MAX + 1)), (0, more));
    let comment = "#".repeat(REDIRECTS_BYTES_MAX);
    parse(&comment);
    let longer = format!("longer than {REDIRECTS_BYTES_MAX} bytes");
    assert_eq!(wrong(&format!("{comment}#")), (0, longer));
}

fn location_of_last(redirects: &Redirects) -> String {
    let path = format!("/from{}", REDIRECTS_MAX - 1);
    meet(redirects, &path, None).unwrap().1
}

#[test]
fn errors_say_what_to_try() {
    let shown = |file: &str| Redirects::parse(file.as_bytes()).unwrap_err();
    assert_eq!(
        shown("\n/a /b"),
        "line 2: the status is missing: 301 or 308 (for good), 302 or 307 (for now), or 303"
    );
    assert_eq!(
        shown("/a /b 301\n/a /c 301"),
        "line 2: this path is redirected in line 1 already"
    );
    assert_eq!(
        shown("/a /a 301"),
        "line 1: this leads in a circle, or over more than 8 redirects"
    );
    assert_eq!(
        shown(&"x".repeat(REDIRECTS_BYTES_MAX + 1)),
        "longer than 1048576 bytes"
    );
}

#[test]
fn random_files_and_paths_never_panic_and_no_location_leads_elsewhere() {
    let mut random = Random::new(11);
    let froms = ["/a", "/a/*", "/*", "/a/b/*", "/%61", "/é"];
    let tos = ["/x", "/x/*", "/", "/#/*", "/x?y", "https://x.example/*"];
    let mut met = 0;
    for _ in 0..20_000 {
        let noise = random.bytes(b"/ab*%#? :\\@.\t", 12);
        let mut file = format!("{} {} 302\n", random.one_of(&froms), random.one_of(&tos));
        if random.below(2) == 0 {
            file.push_str(&String::from_utf8_lossy(&noise));
            file.push_str(" 302\n");
        }
        let Ok(redirects) = Redirects::parse(file.as_bytes()) else {
            continue;
        };
        let path = [
            random.one_of(&["/", "/a/", "/a/b/"]).as_bytes(),
            &random.bytes(b"/ab*%#? :\\@.\r\n", 10),
        ]
        .concat();
        let query = random.bytes(b"a=&%\r\n #?<", 6);
        let Some(path) = request(&path) else {
            continue;
        };
        let Some(found) = redirects.find(&path) else {
            continue;
        };
        met += 1;
        let location = found.location(Some(&query)).into_bytes();
        assert!(
            location
                .iter()
                .all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(byte)),
            "{}",
            location.escape_ascii()
        );
        let here = location.starts_with(b"/") && !location.starts_with(b"//");
        let there = location.starts_with(b"https://x.example/");
        assert!(here || there, "{}", location.escape_ascii());
    }
    assert!(met > 1_000, "{met}");
}
