//! The replies of `idler get` on their way in.
//!
//! What lives here: what is done with each part of a reply. It may not know the socket, nor how a reply is taken apart
//! (`protocol/http/client/`). Invariant: the output is kept only when its reply is whole.
//! Read next: `output.rs`.

use std::cell::RefCell;
use std::path::PathBuf;

use crate::http::printable::printable;
use crate::http::reply::{Event, Framing, Head, Reply};

use super::Answer;
use crate::companions::client::{Failure, print};
use crate::companions::progress::Progress;
use crate::log::logger;
use crate::tools::get::output::{Half, Output};
use crate::tools::get::record::show;

/// What is still to be heard.
#[derive(Debug)]
pub(super) struct Hearing {
    pub(super) reply: Reply,
    /// Replies that are still to come, the present one counted in.
    pub(super) left: u32,
    pub(super) all: u32,
    pub(super) to_head: bool,
    pub(super) head: Option<Head>,
    pub(super) output: Option<Output>,
    pub(super) name: Option<PathBuf>,
    pub(super) resume: bool,
    pub(super) follow: bool,
    pub(super) half: Option<Half>,
    pub(super) include: bool,
    pub(super) verbose: bool,
    pub(super) body_bytes: u64,
    pub(super) progress: Option<Progress>,
}

impl Hearing {
    pub(super) fn hear(
        &mut self,
        mut bytes: &[u8],
        answer: &RefCell<Answer>,
    ) -> Result<(), Failure> {
        while !bytes.is_empty() && self.left > 0 {
            let (used, event) = self.reply.hear(bytes).map_err(Failure::new)?;
            bytes = bytes.get(used..).unwrap_or_default();
            match event {
                Event::More | Event::Done => {}
                Event::Interim(head) => self.show_head(&head),
                Event::Head(head) => self.begin(head, answer)?,
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
        if !bytes.is_empty() && self.verbose {
            logger::say(&format!(
                "* wrong: {} bytes came behind the reply",
                bytes.len()
            ));
        }
        Ok(())
    }

    /// The server has ended its side.
    pub(super) fn end(&mut self, answer: &RefCell<Answer>) -> Result<(), Failure> {
        if self.left < self.all && self.reply.is_fresh() {
            let (done, all) = (self.all - self.left, self.all);
            return Err(Failure::new(format!(
                "the server closed the connection after {done} of {all} replies"
            )));
        }
        if let Some(head) = self.reply.end().map_err(Failure::new)? {
            self.begin(head, answer)?;
        }
        self.finish()?;
        if self.left > 0 {
            let (done, all) = (self.all - self.left, self.all);
            return Err(Failure::new(format!(
                "the server closed the connection after {done} of {all} replies"
            )));
        }
        Ok(())
    }

    fn begin(&mut self, head: Head, answer: &RefCell<Answer>) -> Result<(), Failure> {
        self.show_head(&head);
        let redirects = matches!(head.status, 301 | 302 | 303 | 307 | 308);
        let location = head.field("location").filter(|_| redirects);
        let output = if self.to_head || (self.follow && location.is_some()) {
            Output::Nowhere
        } else {
            Output::choose(self.name.as_deref(), self.resume, self.half.as_ref(), &head)?
        };
        if let Some(progress) = &mut self.progress {
            let before = output.before();
            let total = match head.framing {
                Framing::Length(n) => Some(before + n),
                Framing::None | Framing::Chunked | Framing::UntilClose => None,
            };
            progress.expect(total, before);
            self.body_bytes = before;
        }
        {
            let mut answer = answer.borrow_mut();
            // A file that was whole already is no error.
            let whole = head.status == 416 && self.half.is_some();
            answer.status = if whole { 200 } else { head.status };
            answer.location = location.map(str::to_owned);
        }
        if self.include {
            print(&head.raw)?;
        }
        self.output = Some(output);
        self.head = Some(head);
        Ok(())
    }

    /// The reply is whole.
    fn finish(&mut self) -> Result<(), Failure> {
        if let Some(output) = self.output.take() {
            output.keep()?;
        }
        if self.verbose {
            for (name, value) in self.reply.trailers() {
                let (name, value) = (printable(name.as_bytes()), printable(value.as_bytes()));
                logger::say(&format!("< {name}: {value} (trailer)"));
            }
        }
        self.left -= 1;
        let keeps_open = self.head.take().is_none_or(|head| head.keeps_open());
        if self.left > 0 && !keeps_open {
            let (done, all) = (self.all - self.left, self.all);
            return Err(Failure::new(format!(
                "the server ends the connection with reply {done} of {all}"
            )));
        }
        if self.left > 0 {
            self.reply = Reply::new(self.to_head);
            self.body_bytes = 0;
        }
        Ok(())
    }

    fn show_head(&mut self, head: &Head) {
        if !self.verbose {
            return;
        }
        show("<", &head.raw);
        for oddity in &head.odd {
            logger::say(&format!("* wrong: {oddity}"));
        }
    }
}
