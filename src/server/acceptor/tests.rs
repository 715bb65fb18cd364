//! Every error that accept can give, at every place of every short script.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may stop at the first surprise"
)]

use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::*;
use crate::event_loop::listener::script::{Answer, plan, progress};
use crate::event_loop::readiness::Readiness;
use crate::event_loop::{Control, Key, Link, Newcomers};
use crate::limits::{ACCEPT_FAILURES_MAX, CALL_COST_BYTES, DRIVE_BYTES_MAX};
use crate::server::Service;
use crate::server::connection::stand::Stand;

/// An acceptor, what the loop knows of it, and what it has seen.
struct Played {
    acceptor: Acceptor,
    ready: Readiness,
    no_room: bool,
    newcomers: usize,
}

impl Played {
    /// An acceptor whose calls of accept(2) have these answers, and then `rest` for ever.
    fn new(answers: &[Answer], rest: i32) -> Self {
        plan(answers, rest);
        let (socket, _) = UnixStream::pair().unwrap();
        Self {
            acceptor: Acceptor::new(Listener::new(socket.into()).unwrap(), None, false),
            ready: Readiness::NONE,
            no_room: false,
            newcomers: 0,
        }
    }

    /// One drive, after which the acceptor must be where the loop cannot lose it.
    fn drive(&mut self, stand: &mut Stand, stage: Stage) -> Next {
        stand.now.turn += 1;
        let mut newcomers: Vec<(Service, Next, bool)> = Vec::new();
        let mut control = Control {
            stage,
            ..Control::default()
        };
        let mut scratch = [0; 64];
        let (before, _) = progress();
        let mut cx = Context {
            link: Link::new(Key::for_test(0), self.ready, DRIVE_BYTES_MAX),
            now: stand.now,
            expired: false,
            deadline: stand.now.tick,
            stage,
            scratch: &mut scratch,
            shared: &mut stand.server,
            control: &mut control,
        };
        let mut new = Newcomers {
            room: 100,
            spare: 0,
            no_room: self.no_room,
            admitted: &mut newcomers,
        };
        let next = self.acceptor.drive(&mut cx, &mut new);
        self.ready = cx.link.ready;
        self.newcomers += newcomers.len();
        self.no_room = next == Next::Room;
        let calls = progress().0 - before;
        assert!(calls <= DRIVE_BYTES_MAX / CALL_COST_BYTES, "{calls} calls");
        match next {
            Next::Park(side, _) => assert!(side == Side::Read && !self.ready.is(side)),
            Next::Sleep(tick) => assert!(!tick.is_due(stand.now.tick), "asleep for no time"),
            Next::Again(_) | Next::Room | Next::Leave => {}
        }
        next
    }
}

const NEWCOMER: Answer = None;

const AGAIN: i32 = Errno::AGAIN.raw_os_error();

/// Everything that Linux calls an error, and some that it does not yet.
fn all_errors() -> impl Iterator<Item = i32> {
    1..=140
}

/// Those after which the socket is of no use any more: EBADF, EFAULT, EINVAL, ENOTSOCK.
const BROKEN: [i32; 4] = [9, 14, 22, 88];

#[test]
fn after_every_short_script_it_accepts_or_has_said_that_it_is_broken() {
    let mut stand = Stand::new("acceptor", &[]);
    for number in all_errors() {
        let letters = [NEWCOMER, Some(AGAIN), Some(number)];
        for length in 0..=6 {
            for code in 0..3_usize.pow(length) {
                let script: Vec<Answer> = (0..length)
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
                let (_, rest) = progress();
                let breaks = BROKEN.contains(&number) && script.contains(&Some(number));
                assert_eq!(left, breaks, "{script:?}");
                assert!(left || rest == 0, "{script:?}: {rest} answers left");
            }
        }
    }
}

#[test]
fn an_error_that_never_ends_neither_spins_nor_floods_the_log() {
    let mut stand = Stand::new("acceptor-for-ever", &[]);
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
                // No connection waits: nothing happens until one comes.
                Next::Park(..) => stand.now.tick.after(Duration::from_secs(1)),
                Next::Sleep(tick) => tick,
                // What a signal interrupts for ever is not given up; it is not accept(2) that says
                // so.
                Next::Again(_) if number == 4 => stand.now.tick.after(Duration::from_secs(1)),
                Next::Again(_) | Next::Room => stand.now.tick,
                Next::Leave => panic!("error {number}: it left"),
            };
        }
        let (calls, _) = progress();
        assert!(calls < 120 * ACCEPT_FAILURES_MAX, "error {number}: {calls}");
        // And then it is as it was.
        plan(&[NEWCOMER; 3], AGAIN);
        played.ready.set(Side::Read);
        while !matches!(
            played.drive(&mut stand, Stage::Running),
            Next::Park(Side::Read, _)
        ) {}
        assert_eq!(played.newcomers, 3, "error {number}");
    }
}

#[test]
fn an_acceptor_that_is_told_to_stop_does_not_wait_for_better_times() {
    let mut stand = Stand::new("acceptor-stops", &[]);
    for number in all_errors().filter(|n| *n != 4) {
        let mut played = Played::new(&[], number);
        played.ready.set(Side::Read);
        let next = played.drive(&mut stand, Stage::Stopping);
        assert_eq!(next, Next::Leave, "error {number}");
    }
}

#[test]
fn a_broken_socket_is_a_failure_of_the_program() {
    let mut stand = Stand::new("acceptor-broken", &[]);
    let mut played = Played::new(&[], BROKEN[2]);
    played.ready.set(Side::Read);
    assert_eq!(played.drive(&mut stand, Stage::Running), Next::Leave);
    assert!(stand.server.failed);
}
