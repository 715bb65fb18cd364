//! Files of redirects.
//!
//! The input is a path with its query, a line end, and the file. Oracle: a slow search, line by line, for the line that a path meets; where it
//! leads is a URL on the host that the file names, whatever the path was; and nobody is led in a circle.

use idler::http::path::{SitePath, parse};
use idler::limits::REDIRECT_HOPS_MAX;
use idler::server::redirects::Redirects;

/// See the module.
pub fn check(data: &[u8]) {
    let cut = data.iter().position(|&b| b == b'\n').unwrap_or(data.len());
    let (asked, file) = (&data[..cut], data.get(cut + 1..).unwrap_or_default());
    let lines = file.split(|&b| b == b'\n').count();
    let redirects = match Redirects::parse(file) {
        Ok(redirects) => redirects,
        Err(words) => {
            let line = words
                .strip_prefix("line ")
                .and_then(|rest| rest.split_once(": "));
            let line = line.map_or(0, |(number, _)| number.parse().expect("a number"));
            assert!(line <= lines, "line {line} of {lines}");
            assert!(
                !words.is_empty() && !words.contains(char::is_control),
                "{words:?}"
            );
            return;
        }
    };
    let rules = slowly(file);
    assert_eq!(redirects.count(), rules.len());
    // Each rule's own path, and the one asked for.
    let own: Vec<SitePath> = rules.iter().map(|rule| rule.from.clone()).collect();
    let target = parse(asked, "GET").ok();
    let asked = target.and_then(|target| Some((SitePath::decode(target.path).ok()?, target.query)));
    let paths = own.into_iter().map(|path| (path, None)).chain(asked);
    for (path, query) in paths {
        hold_path(&redirects, &rules, path, query);
    }
}

fn hold_path(redirects: &Redirects, rules: &[Slow<'_>], path: SitePath, query: Option<&[u8]>) {
    let (mut path, mut query) = (path, query.map(<[u8]>::to_vec));
    for hops in 0.. {
        let found = redirects.find(&path);
        let expected = meets(rules, &path);
        assert_eq!(
            found.map(|f| f.line()),
            expected.map(|rule| rule.line),
            "{path:?}"
        );
        let (Some(found), Some(rule)) = (found, expected) else {
            return;
        };
        assert_eq!(found.status().0, rule.status);
        let location = found.location(query.as_deref()).into_bytes();
        hold_location(&location, rule.to);
        // What stands for a star begins with no slash: else it could name a host.
        if let Some(rest) = rule
            .to
            .strip_suffix(b"*")
            .and_then(|to| location.strip_prefix(to))
        {
            assert!(rule.to.contains(&b'#') || !rest.starts_with(b"/"));
        }
        if !location.starts_with(b"/") {
            return;
        }
        // One that is met on the way may lead on for as long again.
        assert!(
            hops <= 4 * REDIRECT_HOPS_MAX,
            "led in a circle from line {}",
            rule.line
        );
        let location = location.split(|&b| b == b'#').next().unwrap_or_default();
        let target = parse(location, "GET").expect("a location is a target");
        match SitePath::decode(target.path) {
            Ok(next) => path = next,
            Err(_) => return,
        }
        query = target.query.map(<[u8]>::to_vec);
    }
}

/// A URL of characters that may stand in one, on the host of the line's target.
fn hold_location(location: &[u8], to: &[u8]) {
    let shown = location.escape_ascii().to_string();
    assert!(
        location
            .iter()
            .all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(b)),
        "{shown}"
    );
    if to.starts_with(b"/") {
        assert!(
            location.starts_with(b"/") && !location.starts_with(b"//"),
            "{shown}"
        );
        return;
    }
    let host = |url: &[u8]| -> Vec<u8> {
        let scheme = url.windows(3).position(|w| w == b"://").expect("a URL") + 3;
        let rest = url[scheme..].iter().position(|b| b"/?#*".contains(b));
        url[..scheme + rest.unwrap_or(url.len() - scheme)].to_vec()
    };
    // What stands in the host beyond ASCII is encoded.
    let own = host(to);
    if own.is_ascii() {
        assert_eq!(host(location), own, "{shown}");
    }
}

struct Slow<'a> {
    from: SitePath,
    star: bool,
    to: &'a [u8],
    status: u16,
    line: u32,
}

/// The lines of a file that was accepted.
fn slowly(file: &[u8]) -> Vec<Slow<'_>> {
    let file = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    let mut rules = Vec::new();
    for (line, number) in file.split(|&b| b == b'\n').zip(1..) {
        let words = line
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty());
        let words: Vec<&[u8]> = words.take_while(|word| !word.starts_with(b"#")).collect();
        let [from, to, status] = words[..] else {
            assert!(words.is_empty(), "a line of {} words", words.len());
            continue;
        };
        let star = from.ends_with(b"*");
        let from = from.strip_suffix(b"*").unwrap_or(from);
        let status = std::str::from_utf8(status).unwrap().parse().unwrap();
        assert!([301, 302, 303, 307, 308].contains(&status));
        let from = SitePath::decode(from).expect("a path that can be met");
        rules.push(Slow {
            from,
            star,
            to,
            status,
            line: number,
        });
    }
    rules
}

/// The line that a path meets: its own, else that of the longest directory that it lies in.
fn meets<'a, 'f>(rules: &'a [Slow<'f>], path: &SitePath) -> Option<&'a Slow<'f>> {
    let exact = rules.iter().find(|rule| !rule.star && rule.from == *path);
    let lies_in = |rule: &&Slow<'_>| {
        let (directory, bytes) = (rule.from.as_bytes(), path.as_bytes());
        let own = bytes == directory && path.is_directory();
        let within = directory.is_empty()
            || (bytes.starts_with(directory) && bytes.get(directory.len()) == Some(&b'/'));
        rule.star && (own || within)
    };
    exact.or_else(|| {
        rules
            .iter()
            .filter(lies_in)
            .max_by_key(|rule| rule.from.as_bytes().len())
    })
}
