//! From a file that was opened to one that is ready for the wire: which of its compressed siblings
//! is sent in its place, what is said of it, its bytes, and under what conditions that is kept.
//!
//! The length that is announced is always that of the file that is sent. For a client that accepts
//! no coding, no sibling is looked at.

use std::cmp::Reverse;
use std::io;
use std::ops::Range;
use std::os::fd::AsFd as _;
use std::rc::Rc;
use std::time::SystemTime;

use crate::event_loop::Now;
use crate::event_loop::page_cache::{Came, read_whole};
use crate::http::accept::{AcceptEncoding, Coding, Standing};
use crate::http::date::{imf_fixdate, unix_seconds};
use crate::http::path::SitePath;
use crate::http::status::{Refusal, Status};
use crate::limits::{CACHED_FILE_BYTES_MAX, ERROR_PAGE_BYTES_MAX, RACY_WINDOW, TORN_READS_MAX};
use crate::server::Http;
use crate::server::outcome::{NoteFn, Outcome, display};
use crate::server::policy::Policy;
use crate::server::respond::{VARY, whole_head};
use crate::server::sites::SiteState;
use crate::site::Found;
use crate::site::cache::{CLASSES, Content, FileMeta, Representation};
use crate::site::media::{is_compressible, is_current, suffix};
#[cfg(test)]
use crate::site::open::tests::faults;
use crate::site::open::{Identity, Moment, Opened, fstat};

/// The codings that there may be a sibling for, the smallest first, as a rule.
const BY_SIZE: [Coding; 3] = [Coding::Brotli, Coding::Zstd, Coding::Gzip];

/// The codings that a client would rather have than plain bytes, the most welcome first; what is
/// left of the three is [`Coding::Identity`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Preference([Coding; BY_SIZE.len()]);

impl Preference {
    /// Of codings that are equally welcome, the smaller one comes first, and plain bytes last.
    pub(crate) fn of(accept: &AcceptEncoding) -> Self {
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

    /// The codings, the most welcome first.
    fn codings(self) -> impl Iterator<Item = Coding> {
        let codings = self.0.into_iter();
        codings.take_while(|&coding| coding != Coding::Identity)
    }

    /// Its class in the cache: a number of three digits, one for each coding; 0 for plain bytes.
    pub(crate) fn class(self) -> usize {
        self.0
            .iter()
            .fold(0, |class, &coding| 4 * class + coding as usize)
    }
}

/// The class of plain bytes.
pub(crate) const PLAIN_CLASS: usize = 0;

const _: () = assert!(BY_SIZE.len() == 3 && CLASSES == 4 * 4 * 4);

/// The file that is sent, and what it takes to keep that choice.
#[derive(Debug)]
pub(crate) struct Selected {
    opened: Opened,
    coding: Coding,
    /// Whether another client might be sent another variant.
    varies: bool,
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
            coding: Coding::Identity,
            varies,
            class: PLAIN_CLASS,
            path: path.clone(),
            validity: Some(Vec::new()),
        }
    }

    fn depends_on(&mut self, path: SitePath, identity: Option<Identity>) {
        match (&mut self.validity, identity) {
            (Some(validity), Some(identity)) => validity.push((path, identity)),
            (validity, _) => *validity = None,
        }
    }
}

impl SiteState {
    /// Chooses between a plain file and its siblings. Bounded by three attempts to open one.
    pub(crate) fn choose(
        &mut self,
        preference: Preference,
        mut selected: Selected,
        turn: u64,
        note: NoteFn<'_>,
    ) -> Selected {
        selected.class = preference.class();
        if selected.class == PLAIN_CLASS {
            return selected;
        }
        let (path, original) = (selected.path.clone(), selected.opened.identity);
        // Looked up before the siblings are: while the directory stays the same, those that are
        // missing stay so.
        let directory = path.parent();
        let names = self.site.identity(&directory);
        let mut missing = false;
        for coding in preference.codings() {
            let sibling = path.with_suffix(suffix(coding));
            let found = self.site.find(&sibling, turn);
            let what = match &found {
                Found::File(it) if it.identity.size == 0 => "is empty, which no coded file is",
                Found::File(it) if is_current(&it.identity, &original) => "is sent",
                Found::File(_) => "is older than its original",
                Found::Directory(_) => "is a directory",
                Found::Missing(_) => "is missing",
                Found::Forbidden | Found::Later(_) | Found::Failed(_) => "cannot be read",
            };
            note("sibling", format_args!("{} {what}", display(&sibling)));
            match found {
                Found::File(opened) if is_current(&opened.identity, &original) => {
                    // It is no sibling of a newer original.
                    selected.depends_on(path, Some(original));
                    (selected.path, selected.opened) = (sibling, opened);
                    selected.coding = coding;
                    break;
                }
                // It may become one: a sibling that is too old can be written again in place.
                Found::File(opened) | Found::Directory(opened) => {
                    selected.depends_on(sibling, Some(opened.identity));
                }
                Found::Forbidden => {
                    let identity = self.site.identity(&sibling);
                    selected.depends_on(sibling, identity);
                }
                Found::Missing(_) => missing = true,
                Found::Later(_) | Found::Failed(_) => selected.validity = None,
            }
        }
        if missing {
            selected.depends_on(directory, names);
        }
        selected
    }
}

impl Http {
    /// An error, with the page that the site has for it.
    pub(crate) fn error(&mut self, site: usize, refusal: Refusal, now: &Now) -> Outcome {
        let (page, file) = (self.error_page(site, refusal.status, now), None);
        Outcome::Error {
            refusal,
            page,
            file,
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
        let raw = raw.as_bytes();
        let state = &mut self.sites[site];
        let page = match state.cache.find(PLAIN_CLASS, raw, now.turn) {
            Some(page) => page.clone(),
            None => {
                let Found::File(opened) = state.site.find(&path, now.turn) else {
                    return None;
                };
                let selected = Selected::plain(&path, opened, self.varies(site, &path));
                self.load(site, &path, selected, Some(raw), now).ok()?
            }
        };
        (page.meta.size <= ERROR_PAGE_BYTES_MAX).then_some(page)
    }

    /// Reads what was selected of the file at `path`, if it is small, and keeps it for next time
    /// under the raw path `keep_as`.
    pub(crate) fn load(
        &mut self,
        site: usize,
        path: &SitePath,
        selected: Selected,
        keep_as: Option<&[u8]>,
        now: &Now,
    ) -> io::Result<Representation> {
        let state = &mut self.sites[site];
        let date = self.dates.header(now.wall);
        let name = state.site.inner(path);
        let (coding, varies) = (selected.coding, selected.varies);
        let (file, identity) = read(selected.opened, date, |identity| {
            FileMeta::of(name, identity, coding, varies, &self.policy, now.wall)
        })?;
        if let (Some(raw), Some(identity), Some(mut validity)) =
            (keep_as, identity, selected.validity)
        {
            validity.push((selected.path, identity));
            let mut identities = validity.iter().map(|(_, identity)| identity);
            let are_settled = identities.all(|it| !is_recent(it.changed, now.wall));
            // The file that is sent is the first condition.
            let conditions = validity.iter().rev();
            let conditions = conditions.map(|(path, it)| state.site.condition(path, *it));
            if are_settled && let Some(conditions) = conditions.collect() {
                let (class, file) = (selected.class, file.clone());
                state.cache.keep(class, raw, file, conditions, now.turn);
            }
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

/// Reads a small file, again if it changed meanwhile; a larger one will be sent from its
/// descriptor. Also says under which identity it may be kept, if at all.
fn read(
    Opened { file, mut identity }: Opened,
    date: &[u8; 29],
    meta_of: impl Fn(&Identity) -> FileMeta,
) -> io::Result<(Representation, Option<Identity>)> {
    let mut may_be_kept = true;
    for _ in 0..TORN_READS_MAX {
        if identity.size > CACHED_FILE_BYTES_MAX {
            break;
        }
        let meta = meta_of(&identity);
        let mut whole = whole_head(&meta, date);
        let head_len = whole.len();
        let size = usize::try_from(identity.size).unwrap_or_default();
        whole.resize(head_len + size, 0);
        #[cfg(test)]
        faults::next(faults::Call::Read)?;
        let came = read_whole(&file, &mut whole[head_len..])?;
        if came == Came::Later {
            // It is sent like a large one, which can wait for a disk. The next request finds it in
            // memory.
            may_be_kept = false;
            break;
        }
        let (_, after) = fstat(file.as_fd())?;
        if came == Came::Whole && after == identity {
            let (meta, content) = (Rc::new(meta), Content::Whole(whole.into(), head_len));
            return Ok((Representation { meta, content }, Some(identity)));
        }
        identity = after;
    }
    let (meta, content) = (Rc::new(meta_of(&identity)), Content::File(Rc::new(file)));
    Ok((
        Representation { meta, content },
        may_be_kept.then_some(identity),
    ))
}

impl Representation {
    /// Some bytes of a body that is in memory; none of one that is not.
    pub fn slice(&self, part: Range<u64>) -> &[u8] {
        let Content::Whole(whole, head_len) = &self.content else {
            return &[];
        };
        let at = |n: u64| usize::try_from(n).ok()?.checked_add(*head_len);
        let range = at(part.start).zip(at(part.end));
        let bytes = range.and_then(|(start, end)| whole.get(start..end));
        bytes.unwrap_or_default()
    }
}

impl FileMeta {
    /// What is said of a file with this identity, sent in this coding for the one at this path
    /// within the site.
    fn of(
        path: &[u8],
        identity: &Identity,
        coding: Coding,
        varies: bool,
        policy: &Policy,
        wall: SystemTime,
    ) -> Self {
        let now = unix_seconds(wall);
        // Reproducible builds set every date to 0 or 1: such a date says nothing.
        let constant = (0..=1).contains(&identity.modified.seconds);
        let etag = entity_tag(identity, constant, coding, wall).into_bytes();
        // A future date must not be sent (RFC 9110 §8.8.2.1).
        let modified = Some(identity.modified.seconds).filter(|&s| s > 1 && s <= now);
        let mut validator_lines = [b"ETag: ", &*etag, b"\r\n"].concat();
        if varies {
            validator_lines.extend_from_slice(VARY);
        }
        policy.write_lines(path, &mut validator_lines);
        let mut lines = Vec::new();
        if coding != Coding::Identity {
            let field = format!("Content-Encoding: {}\r\n", coding.name());
            lines.extend_from_slice(field.as_bytes());
        }
        lines.extend_from_slice(b"X-Content-Type-Options: nosniff\r\nAccept-Ranges: bytes\r\n");
        if let Some(date) = modified.and_then(imf_fixdate) {
            lines.extend_from_slice(&[b"Last-Modified: ", &date[..], b"\r\n"].concat());
        }
        lines.extend_from_slice(&validator_lines);
        Self {
            content_type: policy.types.of(path).into(),
            lines,
            validator_lines,
            etag,
            modified,
            size: identity.size,
            varies,
        }
    }
}

/// From size and modification time, so that it is equal on every machine that holds the same copy.
/// Where the time is a constant, from inode and change time as well. Weak while another change
/// could leave it the same. A variant's ends in its coding: that of another one must never match it
/// (RFC 9110 §8.8.3.3).
fn entity_tag(identity: &Identity, constant: bool, coding: Coding, wall: SystemTime) -> String {
    let Identity {
        size,
        inode,
        modified,
        changed,
        ..
    } = *identity;
    let weak = if is_recent(modified, wall) { "W/" } else { "" };
    let coding = if coding == Coding::Identity {
        String::new()
    } else {
        format!("-{}", coding.name())
    };
    let Moment { seconds, nanos } = if constant { changed } else { modified };
    let inode = if constant {
        format!("-{inode:x}")
    } else {
        String::new()
    };
    format!("{weak}\"{size:x}{inode}-{seconds:x}.{nanos:x}{coding}\"")
}

/// Whether something may have changed again since without showing it in its times. What lies in the
/// future (a clock that was set back) is no older than it looks.
fn is_recent(moment: Moment, wall: SystemTime) -> bool {
    let window = i64::try_from(RACY_WINDOW.as_secs()).unwrap_or(i64::MAX);
    moment.seconds >= unix_seconds(wall).saturating_sub(window)
}

#[cfg(test)]
mod tests;
