//! Clients that ask all the time, and count what becomes of it.
//!
//! It may not know who answers. Invariant: a request that fails on a connection that was used before is made once more, on a new
//! one, as RFC 9110 §9.2.2 allows; every other failure is counted and told.
//! Read next: `upgrade.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{Client, PATIENCE, Reply, wait_until};

/// What each of the clients does.
#[derive(Clone, Copy)]
pub(crate) enum Manner {
    /// Asks again and again on one connection.
    Keeps,
    /// Makes a connection for each request.
    Leaves,
}

/// Clients at work.
pub(crate) struct Load {
    answered: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Tally>>,
}

/// What became of the requests.
#[derive(Default, Debug)]
pub(crate) struct Tally {
    /// Requests that were answered with the status they should have.
    pub(crate) answered: u64,
    /// Those among them that needed their second attempt.
    pub(crate) retried: u64,
    /// What happened to the others.
    pub(crate) failed: BTreeMap<String, u64>,
    /// The tags of all replies.
    pub(crate) tags: BTreeSet<String>,
    /// The longest time a request took, its second attempt included.
    pub(crate) longest: Duration,
}

impl Tally {
    /// How many requests failed.
    pub(crate) fn failures(&self) -> u64 {
        self.failed.values().sum()
    }
}

impl Load {
    /// Starts `count` clients of each manner. All of them ask for `target`, which is there.
    pub(crate) fn start(address: SocketAddr, target: &str, manners: &[(Manner, usize)]) -> Self {
        let answered = Arc::new(AtomicU64::new(0));
        let over = Arc::new(AtomicBool::new(false));
        let mut clients = Vec::new();
        for (manner, count) in manners {
            for _ in 0..*count {
                let (manner, target) = (*manner, target.to_owned());
                let (answered, over) = (Arc::clone(&answered), Arc::clone(&over));
                clients.push(std::thread::spawn(move || {
                    let mut asking = Asking {
                        address,
                        target,
                        kept: None,
                        tally: Tally::default(),
                    };
                    while !over.load(Ordering::Relaxed) {
                        asking.once(manner);
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                    asking.tally
                }));
            }
        }
        Self {
            answered,
            over,
            clients,
        }
    }

    /// Waits until `count` more requests have been made: whatever happens next happens to clients at work.
    pub(crate) fn goes_on(&self, count: u64) {
        let goal = self.answered.load(Ordering::Relaxed) + count;
        wait_until("the clients to go on", PATIENCE, || {
            (self.answered.load(Ordering::Relaxed) >= goal).then_some(())
        });
    }

    /// Ends it.
    pub(crate) fn end(self) -> Tally {
        self.over.store(true, Ordering::Relaxed);
        let mut all = Tally::default();
        for client in self.clients {
            let one = client.join().expect("a client that counts its failures");
            all.answered += one.answered;
            all.retried += one.retried;
            all.tags.extend(one.tags);
            all.longest = all.longest.max(one.longest);
            for (what, count) in one.failed {
                *all.failed.entry(what).or_default() += count;
            }
        }
        all
    }
}

struct Asking {
    address: SocketAddr,
    target: String,
    kept: Option<Client>,
    tally: Tally,
}

impl Asking {
    fn once(&mut self, manner: Manner) {
        let begin = Instant::now();
        let was_used = self.kept.is_some();
        let mut outcome = self.attempt(manner);
        if was_used && outcome.is_err() {
            outcome = self.attempt(manner);
            self.tally.retried += u64::from(outcome.is_ok());
        }
        match outcome {
            Ok(reply) => {
                self.tally.answered += 1;
                let tag = reply.header("etag").unwrap_or_default();
                if !self.tally.tags.contains(tag) {
                    self.tally.tags.insert(tag.to_owned());
                }
            }
            Err(what) => *self.tally.failed.entry(what).or_default() += 1,
        }
        self.tally.longest = self.tally.longest.max(begin.elapsed());
    }

    fn attempt(&mut self, manner: Manner) -> Result<Reply, String> {
        let mut client = match self.kept.take() {
            Some(client) => client,
            None => {
                let stream = TcpStream::connect_timeout(&self.address, PATIENCE)
                    .map_err(|e| format!("connecting: {e}"))?;
                stream.set_nodelay(true).map_err(|e| e.to_string())?;
                Client::over(stream)
            }
        };
        let wish = match manner {
            Manner::Keeps => "",
            Manner::Leaves => "Connection: close\r\n",
        };
        let target = &self.target;
        client
            .send(format!(
                "GET {target} HTTP/1.1\r\nHost: idler\r\n{wish}\r\n"
            ))
            .map_err(|e| format!("asking: {e}"))?;
        let reply = client.try_reply(false).map_err(|t| t.to_string())?;
        if reply.status != 200 {
            return Err(format!("status {}", reply.status));
        }
        if !reply.says_close() {
            self.kept = Some(client);
        }
        Ok(reply)
    }
}
