//! The conversations of `fixtures/requests`, over real sockets, each in several ways with one outcome.
//!
//! What lives here: a client's end of a connection to the built program. It may not know what a case expects: `support/conversation.rs`
//! does. Invariant: before the second part of a request is sent, the server has seen the first.
//! Read next: `support/conversation.rs`.

use std::cell::RefCell;

use rustix::net::SendFlags;
use rustix::process::Signal;

use crate::support::cases::Case;
use crate::support::conversation::{Delivery, Peer, cuts, hold_all};
use crate::support::http::Trouble;
use crate::support::{Client, Idler, Reply, Running, fixture_site, repository};

/// Of a long case only so many bytes at each end are sent one by one.
const SINGLE_BYTES: usize = 200;

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
    all_cases("byte by byte", |_| vec![Delivery::ByByte(SINGLE_BYTES)]);
}

#[test]
fn cut_at_every_position() {
    all_cases("cut anywhere", |case| cuts(case, SINGLE_BYTES));
}

/// A read ends where urgent data stand, however much lies behind them, and no edge tells of that.
#[test]
fn a_request_with_urgent_data_in_it_is_heard_to_its_end() {
    let mut idler = Idler::serve(fixture_site()).start();
    let mut client = idler.client();
    // It comes as a whole before any of it is read.
    idler.stand_still();
    client.send("GET /hello.txt HTTP/1.1\r\nHo").expect("sent");
    let urgent = rustix::net::send(client.socket(), b"!", SendFlags::OOB);
    assert_eq!(urgent, Ok(1));
    client.send("st: idler\r\n\r\n").expect("sent");
    idler.signal(Signal::CONT);
    assert_eq!(client.reply().status, 200);
    assert_eq!(client.get("/hello.txt").status, 200);
    idler.stop();
}

fn all_cases(name: &str, ways: impl Fn(&Case) -> Vec<Delivery>) {
    // On a busy machine a head of some hundred packets takes longer than anybody's patience.
    let idler = Idler::serve(fixture_site())
        .args(&["--head-timeout", "1h"])
        .env("RUST_LOG", "off")
        .start();
    let barrier = RefCell::new(Barrier::new(&idler));
    hold_all(name, &repository("fixtures/requests"), ways, |_| Caller {
        client: idler.client(),
        barrier: &barrier,
    });
    drop(barrier);
    idler.stop();
}

/// A second connection whose reply proves that the server has run a turn since.
///
/// The server is one thread with one queue: what arrived before this request was seen before its reply.
struct Barrier(Client);

impl Barrier {
    fn new(idler: &Running) -> Self {
        Self(idler.client())
    }

    fn pass(&mut self) {
        self.0.ask("HEAD", "/empty.txt", "");
        assert_eq!(self.0.head_reply().status, 200);
    }
}

/// A client that talks through a socket.
struct Caller<'a> {
    client: Client,
    barrier: &'a RefCell<Barrier>,
}

impl Peer for Caller<'_> {
    fn send(&mut self, bytes: &[u8]) -> bool {
        self.client.send(bytes).is_ok()
    }

    fn settle(&mut self) {
        self.barrier.borrow_mut().pass();
    }

    fn half_close(&mut self) {
        self.client.half_close();
    }

    fn reply(&mut self, answers_head: bool) -> Result<Reply, Trouble> {
        self.client.try_reply(answers_head)
    }

    fn rest(&mut self) -> Result<Vec<u8>, Trouble> {
        self.client.read_to_end()
    }

    fn leave(self) -> Result<(), String> {
        // From here it cannot be seen whether the server lets go.
        Ok(())
    }
}
