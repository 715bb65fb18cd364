//! A client that sends exactly the bytes it is told, and reads replies no more kindly than RFC 9112 asks.
//!
//! It may not repair anything: what is framed wrongly is an error, never a guess. Invariant: every read
//! and write has a deadline.
//! Read next: `http_requests.rs`.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::PATIENCE;

/// One connection.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    heard: Vec<u8>,
    patience: Duration,
}

/// One reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) reason: String,
    /// Names in lower case, in the order they came.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// Why there is no reply.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The server closed the connection, and nothing was left unread.
    Closed,
    /// The server closed the connection in the middle of a reply; this had come.
    CutOff(String),
    /// Nothing more came in time; this had come.
    Silence(String),
    /// The connection was reset.
    Reset,
    /// What came is no reply.
    Malformed(String),
}

impl Client {
    /// Connects.
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)
            .unwrap_or_else(|e| panic!("cannot connect to {address}: {e}"));
        stream.set_nodelay(true).expect("a socket option");
        Self::over(stream)
    }

    /// Speaks over a connection that is there already.
    pub(crate) fn over(stream: TcpStream) -> Self {
        stream
            .set_write_timeout(Some(PATIENCE))
            .expect("a socket option");
        Self {
            stream,
            heard: Vec::new(),
            patience: PATIENCE,
        }
    }

    /// Waits no longer than this for a reply.
    pub(crate) fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The socket, for what only it can do.
    pub(crate) fn socket(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends bytes as they are. An error is no failure yet: the server may have said enough.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Sends a request for `target` without ceremony.
    pub(crate) fn ask(&mut self, method: &str, target: &str, headers: &str) {
        self.send(format!(
            "{method} {target} HTTP/1.1\r\nHost: idler\r\n{headers}\r\n"
        ))
        .expect("the server listens");
    }

    /// Sends a GET and reads its reply.
    pub(crate) fn get(&mut self, target: &str) -> Reply {
        self.ask("GET", target, "");
        self.reply()
    }

    /// Says that no more will be sent.
    pub(crate) fn half_close(&mut self) {
        // The server may have closed its side already, and then there is nothing to say.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Ends the connection with a reset instead of an orderly farewell.
    pub(crate) fn reset(self) {
        rustix::net::sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO))
            .expect("a socket option");
    }

    /// The next reply to anything but HEAD.
    ///
    /// # Panics
    /// If there is none.
    pub(crate) fn reply(&mut self) -> Reply {
        self.try_reply(false)
            .unwrap_or_else(|trouble| panic!("no reply: {trouble}"))
    }

    /// The next reply to HEAD.
    ///
    /// # Panics
    /// If there is none.
    pub(crate) fn head_reply(&mut self) -> Reply {
        self.try_reply(true)
            .unwrap_or_else(|trouble| panic!("no reply: {trouble}"))
    }

    /// The next reply, framed as RFC 9112 §6.3 says.
    pub(crate) fn try_reply(&mut self, answers_head: bool) -> Result<Reply, Trouble> {
        let deadline = Instant::now() + self.patience;
        let mut reply = self.try_reply_head(deadline)?;
        if answers_head || reply.status < 200 || matches!(reply.status, 204 | 304) {
            return Ok(reply);
        }
        let codings: Vec<&str> = reply.all("transfer-encoding").collect();
        let lengths: Vec<&str> = reply.all("content-length").collect();
        reply.body = match (codings.as_slice(), lengths.as_slice()) {
            (["chunked"], []) => self.chunks(deadline)?,
            ([], [length]) => {
                let length: usize = length
                    .parse()
                    .map_err(|_| Trouble::Malformed(format!("a length of {length:?}")))?;
                self.exactly(length, deadline)?
            }
            ([], []) => {
                while self.more(deadline)? {}
                std::mem::take(&mut self.heard)
            }
            _ => {
                return Err(Trouble::Malformed(format!(
                    "framed in several ways: {codings:?} and {lengths:?}"
                )));
            }
        };
        Ok(reply)
    }

    /// The head of the next reply; its content is left to [`Client::try_exactly`] and its like.
    pub(crate) fn reply_head(&mut self) -> Reply {
        self.try_reply_head(Instant::now() + self.patience)
            .unwrap_or_else(|trouble| panic!("no reply: {trouble}"))
    }

    fn try_reply_head(&mut self, deadline: Instant) -> Result<Reply, Trouble> {
        let end = loop {
            if let Some(at) = find(&self.heard, b"\r\n\r\n") {
                break at;
            }
            if !self.more(deadline)? {
                return Err(if self.heard.is_empty() {
                    Trouble::Closed
                } else {
                    Trouble::CutOff(show(&self.heard))
                });
            }
        };
        let head: Vec<u8> = self.heard.drain(..end + 4).collect();
        Reply::parse(&head[..end])
    }

    /// Exactly so many bytes of content.
    pub(crate) fn try_exactly(&mut self, bytes: usize) -> Result<Vec<u8>, Trouble> {
        self.exactly(bytes, Instant::now() + self.patience)
    }

    fn exactly(&mut self, bytes: usize, deadline: Instant) -> Result<Vec<u8>, Trouble> {
        let before = bytes.min(self.heard.len());
        let mut content: Vec<u8> = self.heard.drain(..before).collect();
        content.resize(bytes, 0);
        let mut have = before;
        while have < bytes {
            match self.read(&mut content[have..], deadline)? {
                0 => {
                    let had = format!("{have} of {bytes} bytes of content");
                    return Err(Trouble::CutOff(had));
                }
                n => have += n,
            }
        }
        Ok(content)
    }

    fn chunks(&mut self, deadline: Instant) -> Result<Vec<u8>, Trouble> {
        let mut body = Vec::new();
        loop {
            let line = self.line(deadline)?;
            let size = usize::from_str_radix(&line, 16)
                .map_err(|_| Trouble::Malformed(format!("a chunk of {line:?}")))?;
            if size == 0 {
                while !self.line(deadline)?.is_empty() {}
                return Ok(body);
            }
            body.extend(self.exactly(size, deadline)?);
            if !self.line(deadline)?.is_empty() {
                return Err(Trouble::Malformed("a chunk without an end".into()));
            }
        }
    }

    fn line(&mut self, deadline: Instant) -> Result<String, Trouble> {
        loop {
            if let Some(at) = find(&self.heard, b"\r\n") {
                let line: Vec<u8> = self.heard.drain(..at + 2).collect();
                return Ok(String::from_utf8_lossy(&line[..at]).into_owned());
            }
            if !self.more(deadline)? {
                return Err(Trouble::CutOff(show(&self.heard)));
            }
        }
    }

    /// Reads over so many bytes of content without keeping them.
    pub(crate) fn skip(&mut self, bytes: u64) -> Result<(), Trouble> {
        let deadline = Instant::now() + self.patience;
        let mut left = bytes;
        let mut buffer = vec![0; 1 << 20];
        loop {
            let heard = usize::try_from(left).map_or(self.heard.len(), |l| l.min(self.heard.len()));
            self.heard.drain(..heard);
            left -= heard as u64;
            if left == 0 {
                return Ok(());
            }
            let room = usize::try_from(left).map_or(buffer.len(), |l| l.min(buffer.len()));
            match self.read(&mut buffer[..room], deadline)? {
                0 => {
                    return Err(Trouble::CutOff(format!(
                        "{left} of {bytes} bytes were left"
                    )));
                }
                n => left -= n as u64,
            }
        }
    }

    /// Everything until the server closes.
    pub(crate) fn read_to_end(&mut self) -> Result<Vec<u8>, Trouble> {
        let deadline = Instant::now() + self.patience;
        while self.more(deadline)? {}
        Ok(std::mem::take(&mut self.heard))
    }

    /// Asserts that the server closes the connection, in order, and has nothing more to say.
    pub(crate) fn expect_closed(&mut self) {
        match self.read_to_end() {
            Ok(rest) if rest.is_empty() => {}
            Ok(rest) => panic!("closed, but not before it said: {}", show(&rest)),
            Err(trouble) => panic!("not closed: {trouble}"),
        }
    }

    /// Whether the server has closed or reset the connection by now; what it says meanwhile is kept.
    pub(crate) fn is_closed(&mut self) -> bool {
        loop {
            match self.more(Instant::now() + Duration::from_millis(1)) {
                Ok(true) => {}
                Ok(false) | Err(Trouble::Reset) => return true,
                Err(_) => return false,
            }
        }
    }

    /// Whether anything has come that is not yet read.
    pub(crate) fn has_heard(&mut self) -> bool {
        while matches!(
            self.more(Instant::now() + Duration::from_millis(1)),
            Ok(true)
        ) {}
        !self.heard.is_empty()
    }

    /// Reads once. `false` at the end of input.
    fn more(&mut self, deadline: Instant) -> Result<bool, Trouble> {
        let mut buffer = [0; 16 * 1024];
        let bytes = self.read(&mut buffer, deadline)?;
        self.heard.extend_from_slice(&buffer[..bytes]);
        Ok(bytes > 0)
    }

    /// Reads once from the socket; 0 at the end of input.
    fn read(&mut self, buffer: &mut [u8], deadline: Instant) -> Result<usize, Trouble> {
        use io::ErrorKind as Kind;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Trouble::Silence(show(&self.heard)));
            }
            self.stream
                .set_read_timeout(Some(left))
                .expect("a socket option");
            let error = match self.stream.read(buffer) {
                Ok(bytes) => return Ok(bytes),
                Err(e) => e,
            };
            let kind = error.kind();
            if matches!(kind, Kind::ConnectionReset | Kind::BrokenPipe) {
                return Err(Trouble::Reset);
            }
            if !matches!(kind, Kind::WouldBlock | Kind::TimedOut | Kind::Interrupted) {
                return Err(Trouble::Malformed(format!("the socket said {error}")));
            }
        }
    }
}

impl Reply {
    fn parse(head: &[u8]) -> Result<Self, Trouble> {
        let malformed = || Trouble::Malformed(show(head));
        let text = std::str::from_utf8(head).map_err(|_| malformed())?;
        let mut lines = text.split("\r\n");
        let line = lines.next().ok_or_else(malformed)?;
        let rest = line.strip_prefix("HTTP/1.1 ").ok_or_else(malformed)?;
        let (status, reason) = rest.split_once(' ').ok_or_else(malformed)?;
        if status.len() != 3 || reason.contains(char::is_control) {
            return Err(malformed());
        }
        let status = status.parse().map_err(|_| malformed())?;
        let mut headers = Vec::new();
        for line in lines {
            let (name, value) = line.split_once(':').ok_or_else(malformed)?;
            let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
            let text = |b: u8| b >= b' ' && b != 0x7f || b == b'\t';
            if name.is_empty() || !name.bytes().all(token) || !value.bytes().all(text) {
                return Err(malformed());
            }
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Ok(Self {
            status,
            reason: reason.to_owned(),
            headers,
            body: Vec::new(),
        })
    }

    /// All values under a name, in order.
    pub(crate) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .filter(move |(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The value under a name, if there is exactly one.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (Some(value), None) => Some(value),
            _ => None,
        }
    }

    /// Whether it says that the connection ends with it.
    pub(crate) fn says_close(&self) -> bool {
        self.all("connection").any(|line| {
            line.split(',')
                .any(|word| word.trim().eq_ignore_ascii_case("close"))
        })
    }

    /// Its content as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => write!(f, "the connection is closed"),
            Self::CutOff(had) => write!(f, "the connection was closed in the middle: {had}"),
            Self::Silence(had) if had.is_empty() => write!(f, "nothing came"),
            Self::Silence(had) => write!(f, "nothing more came after: {had}"),
            Self::Reset => write!(f, "the connection was reset"),
            Self::Malformed(what) => write!(f, "malformed: {what}"),
        }
    }
}

/// Bytes as they can be read in a message, at most 200 of them.
pub(crate) fn show(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(200)];
    let more = if shown.len() < bytes.len() { "…" } else { "" };
    format!("{}{more} ({} bytes)", shown.escape_ascii(), bytes.len())
}

/// Where `needle` first stands in `bytes`.
pub(crate) fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|w| w == needle)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    use super::{Client, Trouble};

    fn hears(said: &str) -> Client {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("itself");
        let (mut server, _) = listener.accept().expect("the client");
        server.write_all(said.as_bytes()).expect("it fits");
        Client::over(client)
    }

    #[test]
    fn replies_are_framed_by_length_by_chunks_and_by_the_end() {
        let mut client = hears(
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
             3\r\ncde\r\n0\r\n\r\nHTTP/1.1 304 \r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\n\r\nrest",
        );
        assert_eq!(client.reply().body, b"ab");
        assert_eq!(client.reply().body, b"cde");
        assert_eq!(client.reply().status, 304);
        assert_eq!(client.head_reply().header("content-length"), Some("5"));
        assert_eq!(client.reply().body, b"rest");
        assert_eq!(client.try_reply(false), Err(Trouble::Closed));
    }

    #[test]
    fn what_is_framed_wrongly_is_no_reply() {
        for (said, expected) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", "middle"),
            ("HTTP/1.1 200 OK\r\nContent-Le", "middle"),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
                "several ways",
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
                "several ways",
            ),
            ("HTTP/1.0 200 OK\r\n\r\n", "malformed"),
            ("HTTP/1.1 200 OK\r\nBad Name: 1\r\n\r\n", "malformed"),
            ("HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", "malformed"),
        ] {
            let trouble = hears(said).try_reply(false).expect_err(said).to_string();
            assert!(trouble.contains(expected), "{said:?}: {trouble}");
        }
    }
}
