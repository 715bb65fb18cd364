//! Case files: conversations with the server, written down so that anyone can read and add one.
//!
//! What lives here: the parser of `fixtures/requests/*.case`, whose format is described in the README
//! beside them. It may not know how a case is held: `conversation.rs` does, over real sockets in `http_requests.rs`, and
//! without any in the unit tests of `service/http_server`. So it needs only `std`.
//! Invariant: a case file that breaks a rule of the format is refused with its line, never half understood.
//! Read next: `fixtures/requests/README.md`, then `conversation.rs`.

use std::path::Path;

/// One conversation.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// The first comment line above it: what it shows.
    pub(crate) title: String,
    /// File name and line where it begins.
    pub(crate) place: String,
    /// What is said, in order.
    pub(crate) steps: Vec<Step>,
    /// What has become of the connection afterwards.
    pub(crate) end: End,
}

/// Something sent in one go, and what must come back before the next step.
#[derive(Debug, Clone, Default)]
pub(crate) struct Step {
    /// The bytes the client sends.
    pub(crate) send: Vec<u8>,
    /// Whether the client then says that it will send no more (`>end`).
    pub(crate) half_close: bool,
    /// The replies that answer it.
    pub(crate) replies: Vec<Expected>,
}

/// What is asked of one reply.
#[derive(Debug, Clone, Default)]
pub(crate) struct Expected {
    /// Any of these will do (more than one only where the RFC leaves it open).
    pub(crate) statuses: Vec<u16>,
    /// Header fields that must or must not be there.
    pub(crate) headers: Vec<Field>,
    /// The whole content, if the case cares.
    pub(crate) body: Option<Vec<u8>>,
    /// Whether it answers a HEAD, so that no content follows whatever its headers say.
    pub(crate) answers_head: bool,
}

/// What is asked of one header field; the name is in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Field {
    /// There, exactly once, with this value (ASCII case is ignored).
    Equals(String, String),
    /// There, with any value.
    Present(String),
    /// Not there.
    Absent(String),
}

/// What has become of the connection after the last reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It answers another request.
    Open,
    /// The server closed it, and the last reply said so.
    Closed,
    /// The server closed it without a word: what was wrong came after the last reply, or there was none.
    HungUp,
    /// Like `Closed`, but the client goes on sending after it has itself said that it would not: if that
    /// comes late, a reset is its own doing.
    Dropped,
    /// Open, unless the last reply said `Connection: close`.
    AsSaid,
}

impl Case {
    /// All that the client sends, in order.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.steps.iter().flat_map(|s| s.send.clone()).collect()
    }

    /// All replies that are asked for, in order.
    pub(crate) fn replies(&self) -> impl Iterator<Item = &Expected> {
        self.steps.iter().flat_map(|s| s.replies.iter())
    }
}

/// Every case of every `.case` file in a folder, in the order of their names.
///
/// # Panics
/// If there is none, or one breaks the format: the message names its line.
pub(crate) fn load(folder: &Path) -> Vec<Case> {
    let mut files: Vec<_> = match std::fs::read_dir(folder) {
        Ok(entries) => entries
            .filter_map(|entry| entry.ok().map(|e| e.path()))
            .filter(|path| path.extension().is_some_and(|e| e == "case"))
            .collect(),
        Err(e) => panic!("cannot read the folder of cases {}: {e}", folder.display()),
    };
    files.sort();
    let mut cases = Vec::new();
    for path in files {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) => panic!("cannot read {}: {e}", path.display()),
        };
        match parse(&name, &text) {
            Ok(more) => cases.extend(more),
            Err(message) => panic!("{message}"),
        }
    }
    assert!(!cases.is_empty(), "no cases in {}", folder.display());
    cases
}

/// The cases in the text of one file.
///
/// # Errors
/// A message that begins with `name:line:` for the first line that breaks the format.
pub(crate) fn parse(name: &str, text: &str) -> Result<Vec<Case>, String> {
    let mut cases = Vec::new();
    let mut open = Draft::default();
    for (index, line) in text.lines().enumerate() {
        let place = format!("{name}:{}", index + 1);
        match open.take(line, &place) {
            Ok(None) => {}
            Ok(Some(case)) => {
                cases.push(case);
                open = Draft::default();
            }
            Err(message) => return Err(format!("{place}: {message}")),
        }
    }
    if !open.steps.is_empty() {
        return Err(format!("{name}: the last case has no `!` line"));
    }
    Ok(cases)
}

/// A case of which not all lines have been read.
#[derive(Default)]
struct Draft {
    title: Option<String>,
    place: Option<String>,
    steps: Vec<Step>,
    /// For each request line sent so far, whether its method is HEAD.
    heads: Vec<bool>,
    /// Final replies expected so far.
    answered: usize,
}

impl Draft {
    /// Takes over one line; the case, if this line ends it.
    fn take(&mut self, line: &str, place: &str) -> Result<Option<Case>, String> {
        if line.is_empty() {
            if self.steps.is_empty() {
                self.title = None;
            }
        } else if let Some(comment) = line.strip_prefix('#') {
            if self.title.is_none() {
                self.title = Some(comment.trim().to_owned());
            }
        } else if line == ">end" {
            self.sending(place)?.half_close = true;
        } else if let Some(raw) = line.strip_prefix(">>") {
            self.send(raw, b"", place)?;
        } else if let Some(text) = line.strip_prefix('>') {
            self.send(text, b"\r\n", place)?;
        } else if let Some(more) = line.strip_prefix("<  ") {
            let fields = fields(more)?;
            self.reply()?.headers.extend(fields);
        } else if let Some(reply) = line.strip_prefix('<') {
            self.expect(reply)?;
        } else if let Some(raw) = line.strip_prefix("==") {
            self.body(raw, b"")?;
        } else if let Some(text) = line.strip_prefix('=') {
            self.body(text, b"\n")?;
        } else if let Some(end) = line.strip_prefix('!') {
            let end = match end.trim() {
                "open" => End::Open,
                "closed" => End::Closed,
                "hung-up" => End::HungUp,
                "dropped" => End::Dropped,
                "as-said" => End::AsSaid,
                other => return Err(format!("no such end: {other:?}")),
            };
            let (Some(title), Some(place)) = (self.title.take(), self.place.take()) else {
                return Err("a case needs a title and something that is sent".into());
            };
            return Ok(Some(Case {
                title,
                place,
                steps: std::mem::take(&mut self.steps),
                end,
            }));
        } else {
            return Err(format!("not a line of a case: {line:?}"));
        }
        Ok(None)
    }

    /// The step that is still sending: a new one, once the last has replies.
    fn sending(&mut self, place: &str) -> Result<&mut Step, String> {
        if self.title.is_none() {
            return Err("a case begins with a comment that says what it shows".into());
        }
        if self.place.is_none() {
            self.place = Some(place.to_owned());
        }
        if self
            .steps
            .last()
            .is_none_or(|step| !step.replies.is_empty())
        {
            self.steps.push(Step::default());
        }
        match self.steps.last_mut() {
            Some(step) if !step.half_close => Ok(step),
            _ => Err("nothing can be sent after `>end`".into()),
        }
    }

    fn send(&mut self, text: &str, line_end: &[u8], place: &str) -> Result<(), String> {
        let mut bytes = unescape(text.strip_prefix(' ').unwrap_or(text))?;
        bytes.extend_from_slice(line_end);
        if text.contains(" HTTP/") {
            self.heads.push(bytes.starts_with(b"HEAD "));
        }
        self.sending(place)?.send.extend(bytes);
        Ok(())
    }

    fn expect(&mut self, text: &str) -> Result<(), String> {
        let text = text.trim_start();
        let (statuses, rest) = text.split_once("  ").unwrap_or((text, ""));
        let statuses = statuses
            .split('|')
            .map(|s| s.trim().parse().map_err(|_| format!("no status: {s:?}")))
            .collect::<Result<Vec<u16>, _>>()?;
        let answers_head = self.heads.get(self.answered).copied().unwrap_or(false);
        if statuses.iter().all(|status| *status >= 200) {
            self.answered += 1;
        }
        let expected = Expected {
            statuses,
            headers: fields(rest)?,
            body: None,
            answers_head,
        };
        match self.steps.last_mut() {
            Some(step) => step.replies.push(expected),
            None => return Err("a reply to nothing".into()),
        }
        Ok(())
    }

    fn reply(&mut self) -> Result<&mut Expected, String> {
        self.steps
            .last_mut()
            .and_then(|step| step.replies.last_mut())
            .ok_or_else(|| "no reply that this belongs to".into())
    }

    fn body(&mut self, text: &str, line_end: &[u8]) -> Result<(), String> {
        let bytes = unescape(text.strip_prefix(' ').unwrap_or(text))?;
        let body = self.reply()?.body.get_or_insert_default();
        body.extend(bytes);
        body.extend_from_slice(line_end);
        Ok(())
    }
}

/// `name: value`, `name` and `!name`, two blanks apart.
fn fields(text: &str) -> Result<Vec<Field>, String> {
    text.split("  ")
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| {
            let lower = |name: &str| {
                if name.is_empty() || name.contains(' ') {
                    Err(format!("no header field: {part:?}"))
                } else {
                    Ok(name.to_ascii_lowercase())
                }
            };
            if let Some(name) = part.strip_prefix('!') {
                lower(name).map(Field::Absent)
            } else if let Some((name, value)) = part.split_once(": ") {
                Ok(Field::Equals(lower(name)?, value.trim().to_owned()))
            } else {
                lower(part).map(Field::Present)
            }
        })
        .collect()
}

/// Takes out `\r`, `\n`, `\t`, `\\`, `\xNN` and `\*N(text)`, which stands for N times `text`.
fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((plain, escape)) = rest.split_once('\\') {
        bytes.extend_from_slice(plain.as_bytes());
        let Some(kind) = escape.chars().next() else {
            return Err("a backslash at the end of the line".into());
        };
        rest = &escape[kind.len_utf8()..];
        match kind {
            'r' => bytes.push(b'\r'),
            'n' => bytes.push(b'\n'),
            't' => bytes.push(b'\t'),
            '\\' => bytes.push(b'\\'),
            'x' => {
                let byte = rest
                    .get(..2)
                    .and_then(|digits| u8::from_str_radix(digits, 16).ok())
                    .ok_or("\\x needs two hexadecimal digits")?;
                bytes.push(byte);
                rest = &rest[2..];
            }
            '*' => {
                let (times, after) = rest
                    .split_once('(')
                    .ok_or("\\* needs a number and a text in parentheses")?;
                let end = closing(after).ok_or("\\*N( without )")?;
                let times: usize = times.parse().map_err(|_| "\\* needs a number")?;
                bytes.extend(unescape(&after[..end])?.repeat(times));
                rest = &after[end + 1..];
            }
            other => return Err(format!("no such escape: \\{other}")),
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

/// Where the parenthesis closes that is open at the beginning of `text`.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    text.char_indices().find_map(|(at, c)| {
        match c {
            '(' => depth += 1,
            ')' if depth == 0 => return Some(at),
            ')' => depth -= 1,
            _ => {}
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::{End, Field, load, parse};

    const TWO: &str = "# the file\n\n# two in one packet\n> GET /a HTTP/1.1\n> Host: idler\n>\n> HEAD /b HTTP/1.1\n> Host: idler\n>\n< 200  content-length: 6  etag\n= hello\n< 404|410  !etag\n! open\n\n# bytes\n>> \\x00\\*3(a\\*2(b))\\r\\n\n>end\n! hung-up\n";

    #[test]
    fn a_file_holds_several_conversations() {
        let cases = parse("two.case", TWO).expect("it keeps to the format");
        assert_eq!(cases.len(), 2);
        let [first, second] = &cases[..] else {
            panic!("two cases")
        };
        assert_eq!(
            (first.title.as_str(), first.place.as_str()),
            ("two in one packet", "two.case:4")
        );
        assert_eq!(first.steps.len(), 1);
        assert!(first.bytes().ends_with(b"Host: idler\r\n\r\n"));
        let replies: Vec<_> = first.replies().collect();
        assert_eq!(replies[0].body.as_deref(), Some(&b"hello\n"[..]));
        assert_eq!(
            replies[0].headers,
            [
                Field::Equals("content-length".into(), "6".into()),
                Field::Present("etag".into())
            ]
        );
        assert!(!replies[0].answers_head && replies[1].answers_head);
        assert_eq!(replies[1].statuses, [404, 410]);
        assert_eq!(replies[1].headers, [Field::Absent("etag".into())]);
        assert_eq!(first.end, End::Open);
        assert_eq!(second.bytes(), b"\0abbabbabb\r\n");
        assert!(second.steps[0].half_close && second.replies().next().is_none());
        assert_eq!(second.end, End::HungUp);
    }

    #[test]
    fn what_comes_after_a_reply_is_another_step() {
        let cases = parse("c", "# t\n> a\n< 100\n>> b\n< 200\n! as-said\n").expect("well formed");
        assert_eq!(cases[0].steps.len(), 2);
        assert_eq!(cases[0].steps[1].send, b"b");
    }

    #[test]
    fn a_broken_line_is_refused_with_its_place() {
        for (text, place) in [
            ("> no title\n", "c:1: "),
            ("# t\n> a\n? b\n", "c:3: "),
            ("# t\n> a\n< abc\n! open\n", "c:3: "),
            ("# t\n> \\xg0\n", "c:2: "),
            ("# t\n> \\q\n", "c:2: "),
            ("# t\n> a\n! perhaps\n", "c:3: "),
            ("# t\n> a\n", "c: the last case"),
            ("# t\n< 200\n", "c:2: "),
        ] {
            let message = parse("c", text).expect_err("it breaks the format");
            assert!(message.starts_with(place), "{message}");
        }
    }

    #[test]
    fn every_case_in_the_repository_keeps_to_the_format() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/requests");
        let cases = load(std::path::Path::new(folder));
        assert!(cases.len() >= 60, "only {} cases", cases.len());
    }
}
