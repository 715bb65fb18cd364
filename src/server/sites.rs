//! The sites that are served, told apart by the host that a request asks for.
//!
//! Each site has a cache of its own, so that a file of one is never found under the name of
//! another, and no site can push another's files out.

use std::io::ErrorKind;
use std::path::Path;

use crate::cli::{HostRule, ServeOptions};
use crate::limits::{CACHE_DESCRIPTORS_MAX, HOSTS_MAX};
use crate::process::words_of;
use crate::server::auth::Auth;
use crate::site::Site;
use crate::site::cache::Cache;

/// The index of the site that answers for every host without one of its own.
pub const DEFAULT_SITE: usize = 0;

/// A site, and what was served from it before.
#[derive(Debug)]
pub struct SiteState {
    /// Its host, in lower case and without port; empty for the default site.
    pub host: Box<[u8]>,
    /// What is served.
    pub site: Site,
    /// What was served before.
    pub cache: Cache,
}

/// The default site and those of `--host`, each with its share of the cache.
pub(crate) fn open(options: &ServeOptions) -> Result<Vec<SiteState>, String> {
    if options.hosts.len() > HOSTS_MAX {
        return Err(format!("--host: more than {HOSTS_MAX} sites"));
    }
    let sites = options.hosts.len() + 1;
    let state = |host: &str, site| SiteState {
        host: host.as_bytes().into(),
        site,
        cache: Cache::new(
            options.cache_bytes_max / sites,
            (CACHE_DESCRIPTORS_MAX / sites).max(1),
        ),
    };
    let default = open_root(&options.path, options, options.path_resembles_verb)?;
    let open = |rule: &HostRule| {
        let site = open_root(&rule.directory, options, None);
        Ok(state(&rule.name, site.map_err(|e| format!("--host: {e}"))?))
    };
    let named: Result<Vec<SiteState>, String> = options.hosts.iter().map(open).collect();
    sorted(state("", default), named?).map_err(|host| {
        let host = String::from_utf8_lossy(&host);
        format!("--host: {host} has two sites (give each its own name)")
    })
}

fn open_root(root: &Path, options: &ServeOptions, verb: Option<&str>) -> Result<Site, String> {
    Site::open(root, options.hidden).map_err(|e| {
        let hint = match (e.kind(), verb) {
            (ErrorKind::NotFound, Some(verb)) => &format!("; did you mean the command '{verb}'?"),
            (ErrorKind::NotFound, None) => " (name a directory or file that is there)",
            (ErrorKind::PermissionDenied, _) => {
                " (give this user the right to read it, or serve another directory)"
            }
            _ => "",
        };
        format!("cannot serve {}: {}{hint}", root.display(), words_of(&e))
    })
}

/// The file of users, which must not be one that is served.
pub(crate) fn open_auth(
    options: &ServeOptions,
    sites: &[SiteState],
) -> Result<Option<Auth>, String> {
    let Some(path) = &options.auth else {
        return Ok(None);
    };
    let auth = Auth::open(path)?;
    let roots = sites.iter().map(|state| state.site.path.canonicalize());
    let real = path.canonicalize();
    if real.is_ok_and(|real| roots.flatten().any(|root| real.starts_with(root))) {
        let path = path.display();
        return Err(format!(
            "--auth {path}: this file would be served; put it outside of the site"
        ));
    }
    Ok(Some(auth))
}

/// The default site, and behind it those of `--host`, sorted by host.
///
/// # Errors
/// The host that two sites have.
fn sorted(default: SiteState, mut named: Vec<SiteState>) -> Result<Vec<SiteState>, Box<[u8]>> {
    named.sort_by(|a, b| a.host.cmp(&b.host));
    let twice = named.windows(2).find(|pair| pair[0].host == pair[1].host);
    if let Some([first, _]) = twice {
        return Err(first.host.clone());
    }
    named.insert(DEFAULT_SITE, default);
    Ok(named)
}

/// The index of the site for `host`, as the client spelled it. A name may end in a dot, which says
/// that it is absolute (RFC 3986 §3.2.2). Bounded by the length of the name.
pub fn index_for(sites: &[SiteState], host: Option<&[u8]>) -> usize {
    let named = sites.get(1..).unwrap_or_default();
    if named.is_empty() {
        return DEFAULT_SITE;
    }
    let host = host.unwrap_or_default();
    let host = host.strip_suffix(b".").unwrap_or(host).to_ascii_lowercase();
    named
        .binary_search_by(|state| state.host.as_ref().cmp(&host))
        .map_or(DEFAULT_SITE, |at| at + 1)
}

/// Closes the files that caches hold open, when descriptors have run out elsewhere. True if there
/// were any.
pub fn give_up_descriptors(sites: &mut [SiteState]) -> bool {
    let mut any = false;
    for state in sites {
        any |= state.cache.give_up_descriptors();
    }
    any
}
