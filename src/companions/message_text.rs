//! A message and its answer: the first lesson of every course on sockets.
//!
//! What lives here: what is said, and when a message is whole. It may not know sockets or time.
//!
//! TCP carries bytes, not messages: one `send` may arrive in three reads, and nothing in this protocol
//! says where the text ends. So a message is whole when its sender has ended its side, when it is
//! as long as a message may be, or (the clients of the courses keep their side open and wait) when
//! it has been quiet for a moment, which its keeper must tell.
//!
//! Invariant: never more than [`MESSAGE_BYTES_MAX`] bytes are kept. Read next: `service/message.rs`.

use crate::http::printable::printable;
use crate::limits::MESSAGE_BYTES_MAX;

/// What the server answers unless told otherwise.
pub const ANSWER: &str = "Yes";

/// A text that is coming in.
#[derive(Default, Debug)]
pub struct Message {
    bytes: Vec<u8>,
    cut: bool,
}

impl Message {
    /// Takes over what came, up to the limit. Returns true once the message cannot grow any more.
    pub fn hear(&mut self, bytes: &[u8]) -> bool {
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

    /// Whether something came that was more than a message may be.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// The text, fit for a terminal.
    pub fn text(&self) -> String {
        printable(&self.bytes)
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
            assert!(!message.hear(&text[..cut]));
            assert!(!message.hear(&text[cut..]));
            assert_eq!(message.text(), "can you hear mé?");
            assert!(!message.is_cut());
        }
    }

    #[test]
    fn a_message_that_is_too_long_is_kept_up_to_the_limit() {
        let mut message = Message::default();
        assert!(!message.hear(&vec![b'a'; MESSAGE_BYTES_MAX - 1]));
        assert!(message.hear(b"bc"));
        assert!(message.is_cut());
        assert!(message.hear(b"d"));
        assert_eq!(message.text().len(), MESSAGE_BYTES_MAX);
        assert!(message.text().ends_with("ab"));
    }
}
