//! The replies of `idler get` on their way in, and what is done with each part of them.
//!
//! Invariants: an output is kept only when its reply is whole, and nothing that a server sent can
//! disturb the terminal.

use std::io::IsTerminal as _;
use std::rc::Rc;

use crate::cli::Options;
use crate::companions::client::{Failure, print};
use crate::companions::progress::Progress;
use crate::http::body::BodyLength;
use crate::http::reply::{Event, Reply, ReplyHead};
use crate::http::text::printable;
use crate::log::logger;

use super::LastReply;
use super::output::{BodyOutput, Half};

/// See the module.
#[derive(Debug)]
pub(super) struct Replies {
    options: Rc<Options>,
    reply: Reply,
    /// Replies that are still to come, the present one counted in.
    pub(super) left: u32,
    /// Whether the connection carries another reply once this one is whole.
    keeps_open: bool,
    /// Where the body goes, from the head to the end of a reply. It is kept only when the reply is
    /// whole.
    output: Option<BodyOutput>,
    half: Option<Half>,
    pub(super) body_bytes: u64,
    pub(super) progress: Option<Progress>,
    pub(super) last: LastReply,
}

impl Replies {
    pub(super) fn new(options: &Rc<Options>, half: Option<Half>) -> Self {
        let on_terminal = options.output.as_deref().is_none() && std::io::stdout().is_terminal();
        let draws = !(options.voice.quiet || is_verbose(options) || on_terminal);
        Self {
            options: Rc::clone(options),
            reply: Reply::new(options.head_only),
            left: options.requests(),
            keeps_open: true,
            output: None,
            half,
            body_bytes: 0,
            progress: draws.then(Progress::on_terminal).flatten(),
            last: LastReply::default(),
        }
    }

    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Failure> {
        while !bytes.is_empty() && self.left > 0 {
            let (used, event) = self.reply.feed(bytes).map_err(Failure::new)?;
            bytes = bytes.get(used..).unwrap_or_default();
            match event {
                Event::More | Event::Done => {}
                Event::Interim(head) => self.show_head(&head),
                Event::Head(head) => self.begin(&head)?,
                Event::Data(data) => {
                    self.body_bytes += data.len() as u64;
                    if let Some(output) = &mut self.output {
                        output.write(data)?;
                    }
                }
            }
            if self.reply.is_done() {
                self.finish()?;
            }
        }
        if !bytes.is_empty() && is_verbose(&self.options) {
            let extra = bytes.len();
            logger::say(&format!("* wrong: {extra} bytes came behind the reply"));
        }
        Ok(())
    }

    /// The server has ended its side.
    pub(super) fn end(&mut self) -> Result<(), Failure> {
        let all = self.options.requests();
        // Between two replies that is no reply cut short.
        if self.left == all || !self.reply.is_fresh() {
            if let Some(head) = self.reply.end().map_err(Failure::new)? {
                self.begin(&head)?;
            }
            self.finish()?;
        }
        if self.left > 0 {
            let done = all - self.left;
            return Err(Failure::new(format!(
                "the server closed the connection after {done} of {all} replies"
            )));
        }
        Ok(())
    }

    /// The head of a reply is whole.
    fn begin(&mut self, head: &ReplyHead) -> Result<(), Failure> {
        self.show_head(head);
        let redirects = matches!(head.status, 301 | 302 | 303 | 307 | 308);
        let location = head.field("location").filter(|_| redirects);
        let half = self.half.as_ref();
        let options = &*self.options;
        let output = if options.head_only || (options.follow && location.is_some()) {
            BodyOutput::Nowhere
        } else {
            BodyOutput::choose(options, half, head)?
        };
        if let Some(progress) = &mut self.progress {
            let before = match (&output, half) {
                (BodyOutput::InPlace { .. }, Some(half)) if head.status == 206 => half.bytes,
                _ => 0,
            };
            let total = match head.body {
                BodyLength::Bytes(n) => Some(before + n),
                BodyLength::None | BodyLength::Chunked | BodyLength::UntilClose => None,
            };
            progress.expect(total, before);
            self.body_bytes = before;
        }
        // A file that was whole already is no error.
        let was_whole = head.status == 416 && half.is_some();
        self.last = LastReply {
            status: if was_whole { 200 } else { head.status },
            location: location.map(str::to_owned),
        };
        if options.include_head || options.head_only {
            print(&head.raw)?;
        }
        self.output = Some(output);
        self.keeps_open = head.keeps_open();
        Ok(())
    }

    /// The reply is whole.
    fn finish(&mut self) -> Result<(), Failure> {
        if let Some(output) = self.output.take() {
            output.keep()?;
        }
        if is_verbose(&self.options) {
            for (name, value) in self.reply.trailers() {
                let (name, value) = (printable(name.as_bytes()), printable(value.as_bytes()));
                logger::say(&format!("< {name}: {value} (trailer)"));
            }
        }
        self.left -= 1;
        if self.left > 0 {
            if !self.keeps_open {
                let all = self.options.requests();
                let done = all - self.left;
                return Err(Failure::new(format!(
                    "the server ends the connection with reply {done} of {all}"
                )));
            }
            self.reply = Reply::new(self.options.head_only);
            self.body_bytes = 0;
        }
        Ok(())
    }

    fn show_head(&self, head: &ReplyHead) {
        if is_verbose(&self.options) {
            show('<', &head.raw);
            for odd in &head.odd {
                logger::say(&format!("* wrong: {odd}"));
            }
        }
    }
}

pub(super) fn is_verbose(options: &Options) -> bool {
    options.voice.verbose > 0
}

/// Shows a head, line by line, as it was sent or received, but for what could disturb the terminal.
pub(super) fn show(sign: char, head: &[u8]) {
    for line in head.split_inclusive(|b| *b == b'\n') {
        logger::say(&format!("{sign} {}", printable(line)));
    }
}
