//! One answer, read as it comes: just enough of HTTP/1.1 to know its status and where it ends.
//!
//! What lives here: a machine that is fed bytes and says when the answer is whole.
//! What it may not know: sockets, time, what was asked for.
//! Invariant: bytes beyond the answer's end are nonsense, since nothing more was asked for.
//! Read next: `load.rs`, which feeds it.

/// The longest head kept while its end has not come, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// How far an answer has come.
#[derive(Default)]
pub(crate) struct Answer {
    kept: Vec<u8>, // a head that did not come in one piece; no server here does this with short heads
    body: Option<Body>,
    new_bytes: u64,
}

struct Body {
    status: u16,
    keep: bool,
    length: Option<u64>, // none: until the connection ends
    come: u64,
}

/// What the bytes so far amount to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Heard {
    /// More must come.
    Part,
    /// The answer is complete. `keep`: the connection may be asked again.
    Whole {
        /// The status code.
        status: u16,
        /// Bytes of the body.
        length: u64,
        /// Whether the server means to keep the connection.
        keep: bool,
    },
    /// Not an answer, or one that ended too early or too late.
    Nonsense,
}

impl Answer {
    /// Takes bytes.
    pub(crate) fn hear(&mut self, bytes: &[u8]) -> Heard {
        if self.body.is_some() {
            return self.pass_over(bytes.len() as u64);
        }
        let after = if self.kept.is_empty() {
            let Some((body, head_bytes)) = read_head(bytes) else {
                self.kept.extend_from_slice(bytes);
                return Heard::Part;
            };
            self.body = Some(body);
            bytes.len() - head_bytes
        } else {
            self.kept.extend_from_slice(bytes);
            let Some((body, head_bytes)) = read_head(&self.kept) else {
                let hopeless = self.kept.len() > HEAD_BYTES_MAX;
                return if hopeless {
                    Heard::Nonsense
                } else {
                    Heard::Part
                };
            };
            self.body = Some(body);
            self.kept.len() - head_bytes
        };
        self.pass_over(after as u64)
    }

    /// Takes bytes of the body, unseen.
    pub(crate) fn pass_over(&mut self, count: u64) -> Heard {
        let Some(body) = &mut self.body else {
            return Heard::Nonsense;
        };
        body.come += count;
        self.new_bytes += count;
        match body.length {
            Some(length) if body.come == length => body.whole(),
            Some(length) if body.come > length => Heard::Nonsense,
            Some(_) | None => Heard::Part,
        }
    }

    /// The connection has ended.
    pub(crate) fn end(&mut self) -> Heard {
        match &mut self.body {
            Some(body) if body.length.is_none() => {
                body.keep = false;
                body.whole()
            }
            Some(_) | None => Heard::Nonsense,
        }
    }

    /// Bytes of the body still to come, once its head is known.
    pub(crate) fn body_left(&self) -> Option<u64> {
        let body = self.body.as_ref()?;
        Some(body.length.map_or(u64::MAX, |length| length - body.come))
    }

    /// Bytes of the body that came since this was last asked.
    pub(crate) fn take_new_bytes(&mut self) -> u64 {
        std::mem::take(&mut self.new_bytes)
    }
}

impl Body {
    fn whole(&self) -> Heard {
        Heard::Whole {
            status: self.status,
            length: self.come,
            keep: self.keep && self.length.is_some(),
        }
    }
}

/// Reads a head if it is complete, and says how long it is.
fn read_head(bytes: &[u8]) -> Option<(Body, usize)> {
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let first = lines.next()?;
    let mut read = first.len();
    let status = first
        .get(9..12)
        .and_then(|digits| str::from_utf8(digits).ok()?.parse().ok());
    let mut body = Body {
        status: status
            .filter(|_| first.starts_with(b"HTTP/1."))
            .unwrap_or(0),
        keep: first.starts_with(b"HTTP/1.1"),
        length: None,
        come: 0,
    };
    for line in lines {
        read += line.len();
        match line {
            b"\r\n" | b"\n" => return Some((body, read)),
            [b'C' | b'c', ..] => note(line, &mut body),
            _ => {}
        }
    }
    None
}

/// Notes a field that matters here: `Content-Length` or `Connection`.
fn note(line: &[u8], body: &mut Body) {
    let Some(colon) = line.iter().position(|byte| *byte == b':') else {
        return;
    };
    let value = line[colon + 1..].trim_ascii();
    if line[..colon].eq_ignore_ascii_case(b"content-length") {
        body.length = str::from_utf8(value)
            .ok()
            .and_then(|digits| digits.parse().ok());
    } else if line[..colon].eq_ignore_ascii_case(b"connection")
        && value.eq_ignore_ascii_case(b"close")
    {
        body.keep = false;
    }
}
