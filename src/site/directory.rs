//! A directory, read and sorted a bounded piece at a time.
//!
//! [`DirectoryReader`] takes step after step until it has a [`Listing`], which merges its sorted
//! runs while it is written. No step takes longer than reading [`LISTING_READ_BYTES`] of directory
//! or sorting [`LISTING_SORT_RUN`] entries, however large the directory.

#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::io;
use std::mem::{self, MaybeUninit};
use std::ops::Range;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FileType, RawDir, RawDirEntry, statat};
use rustix::io::Errno;

use crate::http::path::is_hidden;
use crate::limits::{
    LISTING_COUNTED_MAX, LISTING_ENTRIES_MAX, LISTING_NAME_BYTES_MAX, LISTING_READ_BYTES,
    LISTING_SORT_RUN, LISTING_SORTED_BY_VALUE_MAX,
};
use crate::site::open::Kind;
#[cfg(test)]
use crate::site::open::tests::faults;

/// Says what a symbolic link leads to, by its name in the directory that is read: `None` leaves it
/// out (it leaves the root, or leads nowhere).
pub type ResolveLink<'a> = &'a mut dyn FnMut(&[u8]) -> Option<EntryMeta>;

/// Reads an open directory, then sorts it, in steps.
#[derive(Debug)]
pub struct DirectoryReader {
    /// Closed as soon as its end is reached.
    directory: Option<OwnedFd>,
    show_hidden: bool,
    /// Entries at the beginning of the listing that stand in sorted runs.
    sorted: usize,
    listing: Listing,
}

impl DirectoryReader {
    /// Begins with a directory that was opened for reading (not with `O_PATH`) and is used for
    /// nothing else: the position in it is part of the descriptor. Names that begin with a dot are
    /// left out unless `show_hidden`; `.well-known` never is.
    pub fn new(directory: OwnedFd, order: Order, show_hidden: bool) -> Self {
        Self {
            directory: Some(directory),
            show_hidden,
            sorted: 0,
            listing: Listing {
                order,
                ..Listing::default()
            },
        }
    }

    /// Moves on by one bounded piece of work, and returns the listing once it is whole.
    ///
    /// # Errors
    /// What the file system says to reading the directory; there is no listing then. An entry that
    /// vanished meanwhile is no error.
    pub fn step(&mut self, resolve: ResolveLink<'_>) -> io::Result<Option<Listing>> {
        if let Some(directory) = self.directory.take() {
            if !self.read_piece(&directory, resolve)? {
                self.directory = Some(directory);
                return Ok(None);
            }
            if !self.listing.sorts_by_value() {
                self.listing.order = Order::default();
            }
        }
        self.sort_run();
        let is_whole = self.sorted == self.listing.len();
        Ok(is_whole.then(|| {
            self.listing.begin_merging();
            mem::take(&mut self.listing)
        }))
    }

    /// Bytes it holds.
    pub fn bytes(&self) -> usize {
        self.listing.bytes()
    }

    /// Makes one call for names, and one for each name; true at the end of the directory. Bounded
    /// by [`LISTING_READ_BYTES`].
    fn read_piece(&mut self, directory: &OwnedFd, resolve: ResolveLink<'_>) -> io::Result<bool> {
        let mut buffer = [MaybeUninit::uninit(); LISTING_READ_BYTES];
        let mut names = RawDir::new(directory, &mut buffer);
        loop {
            match next_name(&mut names) {
                None => return Ok(true),
                // The next step makes the call again.
                Some(Err(Errno::INTR)) => return Ok(false),
                Some(Err(error)) => return Err(error.into()),
                Some(Ok(entry)) => self.add(directory, &entry, resolve),
            }
            if self.listing.totals.more >= LISTING_COUNTED_MAX {
                self.listing.totals.stopped_counting = true;
                return Ok(true);
            }
            if names.is_buffer_empty() {
                return Ok(false);
            }
        }
    }

    fn add(&mut self, directory: &OwnedFd, entry: &RawDirEntry<'_>, resolve: ResolveLink<'_>) {
        let name = entry.file_name().to_bytes();
        let is_left_out = is_hidden(name) && !self.show_hidden;
        if matches!(name, b"." | b"..") || is_left_out || is_never_served(entry.file_type()) {
            return;
        }
        if !self.listing.has_room_for(name) {
            self.listing.totals.more += 1;
            return;
        }
        // Not `statx`: `fstatat` tells enough here, and no container forbids it.
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
        let Ok(stat) = statat(directory, entry.file_name(), flags) else {
            return;
        };
        let file_type = FileType::from_raw_mode(stat.st_mode);
        let meta = if file_type == FileType::Symlink {
            resolve(name)
        } else {
            let size = stat.st_size.try_into().unwrap_or(0);
            EntryMeta::new(file_type.into(), size, stat.st_mtime)
        };
        if let Some(meta) = meta {
            self.listing.push(name, meta);
        }
    }

    /// Sorts one run of entries. Bounded by [`LISTING_SORT_RUN`].
    fn sort_run(&mut self) {
        let listing = &mut self.listing;
        let run = self.sorted..listing.len().min(self.sorted + LISTING_SORT_RUN);
        let (names, order) = (&listing.names, listing.order);
        listing.entries[run.clone()].sort_unstable_by(|a, b| order.compare(names, a, b));
        self.sorted = run.end;
        listing.runs.push(run);
    }
}

fn next_name<'a>(
    names: &'a mut RawDir<'_, &OwnedFd>,
) -> Option<rustix::io::Result<RawDirEntry<'a>>> {
    #[cfg(test)]
    if let Err(e) = faults::next(faults::Call::Names) {
        return Some(Err(e));
    }
    names.next()
}

/// Whether the directory itself already says that an entry is neither file nor directory nor link.
fn is_never_served(kind: FileType) -> bool {
    matches!(
        kind,
        FileType::Fifo | FileType::Socket | FileType::CharacterDevice | FileType::BlockDevice
    )
}

/// What a listing is sorted by. Directories come before files, whatever the order.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Order {
    /// The property that is compared; equal ones are sorted by name.
    pub key: SortKey,
    /// Largest first.
    pub descending: bool,
}

/// The property that a listing is sorted by.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SortKey {
    /// Without regard to case; names that differ in nothing else, by their bytes.
    #[default]
    Name,
    /// Bytes of a file; directories stay in the order of their names.
    Size,
    /// Last change.
    Time,
}

/// What an entry is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EntryMeta {
    /// A directory, or else a regular file: nothing else is ever served.
    pub is_directory: bool,
    /// Bytes of a file; 0 for a directory.
    pub size: u64,
    /// Last change of its contents, in seconds since 1970 (negative before).
    pub mtime: i64,
}

impl EntryMeta {
    /// `None` for what is not served.
    pub fn new(kind: Kind, size: u64, mtime: i64) -> Option<Self> {
        let (is_directory, size) = match kind {
            Kind::Directory => (true, 0),
            Kind::File => (false, size),
            Kind::Other => return None,
        };
        Some(Self {
            is_directory,
            size,
            mtime,
        })
    }
}

/// One entry of a directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry<'a> {
    /// Its name as the file system has it: any bytes but NUL and `/`.
    pub name: &'a [u8],
    /// What it is.
    pub meta: EntryMeta,
}

/// What a listing adds up to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Directories listed.
    pub directories: usize,
    /// Files listed.
    pub files: usize,
    /// Bytes of all files listed.
    pub bytes: u64,
    /// Entries not listed, since a listing is bounded. Links among them were not resolved.
    pub more: u64,
    /// Whether idler stopped counting at `more`.
    pub stopped_counting: bool,
}

/// A directory's entries in sorted runs, taken out in order, with what they add up to.
/// Costs at most 200 bytes an entry: 32 here, and its name.
#[derive(Debug, Default)]
pub struct Listing {
    /// All names, one after the other.
    names: Vec<u8>,
    entries: Vec<PackedEntry>,
    /// What is left of each sorted run: a heap, at whose root stands the run with the next entry.
    runs: Vec<Range<usize>>,
    /// What was asked for, or by name where it was too long for that.
    pub(crate) order: Order,
    pub(crate) totals: Totals,
}

#[derive(Debug)]
struct PackedEntry {
    meta: EntryMeta,
    /// Where its name stands among all.
    name: Range<u32>,
}

const _: () = assert!(size_of::<PackedEntry>() <= 32);

impl Listing {
    /// Takes the next entry in order. Bounded by the logarithm of the number of runs.
    pub fn next_entry(&mut self) -> Option<Entry<'_>> {
        let run = self.runs.first_mut()?;
        let at = run.start;
        run.start += 1;
        if run.start == run.end {
            self.runs.swap_remove(0);
        }
        self.sift_down();
        let packed = &self.entries[at];
        Some(Entry {
            name: packed.name(&self.names),
            meta: packed.meta,
        })
    }

    /// Whether all entries have been taken.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Whether it is short enough to be sorted by size or time.
    pub fn sorts_by_value(&self) -> bool {
        self.len() <= LISTING_SORTED_BY_VALUE_MAX
    }

    /// Bytes it holds.
    pub fn bytes(&self) -> usize {
        self.names.capacity()
            + self.entries.capacity() * size_of::<PackedEntry>()
            + self.runs.capacity() * size_of::<Range<usize>>()
    }

    fn len(&self) -> usize {
        self.entries.len()
    }

    fn has_room_for(&self, name: &[u8]) -> bool {
        self.len() < LISTING_ENTRIES_MAX && self.names.len() + name.len() <= LISTING_NAME_BYTES_MAX
    }

    fn push(&mut self, name: &[u8], meta: EntryMeta) {
        let start = self.names.len();
        // Neither fails: LISTING_NAME_BYTES_MAX fits 32 bits.
        let (Ok(start), Ok(end)) = (start.try_into(), (start + name.len()).try_into()) else {
            return;
        };
        reserve_within(&mut self.names, name.len(), LISTING_NAME_BYTES_MAX);
        self.names.extend_from_slice(name);
        reserve_within(&mut self.entries, 1, LISTING_ENTRIES_MAX);
        let name = start..end;
        self.entries.push(PackedEntry { meta, name });
        if meta.is_directory {
            self.totals.directories += 1;
        } else {
            self.totals.files += 1;
            self.totals.bytes = self.totals.bytes.saturating_add(meta.size);
        }
    }

    /// Makes a heap of the runs: what is sorted is one.
    fn begin_merging(&mut self) {
        let mut runs = mem::take(&mut self.runs);
        runs.retain(|run| !run.is_empty());
        runs.sort_unstable_by(|a, b| self.compare_first(a, b));
        self.runs = runs;
    }

    /// Moves the run at the root of the heap down to where it belongs.
    fn sift_down(&mut self) {
        let mut parent = 0;
        loop {
            let children = 2 * parent + 1..self.runs.len().min(2 * parent + 3);
            let by_first =
                |a: &usize, b: &usize| self.compare_first(&self.runs[*a], &self.runs[*b]);
            match children.min_by(by_first) {
                Some(child) if by_first(&child, &parent).is_lt() => {
                    self.runs.swap(parent, child);
                    parent = child;
                }
                _ => return,
            }
        }
    }

    /// Compares two runs by their first entries. Neither is empty.
    fn compare_first(&self, a: &Range<usize>, b: &Range<usize>) -> Ordering {
        let (a, b) = (&self.entries[a.start], &self.entries[b.start]);
        self.order.compare(&self.names, a, b)
    }
}

impl PackedEntry {
    fn name<'n>(&self, names: &'n [u8]) -> &'n [u8] {
        &names[self.name.start as usize..self.name.end as usize]
    }
}

impl Order {
    fn compare(self, names: &[u8], a: &PackedEntry, b: &PackedEntry) -> Ordering {
        let directed = |ordering: Ordering| match self.descending {
            true => ordering.reverse(),
            false => ordering,
        };
        let (name_a, name_b) = (a.name(names), b.name(names));
        let (a, b) = (&a.meta, &b.meta);
        let by_name = || compare_names(name_a, name_b);
        let by_kind = b.is_directory.cmp(&a.is_directory);
        by_kind.then_with(|| match self.key {
            SortKey::Name => directed(by_name()),
            SortKey::Size => directed(a.size.cmp(&b.size)).then_with(by_name),
            SortKey::Time => directed(a.mtime.cmp(&b.mtime)).then_with(by_name),
        })
    }
}

/// The order of names: as if both were in lower case; if that makes no difference, by their bytes.
/// A name that is not UTF-8 is compared too: each byte that belongs to no character counts as one
/// that comes after all others.
fn compare_names(a: &[u8], b: &[u8]) -> Ordering {
    // Most names are ASCII, and differ early.
    for (at, (x, y)) in a.iter().zip(b).enumerate() {
        if !x.is_ascii() || !y.is_ascii() {
            // All bytes before are ASCII, so a character begins here in both.
            let folded = folded(&a[at..]).cmp(folded(&b[at..]));
            return folded.then_with(|| a.cmp(b));
        }
        let ordering = x.to_ascii_lowercase().cmp(&y.to_ascii_lowercase());
        if ordering.is_ne() {
            return ordering;
        }
    }
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// The characters of a name in lower case, as numbers.
fn folded(name: &[u8]) -> impl Iterator<Item = u32> {
    name.utf8_chunks().flat_map(|chunk| {
        let valid = chunk.valid().chars().flat_map(char::to_lowercase);
        let invalid = chunk.invalid().iter();
        valid
            .map(u32::from)
            .chain(invalid.map(|&byte| u32::from(char::MAX) + 1 + u32::from(byte)))
    })
}

/// Makes room as `Vec` does, by doubling, but never beyond `limit` elements.
fn reserve_within<T>(vec: &mut Vec<T>, additional: usize, limit: usize) {
    let needed = vec.len() + additional;
    if needed > vec.capacity() {
        let capacity = (vec.capacity() * 2).min(limit).max(needed);
        vec.reserve_exact(capacity - vec.len());
    }
}
