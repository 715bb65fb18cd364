//! The loop, turned by hand, with handlers that do what their scripts say.
//!
//! Here is what `event_loop/mod.rs` promises to handlers, a test for each promise. A test waits for
//! an edge or a deadline, never for time to pass.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::io::Write as _;
use std::net::{Shutdown, TcpListener};

use mio::event::Source;
use mio::net::{TcpStream, UnixStream};
use socket2::SockRef;

use super::*;
use crate::event_loop::Side;

/// What a handler does when it is driven.
type Act = fn(&mut Context<'_, Seen>, &mut Newcomers<'_, Scripted>) -> Next;

/// A handler that takes one act of its script for each drive, and leaves after the last.
struct Scripted {
    name: char,
    socket: Socket,
    script: VecDeque<Act>,
    is_idle: bool,
    is_background: bool,
}

enum Socket {
    None,
    Pair(UnixStream),
    /// The kernel does not watch it.
    Unwatchable,
}

impl Source for Socket {
    fn register(&mut self, to: &mio::Registry, token: Token, all: Interest) -> io::Result<()> {
        match self {
            Self::None => Ok(()),
            Self::Pair(socket) => socket.register(to, token, all),
            Self::Unwatchable => Err(io::ErrorKind::StorageFull.into()),
        }
    }

    fn reregister(&mut self, _: &mio::Registry, _: Token, _: Interest) -> io::Result<()> {
        Err(io::Error::other("sockets are registered once"))
    }

    fn deregister(&mut self, _: &mio::Registry) -> io::Result<()> {
        Err(io::Error::other("closing does that"))
    }
}

/// What happened: the drives, in order, and the handlers dropped without having asked for it.
#[derive(Default)]
struct Seen {
    drives: Vec<Drive>,
    dropped: Vec<(char, Dropped)>,
    /// By when each handler that is to be woken has been, for certain.
    end: Tick,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Drive {
    name: char,
    key: Key,
    expired: bool,
    stage: Stage,
    room: usize,
    no_room: bool,
}

impl Seen {
    fn names(&self) -> String {
        self.drives.iter().map(|drive| drive.name).collect()
    }

    fn of(&self, name: char) -> Vec<Drive> {
        let drives = self.drives.iter();
        drives.filter(|d| d.name == name).copied().collect()
    }
}

impl Shared for Seen {
    fn turn_ends(&mut self, now: &Now) -> Option<Tick> {
        assert!(!self.end.is_due(now.tick), "no handler is woken");
        Some(self.end)
    }
}

impl Handler for Scripted {
    type Shared = Seen;

    fn source(&mut self) -> Option<&mut dyn Source> {
        match &mut self.socket {
            Socket::None => None,
            socket @ (Socket::Pair(_) | Socket::Unwatchable) => Some(socket),
        }
    }

    fn drive(&mut self, cx: &mut Context<'_, Seen>, new: &mut Newcomers<'_, Self>) -> Next {
        cx.shared.drives.push(Drive {
            name: self.name,
            key: cx.link.key,
            expired: cx.expired,
            stage: cx.stage,
            room: new.room,
            no_room: new.no_room,
        });
        self.script
            .pop_front()
            .map_or(Next::Leave, |act| act(cx, new))
    }

    fn is_background(&self) -> bool {
        self.is_background
    }

    fn may_be_dropped(&self) -> bool {
        self.is_idle
    }

    fn dropped(&mut self, why: Dropped, _: Key, _: &Now, shared: &mut Seen) {
        shared.dropped.push((self.name, why));
    }
}

fn handler(name: char, script: &[Act]) -> Scripted {
    Scripted {
        name,
        socket: Socket::None,
        script: script.iter().copied().collect(),
        is_idle: false,
        is_background: false,
    }
}

/// A handler with a socket, and what is on the other end of it.
fn with_socket(name: char, script: &[Act]) -> (Scripted, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut handler = handler(name, script);
    handler.socket = Socket::Pair(ours);
    (handler, theirs)
}

fn idle(name: char) -> Scripted {
    let mut handler = handler(name, &[]);
    handler.is_idle = true;
    handler
}

fn new_loop(capacity: usize, reserve: usize) -> EventLoop<Scripted> {
    let mut event_loop = EventLoop::<Scripted>::new(capacity, reserve, Seen::default()).unwrap();
    event_loop.shared.end = in_millis(&event_loop, 20_000);
    event_loop.shared_deadline = Some(event_loop.shared.end);
    event_loop
}

const QUEUED: Next = Next::Again(Deadline::Never);
const PARKED: Next = Next::Park(Side::Read, Deadline::Never);

fn again(_: &mut Context<'_, Seen>, _: &mut Newcomers<'_, Scripted>) -> Next {
    QUEUED
}

fn for_room(_: &mut Context<'_, Seen>, _: &mut Newcomers<'_, Scripted>) -> Next {
    Next::Room
}

/// Hears that there is nothing more to read, and parks.
fn park(cx: &mut Context<'_, Seen>, _: &mut Newcomers<'_, Scripted>) -> Next {
    let nothing = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
    let _ = cx.link.attempt(Side::Read, nothing);
    PARKED
}

fn in_millis(event_loop: &EventLoop<Scripted>, millis: u64) -> Tick {
    event_loop.now().tick.after(Duration::from_millis(millis))
}

#[test]
fn a_queued_handler_is_driven_once_a_turn_and_goes_to_the_back() {
    let mut event_loop = new_loop(3, 0);
    for (name, script) in [
        ('a', &[again as Act, again][..]),
        ('b', &[again]),
        ('c', &[]),
    ] {
        event_loop.add(handler(name, script), QUEUED).unwrap();
    }
    for names in ["abc", "abcab", "abcaba"] {
        event_loop.turn().unwrap();
        assert_eq!(event_loop.shared.names(), names);
    }
    assert_eq!(event_loop.foreground, 0);
}

#[test]
fn an_edge_wakes_only_a_handler_parked_on_its_side() {
    let mut event_loop = new_loop(2, 0);
    // Both become writable at once, which neither of them waits for.
    let (a, mut to_a) = with_socket('a', &[]);
    let (b, _to_b) = with_socket('b', &[]);
    event_loop.add(a, PARKED).unwrap();
    event_loop.add(b, PARKED).unwrap();
    event_loop.turn().unwrap();
    assert_eq!(event_loop.shared.names(), "");
    to_a.write_all(b"x").unwrap();
    event_loop.turn().unwrap();
    assert_eq!(event_loop.shared.names(), "a");
}

/// The bit was set before the handler waited for it: no edge is to come, so the handler must not be
/// left waiting.
#[test]
fn a_set_bit_is_remembered_until_a_handler_wants_it() {
    let mut event_loop = new_loop(2, 0);
    let (a, _to_a) = with_socket(
        'a',
        &[again, |cx, _| {
            assert!(cx.link.ready.is(Side::Write));
            Next::Leave
        }],
    );
    event_loop.add(a, QUEUED).unwrap();
    for _ in 0..2 {
        event_loop.turn().unwrap();
    }
    assert_eq!(event_loop.shared.names(), "aa");
}

#[test]
fn hanging_up_is_an_edge_that_makes_reading_worth_it() {
    let mut event_loop = new_loop(1, 0);
    let (a, to_a) = with_socket(
        'a',
        &[|cx, _| {
            assert_eq!(format!("{:?}", cx.link.ready), "read+write+ended+gone");
            Next::Leave
        }],
    );
    event_loop.add(a, PARKED).unwrap();
    drop(to_a);
    event_loop.turn().unwrap();
    assert_eq!(event_loop.shared.names(), "a");
}

#[test]
fn a_deadline_passes_once() {
    let mut event_loop = new_loop(2, 0);
    // It keeps a deadline that has passed, which is none.
    let keep: Act = |_, _| Next::Again(Deadline::Keep);
    let wait: Act = |_, _| Next::Park(Side::Read, Deadline::Keep);
    let soon = in_millis(&event_loop, 1);
    event_loop
        .add(handler('a', &[keep, wait]), Next::Sleep(soon))
        .unwrap();
    while event_loop.shared.of('a').len() < 2 {
        event_loop.turn().unwrap();
    }
    // Only now does the other deadline begin, so that both cannot pass in one turn of a busy
    // machine.
    let later = in_millis(&event_loop, 5);
    event_loop
        .add(handler('b', &[]), Next::Sleep(later))
        .unwrap();
    while event_loop.shared.of('b').is_empty() {
        event_loop.turn().unwrap();
    }
    assert_eq!(event_loop.shared.names(), "aab");
    let told = event_loop.shared.drives.iter().map(|drive| drive.expired);
    assert_eq!(told.collect::<Vec<_>>(), [true, false, true]);
}

#[test]
fn a_deadline_that_moved_is_the_one_that_counts() {
    let mut event_loop = new_loop(2, 0);
    let later: Act = |cx, _| {
        let tick = cx.now.tick.after(Duration::from_millis(5));
        Next::Park(Side::Read, Deadline::At(tick))
    };
    let sooner: Act = |cx, _| Next::Sleep(cx.now.tick.after(Duration::from_millis(1)));
    let leave: Act = |cx, _| {
        assert!(cx.deadline.is_due(cx.now.tick), "early");
        Next::Leave
    };
    let soon = Deadline::At(in_millis(&event_loop, 1));
    event_loop
        .add(handler('l', &[later, leave]), Next::Again(soon))
        .unwrap();
    let far = Deadline::At(in_millis(&event_loop, 1_000_000));
    event_loop
        .add(handler('s', &[sooner, leave]), Next::Again(far))
        .unwrap();
    event_loop.run().unwrap();
    for name in ['l', 's'] {
        let told: Vec<bool> = event_loop
            .shared
            .of(name)
            .iter()
            .map(|d| d.expired)
            .collect();
        assert_eq!(told, [false, true], "{name}");
    }
}

#[test]
fn every_handler_is_driven_once_for_a_stage_newcomers_included() {
    let mut event_loop = new_loop(5, 0);
    let stop: Act = |cx, new| {
        new.admit(handler('n', &[park]), PARKED);
        cx.advance_to(Stage::Stopping);
        cx.advance_to(Stage::Draining); // there is no way back
        PARKED
    };
    let admit: Act = |_, new| {
        new.admit(handler('m', &[park]), PARKED);
        PARKED
    };
    event_loop
        .add(handler('s', &[stop, admit]), QUEUED)
        .unwrap();
    event_loop.add(handler('p', &[park]), PARKED).unwrap();
    // Asleep, it learns of it as well; then it ends the test.
    let sleep: Act = |cx, _| Next::Sleep(cx.now.tick.after(Duration::from_millis(5)));
    let quit: Act = |cx, _| {
        cx.quit();
        Next::Leave
    };
    let far = in_millis(&event_loop, 1_000_000);
    event_loop
        .add(handler('z', &[sleep, quit]), Next::Sleep(far))
        .unwrap();
    event_loop.run().unwrap();
    for (name, drives) in [('s', 2), ('p', 1), ('n', 1), ('m', 1), ('z', 2)] {
        let seen = event_loop.shared.of(name);
        assert_eq!(seen.len(), drives, "{name}");
        assert_eq!(seen[drives - 1].stage, Stage::Stopping, "{name}");
    }
    assert!(
        !event_loop.shared.of('z')[0].expired,
        "woken before its time"
    );
}

#[test]
fn a_key_changes_its_owner_only_between_turns() {
    let mut event_loop = new_loop(2, 0);
    let leave_an_heir: Act = |_, new| {
        new.admit(handler('b', &[]), QUEUED);
        Next::Leave
    };
    event_loop
        .add(handler('a', &[leave_an_heir]), QUEUED)
        .unwrap();
    event_loop.run().unwrap();
    assert_eq!(event_loop.shared.names(), "ab");
    assert_ne!(
        event_loop.shared.of('a')[0].key,
        event_loop.shared.of('b')[0].key
    );
}

#[test]
fn the_idle_handler_nearest_to_its_deadline_makes_room() {
    let mut event_loop = new_loop(4, 0);
    for (name, millis) in [('x', 30_000), ('y', 20_000), ('z', 40_000)] {
        let next = Next::Park(Side::Read, Deadline::At(in_millis(&event_loop, millis)));
        event_loop.add(idle(name), next).unwrap();
    }
    event_loop.add(handler('d', &[for_room]), QUEUED).unwrap();
    for _ in 0..2 {
        event_loop.turn().unwrap();
    }
    assert_eq!(event_loop.shared.dropped, [('y', Dropped::ForRoom)]);
    let answer = event_loop.shared.of('d')[1];
    assert_eq!((answer.room, answer.no_room), (1, false));
}

#[test]
fn without_an_idle_handler_the_answer_is_no_room() {
    let mut event_loop = new_loop(2, 0);
    event_loop.add(handler('x', &[]), PARKED).unwrap();
    event_loop.add(handler('d', &[for_room]), QUEUED).unwrap();
    for _ in 0..2 {
        event_loop.turn().unwrap();
    }
    assert_eq!(event_loop.shared.dropped, []);
    let answer = event_loop.shared.of('d')[1];
    assert_eq!((answer.room, answer.no_room), (0, true));
}

/// Something else than slots has run out, so that a free one is no answer.
#[test]
fn an_eviction_that_is_required_happens_though_there_is_room() {
    let mut event_loop = new_loop(9, 0);
    event_loop.add(idle('x'), PARKED).unwrap();
    let evict: Act = |cx, _| {
        cx.require_eviction();
        Next::Room
    };
    event_loop
        .add(handler('d', &[evict, for_room]), QUEUED)
        .unwrap();
    for _ in 0..3 {
        event_loop.turn().unwrap();
    }
    assert_eq!(event_loop.shared.dropped, [('x', Dropped::ForRoom)]);
    let answers: Vec<bool> = event_loop
        .shared
        .of('d')
        .iter()
        .map(|d| d.no_room)
        .collect();
    assert_eq!(
        answers,
        [false, false, false],
        "the second time it just has room"
    );
}

#[test]
fn a_slot_in_reserve_takes_no_room() {
    let mut event_loop = new_loop(1, 1);
    let admit_two: Act = |_, new| {
        assert_eq!((new.room, new.spare), (0, 1));
        new.admit(handler('s', &[again]), QUEUED);
        assert_eq!((new.room, new.spare), (0, 0));
        new.admit(handler('t', &[]), QUEUED);
        QUEUED
    };
    let look: Act = |_, new| {
        assert_eq!((new.room, new.spare), (0, 0), "one slot in reserve, taken");
        QUEUED
    };
    let look_again: Act = |_, new| {
        assert_eq!((new.room, new.spare), (0, 1), "and free again");
        Next::Leave
    };
    let script = [admit_two, look, again, look_again];
    event_loop.add(handler('d', &script), QUEUED).unwrap();
    event_loop.run().unwrap();
    assert_eq!(event_loop.shared.names(), "ddsdsd");
    assert_eq!(
        event_loop.shared.dropped,
        [('t', Dropped::Unwatched)],
        "beyond the last slot"
    );
    assert_eq!(event_loop.reserve_taken, 0);
}

#[test]
fn a_handler_that_the_kernel_does_not_watch_takes_no_slot() {
    let mut event_loop = new_loop(2, 0);
    let admit: Act = |_, new| {
        let mut unwatchable = handler('u', &[]);
        unwatchable.socket = Socket::Unwatchable;
        new.admit(unwatchable, PARKED);
        QUEUED
    };
    event_loop.add(handler('d', &[admit]), QUEUED).unwrap();
    event_loop.run().unwrap();
    assert_eq!(event_loop.shared.names(), "dd");
    assert_eq!(event_loop.shared.dropped, [('u', Dropped::Unwatched)]);
    assert_eq!(event_loop.shared.of('d')[1].room, 1, "none was added");
}

#[test]
fn it_ends_with_the_last_in_the_foreground_or_when_told_to() {
    let mut event_loop = new_loop(3, 0);
    let mut behind = handler('b', &[]);
    behind.is_background = true;
    event_loop.add(behind, PARKED).unwrap();
    event_loop.add(handler('a', &[]), QUEUED).unwrap();
    assert_eq!(event_loop.run().unwrap(), 0);
    let quit: Act = |cx, _| {
        cx.quit();
        QUEUED
    };
    event_loop.add(handler('q', &[quit]), QUEUED).unwrap();
    event_loop.add(handler('p', &[]), PARKED).unwrap();
    assert_eq!(event_loop.run().unwrap(), 2, "the handlers still there");
    assert_eq!(event_loop.shared.names(), "aq");
}

#[test]
fn what_is_shared_gets_the_turn_it_wants() {
    let mut event_loop = new_loop(1, 0);
    event_loop.add(handler('p', &[]), PARKED).unwrap();
    let now = event_loop.now().tick;
    event_loop.shared_deadline = Some(in_millis(&event_loop, 1));
    event_loop.turn().unwrap();
    assert_ne!(event_loop.now().tick, now);
    assert_eq!(event_loop.shared.names(), "");
}

/// Sleeps for an hour, whatever happens, unless its peer is gone.
struct Sleeper(TcpStream);

/// How often it was driven.
#[derive(Default)]
struct Drives(usize);

impl Shared for Drives {
    /// No turn of these tests waits for longer.
    fn turn_ends(&mut self, now: &Now) -> Option<Tick> {
        Some(now.tick.after(Duration::from_millis(20)))
    }
}

impl Handler for Sleeper {
    type Shared = Drives;

    fn source(&mut self) -> Option<&mut dyn Source> {
        Some(&mut self.0)
    }

    fn drive(&mut self, cx: &mut Context<'_, Drives>, _: &mut Newcomers<'_, Self>) -> Next {
        cx.shared.0 += 1;
        if cx.link.ready.is_gone() {
            return Next::Leave;
        }
        Next::Sleep(cx.now.tick.after(Duration::from_secs(3600)))
    }
}

#[test]
fn a_sleeping_handler_is_woken_by_a_reset_and_by_nothing_less() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (ours, _) = listener.accept().unwrap();
    ours.set_nonblocking(true).unwrap();
    let mut turning = EventLoop::new(1, 0, Drives::default()).unwrap();
    let sleeper = Sleeper(TcpStream::from_std(ours));
    turning.add(sleeper, Next::Again(Deadline::Never)).unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    while !format!("{:?}", turning.slots[0].ready).contains("ended") {
        turning.turn().unwrap();
    }
    turning.turn().unwrap();
    assert_eq!(
        turning.shared.0, 1,
        "a peer that sends nothing more may still read"
    );

    SockRef::from(&peer)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(peer);
    while !turning.slots.get(0).is_none_or(|slot| slot.ready.is_gone()) {
        turning.turn().unwrap();
    }
    turning.turn().unwrap();
    assert_eq!((turning.shared.0, turning.foreground), (2, 0));
}
