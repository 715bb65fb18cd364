//! The ping server, with a bad network made on purpose: replies are lost, doubled, delayed and
//! reordered, and all of it happens again with the same seed. A reply that cannot go out now is
//! dropped and counted, so that nothing queues without bound; a flood of pings costs the other
//! handlers no more than its share of a turn.
//!
//! Four numbers are drawn for each datagram, whatever the options, so that which datagrams are
//! lost does not depend on whether others are delayed. Time is milliseconds, passed in.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use log::debug;

use crate::cli::{Options, Share, Weather};
use crate::companions::{Companion, Notices, Opened, name_of};
use crate::event_loop::udp::Datagram;
use crate::event_loop::{Attempt, Context, Deadline, Link, Next, Side, Stage};
use crate::http::random::Random;
use crate::limits::{PING_COST_BYTES, PING_HELD_BYTES_MAX, PING_HELD_MAX, PING_REORDER_HOLD};

/// Opens `idler ping-server`. An error is one line for the user.
pub fn serve(options: &Options) -> Result<Opened, String> {
    let remaining = Rc::new(Cell::new(options.answers_max.unwrap_or(u64::MAX)));
    let (bind, port) = (&options.listening.bind, options.listening.port);
    let mut opened = Opened::default();
    opened.receive(bind, port, |socket| {
        Companion::Ping(PingServer {
            socket,
            network: Impairments::new(options.weather),
            remaining: Rc::clone(&remaining),
            started: None,
            last: None,
            dropped: 0,
        })
    })?;
    Ok(opened)
}

/// The server on one socket.
#[derive(Debug)]
pub struct PingServer {
    pub(in crate::companions) socket: Datagram,
    network: Impairments,
    /// How many more pings are answered by all sockets together.
    remaining: Rc<Cell<u64>>,
    /// Where its milliseconds begin: with the first drive.
    started: Option<Instant>,
    /// Where the last ping came from: a notice is said only when another client pings.
    last: Option<SocketAddr>,
    /// Replies that the kernel would not take.
    dropped: u64,
}

impl PingServer {
    /// Answers what came, and sends what is due. Bounded by the budget of a drive.
    pub(in crate::companions) fn drive<S: Notices>(&mut self, cx: &mut Context<'_, S>) -> Next {
        let started = *self.started.get_or_insert(cx.now.instant);
        let passed = cx.now.instant.duration_since(started).as_millis();
        let millis = u64::try_from(passed).unwrap_or(u64::MAX);
        let all_received = cx.stage == Stage::Stopping || self.receive(millis, cx);
        if self.remaining.get() == 0 {
            // All other sockets of this server are told.
            cx.advance_to(Stage::Stopping);
        }
        let done = cx.stage == Stage::Stopping || self.remaining.get() == 0;
        if !self.send_due(millis, cx) || !all_received {
            return Next::Again(Deadline::Keep);
        }
        let Some(next) = self.network.next_millis() else {
            if done {
                self.sum_up(cx);
                return Next::Leave;
            }
            return Next::Park(Side::Read, Deadline::Never);
        };
        let wait = Duration::from_millis(next.saturating_sub(millis));
        let wake = cx.now.tick.after(wait);
        // A server that is done receives nothing any more.
        if done {
            Next::Sleep(wake)
        } else {
            Next::Park(Side::Read, Deadline::At(wake))
        }
    }

    /// Answers what has come. False if the budget is spent before.
    fn receive<S: Notices>(&mut self, millis: u64, cx: &mut Context<'_, S>) -> bool {
        while self.remaining.get() > 0 {
            if cx.link.budget() < PING_COST_BYTES {
                return false;
            }
            match self.socket.receive(&mut cx.link, cx.scratch) {
                Attempt::Done((n, from)) => {
                    self.remaining.update(|left| left - 1);
                    if self.last.replace(from) != Some(from) {
                        cx.shared.notice(&format!("{} pings", name_of(Some(from))));
                    }
                    let datagram = cx.scratch.get_mut(..n).unwrap_or_default();
                    datagram.make_ascii_uppercase();
                    let copies = self.network.receive(datagram, from, millis);
                    self.send(&mut cx.link, datagram, from, copies);
                }
                Attempt::Blocked => return true,
                Attempt::Spent => return false,
                // A client that is gone already, for example, does not concern the next.
                Attempt::Failed(e) => debug!("{} {e}", cx.link.key),
            }
        }
        true
    }

    /// Sends the replies whose time has come. False if the budget is spent before.
    fn send_due<S>(&mut self, millis: u64, cx: &mut Context<'_, S>) -> bool {
        loop {
            if cx.link.budget() < PING_COST_BYTES {
                return false;
            }
            let Some(due) = self.network.due(millis) else {
                return true;
            };
            self.send(&mut cx.link, &due.datagram, due.to, due.copies);
        }
    }

    fn send(&mut self, link: &mut Link, datagram: &[u8], to: SocketAddr, copies: u32) {
        for _ in 0..copies {
            match self.socket.send(link, datagram, to) {
                Attempt::Done(_) => {}
                Attempt::Blocked | Attempt::Spent | Attempt::Failed(_) => self.dropped += 1,
            }
        }
    }

    /// Says what was done on purpose, so that a client's count can be compared with it.
    fn sum_up<S: Notices>(&self, cx: &mut Context<'_, S>) {
        let c = self.network.counts;
        if c.heard == 0 {
            return;
        }
        let dropped = self.dropped + c.overflowed;
        cx.shared.notice(&format!(
            "{} pings heard; on purpose {} lost, {} doubled, {} held back; {dropped} dropped",
            c.heard, c.lost, c.doubled, c.held
        ));
    }
}

/// What was done on purpose, or could not be helped.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Counts {
    /// Datagrams that came.
    heard: u64,
    /// Replies that were lost on purpose.
    lost: u64,
    /// Replies that were doubled on purpose.
    doubled: u64,
    /// Replies that were held back to be overtaken.
    held: u64,
    /// Replies that were dropped because too many were held back.
    overflowed: u64,
}

/// A reply that waits until it is due.
#[derive(Clone, PartialEq, Eq, Debug)]
struct WaitingReply {
    /// What is sent.
    datagram: Box<[u8]>,
    /// Where it goes.
    to: SocketAddr,
    /// How many times.
    copies: u32,
}

/// When a reply is due, in milliseconds, and the number of its datagram.
type Place = (u64, u64);

/// The bad network on the way back to the clients.
#[derive(Debug)]
struct Impairments {
    weather: Weather,
    random: Random,
    /// At most [`PING_HELD_MAX`] replies of [`PING_HELD_BYTES_MAX`] bytes together.
    waiting: BTreeMap<Place, WaitingReply>,
    bytes: usize,
    /// Which of them are due as soon as another reply goes out.
    held: BTreeSet<Place>,
    counts: Counts,
}

impl Impairments {
    /// A network as bad as `weather`, another one each time if it has no seed.
    fn new(weather: Weather) -> Self {
        let any_seed = || RandomState::new().hash_one(std::process::id());
        Self {
            weather,
            random: Random::new(weather.seed.unwrap_or_else(any_seed)),
            waiting: BTreeMap::new(),
            bytes: 0,
            held: BTreeSet::new(),
            counts: Counts::default(),
        }
    }

    /// Takes the reply to a datagram that came from `from` at `now_millis`. Returns how many times
    /// it is sent now; if it is sent later, it comes out of [`due`](Self::due) in its time.
    fn receive(&mut self, datagram: &[u8], from: SocketAddr, now_millis: u64) -> u32 {
        self.counts.heard += 1;
        let lost = self.happens(self.weather.loss);
        let doubled = self.happens(self.weather.dup);
        let held = self.happens(self.weather.reorder);
        let delay_millis = self.draw_delay();
        if lost {
            self.counts.lost += 1;
            return 0;
        }
        let is_now = delay_millis == 0 && !held;
        let is_full = self.waiting.len() >= PING_HELD_MAX
            || self.bytes + datagram.len() > PING_HELD_BYTES_MAX;
        if is_full && !is_now {
            self.counts.overflowed += 1;
            return 0;
        }
        let copies = 1 + u32::from(doubled);
        self.counts.doubled += u64::from(doubled);
        if is_now {
            self.overtake();
            return copies;
        }
        let mut place = (now_millis + delay_millis, self.counts.heard);
        if held {
            self.counts.held += 1;
            place.0 += millis(PING_REORDER_HOLD);
            self.held.insert(place);
        }
        self.bytes += datagram.len();
        let reply = WaitingReply {
            datagram: datagram.into(),
            to: from,
            copies,
        };
        self.waiting.insert(place, reply);
        0
    }

    /// The next reply whose time has come. Ask until there is none.
    fn due(&mut self, now_millis: u64) -> Option<WaitingReply> {
        let first = self.waiting.first_entry()?;
        let place = *first.key();
        if place.0 > now_millis {
            return None;
        }
        let reply = first.remove();
        self.bytes -= reply.datagram.len();
        if place.0 > 0 && !self.held.remove(&place) {
            self.overtake();
        }
        Some(reply)
    }

    /// A reply goes out: all that were held back for one are due.
    fn overtake(&mut self) {
        for place in std::mem::take(&mut self.held) {
            if let Some(reply) = self.waiting.remove(&place) {
                self.waiting.insert((0, place.1), reply);
            }
        }
    }

    /// When the next reply is due, in milliseconds; `None` if none waits.
    fn next_millis(&self) -> Option<u64> {
        self.waiting.keys().next().map(|place| place.0)
    }

    fn happens(&mut self, share: Share) -> bool {
        self.random.below_u64(1_000_000) < share.millionths.into()
    }

    fn draw_delay(&mut self) -> u64 {
        let jitter = self.weather.delay;
        let (delay, spread) = (millis(jitter.delay), millis(jitter.spread));
        let drawn = self.random.below_u64(2 * spread + 1);
        (delay + drawn).saturating_sub(spread)
    }
}

/// Cut to 49 days, so that no sum can overflow.
fn millis(duration: Duration) -> u64 {
    u32::try_from(duration.as_millis())
        .unwrap_or(u32::MAX)
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Jitter;

    /// No impairments, and a seed.
    fn calm() -> Weather {
        Weather {
            seed: Some(0),
            ..Weather::default()
        }
    }

    fn percent(n: u32) -> Share {
        let millionths = n * 10_000;
        Share { millionths }
    }

    fn later(delay: Duration, spread: Duration) -> Jitter {
        Jitter { delay, spread }
    }

    fn client(port: usize) -> SocketAddr {
        ([127, 0, 0, 1], u16::try_from(port).unwrap_or(0)).into()
    }

    /// What happens to datagrams 0, 1, 2 … heard `apart` milliseconds apart: (number, copies,
    /// sent at).
    fn run(weather: Weather, n: u8, apart: u64) -> (Vec<(u8, u32, u64)>, Counts) {
        let mut network = Impairments::new(weather);
        let mut sent = Vec::new();
        for now in 0..u64::from(n) * apart + 10_000 {
            if now.is_multiple_of(apart) && now / apart < n.into() {
                let i = u8::try_from(now / apart).unwrap_or(0);
                let copies = network.receive(&[i], client(0), now);
                if copies > 0 {
                    sent.push((i, copies, now));
                }
            }
            while let Some(due) = network.due(now) {
                sent.push((due.datagram[0], due.copies, now));
            }
        }
        assert!(network.waiting.is_empty());
        assert_eq!(network.next_millis(), None);
        assert_eq!(network.bytes, 0);
        (sent, network.counts)
    }

    #[test]
    fn a_good_network_sends_each_reply_once_and_at_once() {
        let (sent, counts) = run(calm(), 20, 10);
        let expected: Vec<_> = (0..20).map(|i| (i, 1, u64::from(i) * 10)).collect();
        assert_eq!(sent, expected);
        assert_eq!(counts.heard, 20);
        assert_eq!((counts.lost, counts.doubled, counts.held), (0, 0, 0));
    }

    #[test]
    fn losses_and_doubles_are_counted_as_they_happen_and_repeat_with_the_seed() {
        let plan = |seed| Weather {
            loss: percent(30),
            dup: percent(20),
            seed: Some(seed),
            ..calm()
        };
        let (sent, counts) = run(plan(7), 200, 1);
        assert_eq!(sent.len() as u64, 200 - counts.lost);
        let doubled = sent.iter().filter(|(_, copies, _)| *copies == 2).count();
        assert_eq!(doubled as u64, counts.doubled);
        assert!((40..80).contains(&counts.lost), "{counts:?}");
        assert!((15..45).contains(&counts.doubled), "{counts:?}");
        assert_eq!(run(plan(7), 200, 1).0, sent);
        assert_ne!(run(plan(8), 200, 1).0, sent);
    }

    #[test]
    fn what_is_lost_does_not_depend_on_what_is_delayed() {
        let plan = Weather {
            loss: percent(50),
            seed: Some(3),
            ..calm()
        };
        let slow = Weather {
            delay: later(Duration::from_millis(50), Duration::from_millis(20)),
            reorder: percent(10),
            ..plan
        };
        let numbers = |plan| {
            let mut n: Vec<u8> = run(plan, 100, 10).0.iter().map(|(i, ..)| *i).collect();
            n.sort_unstable();
            n
        };
        assert_eq!(numbers(plan), numbers(slow));
    }

    #[test]
    fn delays_stay_within_their_spread() {
        let plan = Weather {
            delay: later(Duration::from_millis(100), Duration::from_millis(50)),
            ..calm()
        };
        let (sent, _) = run(plan, 200, 7);
        let delays: Vec<u64> = sent
            .iter()
            .map(|(i, _, at)| at - u64::from(*i) * 7)
            .collect();
        assert_eq!(delays.len(), 200);
        assert!(delays.iter().all(|d| (50..=150).contains(d)), "{delays:?}");
        assert!(delays.iter().any(|d| *d < 70) && delays.iter().any(|d| *d > 130));
    }

    #[test]
    fn a_reply_that_is_held_back_is_overtaken_by_the_next() {
        let plan = Weather {
            reorder: percent(20),
            seed: Some(1),
            ..calm()
        };
        let (sent, counts) = run(plan, 100, 10);
        assert_eq!(sent.len(), 100);
        assert!(counts.held > 5, "{counts:?}");
        let overtaken = sent.windows(2).filter(|w| w[0].0 > w[1].0).count();
        assert!(overtaken > 0);
        assert!(sent.iter().all(|(i, _, at)| at - u64::from(*i) * 10 <= 500));
    }

    #[test]
    fn a_reply_that_nobody_overtakes_is_sent_in_the_end() {
        let plan = Weather {
            reorder: percent(100),
            ..calm()
        };
        let (sent, _) = run(plan, 1, 10);
        assert_eq!(sent, [(0, 1, 500)]);
    }

    #[test]
    fn a_flood_is_held_back_within_limits() {
        let plan = Weather {
            delay: later(Duration::from_secs(1), Duration::ZERO),
            ..calm()
        };
        let mut network = Impairments::new(plan);
        for i in 0..PING_HELD_MAX + 5 {
            assert_eq!(network.receive(b"x", client(i), 0), 0);
            assert_eq!(network.waiting.len(), PING_HELD_MAX.min(i + 1));
        }
        assert_eq!(network.counts.overflowed, 5);
        assert_eq!(network.due(1000).map(|due| due.to), Some(client(0)));
        assert_eq!(network.receive(b"x", client(7), 0), 0);
        assert_eq!(network.waiting.len(), PING_HELD_MAX);

        let mut network = Impairments::new(plan);
        let big = vec![0; 60_000];
        for _ in 0..100 {
            assert_eq!(network.receive(&big, client(0), 0), 0);
        }
        assert_eq!(network.waiting.len(), PING_HELD_BYTES_MAX / 60_000);
    }

    #[test]
    fn absurd_delays_do_not_overflow() {
        let plan = Weather {
            delay: later(Duration::MAX, Duration::MAX),
            ..calm()
        };
        let mut network = Impairments::new(plan);
        let _ = network.receive(b"x", client(0), 1 << 40);
        assert!(network.next_millis().is_some());
    }
}
