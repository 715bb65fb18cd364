//! The conversations of `fixtures/requests`, without sockets.
//!
//! A client's end of a connection whose transport is two buffers. The same code says what a case
//! expects here and for real sockets (`tests/it/http_requests.rs`). The transport promises what the
//! kernel promises, and no more: an edge whenever bytes come or room is made, and would-block only
//! where one will follow.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rustix::io::Errno;

use crate::event_loop::page_cache::Before;
use crate::event_loop::{Side, Transport};
use crate::oracles::reply;
use crate::server::connection::stand::{Held, Place, Stand};
use crate::server::connection::tests::conversations::cases::Case;
use crate::server::connection::tests::conversations::conversation::{
    Delivery, Peer, cuts, hold_all,
};
use crate::server::connection::tests::conversations::reply::{Ear, Reply, Source, Trouble};

#[path = "../../../../tests/it/support/cases.rs"]
mod cases;
#[path = "../../../../tests/it/support/conversation.rs"]
mod conversation;

/// So many bytes at each end of a case are sent one by one: every byte of a head, but not of the
/// longest bodies.
const HEAD_BYTES: usize = 10_000;

/// Of a long case only so many bytes at each end are cut between.
const SINGLE_BYTES: usize = 200;

/// What a stuttering kernel takes at a time, in turn: from a byte to a few lines.
const ROOMS: [usize; 8] = [1, 2, 3, 7, 40, 1, 251, 600];

/// How a transport behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Manner {
    /// It takes all it is given, and in the end the client hangs up.
    Smooth,
    /// It takes little, then would block until that is read; it is said to be readable before it
    /// is; and in the end the client is silent.
    Stutter,
}

#[test]
fn whole() {
    all_cases("whole", |_| vec![Delivery::Whole]);
}

#[test]
fn with_another_request_behind_it() {
    all_cases("with another", |_| vec![Delivery::WithAnother]);
}

#[test]
fn byte_by_byte() {
    all_cases("byte by byte", |_| vec![Delivery::ByByte(HEAD_BYTES)]);
}

#[test]
fn cut_at_every_position() {
    all_cases("cut anywhere", |case| cuts(case, SINGLE_BYTES));
}

fn all_cases(name: &str, ways: impl Fn(&Case) -> Vec<Delivery>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let stand = RefCell::new(Stand::over(&root.join("site"), &[]));
    for manner in [Manner::Smooth, Manner::Stutter] {
        let name = format!("without sockets, {manner:?}, {name}");
        hold_all(&name, &root.join("requests"), &ways, |case| {
            let actor = Actor::new(&stand, manner, &case.place);
            Ear::new(actor)
        });
    }
}

/// Two buffers in place of a socket.
struct Wire {
    /// What the client has sent and the server has not read.
    coming: Vec<u8>,
    /// Whether the client will send no more.
    ended: bool,
    /// What the server has sent and the client has not read.
    going: Vec<u8>,
    /// Whether the server has said that it will send no more.
    hung_up: bool,
    /// How many bytes the server may send until it would block.
    room: usize,
}

impl Wire {
    /// Makes room used.
    fn take(&mut self, bytes: usize) -> io::Result<usize> {
        if self.hung_up {
            return Err(Errno::PIPE.into());
        }
        if self.room == 0 {
            return Err(Errno::AGAIN.into());
        }
        let taken = bytes.min(self.room);
        self.room -= taken;
        Ok(taken)
    }
}

impl Transport for Wire {
    fn recv(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.coming.is_empty() && !self.ended {
            return Err(Errno::AGAIN.into());
        }
        // A short read proves the queue empty, so it may not be shorter than it must.
        let n = into.len().min(self.coming.len());
        into[..n].copy_from_slice(&self.coming[..n]);
        self.coming.drain(..n);
        Ok(n)
    }

    fn send(&mut self, bytes: &[u8], _more: bool) -> io::Result<usize> {
        let n = self.take(bytes.len())?;
        self.going.extend_from_slice(&bytes[..n]);
        Ok(n)
    }

    fn send_file(&mut self, file: &File, at: u64, count: usize) -> io::Result<usize> {
        let count = count.min(self.take(count)?);
        let mut piece = vec![0; count];
        let n = file.read_at(&mut piece, at)?;
        self.room += count - n;
        self.going.extend_from_slice(&piece[..n]);
        Ok(n)
    }

    fn has_in_memory(&self, _: &File, _: u64, _: usize, _: usize, _: Before) -> bool {
        true
    }

    fn shut_down_write(&mut self) -> io::Result<()> {
        self.hung_up = true;
        Ok(())
    }

    fn peer(&self) -> crate::event_loop::PeerAddress {
        crate::event_loop::PeerAddress::Unknown
    }

    fn unacknowledged(&self) -> Option<u32> {
        None
    }
}

/// The client's end of a wire, and the loop at the server's.
struct Actor<'a> {
    stand: &'a RefCell<Stand>,
    held: Held<Wire>,
    manner: Manner,
    /// The next of the [`ROOMS`].
    rooms: usize,
    /// Whether bytes reached a server that had closed, or were left unread by it: a real one would
    /// have reset the connection.
    reset: bool,
    drives: usize,
    /// Which case this is.
    place: String,
}

impl<'a> Actor<'a> {
    fn new(stand: &'a RefCell<Stand>, manner: Manner, place: &str) -> Self {
        let wire = Wire {
            coming: Vec::new(),
            ended: false,
            going: Vec::new(),
            hung_up: false,
            room: 0,
        };
        let held = stand.borrow().accept(wire);
        let mut actor = Self {
            stand,
            held,
            manner,
            rooms: 0,
            reset: false,
            drives: 0,
            place: place.to_owned(),
        };
        actor.make_room();
        actor
    }

    fn wire(&mut self) -> &mut Wire {
        self.held.connection.transport()
    }

    fn has_left(&self) -> bool {
        self.held.place == Place::Left
    }

    fn make_room(&mut self) {
        let room = match self.manner {
            Manner::Smooth => usize::MAX / 2,
            Manner::Stutter => ROOMS[self.rooms % ROOMS.len()],
        };
        self.rooms += 1;
        self.wire().room = room;
        self.held.ready.set(Side::Write);
    }

    /// Drives the connection once, if the loop would. `false`: it waits for the client, or is gone.
    fn go(&mut self) -> bool {
        match self.held.place {
            Place::Left => return false,
            Place::Queued | Place::Asleep => {}
            Place::Parked(side) => {
                // Whatever was sent has been read by now.
                if side != Side::Read && self.wire().room == 0 {
                    self.make_room();
                }
                if !self.held.ready.is(side) && !self.held.expired {
                    return false;
                }
            }
        }
        self.drives += 1;
        assert!(self.drives < 200_000, "{}: it spins", self.place);
        self.stand.borrow_mut().drive(&mut self.held, &self.place);
        if self.has_left() && !self.wire().coming.is_empty() {
            self.reset = true;
        }
        true
    }

    /// Lets the server do all it can.
    fn run_dry(&mut self) {
        while self.go() {}
    }
}

impl Source for Actor<'_> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Trouble> {
        loop {
            let wire = self.wire();
            if !wire.going.is_empty() {
                let n = into.len().min(wire.going.len());
                into[..n].copy_from_slice(&wire.going[..n]);
                wire.going.drain(..n);
                return Ok(n);
            }
            let hung_up = wire.hung_up;
            if self.go() {
                continue;
            }
            return if self.reset {
                Err(Trouble::Reset)
            } else if hung_up || self.has_left() {
                Ok(0)
            } else {
                Err(Trouble::Silence(String::new()))
            };
        }
    }
}

impl Peer for Ear<Actor<'_>> {
    fn send(&mut self, bytes: &[u8]) -> bool {
        let actor = self.source_mut();
        if actor.manner == Manner::Stutter {
            // mio: events may be spurious.
            actor.held.ready.set(Side::Read);
            actor.run_dry();
        }
        if actor.has_left() {
            actor.reset = true;
            return false;
        }
        actor.wire().coming.extend_from_slice(bytes);
        actor.held.ready.set(Side::Read);
        true
    }

    fn settle(&mut self) {
        self.source_mut().run_dry();
    }

    fn half_close(&mut self) {
        let actor = self.source_mut();
        actor.wire().ended = true;
        actor.held.ready.set_ended();
    }

    fn reply(&mut self, answers_head: bool) -> Result<Reply, Trouble> {
        Self::reply(self, answers_head)
    }

    fn rest(&mut self) -> Result<Vec<u8>, Trouble> {
        self.until_end()
    }

    fn leave(mut self) -> Result<(), String> {
        match self.source().manner {
            Manner::Smooth => self.half_close(),
            Manner::Stutter => {
                let actor = self.source_mut();
                actor.stand.borrow_mut().pass(&mut actor.held);
            }
        }
        let actor = self.source_mut();
        actor.run_dry();
        if actor.has_left() {
            Ok(())
        } else {
            Err(format!("the server keeps it: {:?}", actor.held.place))
        }
    }
}
