//! Request targets, and the paths within a site that they name.
//!
//! The input is a target. Oracle: a slow decoder with a stack of segments; nothing that comes out leads beyond the root; and what is
//! written as a URL is read as the same path again.

use idler::http::path::{SitePath, host_of, parse};

/// See the module.
pub fn check(raw: &[u8]) {
    hold_path(raw);
    for method in ["GET", "OPTIONS", "CONNECT"] {
        let Ok(target) = parse(raw, method) else {
            continue;
        };
        if method == "CONNECT" && !raw.starts_with(b"/") {
            continue;
        }
        // Put together again, it is what it was.
        let mut again = Vec::new();
        if let Some(authority) = target.authority {
            let scheme = raw.windows(3).position(|w| w == b"://").expect("a URL");
            assert!(
                ["http", "https"]
                    .iter()
                    .any(|s| raw[..scheme].eq_ignore_ascii_case(s.as_bytes()))
            );
            assert!(!authority.iter().any(|b| b"/?#".contains(b)));
            again.extend_from_slice(&raw[..scheme + 3]);
            again.extend_from_slice(authority);
        }
        let bare = target.authority.is_some() && !raw[again.len()..].starts_with(b"/");
        if bare {
            assert_eq!(target.path, b"/");
        } else {
            again.extend_from_slice(target.path);
        }
        if let Some(query) = target.query {
            again.push(b'?');
            again.extend_from_slice(query);
        }
        assert_eq!(again, raw);
        assert!(
            !target
                .path
                .iter()
                .any(|b| b"?#".contains(b) || *b <= b' ' || *b == 0x7f)
        );
        hold_path(target.path);
    }
    if let Some(host) = host_of(raw) {
        assert!(raw.starts_with(host));
        let port = &raw[host.len()..];
        assert!(port.is_empty() || (port[0] == b':' && port[1..].iter().all(u8::is_ascii_digit)));
        assert!(
            !host
                .iter()
                .any(|b| b"/\\?#@ \"<>".contains(b) || b.is_ascii_control())
        );
    }
}

fn hold_path(raw: &[u8]) {
    let found = SitePath::decode(raw);
    let expected = slowly(raw);
    match (&found, &expected) {
        (Ok(path), Ok((segments, directory))) => {
            assert_eq!(path.as_bytes(), segments.join(&b'/'));
            assert_eq!(path.is_directory(), *directory);
        }
        (Err(refusal), Err(status)) => assert_eq!(refusal.status.0, *status),
        _ => panic!("{found:?}, but slowly {expected:?}"),
    }
    let Ok(path) = found else { return };
    let bytes = path.as_bytes();
    assert!(!bytes.contains(&0) && !bytes.starts_with(b"/") && !bytes.ends_with(b"/"));
    let mut segments = bytes.split(|&b| b == b'/');
    assert!(bytes.is_empty() || segments.all(|s| !matches!(s, b"" | b"." | b"..")));
    let hidden = bytes
        .split(|&b| b == b'/')
        .any(|s| s.starts_with(b".") && s != b".well-known");
    assert_eq!(path.is_hidden(), hidden);

    let url = path.to_url();
    assert!(url.starts_with('/') && !url.starts_with("//") && !url.starts_with("/\\"));
    assert!(
        url.bytes()
            .all(|b| b.is_ascii_graphic() && !b"\"#<>?\\^`{|}".contains(&b))
    );
    assert_eq!(
        SitePath::decode(url.as_bytes()).expect("our own URL"),
        path,
        "{url}"
    );
    let parent = path.parent();
    assert!(bytes.starts_with(parent.as_bytes()) && parent.is_directory());
}

/// Segments on a stack; each escape is looked at by itself. The first fault from the left counts.
fn slowly(raw: &[u8]) -> Result<(Vec<Vec<u8>>, bool), u16> {
    let mut stack: Vec<Vec<u8>> = Vec::new();
    let mut directory = true;
    for part in raw.split(|&b| b == b'/') {
        let mut name = Vec::new();
        let mut at = 0;
        while at < part.len() {
            if part[at] == 0 {
                return Err(400);
            }
            if part[at] != b'%' {
                name.push(part[at]);
                at += 1;
                continue;
            }
            let digits = part
                .get(at + 1..at + 3)
                .filter(|d| d.iter().all(u8::is_ascii_hexdigit));
            let text = std::str::from_utf8(digits.ok_or(400_u16)?).expect("ASCII");
            match u8::from_str_radix(text, 16).expect("hexadecimal") {
                0 => return Err(400),
                b'/' => return Err(404),
                byte => name.push(byte),
            }
            at += 3;
        }
        directory = true;
        if name == b".." {
            stack.pop().ok_or(400_u16)?;
        } else if !name.is_empty() && name != b"." {
            stack.push(name);
            directory = false;
        }
    }
    let directory = directory || stack.is_empty();
    Ok((stack, directory))
}
