//! Compressed siblings: which files have any, what they are called, and when one is current.
//!
//! `idler serve` sends siblings and `idler precompress` writes them; both ask here.

use crate::http::accept::Coding;

use crate::site::open::Identity;

/// Subtypes of `application/` that are worth compressing, beside those that end in `+json` or
/// `+xml`.
const COMPRESSIBLE_APPLICATIONS: &str = "javascript json jsonl postscript rtf sql toml \
     vnd.apple.mpegurl vnd.ms-fontobject wasm x-font-ttf x-javascript x-ndjson x-sh x-tex x-yaml \
     xml xml-dtd yaml";

/// Whether files of this media type are worth compressing. Pictures, videos, archives and fonts for
/// the web are compressed in themselves: idler neither makes siblings of theirs nor looks for any.
pub fn is_compressible(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim_end();
    let (kind, subtype) = essence.split_once('/').unwrap_or_default();
    let is_text = subtype.ends_with("+json") || subtype.ends_with("+xml");
    is_text
        || match kind {
            "text" => true,
            "application" => COMPRESSIBLE_APPLICATIONS
                .split_ascii_whitespace()
                .any(|known| known == subtype),
            "font" => matches!(subtype, "ttf" | "otf" | "collection"),
            "image" => matches!(subtype, "bmp" | "x-icon" | "vnd.microsoft.icon"),
            "model" => matches!(subtype, "obj" | "stl" | "mtl"),
            _ => false,
        }
}

/// What follows the name of a file in that of its sibling.
pub fn suffix(coding: Coding) -> &'static [u8] {
    match coding {
        Coding::Identity => b"",
        Coding::Gzip => b".gz",
        Coding::Brotli => b".br",
        Coding::Zstd => b".zst",
    }
}

/// Whether a sibling holds what its original does, as far as their times tell. An empty sibling
/// does not: no coding makes nothing of anything.
pub fn is_current(sibling: &Identity, original: &Identity) -> bool {
    sibling.size > 0 && sibling.modified >= original.modified
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::open::Moment;

    #[test]
    fn text_is_worth_compressing() {
        for yes in [
            "text/html; charset=utf-8",
            "text/plain",
            "application/json",
            "application/manifest+json",
            "application/atom+xml",
            "application/wasm",
            "image/svg+xml",
            "model/gltf+json",
            "font/ttf",
        ] {
            assert!(is_compressible(yes), "{yes}");
        }
        for no in [
            "",
            "text",
            "image/png",
            "video/mp4",
            "font/woff2",
            "application/gzip",
            "application/octet-stream",
            "application/zip",
            "application/pdf",
        ] {
            assert!(!is_compressible(no), "{no}");
        }
    }

    #[test]
    fn a_sibling_is_current_from_the_moment_of_its_original() {
        let at = |seconds, nanos, size| Identity {
            device: (0, 0),
            inode: 0,
            size,
            modified: Moment { seconds, nanos },
            changed: Moment {
                seconds: 0,
                nanos: 0,
            },
        };
        let original = at(10, 5, 100);
        assert!(is_current(&at(10, 5, 1), &original));
        assert!(is_current(&at(10, 6, 1), &original));
        assert!(is_current(&at(11, 0, 1), &original));
        assert!(!is_current(&at(10, 4, 1), &original));
        assert!(!is_current(&at(9, 9, 1), &original));
        assert!(!is_current(&at(11, 0, 0), &original));
    }
}
