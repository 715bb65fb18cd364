//! Replies, read no more kindly than RFC 9112 asks, wherever their bytes come from.
//!
//! It may not repair anything: what is framed wrongly is an error, never a guess. It needs only `std`, because the
//! unit tests of `service/http_server` read replies with it too, without sockets. Invariant: no byte behind a reply is taken
//! for a part of it. Read next: `conversation.rs`.

use std::fmt;

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
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// Where a server's bytes come from.
pub(crate) trait Source {
    /// Reads once; 0 at the end of input.
    ///
    /// # Errors
    /// [`Trouble::Silence`] if nothing comes; what had come before is added by [`Ear`].
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Trouble>;
}

/// Hears replies.
#[derive(Debug)]
pub(crate) struct Ear<S> {
    source: S,
    heard: Vec<u8>,
}

impl<S: Source> Ear<S> {
    pub(crate) fn new(source: S) -> Self {
        Self {
            source,
            heard: Vec::new(),
        }
    }

    pub(crate) fn source(&self) -> &S {
        &self.source
    }

    pub(crate) fn source_mut(&mut self) -> &mut S {
        &mut self.source
    }

    /// What has come and is not yet taken.
    pub(crate) fn heard(&self) -> &[u8] {
        &self.heard
    }

    /// The next reply, framed as RFC 9112 §6.3 says.
    pub(crate) fn reply(&mut self, answers_head: bool) -> Result<Reply, Trouble> {
        let mut reply = self.reply_head()?;
        if answers_head || reply.status < 200 || matches!(reply.status, 204 | 304) {
            return Ok(reply);
        }
        let codings: Vec<&str> = reply.all("transfer-encoding").collect();
        let lengths: Vec<&str> = reply.all("content-length").collect();
        reply.body = match (codings.as_slice(), lengths.as_slice()) {
            (["chunked"], []) => self.chunks()?,
            ([], [length]) => {
                let length: usize = length
                    .parse()
                    .map_err(|_| Trouble::Malformed(format!("a length of {length:?}")))?;
                self.exactly(length)?
            }
            ([], []) => self.until_end()?,
            _ => {
                return Err(Trouble::Malformed(format!(
                    "framed in several ways: {codings:?} and {lengths:?}"
                )));
            }
        };
        Ok(reply)
    }

    /// The head of the next reply; its content is left to [`Ear::exactly`] and its like.
    pub(crate) fn reply_head(&mut self) -> Result<Reply, Trouble> {
        let end = loop {
            if let Some(at) = find(&self.heard, b"\r\n\r\n") {
                break at;
            }
            if !self.more()? {
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
    pub(crate) fn exactly(&mut self, bytes: usize) -> Result<Vec<u8>, Trouble> {
        let before = bytes.min(self.heard.len());
        let mut content: Vec<u8> = self.heard.drain(..before).collect();
        // Room is made for what comes, not for what is promised.
        let mut buffer = vec![0; (bytes - before).min(1 << 20)];
        while content.len() < bytes {
            let room = buffer.len().min(bytes - content.len());
            match self.read(&mut buffer[..room])? {
                0 => {
                    let had = format!("{} of {bytes} bytes of content", content.len());
                    return Err(Trouble::CutOff(had));
                }
                n => content.extend_from_slice(&buffer[..n]),
            }
        }
        Ok(content)
    }

    fn chunks(&mut self) -> Result<Vec<u8>, Trouble> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let size = usize::from_str_radix(&line, 16)
                .map_err(|_| Trouble::Malformed(format!("a chunk of {line:?}")))?;
            if size == 0 {
                while !self.line()?.is_empty() {}
                return Ok(body);
            }
            body.extend(self.exactly(size)?);
            if !self.line()?.is_empty() {
                return Err(Trouble::Malformed("a chunk without an end".into()));
            }
        }
    }

    fn line(&mut self) -> Result<String, Trouble> {
        loop {
            if let Some(at) = find(&self.heard, b"\r\n") {
                let line: Vec<u8> = self.heard.drain(..at + 2).collect();
                return Ok(String::from_utf8_lossy(&line[..at]).into_owned());
            }
            if !self.more()? {
                return Err(Trouble::CutOff(show(&self.heard)));
            }
        }
    }

    /// Reads over so many bytes of content without keeping them.
    pub(crate) fn skip(&mut self, bytes: u64) -> Result<(), Trouble> {
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
            match self.read(&mut buffer[..room])? {
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
    pub(crate) fn until_end(&mut self) -> Result<Vec<u8>, Trouble> {
        while self.more()? {}
        Ok(std::mem::take(&mut self.heard))
    }

    /// Reads once, and keeps what came. `false` at the end of input.
    pub(crate) fn more(&mut self) -> Result<bool, Trouble> {
        let mut buffer = [0; 16 * 1024];
        let bytes = self.read(&mut buffer)?;
        self.heard.extend_from_slice(&buffer[..bytes]);
        Ok(bytes > 0)
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, Trouble> {
        match self.source.read(into) {
            Err(Trouble::Silence(_)) if !self.heard.is_empty() => {
                Err(Trouble::Silence(show(&self.heard)))
            }
            other => other,
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
    use super::{Ear, Source, Trouble};

    /// Says this, three bytes at a time, and hangs up.
    struct Said<'a>(&'a [u8]);

    impl Source for Said<'_> {
        fn read(&mut self, into: &mut [u8]) -> Result<usize, Trouble> {
            let n = self.0.len().min(into.len()).min(3);
            into[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    fn hears(said: &str) -> Ear<Said<'_>> {
        Ear::new(Said(said.as_bytes()))
    }

    #[test]
    fn replies_are_framed_by_length_by_chunks_and_by_the_end() {
        let mut ear = hears(
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
             3\r\ncde\r\n0\r\n\r\nHTTP/1.1 304 \r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\n\r\nrest",
        );
        assert_eq!(ear.reply(false).expect("well framed").body, b"ab");
        assert_eq!(ear.reply(false).expect("well framed").body, b"cde");
        assert_eq!(ear.reply(false).expect("well framed").status, 304);
        assert_eq!(
            ear.reply(true)
                .expect("no content")
                .header("content-length"),
            Some("5")
        );
        assert_eq!(ear.reply(false).expect("well framed").body, b"rest");
        assert_eq!(ear.reply(false), Err(Trouble::Closed));
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
            let trouble = hears(said).reply(false).expect_err(said).to_string();
            assert!(trouble.contains(expected), "{said:?}: {trouble}");
        }
    }
}
