//! The table of state changes, as data.
//!
//! What lives here: one row for each change. It may not do anything.
//! Invariant: `ARCHITECTURE.md` shows the same table, and a test compares them. Read next: `reading.rs`.

/// One row of the table of state changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transition {
    /// Its number.
    pub number: u8,
    /// The state before.
    pub from: &'static str,
    /// What happens.
    pub input: &'static str,
    /// Under which condition.
    pub when: &'static str,
    /// The state after.
    pub to: &'static str,
    /// What is done.
    pub note: &'static str,
}

macro_rules! transitions {
    ($($number:literal: $from:literal, $input:literal, $when:literal => $to:literal, $note:literal;)*) => {
        &[$(Transition { number: $number, from: $from, input: $input, when: $when, to: $to, note: $note }),*]
    };
}

/// Every state change there is.
pub const TRANSITIONS: &[Transition] = transitions! {
    1: "ReadingHead", "bytes", "no blank line yet" => "ReadingHead", "kept; the scan position moves on";
    2: "ReadingHead", "bytes", "head longer than its limit" => "WritingHeaders", "431 (414 for the request line), no reuse";
    3: "ReadingHead", "bytes", "whole head, breaks a rule" => "WritingHeaders", "the status that says so, no reuse";
    4: "ReadingHead", "bytes", "whole head, understood" => "WritingHeaders", "the site is asked, the reply composed";
    5: "ReadingHead", "end of input", "nothing heard" => "Closed", "ordinary farewell";
    6: "ReadingHead", "end of input", "something heard" => "Closed", "cut off; reason logged at debug";
    7: "ReadingHead", "deadline", "nothing heard" => "Closed", "idle for too long";
    8: "ReadingHead", "deadline", "something heard" => "WritingHeaders", "408, no reuse";
    9: "ReadingHead", "shutdown", "nothing heard" => "Closed", "the idle go first; who came or was answered a moment ago, a second later";
    10: "ReadingHead", "shutdown", "something heard" => "ReadingHead", "its reply will say `Connection: close`";
    23: "ReadingHead", "bytes", "the body of the request before breaks a rule" => "Lingering", "its answer is out, and must not be lost";
    11: "WritingHeaders", "sent n", "headers remain" => "WritingHeaders", "";
    12: "WritingHeaders", "sent n", "headers gone, body remains" => "WritingBody", "";
    13: "Writing*", "sent n", "reply complete, reuse" => "ReadingHead", "leftover bytes are heard before the socket is read again";
    14: "Writing*", "sent n", "reply complete, no reuse" => "Lingering", "write side shut down";
    22: "Writing*", "sent n", "reply complete, the client asked to close and sent nothing more" => "Closed", "no reset can overtake the reply";
    15: "WritingBody", "sent n", "body remains" => "WritingBody", "";
    24: "WritingBody", "disk", "the file's next bytes are not in memory" => "WritingBody", "asleep until they are";
    16: "WritingBody", "file ended early", "body remains" => "Closed", "it shrank: the promised length cannot be kept";
    17: "Writing*", "deadline", "too few bytes moved" => "Closed", "stalled reader";
    18: "Writing*", "shutdown", "" => "same", "reuse is withdrawn";
    19: "Lingering", "bytes", "within its limit" => "Lingering", "thrown away";
    20: "Lingering", "end, deadline, too much" , "" => "Closed", "";
    21: "any", "socket error", "" => "Closed", "reason logged at debug";
};
