//! A message and its answer, on the loop: the first lesson of every course on sockets.
//!
//! What lives here: the server's conversation and the client's ear. They may not know when a message is whole
//! (`protocol/message.rs`). Invariant: a client that says nothing, or a byte a minute, is let go in the end.
//! Read next: `protocol/message.rs`.

use std::process::ExitCode;
use std::rc::Rc;

use log::debug;
use mio::net::TcpStream;

use crate::cli::{MessageClientOptions, MessageServerOptions};
use crate::companions::message_text::{ANSWER, Message};
use crate::event_loop::{Attempt, Context, Deadline, Next, Side, Stage, Stream, Tick};
use crate::limits::{MESSAGE_QUIET, MESSAGE_TIMEOUT};

use crate::companions::client::{Exchange, Words, resolve};
use crate::companions::companion::{Farewell, Notices, Offer, Peer, Sent, send};
use crate::tools::handlers as solo;
use crate::tools::handlers::ClientTask;

/// Runs `idler message-server`, and returns its exit code.
pub fn serve(options: &MessageServerOptions) -> ExitCode {
    let answer = options.answer.clone();
    let offer = Offer::Message(Rc::new(Settings { answer }));
    solo::serve("message-server", options.voice, || {
        solo::doors(&options.listening, &offer)
    })
}

/// Runs `idler message-client`, and returns its exit code.
pub fn ask(options: &MessageClientOptions) -> ExitCode {
    solo::start_logger(options.voice);
    let addresses = resolve(&options.peer.host, options.peer.port);
    solo::exit_code(addresses.and_then(|addresses| {
        solo::at_first_of(&addresses, |to| {
            let (text, patience) = (options.text.clone(), options.timeout);
            let reply = Words::new(
                "reply is: ",
                "the server closed the connection without an answer",
            );
            let exchange = Exchange::start(to, text, reply, patience, None)?;
            Ok(ClientTask::Words(Box::new(exchange)))
        })
    }))
}

/// What the server was told.
#[derive(Debug)]
pub struct Settings {
    /// What it answers.
    pub answer: Vec<u8>,
}

impl Default for Settings {
    fn default() -> Self {
        let answer = ANSWER.as_bytes().to_vec();
        Self { answer }
    }
}

/// A client of the server.
#[derive(Debug)]
pub struct Conversation {
    stream: Stream,
    peer: Peer,
    settings: Rc<Settings>,
    state: State,
}

#[derive(Default, Debug)]
enum State {
    /// Until the message is whole, quiet, or too late altogether.
    Hearing {
        message: Message,
        end: Option<Tick>,
    },
    /// So many bytes of the answer have gone out.
    Answering(usize),
    Leaving(Farewell),
    #[default]
    Closed,
}

/// What a step leads to.
enum Step {
    Go(State),
    Wait(State, Next),
}

impl Conversation {
    /// A client that has just connected.
    pub fn new(stream: Stream, peer: Peer, settings: Rc<Settings>) -> Self {
        Self {
            stream,
            peer,
            settings,
            state: State::Hearing {
                message: Message::default(),
                end: None,
            },
        }
    }

    pub(crate) fn source(&mut self) -> &mut TcpStream {
        self.stream.transport()
    }

    /// Moves from state to state until it must wait. Each is left for good, so this ends.
    pub(crate) fn drive<S: Notices>(&mut self, cx: &mut Context<'_, S>) -> Next {
        loop {
            let step = match std::mem::take(&mut self.state) {
                State::Hearing { message, end } => self.hear(message, end, cx),
                State::Answering(sent) => self.answer(sent, cx),
                State::Leaving(mut farewell) => {
                    let next = farewell.drive(&mut self.stream, false, cx);
                    Step::Wait(State::Leaving(farewell), next)
                }
                State::Closed => Step::Wait(State::Closed, Next::Leave),
            };
            match step {
                Step::Go(state) => self.state = state,
                Step::Wait(state, next) => {
                    self.state = state;
                    return next;
                }
            }
        }
    }

    fn hear<S: Notices>(
        &mut self,
        mut message: Message,
        end: Option<Tick>,
        cx: &mut Context<'_, S>,
    ) -> Step {
        let end = end.unwrap_or_else(|| cx.now.tick.after(MESSAGE_TIMEOUT));
        let mut came = false;
        loop {
            match self.stream.read(&mut cx.link, cx.scratch) {
                Attempt::Done(0) if message.is_empty() => {
                    debug!("{} said nothing", cx.link.key);
                    return Step::Wait(State::Closed, Next::Leave);
                }
                Attempt::Done(0) => return self.heard(&message, cx),
                Attempt::Done(n) => {
                    came = true;
                    if message.hear(cx.scratch.get(..n).unwrap_or_default()) {
                        return self.heard(&message, cx);
                    }
                }
                Attempt::Blocked if cx.stage == Stage::Stopping && message.is_empty() => {
                    return Step::Wait(State::Closed, Next::Leave);
                }
                Attempt::Blocked if cx.expired && !came => {
                    return if message.is_empty() {
                        debug!("{} said nothing in time", cx.link.key);
                        Step::Wait(State::Closed, Next::Leave)
                    } else {
                        self.heard(&message, cx)
                    };
                }
                Attempt::Blocked => {
                    let deadline = if !came {
                        Deadline::Keep
                    } else if end.is_due(cx.now.tick) {
                        return self.heard(&message, cx);
                    } else {
                        Deadline::At(cx.now.tick.after(MESSAGE_QUIET))
                    };
                    let end = Some(end);
                    let state = State::Hearing { message, end };
                    return Step::Wait(state, Next::Park(Side::Read, deadline));
                }
                Attempt::Spent => {
                    let end = Some(end);
                    return Step::Wait(
                        State::Hearing { message, end },
                        Next::Again(Deadline::Keep),
                    );
                }
                Attempt::Failed(e) => {
                    debug!("{} is gone: {e}", cx.link.key);
                    return Step::Wait(State::Closed, Next::Leave);
                }
            }
        }
    }

    fn heard<S: Notices>(&self, message: &Message, cx: &mut Context<'_, S>) -> Step {
        let cut = if message.is_cut() { " (cut)" } else { "" };
        let line = format!("{} said: {}{cut}", self.peer, message.text());
        cx.shared.notice(&line);
        Step::Go(State::Answering(0))
    }

    fn answer<S: Notices>(&mut self, mut sent: usize, cx: &mut Context<'_, S>) -> Step {
        let answer = &self.settings.answer;
        let mut moved = sent == 0;
        while let Some(rest) = answer.get(sent..).filter(|rest| !rest.is_empty()) {
            match send(&mut self.stream, rest, false, moved, cx) {
                Sent::Some(n) => {
                    sent += n;
                    moved = true;
                }
                Sent::Wait(next) => return Step::Wait(State::Answering(sent), next),
                Sent::Over => return Step::Wait(State::Closed, Next::Leave),
            }
        }
        match Farewell::begin(&mut self.stream) {
            None => Step::Wait(State::Closed, Next::Leave),
            Some(mut farewell) => {
                let next = farewell.drive(&mut self.stream, true, cx);
                Step::Wait(State::Leaving(farewell), next)
            }
        }
    }
}
