//! The list of a directory, as the body of a reply that is made piece by piece.
//!
//! What lives here: [`ListingBody`], which reads, sorts and renders a directory a bounded step at a time. It may not know how
//! the pieces are sent. Invariant: however large the directory, no step is longer than its limits, and no turn of the loop
//! has more than [`LISTING_STEPS_PER_TURN`] of them, whoever asks. Read next: `crate::site::listing`, `crate::pages`.

use std::io;
use std::os::fd::OwnedFd;

use crate::pages::{self, ListingJson, ListingPage, ListingQuery, Row, Sort, Summary};
use crate::protocol::http::target::SitePath;
use crate::site::Site;
use crate::site::listing::{DirectoryReader, Entry, EntryMeta, Listing, Order, Progress, SortKey};

/// A listing on its way.
#[derive(Debug)]
pub struct ListingBody {
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
