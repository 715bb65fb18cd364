//! Where idler answers otherwise than nginx does, and by what right.
//!
//! What lives here: the table, and how a request is looked at to tell which row is meant.
//! It may not know how either server comes to its answer. Invariant: a row asks both for something in the request and for
//! what idler made of it, so that it explains nothing but what it says.
//! Read next: `mutator.rs`, which makes the requests.

use idler::limits::LEADING_BLANK_BYTES_MAX;

use super::Exchange;

/// One reason to differ.
pub(super) struct Row {
    /// The requests.
    pub(super) what: &'static str,
    /// The rule, and what it says.
    pub(super) rule: &'static str,
    /// Whether an exchange is one of these.
    pub(super) applies: fn(&Exchange) -> bool,
}

/// All of them; the first that applies counts.
pub(super) const TABLE: &[Row] = &[
    Row {
        what: "a bare CR, or line ends that are mixed or bare LF with a body: 400, and no more is read",
        rule: "RFC 9112 2.2: a recipient MAY take a bare LF, and must not take a bare CR; what two servers split \
               differently is not guessed at. nginx takes most of it",
        applies: |x| x.has_odd_line_ends() && x.idler_stops_early(),
    },
    Row {
        what: "more than 16 bytes of blank lines before the request: 400",
        rule: "RFC 9112 2.2: at least one SHOULD be ignored. nginx ignores all",
        applies: |x| {
            let request = x.head.trim_start_matches(['\r', '\n']);
            x.head.len() - request.len() > LEADING_BLANK_BYTES_MAX && x.idler_says(400)
        },
    },
    Row {
        what: "a request line that is not three parts with single spaces: 400",
        rule: "RFC 9112 3: SHOULD be 400. nginx takes more spaces, and answers HTTP/0.9",
        applies: |x| !x.line_has_three_parts() && x.idler_says(400),
    },
    Row {
        what: "a version that is not spoken: 505 before all else",
        rule: "RFC 9110 15.6.6. nginx says 400 to versions below 1, and to other faults first",
        applies: |x| x.idler_says(505) && !x.version().starts_with("HTTP/1."),
    },
    Row {
        what: "a target with a fragment, or with bytes that no target has: 400",
        rule: "RFC 9112 3.2, RFC 3986 3: neither is in the grammar of a request target. nginx cuts the fragment off",
        applies: |x| {
            let odd = |b: u8| b == b'#' || b == 0x7f || b >= 0x80 || b"\"<>\\^`{|}".contains(&b);
            x.target().bytes().any(odd) && x.idler_stops_early()
        },
    },
    Row {
        what: "a target of another scheme than http or https: 400",
        rule: "RFC 9110 7.4: a request that is not for this server is not to be answered as if it were. nginx serves it",
        applies: |x| {
            let scheme = x
                .target()
                .split_once("://")
                .map(|(scheme, _)| scheme.to_ascii_lowercase());
            scheme.is_some_and(|scheme| scheme != "http" && scheme != "https") && x.idler_says(400)
        },
    },
    Row {
        what: "a field line without a colon, folded, or with a name that is no token: 400",
        rule: "RFC 9112 5.1 and 5.2, RFC 9110 5.1: a space before the colon and folding MUST be 400. nginx drops the line",
        applies: |x| x.has_bad_field_line() && x.idler_stops_early(),
    },
    Row {
        what: "a control byte in a field's value: 400",
        rule: "RFC 9110 5.5: CR, LF and NUL MUST be rejected or replaced, and other control bytes are invalid too",
        applies: |x| {
            x.fields()
                .iter()
                .any(|(_, v)| v.bytes().any(|b| b < b' ' && b != b'\t' || b == 0x7f))
                && x.idler_says(400)
        },
    },
    Row {
        what: "no Host, two, or one that is none: 400",
        rule: "RFC 9112 3.2: MUST be 400. nginx takes most of what has a slash or a quote in it",
        applies: |x| {
            x.idler_says(400)
                && (x.all("host").len() != 1 || x.all("host").iter().any(|h| !is_host(h)))
        },
    },
    Row {
        what: "an empty Host is a Host, and so is one of unusual letters",
        rule: "RFC 9112 3.2, RFC 9110 7.2: it is sent empty where the target has no authority. RFC 3986 3.2.2: sub-delims. \
               nginx says 400",
        applies: |x| {
            let unusual = |h: &str| {
                h.is_empty()
                    || h.starts_with(':')
                    || h.contains("..")
                    || h.contains(['!', '$', '&', '\'', '(', ')', '*', '+', ',', ';', '='])
            };
            let authority = x
                .target()
                .split('/')
                .nth(2)
                .filter(|_| x.target().contains("://"));
            (x.all("host").into_iter().any(unusual) || authority.is_some_and(unusual))
                && x.nginx_says(400)
                && !x.idler_says(400)
        },
    },
    Row {
        what: "a method that is not known: 501",
        rule: "RFC 9110 9.1: SHOULD be 501. nginx says 400 to small letters and 405 to capitals",
        // What stands behind a body of no length runs into the next method.
        applies: |x| x.idler_says(501) && (!KNOWN.contains(&x.method()) || x.has_body()),
    },
    Row {
        what: "Transfer-Encoding that is not just \"chunked\", in HTTP/1.0, or beside a length: refused",
        rule: "RFC 9112 6.1: MUST or SHOULD be 400, and 501 for a coding that is not known; both close",
        applies: |x| {
            !x.all("transfer-encoding").is_empty() && (x.idler_says(400) || x.idler_says(501))
        },
    },
    Row {
        what: "an expectation that is not known: 417",
        rule: "RFC 9110 10.1.1: MAY be 417. nginx does not look",
        applies: |x| x.idler_says(417) && !x.all("expect").is_empty(),
    },
    Row {
        what: "a body that waits for 100 (Continue), is malformed or too long for a file server: the reply, and closed",
        rule: "RFC 9110 10.1.1, RFC 9112 9.3 and 7.1: who does not read a body closes. nginx reads up to a megabyte, \
               and takes chunks that end in bare LF",
        applies: |x| x.has_body() && x.idler.replies.len() <= 1 && x.idler.trouble.is_none(),
    },
    Row {
        what: "OPTIONS: 204 and Allow",
        rule: "RFC 9110 9.3.7. nginx says 405",
        applies: |x| {
            x.head.contains("OPTIONS ")
                && x.idler_says(204)
                && (x.nginx_says(405) || x.nginx_says(400))
        },
    },
    Row {
        what: "a method that no file allows: 405 whatever the path, and the connection stays",
        rule: "RFC 9110 15.5.6, RFC 9112 9.3. nginx looks for the file first, and closes after TRACE and CONNECT",
        applies: |x| {
            x.idler_says(405) && KNOWN.contains(&x.method()) && !FILE_METHODS.contains(&x.method())
        },
    },
    Row {
        what: "Range of a HEAD request is ignored",
        rule: "RFC 9110 14.2: MUST be ignored for all methods but GET. nginx says 206 or 416",
        applies: |x| x.method() == "HEAD" && !x.all("range").is_empty() && x.idler_says(200),
    },
    Row {
        what: "a Range that is malformed, or on several lines: ignored; one of an empty file: 416",
        rule: "RFC 9110 14.2: MAY be ignored, and 416 is for ranges that are beyond the end. nginx says 416, or takes \
               one of the lines, and sends an empty file whole",
        applies: |x| {
            let odd = |b: u8| !b.is_ascii_digit() && !b"-, \t".contains(&b);
            let bad = |v: &&str| {
                v.contains("3-1")
                    || v.contains("--")
                    || v.strip_prefix("bytes=").is_none_or(|v| v.bytes().any(odd))
            };
            let ranges = x.all("range");
            let of_nothing = x.target().contains("empty.txt") && x.nginx_says(200);
            (ranges.len() > 1 || ranges.iter().any(bad)) && x.idler_says(200)
                || of_nothing && x.idler_says(416)
        },
    },
    Row {
        what: "ranges with a gap shorter than a part's head: sent as one",
        rule: "RFC 9110 15.3.7.2: MAY be coalesced",
        applies: |x| {
            x.idler_says(206) && x.nginx_says(206) && x.all("range").iter().any(|v| v.contains(','))
        },
    },
    Row {
        what: "a slash or NUL that is escaped: no file",
        rule: "RFC 3986 2.2: %2F is data and not a delimiter, and no file name has one. nginx opens the path it gets",
        applies: |x| x.target().to_ascii_lowercase().contains("%2f") && x.idler_says(404),
    },
    Row {
        what: "a name that begins with a dot: no file",
        rule: "documented: hidden names are served with --hidden alone. nginx serves them",
        applies: |x| {
            let target = x.target().to_ascii_lowercase();
            x.idler_says(404) && (target.contains("/.") || target.contains("/%2e"))
        },
    },
    Row {
        what: "more than 100 field lines: 431",
        rule: "RFC 6585 5, and a limit of the README's table. nginx counts bytes alone",
        applies: |x| x.lines().len() > 100 && x.idler_says(431),
    },
    Row {
        what: "a condition fails: 412, and the connection stays",
        rule: "RFC 9112 9.3. nginx closes",
        applies: |x| {
            x.idler_says(412) && x.nginx_says(412) && x.nginx.replies.len() < x.idler.replies.len()
        },
    },
    Row {
        what: "a field on several lines: a list is one list, and a date on several is ignored",
        rule: "RFC 9110 5.2 and 5.3. nginx says 400",
        applies: |x| SEVERAL.into_iter().any(|name| x.all(name).len() > 1) && x.nginx_says(400),
    },
    Row {
        what: "If-Unmodified-Since that is no date, or of a listing, which has none: ignored",
        rule: "RFC 9110 13.1.4: MUST be ignored. nginx says 412",
        applies: |x| {
            let date = x.all("if-unmodified-since").concat();
            let no_date = httpdate::parse_http_date(&date).is_err() || x.target().ends_with('/');
            x.nginx_says(412) && !x.idler_says(412) && no_date
        },
    },
    Row {
        what: "If-None-Match beside If-Modified-Since: the date is ignored",
        rule: "RFC 9110 13.1.3 and 13.2.2: MUST be ignored. nginx asks for both",
        applies: |x| {
            let both = ["if-none-match", "if-modified-since"];
            x.idler_says(304) && both.into_iter().all(|name| !x.all(name).is_empty())
        },
    },
    Row {
        what: "options of Connection are compared as words, and blanks around values are no part of them",
        rule: "RFC 9110 7.6.1 and 5.5. nginx looks for the letters anywhere, and keeps tabs",
        applies: |x| {
            let options = x.all("connection").join(",").to_ascii_lowercase();
            options.contains("close")
                || options.contains("keep-alive")
                || x.head.contains('\t') && x.nginx_says(400)
        },
    },
];

const FILE_METHODS: [&str; 2] = ["GET", "HEAD"];
const SEVERAL: [&str; 6] = [
    "expect",
    "if-match",
    "if-range",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
];
const KNOWN: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
];

impl Exchange {
    /// Whether idler's first reply has this status, or the first that differs from nginx's.
    fn idler_says(&self, status: u16) -> bool {
        let (idler, _) = self.statuses();
        idler.contains(&Some(status))
    }

    /// The same of nginx.
    fn nginx_says(&self, status: u16) -> bool {
        let (_, nginx) = self.statuses();
        nginx.contains(&Some(status))
    }

    /// The status of the first reply, and of the first that differs, by idler and by nginx.
    fn statuses(&self) -> ([Option<u16>; 2], [Option<u16>; 2]) {
        let (idler, nginx) = (&self.idler.replies, &self.nginx.replies);
        let alike = idler
            .iter()
            .zip(nginx)
            .take_while(|(i, n)| i.0 == n.0)
            .count();
        let status = |replies: &[(u16, Option<Vec<u8>>)], at: usize| {
            replies.get(at).map(|(status, _)| *status)
        };
        (
            [status(idler, 0), status(idler, alike)],
            [status(nginx, 0), status(nginx, alike)],
        )
    }

    /// Whether idler did not answer the marker: it ended with a refusal, or hung up.
    fn idler_stops_early(&self) -> bool {
        !matches!(self.idler.replies.last(), Some((206, Some(content))) if content.len() == 1)
    }

    /// The lines of the first head, the request line first; what ends a line for anybody ends it here.
    fn lines(&self) -> Vec<&str> {
        let mut lines = self
            .head
            .split('\n')
            .map(|line| line.trim_end_matches('\r'));
        let first = lines.by_ref().find(|line| !line.is_empty());
        first
            .into_iter()
            .chain(lines.take_while(|line| !line.is_empty()))
            .collect()
    }

    fn line(&self) -> &str {
        self.lines().first().copied().unwrap_or_default()
    }

    fn method(&self) -> &str {
        self.line().split(' ').next().unwrap_or_default()
    }

    fn target(&self) -> &str {
        let rest = self.line().split_once(' ').map_or("", |(_, rest)| rest);
        rest.rsplit_once(" HTTP/")
            .map_or(rest, |(target, _)| target)
    }

    fn version(&self) -> &str {
        self.line().rsplit(' ').next().unwrap_or_default()
    }

    fn line_has_three_parts(&self) -> bool {
        let parts: Vec<&str> = self.line().split(' ').collect();
        let digit = |b: u8| b.is_ascii_digit();
        matches!(parts.as_slice(), [method, target, version]
            if !method.is_empty() && method.bytes().all(is_token) && !target.is_empty()
            && matches!(version.as_bytes(), [b'H', b'T', b'T', b'P', b'/', a, b'.', b] if digit(*a) && digit(*b)))
    }

    /// Names in lower case, and values.
    fn fields(&self) -> Vec<(String, &str)> {
        self.lines()
            .into_iter()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim_matches([' ', '\t'])))
            .collect()
    }

    fn all(&self, wanted: &str) -> Vec<&str> {
        let fields = self.fields().into_iter();
        fields
            .filter(|(name, _)| name == wanted)
            .map(|(_, value)| value)
            .collect()
    }

    fn has_bad_field_line(&self) -> bool {
        self.lines()
            .iter()
            .skip(1)
            .any(|line| match line.split_once(':') {
                Some((name, _)) => name.is_empty() || !name.bytes().all(is_token),
                None => true,
            })
    }

    /// Whether some line does not end in CR LF, and not all of a request without a body end in LF.
    fn has_odd_line_ends(&self) -> bool {
        let after_cr = |at: usize| at > 0 && self.request[at - 1] == b'\r';
        let before_lf = |at: usize| self.request.get(at + 1) == Some(&b'\n');
        self.request
            .iter()
            .enumerate()
            .any(|(at, byte)| match byte {
                b'\n' => !after_cr(at),
                b'\r' => !before_lf(at),
                _ => false,
            })
    }

    /// Bytes of the body of the first request, if it says so.
    pub(super) fn body_length(&self) -> usize {
        self.all("content-length").concat().parse().unwrap_or(0)
    }

    fn has_body(&self) -> bool {
        !self.all("content-length").is_empty() || !self.all("transfer-encoding").is_empty()
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Whether this is a host and port in RFC 3986's words.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (text, ""),
    };
    let literal = host.starts_with('[') && host.ends_with(']') && host.len() > 2;
    let inner = host.trim_start_matches('[').trim_end_matches(']');
    if literal {
        return inner.contains(':')
            && inner
                .bytes()
                .all(|b| b.is_ascii_hexdigit() || b":.".contains(&b));
    }
    let letter = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&b);
    port.bytes().all(|b| b.is_ascii_digit()) && inner == host && host.bytes().all(letter)
}
