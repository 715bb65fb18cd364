//! Request heads: where one ends, and what it says.
//!
//! The input's first byte is how short heads must be; the rest is what comes. Oracle: a slow search that knows nothing but the bytes so
//! far; the same outcome however they are cut; and of a head that is understood, a second reading line by line.

use idler::http::body::BodyLength;
use idler::http::head::{HeadEnd, Scan};
use idler::http::request::{NO_FIELDS, Request};
use idler::limits::{LEADING_BLANK_BYTES_MAX, REQUEST_LINE_BYTES_MAX};

/// See the module.
pub fn check(data: &[u8]) {
    let Some((&size, bytes)) = data.split_first() else {
        return;
    };
    let max = 16 + 4 * usize::from(size);
    let expected = slowly(bytes, max);
    let whole = Scan::default().search(bytes, max).map_err(|r| r.status.0);
    assert_eq!(whole, expected, "whole");
    for step in [1, 2, 7, 1 + usize::from(size) / 4] {
        let mut scan = Scan::default();
        let mut ends: Vec<usize> = (0..bytes.len()).step_by(step).collect();
        ends.push(bytes.len());
        let found = ends
            .into_iter()
            .map(|end| scan.search(&bytes[..end], max).map_err(|r| r.status.0))
            .find(|found| *found != Ok(HeadEnd::Partial))
            .unwrap_or(Ok(HeadEnd::Partial));
        assert_eq!(found, expected, "in pieces of {step}");
    }
    if let Ok(HeadEnd::At { len, bare }) = expected {
        hold_meaning(&bytes[..len], bare);
    }
}

/// The outcome at the first byte that decides it.
fn slowly(bytes: &[u8], max: usize) -> Result<HeadEnd, u16> {
    let (mut begun, mut crlf, mut bare) = (false, false, false);
    let mut line = Vec::new();
    // Neither text nor a blank line.
    if bytes
        .first()
        .is_some_and(|b| *b < b' ' && !b"\r\n".contains(b))
    {
        return Err(400);
    }
    for (len, &byte) in (1..).zip(bytes) {
        line.push(byte);
        if byte == b'\n' {
            let ends_in_cr = line.ends_with(b"\r\n");
            crlf |= ends_in_cr;
            bare |= !ends_in_cr;
            if crlf && bare {
                return Err(400);
            }
            let blank = line == b"\n" || line == b"\r\n";
            line.clear();
            if blank && begun {
                return if len > max {
                    Err(431)
                } else {
                    Ok(HeadEnd::At { len, bare })
                };
            }
            if blank && len > LEADING_BLANK_BYTES_MAX {
                return Err(400);
            }
            begun |= !blank;
        }
        if !begun && len > max.min(REQUEST_LINE_BYTES_MAX) {
            return Err(414);
        }
        if len > max {
            return Err(431);
        }
    }
    Ok(HeadEnd::Partial)
}

fn is_token(bytes: &[u8]) -> bool {
    let special = b"!#$%&'*+-.^_`|~";
    !bytes.is_empty()
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || special.contains(b))
}

/// Without spaces and tabs at either end.
fn trim(bytes: &[u8]) -> &[u8] {
    let blank = |b: &u8| matches!(b, b' ' | b'\t');
    let start = bytes.iter().position(|b| !blank(b)).unwrap_or(bytes.len());
    let end = bytes
        .iter()
        .rposition(|b| !blank(b))
        .map_or(start, |at| at + 1);
    &bytes[start..end]
}

/// What a head says, read line by line: the first line's words, and the fields. `None` if a line is not of its plain form.
type Words<'a> = (Vec<&'a [u8]>, Vec<(&'a [u8], &'a [u8])>);

fn words(head: &[u8]) -> Option<Words<'_>> {
    let mut lines = head
        .split(|&b| b == b'\n')
        .map(|l| l.strip_suffix(b"\r").unwrap_or(l));
    let first = lines.by_ref().find(|line| !line.is_empty())?;
    let words: Vec<&[u8]> = first.split(|&b| b == b' ').collect();
    let mut fields = Vec::new();
    for line in lines.filter(|line| !line.is_empty()) {
        let colon = line.iter().position(|&b| b == b':')?;
        fields.push((&line[..colon], trim(&line[colon + 1..])));
    }
    Some((words, fields))
}

fn hold_meaning(head: &[u8], bare: bool) {
    let mut room = NO_FIELDS;
    let request = match Request::parse(head, bare, &mut room) {
        Ok(request) => request,
        Err(refusal) => {
            assert!(!is_plain(head), "a plain head is refused: {}", refusal.why);
            assert!((400..600).contains(&refusal.status.0));
            return;
        }
    };
    let (words, fields) = words(head).expect("a head that is understood has lines of two parts");
    assert_eq!(words.len(), 3, "three words, one space apart");
    assert!(is_token(words[0]) && words[0] == request.method_name.as_bytes());
    assert_eq!(words[1], request.raw_target);
    assert!(words[1].iter().all(|b| *b > b' ' && *b != 0x7f));
    assert_eq!(words[2], format!("HTTP/1.{}", request.minor).as_bytes());

    let read: Vec<(&[u8], &[u8])> = request
        .headers
        .iter()
        .map(|h| (h.name.as_bytes(), trim(h.value)))
        .collect();
    assert_eq!(read, fields);
    for (name, value) in &fields {
        assert!(
            is_token(name),
            "a name with {:?}",
            name.escape_ascii().to_string()
        );
        assert!(
            value
                .iter()
                .all(|b| *b == b'\t' || (*b >= b' ' && *b != 0x7f))
        );
    }
    let all = |name: &str| -> Vec<&[u8]> {
        let named = fields
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()));
        named.map(|(_, value)| *value).collect()
    };
    let (hosts, lengths, codings) = (all("host"), all("content-length"), all("transfer-encoding"));
    assert!(hosts.len() == 1 || (hosts.is_empty() && request.minor == 0));
    let expected = match (&lengths[..], &codings[..]) {
        ([], []) => BodyLength::None,
        ([length], []) => {
            assert!(!length.is_empty() && length.iter().all(u8::is_ascii_digit));
            match std::str::from_utf8(length)
                .unwrap()
                .parse()
                .expect("it fits")
            {
                0 => BodyLength::None,
                n => BodyLength::Bytes(n),
            }
        }
        ([], [coding]) => {
            assert!(coding.eq_ignore_ascii_case(b"chunked") && request.minor == 1);
            BodyLength::Chunked
        }
        _ => panic!("two servers could read the framing differently"),
    };
    assert_eq!(request.body, expected);
    assert!(!bare || expected == BodyLength::None);
    let options: Vec<String> = all("connection")
        .iter()
        .flat_map(|value| value.split(|&b| b == b','))
        .map(|word| String::from_utf8_lossy(word.trim_ascii()).to_ascii_lowercase())
        .collect();
    let says = |word: &str| options.iter().any(|option| option == word);
    let keep = !says("close") && (request.minor == 1 || says("keep-alive"));
    assert_eq!(request.keep_alive, keep);
}

/// A head that any server would understand.
fn is_plain(head: &[u8]) -> bool {
    let Some((words, fields)) = words(head) else {
        return false;
    };
    let [method, target, version] = words[..] else {
        return false;
    };
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"/._-".contains(b);
    let hosts = fields
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case(b"host"));
    let framing: [&[u8]; 3] = [b"content-length", b"transfer-encoding", b"expect"];
    method.iter().all(u8::is_ascii_uppercase)
        && method.len() < 20
        && is_token(method)
        && method != b"CONNECT"
        && target.starts_with(b"/")
        && target.iter().all(plain)
        && version == b"HTTP/1.1"
        && fields.len() <= 100
        && hosts.count() == 1
        && fields.iter().all(|(name, value)| {
            is_token(name)
                && value.iter().all(|b| (b' '..=b'~').contains(b))
                && (!name.eq_ignore_ascii_case(b"host")
                    || value.iter().all(u8::is_ascii_alphabetic))
                && !framing.iter().any(|other| name.eq_ignore_ascii_case(other))
        })
}
