//! A message and its answer: the first lesson of every course on sockets.
//!
//! TCP carries bytes, not messages: one `send` may arrive in three reads, and nothing in this
//! protocol says where the text ends. So a message is whole when its sender has ended its side,
//! when it is as long as a message may be, or (the clients of the courses keep their side open
//! and wait) when nothing has come for a moment. A client that says nothing, or a byte a minute,
//! is let go in the end.

use log::debug;

use crate::cli::Options;
use crate::companions::client::{Consumer, Destination, Exchange, Failure};
use crate::companions::{Notices, Offer, Opened, Reply, listen};
use crate::event_loop::{Attempt, Context, Deadline, Next, Now, Side, Stage, Tick};
use crate::http::text::printable;
use crate::limits::{MESSAGE_BYTES_MAX, MESSAGE_QUIET, MESSAGE_TIMEOUT};

/// A text that is coming in. Never more than [`MESSAGE_BYTES_MAX`] bytes are kept.
#[derive(Default, Debug)]
pub struct Message {
    bytes: Vec<u8>,
    /// Whether more came than a message may hold.
    cut: bool,
}

impl Message {
    /// Takes over what came, up to the limit. Returns true once the message cannot grow any more.
    pub fn feed(&mut self, bytes: &[u8]) -> bool {
        let room = MESSAGE_BYTES_MAX - self.bytes.len();
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.bytes.extend_from_slice(taken);
        self.cut |= taken.len() < bytes.len();
        self.bytes.len() == MESSAGE_BYTES_MAX
    }

    /// Whether nothing has come yet.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The text, fit for a terminal.
    pub fn text(&self) -> String {
        printable(&self.bytes)
    }
}

/// Opens `idler message-server`. An error is one line for the user.
pub fn serve(options: &Options) -> Result<Opened, String> {
    listen(&options.listening, Offer::Message(options.answer.clone()))
}

/// A client of the server.
#[derive(Debug)]
pub struct Conversation {
    client: String,
    /// Until it is whole.
    message: Option<Message>,
    /// When it is too late for more of it.
    end: Tick,
    pub(super) answer: Reply,
}

impl Conversation {
    pub(super) fn new(client: String, answer: Reply, now: &Now) -> Self {
        Self {
            client,
            message: Some(Message::default()),
            end: now.tick.after(MESSAGE_TIMEOUT),
            answer,
        }
    }

    /// Reads the message, then answers it.
    pub(super) fn drive<S: Notices>(&mut self, cx: &mut Context<'_, S>) -> Next {
        if let Some(next) = self.read(cx) {
            return next;
        }
        let message = self.message.take();
        if let Some(message) = &message {
            let cut = if message.cut { " (cut)" } else { "" };
            let line = format!("{} said: {}{cut}", self.client, message.text());
            cx.shared.notice(&line);
        }
        self.answer.drive(message.is_some(), cx)
    }

    /// Reads what has come of a message, and says how to wait for the rest. `None`: it is whole.
    fn read<S>(&mut self, cx: &mut Context<'_, S>) -> Option<Next> {
        let message = self.message.as_mut()?;
        let mut came = false;
        let why = loop {
            match self.answer.stream.read(&mut cx.link, cx.scratch) {
                Attempt::Done(0) => break "said nothing",
                Attempt::Done(n) => {
                    came = true;
                    if message.feed(cx.scratch.get(..n).unwrap_or_default()) {
                        return None;
                    }
                }
                Attempt::Blocked if came && !self.end.is_due(cx.now.tick) => {
                    let quiet = cx.now.tick.after(MESSAGE_QUIET);
                    return Some(Next::Park(Side::Read, Deadline::At(quiet)));
                }
                Attempt::Blocked if message.is_empty() && cx.stage == Stage::Stopping => {
                    return Some(Next::Leave);
                }
                Attempt::Blocked if came || cx.expired => break "said nothing in time",
                Attempt::Blocked => return Some(Next::Park(Side::Read, Deadline::Keep)),
                Attempt::Spent => return Some(Next::Again(Deadline::Keep)),
                Attempt::Failed(e) => {
                    debug!("{} is gone: {e}", cx.link.key);
                    return Some(Next::Leave);
                }
            }
        };
        if !message.is_empty() {
            return None;
        }
        debug!("{} {why}", cx.link.key);
        Some(Next::Leave)
    }
}

/// The client of `idler message-client`: sends the text, and prints the answer.
///
/// # Errors
/// If the kernel refuses to connect at once.
pub fn ask(options: &Options, to: &Destination<'_>) -> Result<Exchange, Failure> {
    let answer = ShortText {
        message: Message::default(),
        before: "reply is: ",
        nothing: "the server closed the connection without an answer",
    };
    let request = options.text.clone();
    Exchange::start(to, request, Box::new(answer), options.timeout)
}

/// Receives one short text, which is printed.
#[derive(Debug)]
pub(super) struct ShortText {
    pub(super) message: Message,
    /// Printed in front of it.
    pub(super) before: &'static str,
    /// What went wrong if none came.
    pub(super) nothing: &'static str,
}

impl Consumer for ShortText {
    fn feed(&mut self, bytes: &[u8]) -> Result<bool, Failure> {
        Ok(self.message.feed(bytes))
    }

    fn may_end_in_silence(&self) -> bool {
        !self.message.is_empty()
    }

    fn end(&mut self, _wire_bytes: u64) -> Result<String, Failure> {
        if self.message.is_empty() {
            return Err(Failure::new(self.nothing));
        }
        Ok(format!("{}{}\n", self.before, self.message.text()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_the_same_however_it_is_cut() {
        let text = "can you hear mé?".as_bytes();
        for cut in 0..=text.len() {
            let mut message = Message::default();
            assert!(message.is_empty());
            assert!(!message.feed(&text[..cut]));
            assert!(!message.feed(&text[cut..]));
            assert_eq!(message.text(), "can you hear mé?");
            assert!(!message.cut);
        }
    }

    #[test]
    fn a_message_that_is_too_long_is_kept_up_to_the_limit() {
        let mut message = Message::default();
        assert!(!message.feed(&vec![b'a'; MESSAGE_BYTES_MAX - 1]));
        assert!(message.feed(b"bc"));
        assert!(message.cut);
        assert!(message.feed(b"d"));
        assert_eq!(message.text().len(), MESSAGE_BYTES_MAX);
        assert!(message.text().ends_with("ab"));
    }
}
