//! URLs, as they are typed.

use super::*;

#[test]
fn urls_and_paths() {
    for (given, host, target) in [
        ("/", "localhost", "/"),
        ("/a?b=c", "localhost", "/a?b=c"),
        ("a/b.html", "localhost", "/a/b.html"),
        ("/a b", "localhost", "/a%20b"),
        ("/ä", "localhost", "/%C3%A4"),
        ("/a%20b", "localhost", "/a%20b"),
        ("/a#top", "localhost", "/a"),
        ("http://site:8080/x", "site:8080", "/x"),
        ("HTTPS://site/x?y", "site", "/x?y"),
        ("http://site", "site", "/"),
        ("http://site?x", "site", "/?x"),
        ("httpx://a", "localhost", "/httpx://a"),
        ("\n", "localhost", "/%0A"),
    ] {
        let (found_host, found_target) = split(given.as_bytes());
        assert_eq!(found_host, host.as_bytes(), "{given}");
        assert_eq!(found_target, target, "{given}");
    }
}
