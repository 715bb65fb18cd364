//! The loop with a handler that sleeps, and a peer that hangs up.
#![expect(clippy::unwrap_used, reason = "a test may stop")]

use std::net::{Shutdown, TcpListener};

use mio::net::TcpStream;
use socket2::SockRef;

use super::*;

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

    fn source(&mut self) -> Option<&mut dyn mio::event::Source> {
        Some(&mut self.0)
    }

    fn drive(&mut self, cx: &mut Context<'_, Self>) -> Next {
        cx.shared.0 += 1;
        if cx.link.ready.is_gone() {
            return Next::Leave;
        }
        Next::Sleep(cx.now.tick.after(Duration::from_secs(3600)))
    }
}

#[test]
fn who_sleeps_is_woken_by_a_reset_and_by_nothing_less() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (ours, _) = listener.accept().unwrap();
    ours.set_nonblocking(true).unwrap();
    let mut turning = EventLoop::new(1, 0, Drives::default()).unwrap();
    let sleeper = Sleeper(TcpStream::from_std(ours));
    turning.add(sleeper, Next::Again(Deadline::Never)).unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    while !turning.slots[0].ready.has_ended() {
        turning.turn().unwrap();
    }
    turning.turn().unwrap();
    assert_eq!(turning.shared.0, 1, "who sends nothing more may still read");

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
