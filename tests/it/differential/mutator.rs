//! Requests as nobody would write them, each from a seed.
//!
//! It may not know what a server says to them. Invariant: the same seed makes the same requests.
//! Read next: `mod.rs`, which sends them.

use std::path::PathBuf;

use crate::support::cases::{self, Case};
use crate::support::repository;

const METHODS: [&str; 11] = [
    "GET", "GET", "GET", "GET", "HEAD", "HEAD", "POST", "PUT", "OPTIONS", "get", "FOO",
];

const TARGETS: [&str; 36] = [
    "/hello.txt",
    "/hello.txt",
    "/hello.txt",
    "/data.json?a=b",
    "/",
    "/index.html",
    "/empty.txt",
    "/files/",
    "/files",
    "/notes/",
    "/notes?x=/../y",
    "/missing",
    "/hello.txt/",
    "/hello.txt/x",
    "/files/with%20blank.txt",
    "/files/what%3F.txt",
    "/files/%2541.txt",
    "/%68ello.txt",
    "/hello%2Etxt",
    "/%2e%2e/hello.txt",
    "/../hello.txt",
    "/files/../hello.txt",
    "/files/./../hello.txt",
    "//hello.txt",
    "/files//numbers.txt",
    "/files%2Fnumbers.txt",
    "/%00",
    "/hello.txt%00",
    "/%zz",
    "/%",
    "/hello.txt#part",
    "/hello.txt\x7f",
    "http://idler/hello.txt",
    "http://other:80/hello.txt",
    "hello.txt",
    "*",
];

const VERSIONS: [&str; 14] = [
    " HTTP/1.1",
    " HTTP/1.1",
    " HTTP/1.1",
    " HTTP/1.1",
    " HTTP/1.1",
    " HTTP/1.0",
    " HTTP/1.2",
    " HTTP/2.0",
    " HTTP/0.9",
    "",
    " HTTP/1.1 ",
    " http/1.1",
    "  HTTP/1.1",
    " HTTP/01.1",
];

const HOSTS: [&[&str]; 9] = [
    &["Host: idler"],
    &["Host: idler"],
    &["Host: idler"],
    &["Host: idler:80"],
    &["Host: "],
    &[],
    &["Host: idler", "Host: idler"],
    &["Host: a b"],
    &["Host: idler/x"],
];

const FIELDS: [&str; 38] = [
    "Accept: */*",
    "X-Long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "Connection: close",
    "Connection: keep-alive",
    "Connection: Keep-Alive, Upgrade",
    "Range: bytes=0-1",
    "Range: bytes=2-",
    "Range: bytes=-2",
    "Range: bytes=-0",
    "Range: bytes=99-",
    "Range: bytes=3-1",
    "Range: bytes=0-0,2-3",
    "Range: bytes=a-b",
    "Range: lines=0-1",
    "Range: bytes=99999999999999999999-",
    "If-Range: \"x\"",
    "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT",
    "If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT",
    "If-Modified-Since: yesterday",
    "If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT",
    "If-None-Match: *",
    "If-None-Match: \"x\", \"y\"",
    "If-Match: \"x\"",
    "If-Match: *",
    "Content-Length: 0",
    "Content-Length: 5",
    "Content-Length: 05",
    "Content-Length: +5",
    "Content-Length: 5, 5",
    "Content-Length: 99999999999999999999",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: chunked, identity",
    "Expect: 100-continue",
    "Expect: something",
    "X-Space : y",
    "No-Colon",
    ": empty",
];

/// What stands behind a head.
const BODIES: [&str; 8] = [
    "",
    "hello",
    "5\r\nhello\r\n0\r\n\r\n",
    "5;ext=\"v\"\r\nhello\r\n0\r\nTrailer: x\r\n\r\n",
    "005\r\nhello\r\n0\r\n\r\n",
    "5\nhello\n0\n\n",
    "g\r\nhello\r\n0\r\n\r\n",
    "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
];

/// Bytes that are put where they do not belong.
const BYTES: &[u8] = b"\r\n\t\0 :;,/?%#\"\\\x0b\x7f\x80\xffaZ09-";

/// Makes requests.
pub(crate) struct Mutator {
    dice: u64,
    cases: Vec<Case>,
}

impl Mutator {
    pub(crate) fn new(seed: u64) -> Self {
        let folder: PathBuf = repository("fixtures/requests");
        Self {
            dice: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            // What costs megabytes is sent elsewhere.
            cases: cases::load(&folder)
                .into_iter()
                .filter(|case| case.bytes().len() < 2000)
                .collect(),
        }
    }

    /// The next request: from the grammar or from a conversation of the fixtures, often with a byte or two changed.
    pub(crate) fn request(&mut self) -> Vec<u8> {
        let mut request = match self.below(4) {
            0 => {
                let which = self.below(self.cases.len());
                self.cases[which].bytes()
            }
            _ => self.by_grammar(),
        };
        let changes = self.below(5).saturating_sub(2);
        for _ in 0..changes {
            self.change(&mut request);
        }
        request
    }

    fn by_grammar(&mut self) -> Vec<u8> {
        let line = format!(
            "{} {}{}",
            self.pick(&METHODS),
            self.pick(&TARGETS),
            self.pick(&VERSIONS)
        );
        let mut lines = vec![line];
        lines.extend(self.pick(&HOSTS).iter().map(|host| (*host).to_owned()));
        for _ in 0..self.below(4) {
            lines.push(self.pick(&FIELDS).to_owned());
        }
        if self.below(30) == 0 {
            lines.push(" folded".to_owned());
        }
        let end = self.pick(&["\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\n"]);
        let odd = self.below(lines.len() * 12);
        let mut request = Vec::new();
        for (number, line) in lines.iter().enumerate() {
            request.extend_from_slice(line.as_bytes());
            let end = match number == odd {
                true => self.pick(&["\n", "\r", "\r\r\n"]),
                false => end,
            };
            request.extend_from_slice(end.as_bytes());
        }
        request.extend_from_slice(end.as_bytes());
        let announces = |name: &str| lines.iter().any(|line| line.starts_with(name));
        if announces("Content-Length") || announces("Transfer-Encoding") {
            request.extend_from_slice(self.pick(&BODIES).as_bytes());
        }
        request
    }

    /// Changes one byte: puts one in, takes one out, replaces it, or doubles a stretch.
    fn change(&mut self, request: &mut Vec<u8>) {
        if request.is_empty() {
            return;
        }
        let at = self.below(request.len());
        let byte = BYTES[self.below(BYTES.len())];
        match self.below(4) {
            0 => request.insert(at, byte),
            1 => drop(request.remove(at)),
            2 => request[at] = byte,
            _ => {
                let end = (at + 1 + self.below(20)).min(request.len());
                let again = request[at..end].to_vec();
                request.splice(at..at, again);
            }
        }
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &'a [&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    /// A number below `limit` (xorshift).
    fn below(&mut self, limit: usize) -> usize {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        usize::try_from(self.dice >> 11).unwrap_or(0) % limit
    }
}
