//! The list of a directory, as the body of a reply that is made piece by piece.
//!
//! [`ListingBody`] reads, sorts and renders a directory a bounded step at a time. However large the
//! directories, no turn of the loop makes more than [`LISTING_STEPS_PER_TURN`] steps in all.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::rc::Rc;

use crate::http::path::SitePath;
use crate::limits::{
    LISTING_BYTES_ALWAYS, LISTING_PIECE_BYTES, LISTING_STEPS_PER_TURN, LISTINGS_BYTES_MAX,
};
use crate::pages::{ListingJson, ListingPage};
use crate::site::Site;
use crate::site::directory::{DirectoryReader, EntryMeta, Listing};

use crate::server::outcome::DirectoryList;

/// How all listings share time and memory: steps in turns, and bytes in all.
#[derive(Debug, Default)]
pub struct Listings {
    turn: u64,
    /// Listings that have asked for a step in this turn.
    asked: u32,
    /// The first so many of them had a step before, and are passed over.
    skip: u32,
    bytes: Rc<Cell<usize>>,
}

impl Listings {
    /// Whether the listing that asks may make a step. In each turn [`LISTING_STEPS_PER_TURN`]
    /// listings may, and in the next turn the listings behind them in the queue, so that a short
    /// one does not wait for a thousand long ones to end.
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
        let (holds, all) = (listing.bytes(), Rc::clone(&self.bytes));
        let held = listing.held.get_or_insert(HeldBytes { all, own: 0 });
        let grows = holds > held.own;
        held.set(holds);
        if grows && holds > LISTING_BYTES_ALWAYS && self.bytes.get() > LISTINGS_BYTES_MAX {
            return Err(io::Error::other("all listings together hold too much"));
        }
        Ok(())
    }
}

/// A listing's share of the bytes that all of them hold; given back when it is dropped.
#[derive(Debug)]
struct HeldBytes {
    all: Rc<Cell<usize>>,
    own: usize,
}

impl HeldBytes {
    fn set(&mut self, bytes: usize) {
        let others = self.all.get().saturating_sub(self.own);
        self.all.set(others.saturating_add(bytes));
        self.own = bytes;
    }
}

impl Drop for HeldBytes {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// A listing on its way.
#[derive(Debug)]
pub struct ListingBody {
    held: Option<HeldBytes>,
    path: SitePath,
    /// The number of the site that it lists.
    pub(super) site: usize,
    json: bool,
    /// Whether pieces are framed as chunks (RFC 9112 §7.1); HTTP/1.0 reads until the connection
    /// closes.
    chunked: bool,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Reading(Box<DirectoryReader>),
    Rendering(Format, Listing),
    Done,
}

#[derive(Debug)]
enum Format {
    Html(ListingPage),
    Json(ListingJson),
}

impl ListingBody {
    /// Begins with nothing read.
    pub(super) fn new(list: DirectoryList, chunked: bool) -> Box<Self> {
        let reader = DirectoryReader::new(list.directory, list.query.order, list.shows_hidden);
        Box::new(Self {
            held: None,
            path: list.path,
            site: list.site,
            json: list.query.json,
            chunked,
            stage: Stage::Reading(Box::new(reader)),
        })
    }

    /// Makes the next piece, possibly an empty one, and says whether it is the last. Bounded by
    /// [`LISTING_PIECE_BYTES`] and one row, or by a step of [`DirectoryReader`].
    ///
    /// # Errors
    /// If the directory cannot be read: what was promised cannot be kept.
    pub fn step(&mut self, site: &mut Site, turn: u64) -> io::Result<(Vec<u8>, bool)> {
        let mut piece = String::new();
        self.stage = match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Reading(mut reader) => {
                let mut resolve = |name: &[u8]| {
                    let (kind, identity) = site.meta(&self.path.join(name), turn)?;
                    EntryMeta::new(kind, identity.size, identity.modified.seconds)
                };
                match reader.step(&mut resolve)? {
                    None => Stage::Reading(reader),
                    Some(listing) => {
                        let format = self.format(&listing);
                        format.head(&mut piece).map_err(io::Error::other)?;
                        Stage::Rendering(format, listing)
                    }
                }
            }
            Stage::Rendering(mut format, mut listing) => {
                let written = format.rows(&mut listing, &mut piece);
                written.map_err(io::Error::other)?;
                match listing.is_empty() {
                    false => Stage::Rendering(format, listing),
                    true => Stage::Done,
                }
            }
            Stage::Done => Stage::Done,
        };
        let (mut piece, last) = (piece.into_bytes(), matches!(self.stage, Stage::Done));
        if self.chunked {
            piece = chunk(&piece, last);
        }
        Ok((piece, last))
    }

    /// Bytes it holds.
    fn bytes(&self) -> usize {
        match &self.stage {
            Stage::Reading(reader) => reader.bytes(),
            Stage::Rendering(_, listing) => listing.bytes(),
            Stage::Done => 0,
        }
    }

    fn format(&self, listing: &Listing) -> Format {
        if self.json {
            return Format::Json(ListingJson::new(listing.totals));
        }
        let path = match self.path.as_bytes() {
            b"" => b"/".to_vec(),
            path => [b"/", path, b"/"].concat(),
        };
        Format::Html(ListingPage::new(&path, listing))
    }
}

impl Format {
    fn head(&self, out: &mut String) -> fmt::Result {
        match self {
            Self::Html(page) => page.head(out),
            Self::Json(json) => json.head(out),
        }
    }

    /// Writes entries until there is a piece, and what comes behind the last one.
    fn rows(&mut self, listing: &mut Listing, out: &mut String) -> fmt::Result {
        while out.len() < LISTING_PIECE_BYTES
            && let Some(entry) = listing.next_entry()
        {
            match self {
                Self::Html(page) => page.row(&entry, out)?,
                Self::Json(json) => json.row(&entry, out)?,
            }
        }
        match self {
            _ if !listing.is_empty() => Ok(()),
            Self::Html(page) => page.tail(out),
            Self::Json(json) => json.tail(out),
        }
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
    use crate::pages::ListingQuery;

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
            let list = DirectoryList {
                directory: std::fs::File::open(&path).unwrap().into(),
                path: SitePath::root(),
                site: 0,
                shows_hidden: false,
                query: ListingQuery::default(),
                negotiated: false,
                not_modified: false,
            };
            let mut body = ListingBody::new(list, true);
            for turn in 0..1000 {
                let (piece, last) = body.step(&mut site, turn)?;
                assert!(piece.len() < LISTING_PIECE_BYTES + 4096);
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
