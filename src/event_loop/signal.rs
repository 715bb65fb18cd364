//! Signals as bytes on a socket (a self-pipe), so that the loop waits for them like anything else.
//!
//! A signal is never lost, though several of one kind may be received as one.

use std::io;
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
    number: i32,
    socket: UnixStream,
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
        Ok(Self {
            number,
            socket: UnixStream::from_std(socket),
        })
    }

    /// Which signal.
    pub fn number(&self) -> i32 {
        self.number
    }

    /// The socket, for registering it.
    pub fn source(&mut self) -> &mut UnixStream {
        &mut self.socket
    }

    /// Whether the signal came since it was last asked. Reads until would-block or the budget is
    /// spent.
    pub fn came(&mut self, link: &mut Link) -> bool {
        let mut came = false;
        let mut bytes = [0; 64];
        while let Attempt::Done(n) = link.attempt(Side::Read, || {
            let (n, _) = rustix::net::recv(
                &self.socket,
                &mut bytes[..],
                rustix::net::RecvFlags::empty(),
            )?;
            Ok(n)
        }) {
            if n == 0 {
                break;
            }
            came = true;
        }
        came
    }
}
