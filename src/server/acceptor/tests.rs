//! Every error that accept can give, at every place of every short script.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may stop at the first surprise"
)]

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::*;
use crate::event_loop::readiness::Readiness;
use crate::event_loop::{Control, Key, Link, Newcomers};
use crate::limits::{ACCEPT_FAILURES_MAX, CALL_COST_BYTES, DRIVE_BYTES_MAX};
use crate::server::connection::stand::Stand;

/// The answer to one call of accept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Letter {
    Newcomer,
    Error(i32),
}

/// A queue of connections whose every call is answered by the next letter; after the last one it is empty.
struct Scripted {
    script: RefCell<VecDeque<Letter>>,
    /// What is said when the script is over.
    rest: i32,
    anybody: bool,
    calls: Cell<usize>,
    socket: UnixStream,
}

impl Accept for Scripted {
    fn accept(&self) -> io::Result<OwnedFd> {
        self.calls.set(self.calls.get() + 1);
        match self.script.borrow_mut().pop_front() {
            Some(Letter::Newcomer) => Ok(self.socket.try_clone()?.into()),
            Some(Letter::Error(number)) => Err(io::Error::from_raw_os_error(number)),
            None => Err(io::Error::from_raw_os_error(self.rest)),
        }
    }

    fn is_anybody_there(&self) -> bool {
        self.anybody
    }
}

/// A door, what the loop knows of it, and what it has seen.
struct Played {
    door: Acceptor<Scripted>,
    ready: Readiness,
    no_room: bool,
    newcomers: usize,
}

impl Played {
    fn new(script: &[Letter], rest: i32) -> Self {
        let (socket, _) = UnixStream::pair().unwrap();
        let scripted = Scripted {
            script: RefCell::new(script.iter().copied().collect()),
            rest,
            anybody: true,
            calls: Cell::new(0),
            socket,
        };
        Self {
            door: Acceptor::new(Listener::over(scripted), false),
            ready: Readiness::NONE,
            no_room: false,
            newcomers: 0,
        }
    }

    /// One drive, after which the door must be where the loop cannot lose it.
    fn drive(&mut self, stand: &mut Stand, stage: Stage) -> Next {
        stand.now.turn += 1;
        let mut newcomers = Vec::new();
        let mut control = Control {
            stage,
            announce: false,
            crowded: false,
            quit: false,
        };
        let mut scratch = [0; 64];
        let before = self.door.source().calls.get();
        let mut cx = Context {
            link: Link::new(Key::for_test(0), self.ready, DRIVE_BYTES_MAX),
            now: stand.now,
            expired: false,
            deadline: stand.now.tick,
            stage,
            scratch: &mut scratch,
            shared: &mut stand.house,
            control: &mut control,
        };
        let mut new = Newcomers {
            room: 100,
            spare: 0,
            no_room: self.no_room,
            admitted: &mut newcomers,
        };
        let next = self.door.drive(&mut cx, &mut new);
        self.ready = cx.link.ready;
        self.newcomers += newcomers.len();
        self.no_room = next == Next::Room;
        let calls = self.door.source().calls.get() - before;
        assert!(calls <= DRIVE_BYTES_MAX / CALL_COST_BYTES, "{calls} calls");
        match next {
            Next::Park(side, _) => assert!(side == Side::Read && !self.ready.is(side)),
            Next::Sleep(tick) => assert!(!tick.is_due(stand.now.tick), "asleep for no time"),
            Next::Again(_) | Next::Room | Next::Leave => {}
        }
        next
    }
}

const AGAIN: i32 = Errno::AGAIN.raw_os_error();

/// Everything that Linux calls an error, and some that it does not yet.
fn all_errors() -> impl Iterator<Item = i32> {
    1..=140
}

/// Those after which the socket is of no use any more: EBADF, EFAULT, EINVAL, ENOTSOCK.
const BROKEN: [i32; 4] = [9, 14, 22, 88];

#[test]
fn after_every_short_script_the_door_is_open_or_has_said_that_it_is_broken() {
    let mut stand = Stand::new("door", &[]);
    for number in all_errors() {
        let letters = [
            Letter::Newcomer,
            Letter::Error(AGAIN),
            Letter::Error(number),
        ];
        for length in 0..=6 {
            for code in 0..3_usize.pow(length) {
                let script: Vec<Letter> = (0..length)
                    .map(|at| letters[code / 3_usize.pow(at) % 3])
                    .collect();
                let mut played = Played::new(&script, AGAIN);
                let mut left = false;
                // Each drive uses up a letter at least, unless it answers a wish for room.
                for _ in 0..20 {
                    match played.drive(&mut stand, Stage::Running) {
                        Next::Park(..) => played.ready.set(Side::Read),
                        Next::Sleep(tick) => stand.now.tick = tick,
                        Next::Again(_) | Next::Room => {}
                        Next::Leave => {
                            left = true;
                            break;
                        }
                    }
                }
                let rest = played.door.source().script.borrow().len();
                let breaks = BROKEN.contains(&number) && script.contains(&Letter::Error(number));
                assert_eq!(left, breaks, "{script:?}");
                assert!(left || rest == 0, "{script:?}: {rest} not heard");
            }
        }
    }
}

#[test]
fn an_error_that_never_ends_neither_spins_nor_floods_the_log() {
    let mut stand = Stand::new("door-for-ever", &[]);
    for number in all_errors().filter(|n| !BROKEN.contains(n)) {
        let mut played = Played::new(&[], number);
        let begin = stand.now.tick;
        let mut drives = 0;
        // Ten seconds.
        while stand.now.tick.since(begin) < Duration::from_secs(10) {
            drives += 1;
            assert!(drives < 500, "error {number}: it spins");
            if !played.ready.is(Side::Read) {
                played.ready.set(Side::Read);
            }
            stand.now.tick = match played.drive(&mut stand, Stage::Running) {
                // Nobody is there: nothing happens until somebody comes.
                Next::Park(..) => stand.now.tick.after(Duration::from_secs(1)),
                Next::Sleep(tick) => tick,
                // What a signal interrupts for ever is not given up; it is not accept(2) that says so.
                Next::Again(_) if number == 4 => stand.now.tick.after(Duration::from_secs(1)),
                Next::Again(_) | Next::Room => stand.now.tick,
                Next::Leave => panic!("error {number}: it left"),
            };
        }
        let calls = played.door.source().calls.get();
        assert!(calls < 120 * ACCEPT_FAILURES_MAX, "error {number}: {calls}");
        // And then it is as it was.
        played.door.source().rest = AGAIN;
        let script = VecDeque::from([Letter::Newcomer; 3]);
        *played.door.source().script.borrow_mut() = script;
        played.ready.set(Side::Read);
        while !matches!(
            played.drive(&mut stand, Stage::Running),
            Next::Park(Side::Read, _)
        ) {}
        assert_eq!(played.newcomers, 3, "error {number}");
    }
}

#[test]
fn a_door_that_is_told_to_stop_does_not_wait_for_better_times() {
    let mut stand = Stand::new("door-stops", &[]);
    for number in all_errors().filter(|n| *n != 4) {
        let mut played = Played::new(&[], number);
        played.ready.set(Side::Read);
        let next = played.drive(&mut stand, Stage::Stopping);
        assert_eq!(next, Next::Leave, "error {number}");
    }
}

#[test]
fn a_broken_socket_is_a_failure_of_the_program() {
    let mut stand = Stand::new("door-broken", &[]);
    let mut played = Played::new(&[], BROKEN[2]);
    played.ready.set(Side::Read);
    assert_eq!(played.drive(&mut stand, Stage::Running), Next::Leave);
    assert!(stand.house.failed);
}
