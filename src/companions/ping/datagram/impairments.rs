//! A bad network, made on purpose: replies are lost, doubled, delayed and overtaken, and all of it
//! happens again with the same seed.
//!
//! What lives here: the decision on each datagram, and the replies that are held back. It may not know sockets or
//! clocks: time is milliseconds, passed in. Invariant: four numbers are drawn for each datagram, whatever the options, so
//! which datagrams are lost does not depend on whether others are delayed.
//! Read next: `service/ping/mod.rs`.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use crate::http::random::Random;
use crate::limits::{PING_HELD_BYTES_MAX, PING_HELD_MAX, PING_REORDER_HOLD};

/// How probable something is, in millionths.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub struct Chance(u32);

impl Chance {
    const CERTAIN: u32 = 1_000_000;

    /// So many millionths; more than a million are certain.
    pub fn millionths(n: u32) -> Self {
        Self(n.min(Self::CERTAIN))
    }

    fn happens(self, random: &mut Random) -> bool {
        random.below_u64(Self::CERTAIN.into()) < self.0.into()
    }
}

/// What goes wrong, and how often.
#[derive(Clone, Default, Debug)]
pub struct Plan {
    /// The reply is never sent.
    pub loss: Chance,
    /// The reply is sent twice.
    pub dup: Chance,
    /// The reply is held back until the next one has gone out, or for [`PING_REORDER_HOLD`].
    pub reorder: Chance,
    /// Each reply is sent this much later,
    pub delay: Duration,
    /// more or less by up to this much.
    pub spread: Duration,
    /// What the decisions depend on.
    pub seed: u64,
}

/// What was done on purpose, or could not be helped.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counts {
    /// Datagrams that were heard.
    pub heard: u64,
    /// Replies that were lost on purpose.
    pub lost: u64,
    /// Replies that were doubled on purpose.
    pub doubled: u64,
    /// Replies that were held back to be overtaken.
    pub held: u64,
    /// Replies that were dropped because too many were held back.
    pub overflowed: u64,
}

/// What is to happen to the reply to a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It is lost.
    Lost,
    /// It is sent now, as many times.
    Now(u32),
    /// It was taken over, and comes out of [`Impairments::due`] in its time.
    Later,
}

/// A reply whose time has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Due<A> {
    /// The datagram as it was heard.
    pub datagram: Box<[u8]>,
    /// Who is to get it.
    pub to: A,
    /// How many times.
    pub copies: u32,
}

/// A bad network, on the way back to addresses of type `A`.
#[derive(Debug)]
pub struct Impairments<A> {
    plan: Plan,
    random: Random,
    delayed: BinaryHeap<Reverse<Delayed<A>>>,
    /// Replies to be overtaken, with the time at which they are sent in any case.
    held: VecDeque<(u64, Due<A>)>,
    /// How many of `held` have been overtaken.
    released: usize,
    bytes: usize,
    /// What was done so far.
    pub counts: Counts,
}

#[derive(Debug)]
struct Delayed<A> {
    at_millis: u64,
    serial: u64,
    due: Due<A>,
}

impl<A> Delayed<A> {
    fn order(&self) -> (u64, u64) {
        (self.at_millis, self.serial)
    }
}

impl<A> PartialEq for Delayed<A> {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl<A> Eq for Delayed<A> {}

impl<A> PartialOrd for Delayed<A> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<A> Ord for Delayed<A> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

impl<A> Impairments<A> {
    /// A network as bad as planned.
    pub fn new(plan: Plan) -> Self {
        Self {
            random: Random::new(plan.seed),
            plan,
            delayed: BinaryHeap::new(),
            held: VecDeque::new(),
            released: 0,
            bytes: 0,
            counts: Counts::default(),
        }
    }

    /// Decides on the reply to a datagram that came from `from` at `now_millis`. At most
    /// [`PING_HELD_MAX`] replies and [`PING_HELD_BYTES_MAX`] bytes are held back.
    pub fn hear(&mut self, datagram: &[u8], from: A, now_millis: u64) -> Fate {
        self.counts.heard += 1;
        let lost = self.plan.loss.happens(&mut self.random);
        let doubled = self.plan.dup.happens(&mut self.random);
        let held = self.plan.reorder.happens(&mut self.random);
        let delay_millis = self.draw_delay();
        if lost {
            self.counts.lost += 1;
            return Fate::Lost;
        }
        let copies = 1 + u32::from(doubled);
        if delay_millis == 0 && !held {
            self.count_copies(copies);
            self.released = self.held.len();
            return Fate::Now(copies);
        }
        if self.delayed.len() + self.held.len() >= PING_HELD_MAX
            || self.bytes + datagram.len() > PING_HELD_BYTES_MAX
        {
            self.counts.overflowed += 1;
            return Fate::Lost;
        }
        self.count_copies(copies);
        self.bytes += datagram.len();
        let due = Due {
            datagram: datagram.into(),
            to: from,
            copies,
        };
        let at_millis = now_millis + delay_millis;
        if held {
            self.counts.held += 1;
            let hold = PING_REORDER_HOLD.as_millis();
            let at_millis = at_millis + u64::try_from(hold).unwrap_or(0);
            self.held.push_back((at_millis, due));
        } else {
            let serial = self.counts.heard;
            self.delayed.push(Reverse(Delayed {
                at_millis,
                serial,
                due,
            }));
        }
        Fate::Later
    }

    /// The next reply whose time has come. Ask until there is none.
    pub fn due(&mut self, now_millis: u64) -> Option<Due<A>> {
        let due = self
            .overtaken(now_millis)
            .or_else(|| self.late_enough(now_millis))?;
        self.bytes -= due.datagram.len();
        Some(due)
    }

    /// When the next reply is due, in milliseconds; `None` if none is held back.
    pub fn next_millis(&self) -> Option<u64> {
        if self.released > 0 {
            return Some(0);
        }
        let held = self.held.iter().map(|(at, _)| *at).min();
        let delayed = self.delayed.peek().map(|Reverse(d)| d.at_millis);
        held.into_iter().chain(delayed).min()
    }

    /// Whether no reply is held back.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty() && self.delayed.is_empty()
    }

    fn overtaken(&mut self, now_millis: u64) -> Option<Due<A>> {
        if self.released > 0 {
            self.released -= 1;
            return self.held.pop_front().map(|(_, due)| due);
        }
        let ripe = |(at, _): &(u64, Due<A>)| *at <= now_millis;
        let index = self.held.iter().position(ripe)?;
        self.held.remove(index).map(|(_, due)| due)
    }

    fn late_enough(&mut self, now_millis: u64) -> Option<Due<A>> {
        if self.delayed.peek()?.0.at_millis > now_millis {
            return None;
        }
        let Reverse(delayed) = self.delayed.pop()?;
        self.released = self.held.len();
        Some(delayed.due)
    }

    fn count_copies(&mut self, copies: u32) {
        self.counts.doubled += u64::from(copies > 1);
    }

    fn draw_delay(&mut self) -> u64 {
        // Cut to 49 days, so that no sum can overflow.
        let millis = |d: Duration| u64::from(u32::try_from(d.as_millis()).unwrap_or(u32::MAX));
        let (delay, spread) = (millis(self.plan.delay), millis(self.plan.spread));
        let drawn = self.random.below_u64(2 * spread + 1);
        (delay + drawn).saturating_sub(spread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn percent(n: u32) -> Chance {
        Chance::millionths(n * 10_000)
    }

    /// What happens to datagrams 0, 1, 2 … heard `apart` milliseconds apart: (number, copies, sent at).
    fn run(plan: Plan, n: u8, apart: u64) -> (Vec<(u8, u32, u64)>, Counts) {
        let mut network = Impairments::new(plan);
        let mut sent = Vec::new();
        for now in 0..u64::from(n) * apart + 10_000 {
            if now.is_multiple_of(apart) && now / apart < n.into() {
                let i = u8::try_from(now / apart).unwrap_or(0);
                if let Fate::Now(copies) = network.hear(&[i], (), now) {
                    sent.push((i, copies, now));
                }
            }
            while let Some(due) = network.due(now) {
                sent.push((due.datagram[0], due.copies, now));
            }
        }
        assert!(network.is_empty());
        assert_eq!(network.next_millis(), None);
        assert_eq!(network.bytes, 0);
        (sent, network.counts)
    }

    #[test]
    fn a_good_network_sends_each_reply_once_and_at_once() {
        let (sent, counts) = run(Plan::default(), 20, 10);
        let expected: Vec<_> = (0..20).map(|i| (i, 1, u64::from(i) * 10)).collect();
        assert_eq!(sent, expected);
        assert_eq!(counts.heard, 20);
        assert_eq!((counts.lost, counts.doubled, counts.held), (0, 0, 0));
    }

    #[test]
    fn losses_and_doubles_are_counted_as_they_happen_and_repeat_with_the_seed() {
        let plan = |seed| Plan {
            loss: percent(30),
            dup: percent(20),
            seed,
            ..Plan::default()
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
        let plan = Plan {
            loss: percent(50),
            seed: 3,
            ..Plan::default()
        };
        let slow = Plan {
            delay: Duration::from_millis(50),
            spread: Duration::from_millis(20),
            reorder: percent(10),
            ..plan.clone()
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
        let plan = Plan {
            delay: Duration::from_millis(100),
            spread: Duration::from_millis(50),
            ..Plan::default()
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
        let plan = Plan {
            reorder: percent(20),
            seed: 1,
            ..Plan::default()
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
        let plan = Plan {
            reorder: percent(100),
            ..Plan::default()
        };
        let (sent, _) = run(plan, 1, 10);
        assert_eq!(sent, [(0, 1, 500)]);
    }

    #[test]
    fn a_flood_is_held_back_within_limits() {
        let plan = Plan {
            delay: Duration::from_secs(1),
            ..Plan::default()
        };
        let mut network = Impairments::new(plan.clone());
        for i in 0..PING_HELD_MAX + 5 {
            let fate = network.hear(b"x", i, 0);
            assert_eq!(fate == Fate::Later, i < PING_HELD_MAX);
        }
        assert_eq!(network.counts.overflowed, 5);
        assert_eq!(network.due(1000).map(|due| due.to), Some(0));
        assert_eq!(network.hear(b"x", 7, 0), Fate::Later);

        let mut network = Impairments::new(plan);
        let big = vec![0; 60_000];
        let taken = (0..100).filter(|_| network.hear(&big, (), 0) == Fate::Later);
        assert_eq!(taken.count(), PING_HELD_BYTES_MAX / 60_000);
    }

    #[test]
    fn absurd_delays_do_not_overflow() {
        let plan = Plan {
            delay: Duration::MAX,
            spread: Duration::MAX,
            ..Plan::default()
        };
        let mut network = Impairments::new(plan);
        let _ = network.hear(b"x", (), 1 << 40);
        assert!(network.next_millis().is_some());
    }
}
