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

use crate::http::date::UnixSeconds;
use crate::limits::CACHE_ENTRY_BYTES;
use crate::site::open::{Identity, stat};

/// A file as it is sent. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Representation {
    /// What is said of it.
    pub meta: Rc<FileMeta>,
    /// Its bytes.
    pub content: Content,
}

/// The bytes of a file.
#[derive(Clone, Debug)]
pub enum Content {
    /// A whole reply with status 200, as a client of HTTP/1.1 gets it that keeps its connection: so
    /// many bytes of head, and the file.
    Whole(Rc<[u8]>, usize),
    /// The open file.
    File(Rc<File>),
}

/// What is said of a file.
#[derive(Debug)]
pub struct FileMeta {
    /// The media type.
    pub content_type: Box<str>,
    /// The other fields of a 200, without `Content-Length`: whole lines.
    pub lines: Vec<u8>,
    /// The fields of a 304 (RFC 9110 §15.4.5): whole lines.
    pub validator_lines: Vec<u8>,
    /// The entity tag, quotes and all.
    pub etag: Vec<u8>,
    /// When it was last modified, if that says anything.
    pub modified: Option<UnixSeconds>,
    /// Its size in bytes.
    pub size: u64,
    /// Whether another client might be sent another variant.
    pub varies: bool,
}

/// Something that must still be so for an entry to be served.
#[derive(Debug)]
pub struct Condition {
    /// The absolute path that is looked up.
    pub path: CString,
    /// What stood there when the entry was made. For a directory in which names were looked for in
    /// vain, any change of names changes it.
    pub identity: Identity,
}

impl Condition {
    /// Whether it is so now.
    pub fn holds(&self) -> bool {
        stat(CWD, &self.path).is_ok_and(|(_, identity)| identity == self.identity)
    }
}

/// How many classes of clients are told apart: for each order in which a client may want three
/// codings, or fewer, it may be sent another variant of a file.
pub const CLASSES: usize = 64;

/// See the module.
#[derive(Debug)]
pub struct Cache {
    /// How often something was found.
    pub hits: u64,
    /// How often nothing was.
    pub misses: u64,
    index: [HashMap<Box<[u8]>, usize>; CLASSES],
    entries: Slab<CacheEntry>,
    /// Where the clock's hand stands.
    hand: usize,
    /// Bytes kept, bookkeeping included.
    pub(crate) bytes: usize,
    bytes_max: usize,
    descriptors: usize,
    descriptors_max: usize,
}

#[derive(Debug)]
struct CacheEntry {
    file: Representation,
    target: Box<[u8]>,
    class: usize,
    weight: usize,
    /// Nearly always the only one, so it lies here: among many files each pointer that is followed
    /// is a wait for memory.
    condition: Condition,
    others: Box<[Condition]>,
    checked: u64,
    used: bool,
}

impl Cache {
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

    /// What is kept for `target` and `class`, if it still holds. Asks the file system once a `turn`
    /// and entry, and forgets an entry that no longer holds. Bounded by the number of the entry's
    /// conditions.
    pub fn find(&mut self, class: usize, target: &[u8], turn: u64) -> Option<&mut Representation> {
        let key = self.index.get(class).and_then(|index| index.get(target));
        let Some(&key) = key else {
            self.misses += 1;
            return None;
        };
        let entry = self.entries.get(key)?;
        let is_current = entry.checked == turn
            || entry.condition.holds() && entry.others.iter().all(Condition::holds);
        if !is_current {
            self.misses += 1;
            self.forget(key);
            return None;
        }
        self.hits += 1;
        let entry = self.entries.get_mut(key)?;
        entry.checked = turn;
        entry.used = true;
        Some(&mut entry.file)
    }

    /// What is said of the file that is kept for `target` and `class`, without asking whether it
    /// still holds: for what depends on the name alone.
    pub fn peek(&self, class: usize, target: &[u8]) -> Option<&FileMeta> {
        let key = self.index.get(class)?.get(target)?;
        self.entries.get(*key).map(|entry| &*entry.file.meta)
    }

    /// Keeps a file for `target` and `class` while the `conditions` hold, if there are any and it
    /// fits at all; others make room. What was kept for them before is replaced.
    pub fn keep(
        &mut self,
        class: usize,
        target: &[u8],
        file: Representation,
        conditions: Vec<Condition>,
        turn: u64,
    ) {
        let (bytes, descriptors) = match &file.content {
            Content::Whole(reply, _) => (reply.len(), 0),
            Content::File(_) => (0, 1),
        };
        let paths = conditions.iter().map(|c| c.path.as_bytes().len());
        let weight = CACHE_ENTRY_BYTES + bytes + target.len() + paths.sum::<usize>();
        let mut conditions = conditions.into_iter();
        let Some(condition) = conditions.next() else {
            return;
        };
        if class >= CLASSES || weight > self.bytes_max / 4 || descriptors > self.descriptors_max {
            return;
        }
        if let Some(&key) = self.index[class].get(target) {
            self.forget(key);
        }
        loop {
            let fits = self.bytes + weight <= self.bytes_max;
            if fits && self.descriptors + descriptors <= self.descriptors_max {
                break;
            }
            if !self.make_room(fits) {
                return;
            }
        }
        self.bytes += weight;
        self.descriptors += descriptors;
        let key = self.entries.insert(CacheEntry {
            file,
            target: target.into(),
            class,
            weight,
            condition,
            others: conditions.collect(),
            checked: turn,
            used: false,
        });
        self.index[class].insert(target.into(), key);
    }

    /// Gives back descriptors, when they have run out elsewhere. True if there were any.
    pub fn give_up_descriptors(&mut self) -> bool {
        let files = self.entries.iter().filter(|(_, entry)| entry.is_file());
        let keys: Vec<usize> = files.map(|(key, _)| key).collect();
        for &key in &keys {
            self.forget(key);
        }
        !keys.is_empty()
    }

    /// Entries kept.
    pub fn count(&self) -> usize {
        self.entries.len()
    }

    /// The clock algorithm: an entry that was used since the hand last passed gets another round.
    /// Bounded by two rounds, and each entry passed over pays for the use that spared it.
    fn make_room(&mut self, of_files: bool) -> bool {
        for _ in 0..2 * self.entries.capacity() {
            let key = self.hand;
            self.hand = (key + 1) % self.entries.capacity();
            let Some(entry) = self.entries.get_mut(key) else {
                continue;
            };
            if of_files && !entry.is_file() {
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
            self.descriptors -= usize::from(entry.is_file());
            self.index[entry.class].remove(&entry.target);
        }
    }
}

impl CacheEntry {
    fn is_file(&self) -> bool {
        matches!(self.file.content, Content::File(_))
    }
}

#[cfg(test)]
mod tests;
