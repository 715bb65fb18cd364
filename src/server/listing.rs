//! The list of a directory, as the body of a reply that is made piece by piece.
//!
//! What lives here: [`ListingBody`], which reads, sorts and renders a directory a bounded step at a time. It may not know how
//! the pieces are sent. Invariant: however large the directory, no step is longer than its limits, and no turn of the loop
//! has more than [`LISTING_STEPS_PER_TURN`] of them, whoever asks. Read next: `crate::site::directory`, `crate::pages`.

use std::cell::Cell;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use crate::http::path::SitePath;
use crate::limits::{LISTING_BYTES_ALWAYS, LISTING_STEPS_PER_TURN, LISTINGS_BYTES_MAX};
use crate::pages;
use crate::pages::{ListingJson, ListingPage, ListingQuery, Row, Sort, Summary};
use crate::site::Site;
use crate::site::directory::{
    DirectoryReader, Entry, EntryMeta, Listing, Order, Progress, SortKey,
};

/// How all listings share time and memory: steps in turns, and bytes in all.
#[derive(Debug, Default)]
pub struct Listings {
    turn: u64,
    /// How many have asked for a step in this turn, and how many of them were to be passed over.
    asked: u32,
    skip: u32,
    bytes: Rc<Cell<usize>>,
}

impl Listings {
    /// Whether the one that asks may make a step. In each turn [`LISTING_STEPS_PER_TURN`] of those that ask may; in the next
    /// turn it is those behind them in the queue, so that a short listing does not wait for a thousand long ones to end.
    pub fn may_step(&mut self, turn: u64) -> bool {
        if self.turn != turn {
            let skip = self.skip + LISTING_STEPS_PER_TURN;
            self.skip = if skip < self.asked { skip } else { 0 };
            self.turn = turn;
            self.asked = 0;
        }
        let place = self.asked;
        self.asked += 1;
        (self.skip..self.skip + LISTING_STEPS_PER_TURN).contains(&place)
    }

    /// Bytes that all of them hold.
    #[cfg(any(test, feature = "fuzz"))]
    pub fn memory(&self) -> usize {
        self.bytes.get()
    }

    /// Takes note of what a listing holds now.
    ///
    /// # Errors
    /// If that is more than there is for all of them together; short ones are always let through.
    pub fn account(&mut self, listing: &mut ListingBody) -> io::Result<()> {
        let holds = listing.bytes();
        let held = listing.held.get_or_insert_with(|| Held {
            all: Rc::clone(&self.bytes),
            mine: 0,
        });
        let grows = holds > held.mine;
        held.set(holds);
        if grows && holds > LISTING_BYTES_ALWAYS && self.bytes.get() > LISTINGS_BYTES_MAX {
            return Err(io::Error::other("all listings together hold too much"));
        }
        Ok(())
    }
}

/// A listing's share of the bytes that all of them hold; given back when it is gone.
#[derive(Debug)]
struct Held {
    all: Rc<Cell<usize>>,
    mine: usize,
}

impl Held {
    fn set(&mut self, bytes: usize) {
        let others = self.all.get().saturating_sub(self.mine);
        self.all.set(others.saturating_add(bytes));
        self.mine = bytes;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// A listing on its way.
#[derive(Debug)]
pub struct ListingBody {
    held: Option<Held>,
    path: SitePath,
    site: usize,
    json: bool,
    /// Whether pieces are framed as chunks (RFC 9112 §7.1); HTTP/1.0 reads until the connection closes.
    chunked: bool,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Reading(Box<DirectoryReader>),
    Rendering {
        listing: Listing,
        page: Page,
        at: usize,
    },
    Done,
}

#[derive(Debug)]
enum Page {
    Html(ListingPage),
    Json(ListingJson),
}

impl Page {
    fn head(&self, out: &mut Vec<u8>) {
        match self {
            Self::Html(page) => page.head(out),
            Self::Json(page) => page.head(out),
        }
    }

    fn rows<'a>(&mut self, rows: impl Iterator<Item = Row<'a>>, out: &mut Vec<u8>) -> usize {
        match self {
            Self::Html(page) => page.rows(rows, out),
            Self::Json(page) => page.rows(rows, out),
        }
    }

    fn tail(&mut self, out: &mut Vec<u8>) {
        match self {
            Self::Html(page) => page.tail(out),
            Self::Json(page) => page.tail(out),
        }
    }
}

impl ListingBody {
    /// The listing of `directory`, which stands at `path` of the site with this number.
    pub fn new(
        directory: OwnedFd,
        path: &SitePath,
        site: usize,
        query: ListingQuery,
        hidden: bool,
        chunked: bool,
    ) -> Box<Self> {
        let key = match query.sort.key {
            pages::SortKey::Name => SortKey::Name,
            pages::SortKey::Size => SortKey::Size,
            pages::SortKey::Time => SortKey::Time,
        };
        let order = Order {
            key,
            descending: query.sort.descending,
        };
        let reader = DirectoryReader::new(directory, order, hidden);
        Box::new(Self {
            held: None,
            path: path.clone(),
            site,
            json: query.json,
            chunked,
            stage: Stage::Reading(Box::new(reader)),
        })
    }

    /// The number of the site that it lists.
    pub fn site(&self) -> usize {
        self.site
    }

    /// Makes the next piece, possibly an empty one, and says whether it is the last.
    ///
    /// # Errors
    /// If the directory cannot be read: what was promised cannot be kept.
    pub fn step(&mut self, site: &mut Site, turn: u64) -> io::Result<(Vec<u8>, bool)> {
        let mut piece = Vec::new();
        self.stage = match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Reading(mut reader) => {
                let path = &self.path;
                let mut resolve = |name: &[u8]| {
                    let (kind, identity) = site.meta(&path.join(name), turn)?;
                    EntryMeta::of(kind, &identity)
                };
                match reader.step(&mut resolve)? {
                    Progress::More => Stage::Reading(reader),
                    Progress::Done => {
                        let listing = reader.into_listing();
                        let page = self.page(&listing);
                        page.head(&mut piece);
                        Stage::Rendering {
                            listing,
                            page,
                            at: 0,
                        }
                    }
                }
            }
            Stage::Rendering {
                listing,
                mut page,
                mut at,
            } => {
                at += page.rows(listing.entries_from(at).map(row), &mut piece);
                if at < listing.len() {
                    Stage::Rendering { listing, page, at }
                } else {
                    page.tail(&mut piece);
                    Stage::Done
                }
            }
            Stage::Done => Stage::Done,
        };
        let last = matches!(self.stage, Stage::Done);
        if self.chunked {
            piece = chunk(&piece, last);
        }
        Ok((piece, last))
    }

    /// Bytes it holds.
    fn bytes(&self) -> usize {
        match &self.stage {
            Stage::Reading(reader) => reader.bytes(),
            Stage::Rendering { listing, .. } => listing.bytes(),
            Stage::Done => 0,
        }
    }

    fn page(&self, listing: &Listing) -> Page {
        let totals = listing.totals();
        let summary = Summary {
            directories: totals.directories,
            files: totals.files,
            bytes: totals.bytes,
            more: totals.more,
            more_is_exact: totals.more_is_exact,
        };
        if self.json {
            return Page::Json(ListingJson::new(summary));
        }
        let key = match listing.order().key {
            SortKey::Name => pages::SortKey::Name,
            SortKey::Size => pages::SortKey::Size,
            SortKey::Time => pages::SortKey::Time,
        };
        let sort = Sort {
            key,
            descending: listing.order().descending,
        };
        let mut path = b"/".to_vec();
        path.extend_from_slice(self.path.as_bytes());
        if path.len() > 1 {
            path.push(b'/');
        }
        Page::Html(ListingPage::new(
            &path,
            sort,
            listing.sorts_by_value(),
            summary,
        ))
    }
}

fn row(entry: Entry<'_>) -> Row<'_> {
    let EntryMeta {
        is_directory,
        size,
        mtime,
    } = entry.meta;
    Row {
        name: entry.name,
        is_directory,
        size,
        mtime,
    }
}

/// Frames a piece as a chunk; nothing for an empty one, since an empty chunk is the last.
fn chunk(piece: &[u8], last: bool) -> Vec<u8> {
    let mut framed = Vec::with_capacity(piece.len() + 24);
    if !piece.is_empty() {
        framed.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        framed.extend_from_slice(piece);
        framed.extend_from_slice(b"\r\n");
    }
    if last {
        framed.extend_from_slice(b"0\r\n\r\n");
    }
    framed
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::panic,
        reason = "a test may stop at the first surprise"
    )]

    use super::*;

    #[test]
    fn those_who_wait_for_a_step_take_turns() {
        let mut listings = Listings::default();
        let mut steps = [0; 10];
        // Twice through all of them.
        let turns = 2 * 10_u64.div_ceil(LISTING_STEPS_PER_TURN.into());
        for turn in 1..=turns {
            for steps in &mut steps {
                *steps += u32::from(listings.may_step(turn));
            }
        }
        assert_eq!(steps.iter().min(), Some(&2), "{steps:?}");
        assert_eq!(steps.iter().max(), Some(&2), "{steps:?}");
    }

    #[test]
    fn one_alone_does_not_wait() {
        let mut listings = Listings::default();
        for _ in 0..10 {
            listings.may_step(1);
        }
        // Once it finds out that the others are gone.
        listings.may_step(2);
        assert!((3..20).all(|turn| listings.may_step(turn)));
    }

    #[test]
    fn a_long_listing_gives_way_when_all_hold_too_much_and_a_short_one_does_not() {
        let path = std::env::temp_dir().join(format!("idler-listings-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        for n in 0..400 {
            std::fs::write(path.join(format!("{n:0200}")), b"").unwrap();
        }
        let mut site = Site::open(&path, false).unwrap();
        let mut listings = Listings::default();
        let mut list = |listings: &mut Listings| -> io::Result<()> {
            let directory = std::fs::File::open(&path).unwrap().into();
            let query = ListingQuery::parse(b"");
            let mut body = ListingBody::new(directory, &SitePath::root(), 0, query, false, true);
            for turn in 0..1000 {
                let (_, last) = body.step(&mut site, turn)?;
                listings.account(&mut body)?;
                if last {
                    return Ok(());
                }
            }
            panic!("it has an end");
        };
        assert!(list(&mut listings).is_ok());
        assert_eq!(listings.bytes.get(), 0, "given back");
        listings.bytes.set(LISTINGS_BYTES_MAX);
        let long = list(&mut listings);
        assert!(long.is_err(), "it holds more than {LISTING_BYTES_ALWAYS}");
        for n in 10..400 {
            std::fs::remove_file(path.join(format!("{n:0200}"))).unwrap();
        }
        assert!(list(&mut listings).is_ok());
        assert_eq!(listings.bytes.get(), LISTINGS_BYTES_MAX, "given back");
        std::fs::remove_dir_all(&path).unwrap();
    }
}
