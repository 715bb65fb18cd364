//! A directory, read and sorted in bounded pieces.
//!
//! What lives here: [`DirectoryReader`], moved a step at a time until it has become a [`Listing`].
//! It may not know HTML, queries or sockets, nor which symbolic links stay inside the root: that is
//! for `open.rs` to say, through a callback.
//! Invariant: no step takes longer than reading [`LISTING_READ_BYTES`] of directory, sorting
//! [`LISTING_SORT_RUN`] entries or merging [`LISTING_SORT_MOVES`], however large the directory.
//! Read next: `merge.rs` beside this file, then `pages/listing.rs`, which makes a page of it.

mod merge;
mod names;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::io;
use std::mem::{self, MaybeUninit};
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FileType, RawDir, RawDirEntry, statat};
use rustix::io::Errno;

use crate::limits::{
    LISTING_COUNTED_MAX, LISTING_ENTRIES_MAX, LISTING_NAME_BYTES_MAX, LISTING_READ_BYTES,
    LISTING_SORT_MOVES, LISTING_SORT_RUN, LISTING_SORTED_BY_VALUE_MAX,
};
use crate::site::directory::merge::MergeSort;
use crate::site::directory::names::compare_names;
#[cfg(test)]
use crate::site::open::tests::faults;
use crate::site::open::{Identity, Kind};

/// Reads an open directory, then sorts it, in steps.
#[derive(Debug)]
pub struct DirectoryReader {
    stage: Stage,
    show_hidden: bool,
    wanted: Order,
    listing: Listing,
}

#[derive(Debug)]
enum Stage {
    Reading(OwnedFd),
    Sorting(MergeSort),
    Done,
}

/// What a step says.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// Another step is needed.
    More,
    /// The listing is whole.
    Done,
}

impl DirectoryReader {
    /// Begins with a directory that was opened for reading (not with `O_PATH`) and is used for nothing
    /// else: the position in it is part of the descriptor. It is closed as soon as its end is reached.
    ///
    /// Names that begin with a dot are left out unless `show_hidden`; `.well-known` never is.
    pub fn new(directory: OwnedFd, wanted: Order, show_hidden: bool) -> Self {
        Self {
            stage: Stage::Reading(directory),
            show_hidden,
            wanted,
            listing: Listing::default(),
        }
    }

    /// Moves on by one bounded piece of work. `resolve` is asked what a symbolic link stands for, by its
    /// name in this directory: `None` leaves it out (it leaves the root, or leads nowhere).
    ///
    /// # Errors
    ///
    /// What the file system says to reading the directory; there is no listing then. An entry that
    /// vanished meanwhile is no error.
    pub fn step(
        &mut self,
        resolve: &mut dyn FnMut(&[u8]) -> Option<EntryMeta>,
    ) -> io::Result<Progress> {
        let mut stage = mem::replace(&mut self.stage, Stage::Done);
        if let Stage::Reading(directory) = stage {
            if self.read_piece(&directory, resolve)? == Progress::More {
                self.stage = Stage::Reading(directory);
                return Ok(Progress::More);
            }
            stage = Stage::Sorting(self.begin_sorting());
        }
        if let Stage::Sorting(mut merging) = stage {
            let listing = &self.listing;
            let progress = merging.step(LISTING_SORT_RUN, LISTING_SORT_MOVES, |a, b| {
                listing.compare(a, b)
            });
            match progress {
                Progress::More => self.stage = Stage::Sorting(merging),
                Progress::Done => self.listing.in_order = merging.into_order(),
            }
            return Ok(progress);
        }
        Ok(Progress::Done)
    }

    /// Bytes it holds.
    pub fn bytes(&self) -> usize {
        let sorting = match &self.stage {
            Stage::Reading(_) | Stage::Done => 0,
            // The numbers, and the room to merge them.
            Stage::Sorting(_) => self.listing.entries.len() * 2 * size_of::<u32>(),
        };
        self.listing.bytes() + sorting
    }

    /// The listing; whole once [`step`](Self::step) said [`Progress::Done`], and empty before.
    pub fn into_listing(self) -> Listing {
        self.listing
    }

    /// One call for names, and one for each name. Bounded by [`LISTING_READ_BYTES`].
    fn read_piece(
        &mut self,
        directory: &OwnedFd,
        resolve: &mut dyn FnMut(&[u8]) -> Option<EntryMeta>,
    ) -> io::Result<Progress> {
        let mut buffer = [MaybeUninit::uninit(); LISTING_READ_BYTES];
        let mut names = RawDir::new(directory, &mut buffer);
        loop {
            match next_name(&mut names) {
                None => return Ok(Progress::Done),
                // The call comes again with the next step.
                Some(Err(Errno::INTR)) => return Ok(Progress::More),
                Some(Err(error)) => return Err(error.into()),
                Some(Ok(entry)) => self.take(directory, &entry, resolve),
            }
            if self.listing.totals.more >= LISTING_COUNTED_MAX {
                self.listing.totals.more_is_exact = false;
                return Ok(Progress::Done);
            }
            if names.is_buffer_empty() {
                return Ok(Progress::More);
            }
        }
    }

    fn take(
        &mut self,
        directory: &OwnedFd,
        entry: &RawDirEntry<'_>,
        resolve: &mut dyn FnMut(&[u8]) -> Option<EntryMeta>,
    ) {
        let name = entry.file_name().to_bytes();
        if !is_listed(name, self.show_hidden) || is_never_served(entry.file_type()) {
            return;
        }
        if !self.listing.has_room_for(name) {
            self.listing.totals.more += 1;
            return;
        }
        // Not `statx`: what is asked for here is in the older answer too, and no container forbids it.
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
        let Ok(answer) = statat(directory, entry.file_name(), flags) else {
            return;
        };
        let meta = |is_directory, size| EntryMeta {
            is_directory,
            size,
            mtime: answer.st_mtime,
        };
        let meta = match FileType::from_raw_mode(answer.st_mode) {
            FileType::Symlink => resolve(name),
            FileType::Directory => Some(meta(true, 0)),
            FileType::RegularFile => Some(meta(false, answer.st_size.try_into().unwrap_or(0))),
            FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown => None,
        };
        if let Some(meta) = meta {
            self.listing.push(name, meta);
        }
    }

    fn begin_sorting(&mut self) -> MergeSort {
        let len = self.listing.entries.len();
        self.listing.order = match self.wanted.key {
            SortKey::Name => self.wanted,
            SortKey::Size | SortKey::Time if len <= LISTING_SORTED_BY_VALUE_MAX => self.wanted,
            SortKey::Size | SortKey::Time => Order::default(),
        };
        MergeSort::new(len)
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

/// A directory's entries in order, with what they add up to.
///
/// Costs at most 200 bytes an entry: 24 here, 4 for its place, 4 more while sorting, and its name.
#[derive(Debug, Default)]
pub struct Listing {
    /// All names, one after the other.
    names: Vec<u8>,
    entries: Vec<Packed>,
    in_order: Vec<u32>,
    order: Order,
    totals: Totals,
}

#[derive(Debug)]
struct Packed {
    size: u64,
    mtime: i64,
    name_start: u32,
    name_len: u16,
    is_directory: bool,
}

const _: () = assert!(size_of::<Packed>() <= 24);

/// One entry of a directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry<'a> {
    /// Its name as the file system has it: any bytes but NUL and `/`.
    pub name: &'a [u8],
    /// What it is.
    pub meta: EntryMeta,
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

/// What a listing is sorted by. Directories come before files, whatever the order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
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

/// What a listing adds up to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Totals {
    /// Directories listed.
    pub directories: usize,
    /// Files listed.
    pub files: usize,
    /// Bytes of all files listed.
    pub bytes: u64,
    /// Entries not listed, since a listing is bounded. Links among them were not resolved.
    pub more: u64,
    /// False if idler stopped counting at `more`.
    pub more_is_exact: bool,
}

impl Default for Totals {
    fn default() -> Self {
        Self {
            directories: 0,
            files: 0,
            bytes: 0,
            more: 0,
            more_is_exact: true,
        }
    }
}

impl EntryMeta {
    /// Of what was opened beneath the root: how a symbolic link is resolved. `None` for what is not served.
    pub fn of(kind: Kind, identity: &Identity) -> Option<Self> {
        let (is_directory, size) = match kind {
            Kind::Directory => (true, 0),
            Kind::File => (false, identity.size),
            Kind::Other => return None,
        };
        Some(Self {
            is_directory,
            size,
            mtime: identity.modified.seconds,
        })
    }
}

impl Listing {
    /// Bytes it holds.
    pub fn bytes(&self) -> usize {
        self.names.capacity()
            + self.entries.capacity() * size_of::<Packed>()
            + self.in_order.capacity() * size_of::<u32>()
    }

    /// Entries listed.
    pub fn len(&self) -> usize {
        self.in_order.len()
    }

    /// True for an empty directory.
    pub fn is_empty(&self) -> bool {
        self.in_order.is_empty()
    }

    /// The entries in order, from the one at place `from`. Starting anywhere costs nothing.
    pub fn entries_from(&self, from: usize) -> impl Iterator<Item = Entry<'_>> {
        let places = self.in_order.get(from..).unwrap_or_default();
        places.iter().map(|&place| {
            let packed = self.packed(place);
            Entry {
                name: self.name(packed),
                meta: EntryMeta {
                    is_directory: packed.is_directory,
                    size: packed.size,
                    mtime: packed.mtime,
                },
            }
        })
    }

    /// The order it has: what was asked for, or by name where it was too long for that.
    pub fn order(&self) -> Order {
        self.order
    }

    /// Whether it is short enough to be sorted by size or time.
    pub fn sorts_by_value(&self) -> bool {
        self.len() <= LISTING_SORTED_BY_VALUE_MAX
    }

    /// What it adds up to.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    fn has_room_for(&self, name: &[u8]) -> bool {
        self.entries.len() < LISTING_ENTRIES_MAX
            && self.names.len() + name.len() <= LISTING_NAME_BYTES_MAX
    }

    fn push(&mut self, name: &[u8], meta: EntryMeta) {
        // Neither fails: LISTING_NAME_BYTES_MAX fits 32 bits, and no name is longer than a buffer.
        let (Ok(name_start), Ok(name_len)) =
            (u32::try_from(self.names.len()), u16::try_from(name.len()))
        else {
            return;
        };
        reserve_within(&mut self.names, name.len(), LISTING_NAME_BYTES_MAX);
        self.names.extend_from_slice(name);
        reserve_within(&mut self.entries, 1, LISTING_ENTRIES_MAX);
        self.entries.push(Packed {
            size: meta.size,
            mtime: meta.mtime,
            name_start,
            name_len,
            is_directory: meta.is_directory,
        });
        if meta.is_directory {
            self.totals.directories += 1;
        } else {
            self.totals.files += 1;
            self.totals.bytes = self.totals.bytes.saturating_add(meta.size);
        }
    }

    fn packed(&self, place: u32) -> &Packed {
        &self.entries[place as usize]
    }

    fn name(&self, packed: &Packed) -> &[u8] {
        &self.names[packed.name_start as usize..][..packed.name_len.into()]
    }

    fn compare(&self, a: u32, b: u32) -> Ordering {
        let (a, b) = (self.packed(a), self.packed(b));
        let by_name = || compare_names(self.name(a), self.name(b));
        let directed = |ordering: Ordering| match self.order.descending {
            true => ordering.reverse(),
            false => ordering,
        };
        b.is_directory
            .cmp(&a.is_directory)
            .then_with(|| match self.order.key {
                SortKey::Name => directed(by_name()),
                SortKey::Size => directed(a.size.cmp(&b.size)).then_with(by_name),
                SortKey::Time => directed(a.mtime.cmp(&b.mtime)).then_with(by_name),
            })
    }
}

/// Whether a name belongs in a listing at all.
fn is_listed(name: &[u8], show_hidden: bool) -> bool {
    match name {
        b"." | b".." => false,
        b".well-known" => true,
        [b'.', ..] => show_hidden,
        _ => true,
    }
}

/// Whether the directory itself already says that an entry is neither file nor directory nor link.
fn is_never_served(kind: FileType) -> bool {
    matches!(
        kind,
        FileType::Fifo | FileType::Socket | FileType::CharacterDevice | FileType::BlockDevice
    )
}

/// Makes room as `Vec` does, by doubling, but never beyond `limit` elements.
fn reserve_within<T>(vec: &mut Vec<T>, additional: usize, limit: usize) {
    let needed = vec.len() + additional;
    if needed > vec.capacity() {
        let capacity = (vec.capacity() * 2).min(limit).max(needed);
        vec.reserve_exact(capacity - vec.len());
    }
}
