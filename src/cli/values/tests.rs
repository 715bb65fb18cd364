//! Tables of values, accepted and refused.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use super::network::*;
use super::policy::*;
use super::*;
use crate::http::url::{BindAddress, Url};

fn os(text: &str) -> &OsStr {
    OsStr::new(text)
}

#[test]
fn durations() {
    let read = |text: &str| duration(os(text), Duration::ZERO..=Duration::from_secs(86_400));
    for (text, millis) in [
        ("0", 0),
        ("500ms", 500),
        ("10s", 10_000),
        ("10", 10_000),
        ("5m", 300_000),
        ("1h", 3_600_000),
        ("24h", 86_400_000),
        ("0.2", 200),
        ("1.5s", 1_500),
        ("0.001", 1),
        ("1.25h", 4_500_000),
        ("007", 7_000),
    ] {
        assert_eq!(read(text), Ok(Duration::from_millis(millis)), "{text}");
    }
    for text in [
        "",
        "s",
        "ms",
        ".",
        ".5",
        "5.",
        "1..2",
        "1.2.3",
        "-1",
        "+1",
        "1 s",
        " 1",
        "1S",
        "1d",
        "1e3",
        "0.0001",
        "1.5ms",
        "0x10",
        "１",
        "99999999999999999999",
        "18446744073709551615h",
        "25h",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
    for text in ["0s", "1ms", "1500ms", "90s", "60m", "24h"] {
        let shown = duration_text(read(text).unwrap());
        assert_eq!(read(&shown), read(text), "{text}");
    }
    assert_eq!(duration_text(Duration::from_millis(1500)), "1500ms");
    assert_eq!(duration_text(Duration::from_secs(120)), "2m");
}

#[test]
fn sizes() {
    let read = |text: &str| size(os(text), 0..=u64::MAX);
    for (text, bytes) in [
        ("0", 0),
        ("512", 512),
        ("16K", 16 << 10),
        ("16k", 16 << 10),
        ("4M", 4 << 20),
        ("1G", 1 << 30),
        ("18446744073709551615", usize::MAX),
    ] {
        assert_eq!(read(text), Ok(bytes), "{text}");
        assert_eq!(read(&size_text(bytes as u64)), Ok(bytes), "{text}");
    }
    for text in [
        "",
        "K",
        "1T",
        "1KB",
        "1.5K",
        "-1",
        "+1",
        "1 K",
        "é",
        "18446744073709551616",
        "17179869184G",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
}

#[test]
fn bind_addresses() {
    let ip = |address: &str, port| BindAddress::Ip {
        address: address.parse().unwrap(),
        port,
    };
    let unix = |path: &str, mode| BindAddress::Unix {
        path: PathBuf::from(path),
        mode,
    };
    let longest = format!("unix:/{}", "x".repeat(106));
    for (text, expected) in [
        ("127.0.0.1", ip("127.0.0.1", None)),
        ("0.0.0.0:80", ip("0.0.0.0", Some(80))),
        ("::1", ip("::1", None)),
        ("::", ip("::", None)),
        ("[::1]", ip("::1", None)),
        ("[::1]:0", ip("::1", Some(0))),
        ("localhost", BindAddress::Localhost { port: None }),
        ("localhost:81", BindAddress::Localhost { port: Some(81) }),
        ("unix:/run/i.sock", unix("/run/i.sock", None)),
        ("unix:/run/i.sock,0660", unix("/run/i.sock", Some(0o660))),
        ("unix:/run/i.sock,777", unix("/run/i.sock", Some(0o777))),
        ("unix:/a,b,600", unix("/a,b", Some(0o600))),
        ("unix:/a,b/c", unix("/a,b/c", None)),
        ("unix:i.sock", unix("i.sock", None)),
        (longest.as_str(), unix(&longest[5..], None)),
    ] {
        assert_eq!(bind_address(os(text)), Ok(expected), "{text}");
    }
    let too_long = format!("{longest}x");
    for text in [
        "",
        ":80",
        "80",
        "*",
        "1.2.3",
        "1.2.3.4:",
        "1.2.3.4:65536",
        "[::1",
        "::1]",
        "[1.2.3.4]",
        "[::1]:x",
        "localhost:",
        "localhost:x",
        "localhost:1:2",
        "example.com",
        "fe80::1%2",
        "[fe80::1%2]:80",
        "unix:",
        "unix:,0660",
        "unix:/a,",
        "unix:/a,b",
        "unix:/a,u+x",
        "unix:/a,0660 ",
        "unix:/a,+660",
        "unix:/a,0999",
        "unix:/a,1777",
        "unix:@a",
        too_long.as_str(),
    ] {
        assert!(bind_address(os(text)).is_err(), "{text}");
    }
    assert!(bind_address(OsStr::from_bytes(b"\xFF")).is_err());
    let odd = bind_address(OsStr::from_bytes(b"unix:/\xFF")).unwrap();
    assert!(
        matches!(odd, BindAddress::Unix { path, .. } if path.as_os_str().as_bytes() == b"/\xFF")
    );
}

#[test]
fn header_lines_of_a_path() {
    for (text, path) in [
        ("X-A: 1", ""),
        ("/ X-A: 1", "/"),
        ("/assets/ X-A: 1", "/assets/"),
        ("/a%20b.js\t X-A:1", "/a%20b.js"),
    ] {
        let rule = header_rule(os(text)).unwrap();
        assert_eq!(
            (rule.path.as_slice(), rule.line.value.as_slice()),
            (path.as_bytes(), &b"1"[..])
        );
    }
    for text in [
        "/assets/",
        "/assets/X-A: 1",
        "/a?b X: 1",
        "assets/ X-A: 1",
        "/a Date: x",
    ] {
        assert!(header_rule(os(text)).is_err(), "{text:?}");
    }
}

#[test]
fn header_lines() {
    for (text, name, value) in [
        ("X-A: 1", "X-A", "1"),
        ("X-A:1", "X-A", "1"),
        ("X-A: \t a b \t", "X-A", "a b"),
        ("X-A:", "X-A", ""),
        ("Cache-Control: max-age=60", "Cache-Control", "max-age=60"),
        ("Refresh: 5; url=http://a/", "Refresh", "5; url=http://a/"),
        ("Set-Cookie: a=b", "Set-Cookie", "a=b"),
        ("X-A: a\tb", "X-A", "a\tb"),
        ("X-A: é", "X-A", "é"),
        ("!#$%&'*+-.^_`|~09aZ: 1", "!#$%&'*+-.^_`|~09aZ", "1"),
    ] {
        let expected = HeaderLine {
            name: name.to_owned(),
            value: value.into(),
        };
        assert_eq!(reply_header_line(os(text)), Ok(expected), "{text:?}");
    }
    assert_eq!(
        reply_header_line(OsStr::from_bytes(b"A: \xFF"))
            .unwrap()
            .value,
        b"\xFF"
    );
    for text in [
        "",
        "X",
        ":",
        ": x",
        "X : 1",
        " X: 1",
        "X Y: 1",
        "é: 1",
        "X: a\r\nY: b",
        "X: a\nb",
        "X: a\rb",
        "X: \0",
        "X: \x7f",
        "X\t: 1",
        "X: \x1b[31m",
        "content-length: 5",
        "Transfer-Encoding: chunked",
        "CONNECTION: close",
        "Date: now",
        "Content-Type: text/plain",
        "Keep-Alive: 5",
        "ETag: \"a\"",
    ] {
        assert!(reply_header_line(os(text)).is_err(), "{text:?}");
    }
    assert!(reply_header_line(OsStr::from_bytes(b"\xFF: a")).is_err());
    assert_eq!(
        reply_header_line(os("Content-Length: 5")).unwrap_err(),
        "'Content-Length: 5': says where the reply ends, which idler alone knows"
    );
    assert_eq!(
        reply_header_line(os("Content-Type: a/b")).unwrap_err(),
        "'Content-Type: a/b': depends on the file; try --type .ext=media/type"
    );
}

#[test]
fn type_rules() {
    for (text, extension, media_type) in [
        (".wasm=application/wasm", "wasm", "application/wasm"),
        (
            ".MD=text/markdown; charset=utf-8",
            "md",
            "text/markdown; charset=utf-8",
        ),
        (".é=a/b", "é", "a/b"),
        (".c++=text/x-c++", "c++", "text/x-c++"),
    ] {
        let expected = TypeRule {
            extension: extension.to_owned(),
            media_type: media_type.to_owned(),
        };
        assert_eq!(type_rule(os(text)), Ok(expected), "{text}");
    }
    for text in [
        "",
        ".",
        ".=a/b",
        "x=a/b",
        ".x",
        ".x=",
        ".x=a",
        ".x=a/",
        ".x=/b",
        ".x=a/b/c",
        ".x=a /b",
        ".x= a/b",
        ".x=a/b\n",
        ".x=a/b;",
        ".x=a/b; q",
        ".x=a/b; q=\r\n",
        ".x=a/b\r\nY: z",
        ".a/b=c/d",
        ".x\n=a/b",
        ".tar.gz=a/b",
    ] {
        assert!(type_rule(os(text)).is_err(), "{text:?}");
    }
}

#[test]
fn file_names_and_paths() {
    assert_eq!(file_name(os("a b.html")), Ok("a b.html".into()));
    for text in ["", ".", "..", "a/b", "/a", "a/"] {
        assert!(file_name(os(text)).is_err(), "{text}");
    }
    assert_eq!(access_log(os("-")), Ok(LogDestination::Stdout));
    assert_eq!(access_log(os("off")), Ok(LogDestination::Off));
    assert_eq!(
        access_log(os("./off")),
        Ok(LogDestination::File("./off".into()))
    );
    assert!(access_log(os("")).is_err());
}

#[test]
fn switches() {
    for text in ["1", "yes", "true", "on", "YES"] {
        assert_eq!(yes_no(os(text)), Ok(true), "{text}");
    }
    for text in ["0", "no", "false", "off", "No"] {
        assert_eq!(yes_no(os(text)), Ok(false), "{text}");
    }
    for text in ["", "2", "y", "maybe"] {
        assert!(yes_no(os(text)).is_err(), "{text}");
    }
}

#[test]
fn what_is_shown_is_short_and_harmless() {
    assert_eq!(shown(os("it's \\ \"so\"")), "'it's \\ \"so\"'");
    assert_eq!(shown(os("a\nb\x1b")), "'a\\nb\\u{1b}'");
    assert_eq!(shown(os(&"x".repeat(100))).chars().count(), 102);
    assert_eq!(shown(os(&"x".repeat(101))).chars().count(), 103);
    assert!(shown(os(&"x".repeat(101))).ends_with("x…'"));
}

#[test]
fn ranges_of_addresses() {
    for (range, inside, outside) in [
        ("192.168.0.0/16", "192.168.255.255", "192.169.0.0"),
        ("10.1.2.3", "10.1.2.3", "10.1.2.4"),
        ("10.1.2.3/32", "::ffff:10.1.2.3", "::a01:203"),
        ("0.0.0.0/0", "255.255.255.255", "::1"),
        ("::/0", "ffff::", "1.2.3.4"),
        ("::1", "::1", "::2"),
        ("fd00::/8", "fdff::1", "fe00::"),
        ("128.0.0.0/1", "128.0.0.0", "127.255.255.255"),
    ] {
        let read = cidr(os(range)).unwrap();
        assert!(read.contains(inside.parse().unwrap()), "{range} {inside}");
        assert!(
            !read.contains(outside.parse().unwrap()),
            "{range} {outside}"
        );
    }
    for text in [
        "",
        "/",
        "1.2.3.4/",
        "1.2.3.4/33",
        "::1/129",
        "1.2.3.4/-1",
        "1.2.3/8",
        "localhost",
        "[::1]",
        "1.2.3.4/8",
        "::1/64",
        "::ffff:1.2.3.4",
        "::ffff:1.2.3.4/120",
        "1.2.3.4/+8",
    ] {
        assert!(cidr(os(text)).is_err(), "{text}");
    }
    assert_eq!(
        cidr(os("192.168.1.5/24")).unwrap_err(),
        "'192.168.1.5/24' has bits beyond its prefix; did you mean 192.168.1.0/24?"
    );
}

#[test]
fn urls() {
    for (text, host, port, target) in [
        ("http://example.com", "example.com", 80, "/"),
        (
            "HTTP://Example.com:8080/a?b=c",
            "Example.com",
            8080,
            "/a?b=c",
        ),
        ("example.com/a#b", "example.com", 80, "/a"),
        ("localhost:8080?x", "localhost", 8080, "/?x"),
        ("http://[::1]:81/", "::1", 81, "/"),
        ("http://[::1]", "::1", 80, "/"),
        ("http://a:/b", "a", 80, "/b"),
        ("http://a/b c/é/%41\"", "a", 80, "/b%20c/%C3%A9/%41%22"),
        ("http://a/\r\nX: y", "a", 80, "/%0D%0AX:%20y"),
        ("a/?u=http://b/", "a", 80, "/?u=http://b/"),
        ("http://a//b", "a", 80, "//b"),
    ] {
        let expected = Url {
            host: host.to_owned(),
            port,
            target: target.to_owned(),
        };
        assert_eq!(url(os(text)), Ok(expected), "{text:?}");
    }
    for text in [
        "",
        "http://",
        "http:///a",
        "https://a/",
        "ftp://a/",
        "http://a b/",
        "http://a:0/",
        "http://a:x/",
        "http://a:65536/",
        "http://u:p@a/",
        "http://::1/",
        "http://[::1/",
        "http://[a]/",
        "http://é/",
        "http://a\r\n/",
        "-a",
        ":80",
        "http://-a/",
    ] {
        assert!(url(os(text)).is_err(), "{text:?}");
    }
    let authority = |text| url(os(text)).unwrap().authority();
    assert_eq!(authority("a"), "a");
    assert_eq!(authority("a:81"), "a:81");
    assert_eq!(authority("[::1]"), "[::1]");
    assert_eq!(authority("[::1]:81"), "[::1]:81");
    let words = url_of_words(os("a"), os("81"), os("b#c d")).unwrap();
    assert_eq!(words.target, "/b%23c%20d");
}

#[test]
fn lists_of_companions() {
    let transfer = |port, file: &str| CompanionRule::Transfer(port, PathBuf::from(file));
    for (text, expected) in [
        ("daytime=1313", vec![CompanionRule::Daytime(1313)]),
        (
            "daytime=1313,ping=12000,transfer=5566:FILE",
            vec![
                CompanionRule::Daytime(1313),
                CompanionRule::Ping(12000),
                transfer(5566, "FILE"),
            ],
        ),
        (
            "transfer=1:a,b:c,message=0",
            vec![transfer(1, "a,b:c"), CompanionRule::Message(0)],
        ),
    ] {
        assert_eq!(companions(os(text)), Ok(expected), "{text}");
    }
    for text in [
        "",
        ",",
        "daytime",
        "daytime=",
        "daytime=x",
        "daytime=65536",
        "ping=1,",
        "ping=1,,ping=2",
        "transfer=1",
        "transfer=1:",
        "transfer=:a",
        "telnet=23",
        "ping=1:a",
    ] {
        assert!(companions(os(text)).is_err(), "{text}");
    }
}

#[test]
fn cache_policies() {
    let policy = |seconds: Option<u64>, immutable| CachePolicy {
        max_age: seconds.map(Duration::from_secs),
        immutable,
    };
    for (text, expected) in [
        ("no-cache", policy(None, false)),
        ("no-cache,immutable", policy(None, true)),
        ("60", policy(Some(60), false)),
        ("1h,immutable", policy(Some(3600), true)),
        ("0", policy(Some(0), false)),
        ("31536000", policy(Some(31_536_000), false)),
    ] {
        assert_eq!(cache_policy(os(text)), Ok(expected), "{text}");
    }
    for text in [
        "",
        "immutable",
        "500ms",
        "1.5",
        "60,",
        "60,x",
        "31536001",
        "public",
    ] {
        assert!(cache_policy(os(text)).is_err(), "{text}");
    }
}

#[test]
fn sites_and_paths() {
    let rule = host_rule(os("Example.COM=/srv/a=b")).unwrap();
    assert_eq!(rule.name, "example.com");
    assert_eq!(rule.directory, PathBuf::from("/srv/a=b"));
    assert_eq!(host_rule(os("[::1]=a")).unwrap().name, "[::1]");
    for text in [
        "", "a", "=b", "a=", "a b=c", "a:80=c", "[::1=c", "::1=c", "é=c", "a/b=c",
    ] {
        assert!(host_rule(os(text)).is_err(), "{text}");
    }
    assert_eq!(own_path(os("/health")), Ok("/health".to_owned()));
    for text in [
        "", "/", "health", "/a b", "/a?b", "/a#b", "/a%20b", "/é", "/a\n",
    ] {
        assert!(own_path(os(text)).is_err(), "{text:?}");
    }
    assert_eq!(user(os("www-data")), Ok("www-data".to_owned()));
    assert_eq!(user(os("1000:1000")), Ok("1000:1000".to_owned()));
    for text in ["", "a b", "a/b", "a\n"] {
        assert!(user(os(text)).is_err(), "{text:?}");
    }
}

#[test]
fn shares_and_delays() {
    for (text, millionths) in [
        ("0%", 0),
        ("30%", 300_000),
        ("30", 300_000),
        ("0.5%", 5_000),
        ("0.0001%", 1),
        ("33.3%", 333_000),
        ("100%", 1_000_000),
        ("100.0%", 1_000_000),
    ] {
        assert_eq!(share(os(text)), Ok(Share { millionths }), "{text}");
    }
    for text in [
        "",
        "%",
        "-1%",
        "101%",
        "100.1%",
        "1.%",
        ".5%",
        "0.00001%",
        "1%%",
        "99999999999%",
    ] {
        assert!(share(os(text)).is_err(), "{text}");
    }
    let expected = |delay, spread| Jitter {
        delay: Duration::from_millis(delay),
        spread: Duration::from_millis(spread),
    };
    assert_eq!(jitter(os("100ms")), Ok(expected(100, 0)));
    assert_eq!(jitter(os("100ms+-50ms")), Ok(expected(100, 50)));
    assert_eq!(jitter(os("1+-1")), Ok(expected(1000, 1000)));
    for text in [
        "",
        "100ms+-",
        "+-50ms",
        "50ms+-100ms",
        "61s",
        "a+-b",
        "1+-1+-1",
    ] {
        assert!(jitter(os(text)).is_err(), "{text}");
    }
    assert_eq!(delay(os("50")), Ok(Duration::from_millis(50)));
    assert_eq!(delay(os("2s")), Ok(Duration::from_secs(2)));
    for text in ["", "x", "61s", "60001", "-1"] {
        assert!(delay(os(text)).is_err(), "{text}");
    }
}
