//! Several sites, told apart by the host that a request asks for.
//!
//! What lives here: the sites of `--host`, and which of them is in hand. It may not know how a site is served.
//! Invariant: exactly one site is in hand, in [`Http::site`] and [`Http::cache`]; a file of one is never found under the name
//! of another. Read next: `answer.rs`.

use std::mem::swap;

use crate::site::Site;
use crate::site::cache::Cache;

use crate::server::answer::Http;
use crate::server::representation::CachedMeta;

/// The sites that are not in hand.
#[derive(Debug, Default)]
pub struct Hosts {
    /// Sorted by name. The place of the one in hand holds the default site meanwhile.
    others: Vec<Host>,
    /// Which is in hand: 0 for the default site, else one more than its place.
    in_hand: usize,
}

/// A site with a name. Everyone has a cache of its own, so that none can push another's files out.
#[derive(Debug)]
pub struct Host {
    /// In lower case, without port.
    pub name: Box<[u8]>,
    /// What is served.
    pub site: Site,
    /// What was served before.
    pub cache: Cache<CachedMeta>,
}

impl Hosts {
    /// Sites by name; `Err` with a name that two of them have.
    ///
    /// # Errors
    /// See above.
    pub fn new(mut others: Vec<Host>) -> Result<Self, Box<[u8]>> {
        others.sort_by(|a, b| a.name.cmp(&b.name));
        let twice = others.windows(2).find(|pair| pair[0].name == pair[1].name);
        if let Some([first, _]) = twice {
            return Err(first.name.clone());
        }
        Ok(Self { others, in_hand: 0 })
    }

    /// Whether there is only the default site.
    pub fn is_empty(&self) -> bool {
        self.others.is_empty()
    }

    /// Which site is in hand: 0 for the default one.
    pub fn in_hand(&self) -> usize {
        self.in_hand
    }

    /// The sites that are not in hand.
    pub fn others(&self) -> impl Iterator<Item = &Host> {
        self.others.iter()
    }

    /// The number of the site for `host`, as the client spelled it; 0 for a host that is not known. A name may end in a dot, which
    /// says that it is absolute (RFC 3986 §3.2.2). Bounded by the length of the name.
    fn number(&self, host: &[u8]) -> usize {
        let host = host.strip_suffix(b".").unwrap_or(host).to_ascii_lowercase();
        self.others
            .binary_search_by(|other| other.name.as_ref().cmp(&host))
            .map_or(0, |at| at + 1)
    }
}

impl Http {
    /// Takes the site for `host` in hand.
    pub(crate) fn enter_host(&mut self, host: Option<&[u8]>) {
        let number = self.hosts.number(host.unwrap_or_default());
        self.enter(number);
    }

    /// Takes a site in hand, by its number.
    pub(crate) fn enter(&mut self, number: usize) {
        if number == self.hosts.in_hand {
            return;
        }
        self.exchange(self.hosts.in_hand);
        self.exchange(number);
        self.hosts.in_hand = number;
    }

    /// Exchanges what is in hand for what lies at a site's place.
    fn exchange(&mut self, number: usize) {
        let place = number.checked_sub(1);
        if let Some(other) = place.and_then(|at| self.hosts.others.get_mut(at)) {
            swap(&mut self.site, &mut other.site);
            swap(&mut self.cache, &mut other.cache);
        }
    }

    /// Gives back descriptors that caches hold, when they have run out elsewhere. True if there were any.
    pub fn give_up_descriptors(&mut self) -> bool {
        let others = self.hosts.others.iter_mut();
        others.fold(self.cache.give_up_descriptors(), |any, other| {
            other.cache.give_up_descriptors() || any
        })
    }
}
