//! Signals as bytes on a socket (a self-pipe), so that the loop waits for them like anything else.
//!
//! A signal is never lost, though several of one kind may be received as one.

use std::io::{self, Read as _};
use std::sync::Arc;

use mio::net::UnixStream;

use crate::event_loop::readiness::{Attempt, Link, Side};

/// From now on these signals do nothing: by default they would end the process.
pub fn tolerate(numbers: &[i32]) {
    for number in numbers {
        if let Err(e) = signal_hook::flag::register(*number, Arc::default()) {
            log::debug!("signal {number} is not caught: {e}");
        }
    }
}

/// One signal that the loop can wait for.
#[derive(Debug)]
pub struct Signal {
    pub(crate) number: i32,
    pub(crate) socket: UnixStream,
}

impl Signal {
    /// From now on the signal `number` (`signal_hook::consts`) no longer does what it does by
    /// default.
    ///
    /// # Errors
    /// If no socket pair can be had, or the signal cannot be caught.
    pub fn new(number: i32) -> io::Result<Self> {
        let (socket, sender) = std::os::unix::net::UnixStream::pair()?;
        socket.set_nonblocking(true)?;
        sender.set_nonblocking(true)?;
        signal_hook::low_level::pipe::register(number, sender)?;
        let socket = UnixStream::from_std(socket);
        Ok(Self { number, socket })
    }

    /// Whether the signal came since it was last asked. Reads until would-block or the budget is
    /// spent.
    pub fn came(&mut self, link: &mut Link) -> bool {
        let (mut came, mut bytes) = (false, [0; 64]);
        let mut read = || (&self.socket).read(&mut bytes);
        while let Attempt::Done(1..) = link.attempt(Side::Read, &mut read) {
            came = true;
        }
        came
    }
}
