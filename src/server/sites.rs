//! The sites that are served, told apart by the host that a request asks for.
//!
//! Each site has a cache of its own, so that a file of one is never found under the name of
//! another, and no site can push another's files out.

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

/// The default site, and behind it those of `--host`, sorted by host.
///
/// # Errors
/// The host that two sites have.
pub fn sorted(default: SiteState, mut named: Vec<SiteState>) -> Result<Vec<SiteState>, Box<[u8]>> {
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
