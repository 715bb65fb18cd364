//! What options switch on, resolved once at the start: which policies there are, and which fields
//! they add to heads.
//!
//! A request pays only for what is switched on.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use crate::cli::{CachePolicy, HeaderRule, ServeOptions};
use crate::http::path::SitePath;
use crate::http::request::{Method, Request};
use crate::limits::{HASH_CHARS_MIN, LINGER_TIMEOUT, REDIRECTS_BYTES_MAX};
use crate::server::redirects::Redirects;
use crate::site::media::MediaTypes;

use crate::server::reloadable_file::ReloadableFile;

/// How requests are answered. Read by every request; only SIGHUP changes anything in it.
#[derive(Debug)]
pub struct Policy {
    /// Names looked for in a directory, in this order.
    pub indexes: Vec<Vec<u8>>,
    /// Whether a directory without any of them is listed.
    pub listing: bool,
    /// Fields of every reply that idler makes itself, such as an error page: whole lines, each with
    /// its line end.
    pub extra_lines: Vec<u8>,
    /// Fields that were asked for.
    pub headers: Headers,
    /// For how long files are fresh.
    pub cache: CachePolicy,
    /// Whether any policy comes before files are looked for: status, health, hosts, `--allow`,
    /// CORS, password or redirects.
    pub precedes_files: bool,
    /// Whether missing pages are answered with the root's index.
    pub spa: bool,
    /// Whether `/page` means `page.html`.
    pub clean_urls: bool,
    /// Whether only some may see the site, so that shared caches must not keep it.
    pub private: bool,
    /// The path at which health is answered.
    pub health: Option<Vec<u8>>,
    /// Whether scripts of other sites may read replies.
    pub cors: bool,
    /// Paths that lead elsewhere.
    pub redirects: Option<ReloadableFile<Redirects>>,
    /// Media types by extension that win over all others.
    pub types: MediaTypes,
}

const CACHE_CONTROL: &str = "Cache-Control";
const ALLOW_ORIGIN: &str = "Access-Control-Allow-Origin";

/// Scripts of any site may read the reply, and all of its fields.
const ANY_ORIGIN: &[u8] = b"Access-Control-Allow-Origin: *\r\nAccess-Control-Expose-Headers: *\r\n";

const VARY_ACCEPT: &[u8] = b"Vary: Accept\r\n";

impl Policy {
    /// Resolves the options.
    ///
    /// # Errors
    /// One line for the user.
    pub fn new(options: &ServeOptions) -> Result<Self, String> {
        let mut types = MediaTypes::default();
        for rule in &options.types {
            types.add(&rule.extension, &rule.media_type);
        }
        let open = |path| ReloadableFile::open(path, REDIRECTS_BYTES_MAX, Redirects::parse);
        let redirects = options.redirects.as_deref().map(open).transpose()?;
        let mut policy = Self {
            indexes: Vec::from_iter(options.index.iter().map(|name| name.as_bytes().to_vec())),
            listing: !options.no_listing,
            extra_lines: Vec::new(),
            headers: Headers::new(&options.headers)?,
            cache: options.cache,
            precedes_files: options.clean_urls
                || options.status.is_some()
                || !options.allow.is_empty()
                || options.cors
                || options.auth.is_some()
                || options.health.is_some()
                || redirects.is_some()
                || !options.hosts.is_empty(),
            private: options.auth.is_some(),
            health: options.health.clone().map(String::into_bytes),
            cors: options.cors,
            spa: options.spa,
            clean_urls: options.clean_urls,
            redirects,
            types,
        };
        policy.extra_lines = policy.made_lines(b"");
        Ok(policy)
    }

    /// The fields of what idler makes itself: a list of the directory at `path` within the site,
    /// which ends in a slash; or, for the empty path, any reply. No option may have such a page
    /// kept: what it says may be otherwise at once.
    pub fn made_lines(&self, path: &[u8]) -> Vec<u8> {
        let rules = self.headers.meeting(path);
        let rules = rules.without(&[CACHE_CONTROL, "Expires", "Pragma"]);
        let mut lines = b"Cache-Control: no-cache\r\n".to_vec();
        if self.spa {
            lines.extend_from_slice(VARY_ACCEPT);
        }
        if self.cors && !rules.have(ALLOW_ORIGIN) {
            lines.extend_from_slice(ANY_ORIGIN);
        }
        rules.write(&mut lines);
        lines
    }

    /// Appends the fields that options decide for the file at `path` within the site: of a 200, and
    /// of a 304 as well.
    pub fn write_lines(&self, path: &[u8], out: &mut Vec<u8>) {
        let rules = self.headers.meeting(path);
        if !rules.have(CACHE_CONTROL) {
            out.extend_from_slice(b"Cache-Control: ");
            out.extend_from_slice(cache_control(self.cache, self.private, path).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        if self.cors && !rules.have(ALLOW_ORIGIN) {
            out.extend_from_slice(ANY_ORIGIN);
        }
        // The root's index may stand for a missing page, which depends on what the client takes.
        if self.spa && self.indexes.iter().any(|index| index == path) {
            out.extend_from_slice(VARY_ACCEPT);
        }
        rules.write(out);
    }

    /// Whether a request asks for idler's health.
    pub(crate) fn is_health_check(&self, request: &Request<'_>) -> bool {
        self.health.as_deref() == Some(request.target.path)
            && matches!(request.method, Method::Get | Method::Head)
    }

    /// Whether a file has the name that is looked for first in a directory.
    pub fn is_first_index(&self, path: &SitePath) -> bool {
        self.indexes.first().is_some_and(|name| name == path.name())
    }

    /// Reads again what may have changed.
    pub fn reload(&mut self) {
        if let Some(redirects) = &mut self.redirects {
            redirects.reload();
        }
    }

    /// The files that are read again, for which the walls need a door.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.redirects.iter().map(|file| file.path.as_path())
    }
}

/// The lines of `--header`.
#[derive(Debug, Default)]
pub struct Headers {
    /// Longest path first.
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    path: SitePath,
    name: String,
    /// With its line end.
    line: Vec<u8>,
}

/// The rules that a path meets, longest path first.
struct Rules<'a>(Vec<&'a Rule>);

impl Headers {
    fn new(given: &[HeaderRule]) -> Result<Self, String> {
        let mut rules = Vec::new();
        for HeaderRule { path, line } in given {
            let path = SitePath::decode(path).map_err(|refusal| {
                let path = String::from_utf8_lossy(path);
                format!("--header '{path} {}: …': {}", line.name, refusal.why)
            })?;
            rules.push(Rule {
                path,
                name: line.name.clone(),
                line: [line.name.as_bytes(), b": ", &line.value, b"\r\n"].concat(),
            });
        }
        // Stable: lines of one path stay in the order they were given. An exact path is longer than
        // a directory.
        rules.sort_by_key(|rule| Reverse(rule.path.as_bytes().len()));
        Ok(Self { rules })
    }

    fn meeting(&self, path: &[u8]) -> Rules<'_> {
        Rules(self.rules.iter().filter(|rule| rule.meets(path)).collect())
    }
}

impl Rule {
    fn meets(&self, path: &[u8]) -> bool {
        let own = self.path.as_bytes();
        match path.strip_prefix(own) {
            None => false,
            Some(_) if own.is_empty() => true,
            Some(rest) if self.path.is_directory() => rest.first() == Some(&b'/'),
            Some(rest) => rest.is_empty(),
        }
    }

    fn is_named(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

impl Rules<'_> {
    fn without(mut self, names: &[&str]) -> Self {
        self.0
            .retain(|rule| !names.iter().any(|name| rule.is_named(name)));
        self
    }

    fn have(&self, name: &str) -> bool {
        self.0.iter().any(|rule| rule.is_named(name))
    }

    /// Appends their lines: of those with one name, the lines of the longest path and no others.
    /// Bounded by the square of the number of rules.
    fn write(&self, out: &mut Vec<u8>) {
        for rule in &self.0 {
            let first = self.0.iter().find(|other| other.is_named(&rule.name));
            if first.is_some_and(|first| first.path == rule.path) {
                out.extend_from_slice(&rule.line);
            }
        }
    }
}

/// The value of `Cache-Control` (RFC 9111 §5.2.2, RFC 8246) for the file with this name. `private`:
/// no cache that several people share may keep it.
fn cache_control(policy: CachePolicy, private: bool, name: &[u8]) -> Cow<'static, str> {
    if policy.immutable && is_hashed(name) {
        return if private {
            "private, max-age=31536000, immutable".into()
        } else {
            "public, max-age=31536000, immutable".into()
        };
    }
    match (policy.max_age, private) {
        (None, _) => "no-cache".into(),
        (Some(age), false) => format!("max-age={}", age.as_secs()).into(),
        (Some(age), true) => format!("private, max-age={}", age.as_secs()).into(),
    }
}

/// Whether a name has a hash of the content in it, as build tools make them: `app.3f9a1c2b.js`,
/// `index-DhY7_x1a.css`, `chunk-OTV4XJ2F.js`, `4bd1b696100b9d70.js`. Bounded by its length.
fn is_hashed(name: &[u8]) -> bool {
    let name = name.rsplit(|&b| b == b'/').next().unwrap_or_default();
    let Some(dot) = name.iter().rposition(|&b| b == b'.') else {
        return false;
    };
    name[..dot]
        .split(|&b| b == b'.')
        .enumerate()
        .any(|(nth, part)| {
            let last = part.rsplit(|&b| b == b'-' || b == b'_').next();
            if last.is_some_and(is_hex) {
                return true;
            }
            // Eight characters of another alphabet, which may contain the separators themselves.
            let at = part.len().wrapping_sub(HASH_CHARS_MIN);
            let separated = at == 0 && nth > 0 || part.get(at.wrapping_sub(1)) == Some(&b'-');
            separated
                && part
                    .get(at..)
                    .is_some_and(|tail| is_base32(tail) || is_base64(tail))
        })
}

fn is_hex(text: &[u8]) -> bool {
    text.len() >= HASH_CHARS_MIN
        && text.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        && is_mixed(text)
}

fn is_base32(text: &[u8]) -> bool {
    text.iter().all(|b| matches!(b, b'A'..=b'Z' | b'2'..=b'7')) && is_mixed(text)
}

fn is_base64(text: &[u8]) -> bool {
    let fits = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    text.iter().all(fits)
        && text.iter().any(u8::is_ascii_uppercase)
        && text.iter().any(u8::is_ascii_lowercase)
        && is_mixed(text)
}

/// A letter behind a digit: neither a word, nor a date, nor a word with its number.
fn is_mixed(text: &[u8]) -> bool {
    let digit = text.iter().position(u8::is_ascii_digit);
    digit.is_some_and(|at| text[at..].iter().any(u8::is_ascii_alphabetic))
}

/// How long a connection may take for what.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For a whole head, from its first byte.
    pub head: Duration,
    /// Between requests.
    pub idle: Duration,
    /// Without a byte of a reply moving.
    pub stall: Duration,
    /// For the peer to hang up, at the end.
    pub linger: Duration,
}

impl Timeouts {
    /// As the options say.
    pub fn new(options: &ServeOptions) -> Self {
        Self {
            head: options.head_timeout,
            idle: options.idle_timeout,
            stall: options.stall_timeout,
            linger: LINGER_TIMEOUT,
        }
    }
}

#[cfg(test)]
mod tests;
