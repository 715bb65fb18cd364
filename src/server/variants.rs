//! Variants of a file: which of its compressed siblings is sent to which client, and under what
//! conditions the choice is kept.
//!
//! For a client that accepts no coding, no sibling is looked at.

use std::cmp::Reverse;
use std::fmt;
use std::io;

use crate::event_loop::Now;
use crate::http::accept::{AcceptEncoding, Coding, Standing};
use crate::http::path::SitePath;
use crate::http::request::Request;
use crate::http::status::{Refusal, Status};
use crate::limits::ERROR_PAGE_BYTES_MAX;
use crate::site::Found;
use crate::site::cache::{CLASSES, Representation};
use crate::site::media::{is_compressible, is_current, suffix};
use crate::site::open::{Identity, Opened};

use crate::server::Http;
use crate::server::outcome::{NoteFn, Outcome, display};
use crate::server::representation::{Variant, is_settled};
use crate::server::sites::SiteState;

/// The codings that there may be a sibling for, the smallest first, as a rule.
const BY_SIZE: [Coding; 3] = [Coding::Brotli, Coding::Zstd, Coding::Gzip];

/// The codings that a client would rather have than plain bytes, the most welcome first; what is
/// left of the three is [`Coding::Identity`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Preference([Coding; BY_SIZE.len()]);

impl Preference {
    /// Plain bytes and nothing else.
    pub const PLAIN: Self = Self([Coding::Identity; BY_SIZE.len()]);

    /// Of codings that are equally welcome, the smaller one comes first, and plain bytes last.
    pub fn of(accept: &AcceptEncoding) -> Self {
        let plain = accept.standing(Coding::Identity);
        let mut codings = BY_SIZE;
        codings.sort_by_key(|&coding| Reverse(accept.standing(coding)));
        Self(codings.map(|coding| {
            let standing = accept.standing(coding);
            match standing >= plain && standing > Standing::Refused {
                true => coding,
                false => Coding::Identity,
            }
        }))
    }

    /// Of a request. Bounded by the length of its head. `note` is handed a sentence on each
    /// element.
    pub fn of_request(request: &Request<'_>, note: impl FnMut(fmt::Arguments<'_>)) -> Self {
        Self::of(&AcceptEncoding::read(request.headers, note))
    }

    /// The codings, the most welcome first.
    pub fn codings(self) -> impl Iterator<Item = Coding> {
        let codings = self.0.into_iter();
        codings.take_while(|&coding| coding != Coding::Identity)
    }

    /// Its class in the cache: a number of three digits, one for each coding; 0 for plain bytes.
    pub fn class(self) -> usize {
        let digit = |coding| coding as usize;
        self.0
            .map(digit)
            .iter()
            .fold(0, |class, digit| 4 * class + digit)
    }
}

/// The class of plain bytes.
pub(crate) const PLAIN_CLASS: usize = 0;

const _: () = assert!(BY_SIZE.len() == 3 && CLASSES == 4 * 4 * 4);

/// What was chosen, and what it takes to keep it.
#[derive(Debug)]
pub struct Selected {
    /// The file that is sent.
    pub opened: Opened,
    /// Its form.
    pub variant: Variant,
    /// Where it may be kept.
    pub key: CacheKey,
}

/// Under which class a choice may be kept, and what it depends on beside the file that is sent.
#[derive(Debug)]
pub struct CacheKey {
    class: usize,
    /// The path of the file that is sent.
    path: SitePath,
    /// What else was looked at, and what it was. `None` if that cannot be told.
    validity: Option<Vec<(SitePath, Identity)>>,
}

impl Selected {
    /// The file itself, for a client that takes nothing else.
    pub(crate) fn plain(path: &SitePath, opened: Opened, varies: bool) -> Self {
        Self {
            opened,
            variant: Variant {
                coding: Coding::Identity,
                varies,
            },
            key: CacheKey {
                class: PLAIN_CLASS,
                path: path.clone(),
                validity: Some(Vec::new()),
            },
        }
    }
}

impl SiteState {
    /// The class of the cache in which the answer to a request that accepts codings may stand. A
    /// file that has no variants is kept in the class of plain bytes alone.
    pub(crate) fn class(&self, request: &Request<'_>, raw: &[u8]) -> usize {
        let plain = self.cache.peek(PLAIN_CLASS, raw);
        if plain.is_none_or(|meta| meta.varies) {
            Preference::of_request(request, |_| ()).class()
        } else {
            PLAIN_CLASS
        }
    }

    /// Chooses between a plain file and its siblings. Bounded by three attempts to open one.
    pub(crate) fn choose(
        &mut self,
        preference: Preference,
        plain: Selected,
        turn: u64,
        note: NoteFn<'_>,
    ) -> Selected {
        let mut selected = plain;
        selected.key.class = preference.class();
        if preference == Preference::PLAIN {
            return selected;
        }
        let (path, original) = (selected.key.path.clone(), selected.opened.identity);
        // Looked up before the siblings are: while the directory stays the same, those that are
        // missing stay so.
        let directory = path.parent();
        let names = self.site.identity(&directory);
        let mut missing = false;
        for coding in preference.codings() {
            let sibling = path.with_suffix(suffix(coding));
            let found = self.site.find(&sibling, turn);
            let what = sibling_words(&found, &original);
            note("sibling", format_args!("{} {what}", display(&sibling)));
            match found {
                Found::File(opened) if is_current(&opened.identity, &original) => {
                    // It is no sibling of a newer original.
                    selected.key.depends_on(path, Some(original));
                    selected.key.path = sibling;
                    selected.opened = opened;
                    selected.variant.coding = coding;
                    break;
                }
                // It may become one: a sibling that is too old can be written again in place.
                Found::File(opened) | Found::Directory(opened) => {
                    selected.key.depends_on(sibling, Some(opened.identity));
                }
                Found::Forbidden => {
                    let identity = self.site.identity(&sibling);
                    selected.key.depends_on(sibling, identity);
                }
                Found::Missing(_) => missing = true,
                Found::Later(_) | Found::Failed(_) => selected.key.validity = None,
            }
        }
        if missing {
            selected.key.depends_on(directory, names);
        }
        selected
    }

    /// Keeps it for next time, under the raw path of the request; `identity` is that of the file.
    fn keep(
        &mut self,
        raw: &[u8],
        key: CacheKey,
        file: &Representation,
        identity: Identity,
        now: &Now,
    ) {
        let Some(mut validity) = key.validity else {
            return;
        };
        validity.push((key.path, identity));
        let are_settled = validity.iter().all(|(_, it)| is_settled(it, now.wall));
        // The file that is sent is the first condition.
        let conditions = validity.iter().rev();
        let conditions = conditions.map(|(path, it)| self.site.condition(path, *it));
        if are_settled && let Some(conditions) = conditions.collect() {
            let file = file.clone();
            self.cache.keep(key.class, raw, file, conditions, now.turn);
        }
    }
}

impl Http {
    /// An error, with the page that the site has for it.
    pub(crate) fn error(&mut self, site: usize, refusal: Refusal, now: &Now) -> Outcome {
        Outcome::Error {
            refusal,
            page: self.error_page(site, refusal.status, now),
            file: None,
        }
    }

    /// The page that a site has for a status; none if it is too large or cannot be read.
    pub(crate) fn error_page(
        &mut self,
        site: usize,
        status: Status,
        now: &Now,
    ) -> Option<Representation> {
        let path = SitePath::root().join(format!("{}.html", status.0).as_bytes());
        let raw = path.to_url();
        let varies = self.varies(site, &path);
        let state = &mut self.sites[site];
        let class = PLAIN_CLASS;
        let page = match state.cache.find(class, raw.as_bytes(), now.turn) {
            Some(page) => page.clone(),
            None => {
                let Found::File(opened) = state.site.find(&path, now.turn) else {
                    return None;
                };
                let selected = Selected::plain(&path, opened, varies);
                let keep_as = Some(raw.as_bytes());
                self.load(site, &path, selected, keep_as, now).ok()?
            }
        };
        (page.meta.size <= ERROR_PAGE_BYTES_MAX).then_some(page)
    }

    /// Of a file that was just opened at `path`, the variant that the client wants.
    pub(crate) fn select(
        &mut self,
        site: usize,
        request: &Request<'_>,
        path: &SitePath,
        opened: Opened,
        now: &Now,
        note: NoteFn<'_>,
    ) -> Selected {
        let varies = self.varies(site, path);
        let plain = Selected::plain(path, opened, varies);
        if !varies {
            let words = "files of this kind have no siblings";
            note("encoding", format_args!("{words}"));
            return plain;
        }
        let preference = Preference::of_request(request, |words| note("encoding", words));
        self.sites[site].choose(preference, plain, now.turn, note)
    }

    /// Reads what was selected of the file at `path`, if it is small, and keeps it for next time.
    pub(crate) fn load(
        &mut self,
        site: usize,
        path: &SitePath,
        selected: Selected,
        keep_as: Option<&[u8]>,
        now: &Now,
    ) -> io::Result<Representation> {
        let state = &mut self.sites[site];
        let Selected {
            opened,
            variant,
            key,
        } = selected;
        let name = state.site.inner(path);
        let date = self.dates.header(now.wall);
        let loaded = Representation::load(name, opened, variant, &self.policy, date, now.wall)?;
        let (file, identity) = loaded;
        if let (Some(raw), Some(identity)) = (keep_as, identity) {
            state.keep(raw, key, &file, identity, now);
        }
        Ok(file)
    }

    /// Whether clients may be sent different variants of a file. A site of one file has no
    /// siblings.
    pub(crate) fn varies(&self, site: usize, path: &SitePath) -> bool {
        let is_whole_site = self.sites[site].site.only.is_none();
        is_whole_site && is_compressible(&self.policy.types.of(path.as_bytes()))
    }
}

impl CacheKey {
    fn depends_on(&mut self, path: SitePath, identity: Option<Identity>) {
        match (&mut self.validity, identity) {
            (Some(validity), Some(identity)) => validity.push((path, identity)),
            (validity, _) => *validity = None,
        }
    }
}

fn sibling_words(found: &Found, original: &Identity) -> &'static str {
    match found {
        Found::File(it) if it.identity.size == 0 => "is empty, which no coded file is",
        Found::File(it) if is_current(&it.identity, original) => "is sent",
        Found::File(_) => "is older than its original",
        Found::Directory(_) => "is a directory",
        Found::Missing(_) => "is missing",
        Found::Forbidden | Found::Later(_) | Found::Failed(_) => "cannot be read",
    }
}

#[cfg(test)]
mod tests;
