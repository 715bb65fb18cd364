//! What was served before: contents of small files, and open descriptors of larger ones.
//!
//! Entries are found by the raw path of a request, so that a hit decodes nothing. Each is served
//! only if the file at its path is still the one that was opened beneath the root: what a hit gives
//! is never older than the start of the turn that asks, and never torn.

use std::collections::HashMap;
use std::ffi::CString;
use std::fs::File;
use std::rc::Rc;

use rustix::fs::CWD;
use slab::Slab;

use crate::site::open::{Identity, stat};

/// How many ways to choose a variant of one path are told apart: every order in which some of three codings can be
/// wanted, from none of them to all.
pub const CHOICES: usize = 16;

/// What is kept of a file.
#[derive(Clone, Debug)]
pub enum Kept {
    /// Bytes, ready to be sent.
    Bytes(Rc<[u8]>),
    /// An open file.
    File(Rc<File>),
}

/// Something that must still be so for an entry to be served.
#[derive(Debug)]
pub struct Condition {
    /// The absolute path that is asked about.
    pub path: CString,
    /// What stood there when the entry was made. For a directory in which names were looked for in vain, any change of
    /// names changes it.
    pub identity: Identity,
}

impl Condition {
    /// Whether it is so now.
    pub fn holds(&self) -> bool {
        stat(CWD, &self.path).is_ok_and(|(_, identity)| identity == self.identity)
    }
}

/// One entry.
#[derive(Debug)]
pub struct Entry<M> {
    /// What is kept.
    pub kept: Kept,
    /// What its owner keeps with it.
    pub meta: M,
    target: Box<[u8]>,
    choice: u8,
    weight: usize,
    /// Nearly always the only one, so it lies here: among many files each pointer that is followed is a wait for memory.
    condition: Condition,
    others: Box<[Condition]>,
    checked: u64,
    used: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Cache<M> {
    /// How often something was found, and how often not.
    pub hits: u64,
    /// See above.
    pub misses: u64,
    index: [HashMap<Box<[u8]>, usize>; CHOICES],
    entries: Slab<Entry<M>>,
    hand: usize,
    bytes: usize,
    bytes_max: usize,
    descriptors: usize,
    descriptors_max: usize,
}

impl<M> Cache<M> {
    /// An empty cache for at most this many bytes and descriptors. It takes no memory until used.
    pub fn new(bytes_max: usize, descriptors_max: usize) -> Self {
        Self {
            hits: 0,
            misses: 0,
            index: std::array::from_fn(|_| HashMap::new()),
            entries: Slab::new(),
            hand: 0,
            bytes: 0,
            bytes_max,
            descriptors: 0,
            descriptors_max,
        }
    }

    /// The entry for `target` under `choice`, if it still holds. Asks the file system once a `turn` and entry, and
    /// forgets an entry that no longer holds. Bounded by the number of the entry's conditions.
    pub fn find(&mut self, choice: usize, target: &[u8], turn: u64) -> Option<&mut Entry<M>> {
        let Some(key) = self.checked(choice, target, turn) else {
            self.misses += 1;
            return None;
        };
        self.hits += 1;
        let entry = self.entries.get_mut(key)?;
        entry.checked = turn;
        entry.used = true;
        Some(entry)
    }

    fn checked(&mut self, choice: usize, target: &[u8], turn: u64) -> Option<usize> {
        let key = *self.index.get(choice)?.get(target)?;
        let entry = self.entries.get(key)?;
        let holds = || entry.condition.holds() && entry.others.iter().all(Condition::holds);
        if entry.checked != turn && !holds() {
            self.forget(key);
            return None;
        }
        Some(key)
    }

    /// What is kept with `target` under `choice`, without asking whether it still holds: for what depends on the name alone.
    pub fn meta(&self, choice: usize, target: &[u8]) -> Option<&M> {
        let key = self.index.get(choice)?.get(target)?;
        self.entries.get(*key).map(|entry| &entry.meta)
    }

    /// Keeps something for `target` under `choice` while the `conditions` hold, if there are any and it fits at all; others
    /// make room. What was there before is replaced.
    pub fn keep(
        &mut self,
        choice: usize,
        target: &[u8],
        kept: Kept,
        meta: M,
        conditions: Vec<Condition>,
        turn: u64,
    ) {
        let bytes = match &kept {
            Kept::Bytes(bytes) => bytes.len(),
            Kept::File(_) => 0,
        };
        let weight = bytes
            + target.len()
            + ENTRY_BYTES
            + conditions
                .iter()
                .map(|c| c.path.as_bytes().len())
                .sum::<usize>();
        let descriptors = usize::from(matches!(kept, Kept::File(_)));
        let mut conditions = conditions.into_iter();
        let Some(condition) = conditions.next() else {
            return;
        };
        if choice >= CHOICES || weight > self.bytes_max / 4 || descriptors > self.descriptors_max {
            return;
        }
        if let Some(&key) = self.index[choice].get(target) {
            self.forget(key);
        }
        while self.bytes + weight > self.bytes_max
            || self.descriptors + descriptors > self.descriptors_max
        {
            if !self.make_room(descriptors > 0 && self.bytes + weight <= self.bytes_max) {
                return;
            }
        }
        self.bytes += weight;
        self.descriptors += descriptors;
        let entry = Entry {
            kept,
            meta,
            target: target.into(),
            choice: u8::try_from(choice).unwrap_or_default(),
            weight,
            condition,
            others: conditions.collect(),
            checked: turn,
            used: false,
        };
        let key = self.entries.insert(entry);
        self.index[choice].insert(target.into(), key);
    }

    /// Forgets everything: the root has changed, or the policy.
    pub fn clear(&mut self) {
        *self = Self {
            hits: self.hits,
            misses: self.misses,
            ..Self::new(self.bytes_max, self.descriptors_max)
        };
    }

    /// Gives back descriptors, when they have run out elsewhere. True if there were any.
    pub fn give_up_descriptors(&mut self) -> bool {
        let keys: Vec<usize> = self
            .entries
            .iter()
            .filter(|(_, e)| matches!(e.kept, Kept::File(_)))
            .map(|(key, _)| key)
            .collect();
        for key in &keys {
            self.forget(*key);
        }
        !keys.is_empty()
    }

    /// Entries kept.
    pub fn count(&self) -> usize {
        self.entries.len()
    }

    /// Bytes kept, bookkeeping included.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The clock algorithm: an entry that was used since the hand last passed gets another round. Bounded by two rounds,
    /// and each entry passed over pays for the use that spared it.
    fn make_room(&mut self, of_files: bool) -> bool {
        for _ in 0..2 * self.entries.capacity() {
            let key = self.hand;
            self.hand = if key + 1 >= self.entries.capacity() {
                0
            } else {
                key + 1
            };
            let Some(entry) = self.entries.get_mut(key) else {
                continue;
            };
            if of_files && matches!(entry.kept, Kept::Bytes(_)) {
                continue;
            }
            if !std::mem::take(&mut entry.used) {
                self.forget(key);
                return true;
            }
        }
        false
    }

    fn forget(&mut self, key: usize) {
        if let Some(entry) = self.entries.try_remove(key) {
            self.bytes -= entry.weight;
            self.descriptors -= usize::from(matches!(entry.kept, Kept::File(_)));
            self.index[usize::from(entry.choice)].remove(&entry.target);
        }
    }
}

/// What an entry costs beside what is kept: itself, its place in the index, its boxes.
const ENTRY_BYTES: usize = 320;

#[cfg(test)]
mod tests;
