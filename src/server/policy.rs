//! What options switch on, as data, resolved once at the start.
//!
//! What lives here: the settings that shape an answer. It may not know connections or the loop.
//! Invariant: a request pays only for what is switched on. Read next: `answer.rs`.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use crate::cli::{CachePolicy, ServeOptions};
use crate::http::path::SitePath;
use crate::limits::{LINGER_TIMEOUT, REDIRECTS_BYTES_MAX};
use crate::server::redirects::Redirects;
use crate::site::media::MediaTypes;

use crate::server::fresh::cache_control;
use crate::server::headers::Headers;
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
const ANYBODY: &[u8] = b"Access-Control-Allow-Origin: *\r\nAccess-Control-Expose-Headers: *\r\n";

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
        let redirects = options
            .redirects
            .as_deref()
            .map(|path| {
                let parse = |file: &[u8]| Redirects::parse(file).map_err(|e| e.to_string());
                ReloadableFile::open(path, REDIRECTS_BYTES_MAX, parse)
            })
            .transpose()?;
        let headers = Headers::new(&options.headers)?;
        let mut policy = Self {
            indexes: options
                .index
                .iter()
                .map(|name| name.as_bytes().to_vec())
                .collect(),
            listing: !options.no_listing,
            extra_lines: Vec::new(),
            headers,
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
    /// which ends in a slash; or, for the empty path, any reply.
    pub fn made_lines(&self, path: &[u8]) -> Vec<u8> {
        let mut lines = b"Cache-Control: no-cache\r\n".to_vec();
        if self.spa {
            lines.extend_from_slice(VARY_ACCEPT);
        }
        let mut given = Vec::new();
        let missing = self
            .headers
            .write_for_made(path, &[ALLOW_ORIGIN], &mut given);
        if self.cors && !missing.is_empty() {
            lines.extend_from_slice(ANYBODY);
        }
        lines.extend_from_slice(&given);
        lines
    }

    /// Whether a file has the name that is looked for first in a directory.
    pub fn is_first_index(&self, path: &SitePath) -> bool {
        self.indexes.first().is_some_and(|name| name == path.name())
    }

    /// Reads again what may have changed.
    pub fn reload(&mut self) {
        if let Some(redirects) = &mut self.redirects {
            redirects.again();
        }
    }

    /// The files that are read again, for which the walls need a door.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.redirects.iter().map(ReloadableFile::path)
    }

    /// Appends the fields that options decide for the file at `path` within the site: of a 200, and
    /// of a 304 as well.
    pub fn write_lines(&self, path: &[u8], out: &mut Vec<u8>) {
        let mut given = Vec::new();
        for name in self
            .headers
            .write(path, &[CACHE_CONTROL, ALLOW_ORIGIN], &mut given)
        {
            if name == CACHE_CONTROL {
                out.extend_from_slice(b"Cache-Control: ");
                out.extend_from_slice(cache_control(self.cache, self.private, path).as_bytes());
                out.extend_from_slice(b"\r\n");
            } else if self.cors {
                out.extend_from_slice(ANYBODY);
            }
        }
        // The root's index may stand for a missing page, which depends on what the client takes.
        if self.spa && self.indexes.iter().any(|index| index == path) {
            out.extend_from_slice(VARY_ACCEPT);
        }
        out.extend_from_slice(&given);
    }
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
