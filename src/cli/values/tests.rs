//! Tables of values, accepted and refused.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use super::*;

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
        ("18446744073709551615", u64::MAX),
    ] {
        assert_eq!(read(text), Ok(bytes), "{text}");
        assert_eq!(read(&size_text(bytes)), Ok(bytes), "{text}");
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
        ("unix:/a,b", unix("/a,b", None)),
        ("unix:/a,b,600", unix("/a,b", Some(0o600))),
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
        assert_eq!(header_line(os(text)), Ok(expected), "{text:?}");
    }
    assert_eq!(
        header_line(OsStr::from_bytes(b"A: \xFF")).unwrap().value,
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
        assert!(header_line(os(text)).is_err(), "{text:?}");
    }
    assert!(header_line(OsStr::from_bytes(b"\xFF: a")).is_err());
    assert_eq!(
        header_line(os("Content-Length: 5")).unwrap_err(),
        "'Content-Length: 5': says where the reply ends, which idler alone knows"
    );
    assert_eq!(
        header_line(os("Content-Type: a/b")).unwrap_err(),
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
    assert_eq!(access_log(os("-")), Ok(AccessLog::Stdout));
    assert_eq!(access_log(os("off")), Ok(AccessLog::Off));
    assert_eq!(access_log(os("./off")), Ok(AccessLog::File("./off".into())));
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
