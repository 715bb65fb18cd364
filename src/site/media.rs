//! From a file's name to its media type, and from that to its compressed siblings: `idler serve`
//! sends them and `idler precompress` writes them.
//!
//! Names alone are looked at, never what is in a file. Every type can stand in a header as it is.

use std::borrow::Cow;

use crate::http::accept::Coding;
use crate::site::open::Identity;

const PLAIN: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const MARKDOWN: &str = "text/markdown; charset=utf-8";
const JSON: &str = "application/json";
const BINARY: &str = "application/octet-stream";

/// Types, and the extensions of their files where `mime_guess` says something else.
///
/// Its table is older than the registration (`md`, `mjs`, `woff`, `deb`). It calls a source file
/// something else (`ts` is a transport stream there, `java` a binary): people look at sources in
/// the browser, which shows `text/plain` and downloads what it does not know; a site of streams
/// says `--type .ts=video/mp2t`. Or the extension is common and missing (`whl`, `zst`). Other rows
/// save an allocation. JSON has no charset parameter (RFC 8259 §11), and XML names its own encoding
/// (RFC 7303 §3), so neither gets one.
const EXTENSIONS: &[(&str, &str)] = &[
    (
        PLAIN,
        "adoc asc bash bat bib cff cfg cmake cts dart diff env ex exs fish go hs java json5 \
         jsonc jsx kt less lock log lua mts nix org patch php pl proto ps1 py rb rs rst sass \
         scss sh sha256 sha512 sql svelte swift tex text toml ts tsx txt typ vue yaml yml zig",
    ),
    (HTML, "htm html"),
    (JAVASCRIPT, "cjs js mjs"),
    (MARKDOWN, "markdown md"),
    (JSON, "map"),
    (BINARY, "br svgz"),
    ("application/gzip", "tgz"),
    ("application/jsonl", "jsonl"),
    ("application/vnd.apple.mpegurl", "m3u8"),
    ("application/vnd.debian.binary-package", "deb"),
    ("application/vnd.flatpak.ref", "flatpakref"),
    ("application/x-ipynb+json", "ipynb"),
    ("application/x-ndjson", "ndjson"),
    ("application/x-rpm", "rpm"),
    ("application/x-xz", "txz"),
    ("application/xml", "pom xml xsd xsl"),
    ("application/zip", "whl"),
    ("application/zstd", "zst"),
    ("audio/mp4", "m4a"),
    ("font/otf", "otf"),
    ("font/woff", "woff"),
    ("model/vnd.usdz+zip", "usdz"),
    ("text/css; charset=utf-8", "css"),
    ("text/csv; charset=utf-8", "csv"),
    ("text/vcard; charset=utf-8", "vcf"),
    ("text/vtt; charset=utf-8", "vtt"),
];

/// Types, and whole names of files without a telling extension.
const NAMES: &[(&str, &str)] = &[
    (JSON, "apple-app-site-association"),
    (
        PLAIN,
        "authors changelog changes contributing copying copyright dockerfile inrelease \
         install licence license makefile md5sums news notice packages readme release \
         sha256sums sha512sums sources thanks todo version",
    ),
];

/// What each kind of file is called on the wire: the user's own types first, then the table here,
/// then `mime_guess`.
#[derive(Debug, Default)]
pub struct MediaTypes {
    /// Extension without its dot, and the type with its charset.
    own: Vec<(Box<str>, Box<str>)>,
}

impl MediaTypes {
    /// Adds a type of the user's for an extension without its dot. The last one of an extension
    /// counts. A `text/` type without parameters is taken to be UTF-8.
    pub fn add(&mut self, extension: &str, media_type: &str) {
        let row = (extension.into(), with_charset(media_type).into());
        self.own.insert(0, row);
    }

    /// The media type of a file of this name (a whole path will do: the last segment counts), with
    /// `; charset=utf-8` where it is text. `application/octet-stream` if the name tells nothing.
    /// Allocates only for `text/` types that no table here has.
    pub fn of(&self, name: &[u8]) -> Cow<'_, str> {
        let name = name.rsplit(|&byte| byte == b'/').next().unwrap_or(name);
        let by_name = || Cow::Borrowed(lookup(NAMES, name).unwrap_or(BINARY));
        let Some(extension) = extension(name) else {
            return by_name();
        };
        let mut own = self.own.iter();
        if let Some((_, own)) = own.find(|(known, _)| is_same(known, extension)) {
            return Cow::Borrowed(own);
        }
        if let Some(known) = lookup(EXTENSIONS, extension) {
            return Cow::Borrowed(known);
        }
        let extension = str::from_utf8(extension).ok();
        let guess = extension.and_then(|known| mime_guess::from_ext(known).first_raw());
        guess.map_or_else(by_name, with_charset)
    }
}

/// What follows the last dot of a name; a dot at the beginning makes a hidden file, not an
/// extension.
fn extension(name: &[u8]) -> Option<&[u8]> {
    let dot = name.iter().rposition(|&byte| byte == b'.')?;
    (dot > 0).then(|| &name[dot + 1..])
}

fn lookup(table: &[(&'static str, &str)], name: &[u8]) -> Option<&'static str> {
    let has_name = |words: &str| words.split(' ').any(|word| is_same(word, name));
    let mut rows = table.iter();
    rows.find(|(_, words)| has_name(words)).map(|row| row.0)
}

fn is_same(known: &str, name: &[u8]) -> bool {
    known.as_bytes().eq_ignore_ascii_case(name)
}

/// Text is UTF-8 unless a parameter says something else.
fn with_charset(media_type: &str) -> Cow<'_, str> {
    let top = media_type.get(..5).unwrap_or_default();
    if !top.eq_ignore_ascii_case("text/") || media_type.contains(';') {
        return Cow::Borrowed(media_type);
    }
    Cow::Owned(format!("{media_type}; charset=utf-8"))
}

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
    match kind {
        _ if subtype.ends_with("+json") || subtype.ends_with("+xml") => true,
        "text" => true,
        "application" => COMPRESSIBLE_APPLICATIONS
            .split(' ')
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

    fn type_of(name: &str) -> String {
        MediaTypes::default().of(name.as_bytes()).into_owned()
    }

    #[test]
    fn tables_say_each_word_once_in_lower_case() {
        for table in [EXTENSIONS, NAMES] {
            let mut seen = std::collections::HashSet::new();
            for (media_type, words) in table {
                assert!(
                    matches!(with_charset(media_type), Cow::Borrowed(_)),
                    "{media_type}"
                );
                for word in words.split_ascii_whitespace() {
                    assert_eq!(word, word.to_lowercase());
                    assert!(seen.insert(word), "{word} is there twice");
                }
            }
        }
    }

    #[test]
    fn a_row_that_changes_nothing_is_there_only_to_save_an_allocation() {
        let mut needless = Vec::new();
        for (media_type, extensions) in EXTENSIONS {
            for extension in extensions.split_ascii_whitespace() {
                let guess = mime_guess::from_ext(extension).first_raw();
                if guess.map(with_charset).as_deref() == Some(media_type)
                    && !media_type.starts_with("text/")
                {
                    needless.push(extension);
                }
            }
        }
        assert!(needless.is_empty(), "{needless:?}");
    }

    #[test]
    fn what_sites_are_made_of() {
        for (name, expected) in [
            ("index.html", "text/html; charset=utf-8"),
            ("INDEX.HTM", "text/html; charset=utf-8"),
            ("page.xhtml", "application/xhtml+xml"),
            ("style.css", "text/css; charset=utf-8"),
            ("script.js", "text/javascript; charset=utf-8"),
            ("script.mjs", "text/javascript; charset=utf-8"),
            ("script.mjs.map", "application/json"),
            ("data.json", "application/json"),
            ("app.webmanifest", "application/manifest+json"),
            ("app.wasm", "application/wasm"),
            ("feed.xml", "application/xml"),
            ("feed.atom", "application/atom+xml"),
            ("notes.md", "text/markdown; charset=utf-8"),
            ("hello.txt", "text/plain; charset=utf-8"),
            ("picture.svg", "image/svg+xml"),
            ("picture.PNG", "image/png"),
            ("picture.avif", "image/avif"),
            ("picture.webp", "image/webp"),
            ("favicon.ico", "image/x-icon"),
            ("letters.woff2", "font/woff2"),
            ("film.mp4", "video/mp4"),
            ("film.webm", "video/webm"),
            ("sound.mp3", "audio/mpeg"),
            ("paper.pdf", "application/pdf"),
            ("calendar.ics", "text/calendar; charset=utf-8"),
        ] {
            assert_eq!(type_of(name), expected, "{name}");
        }
    }

    #[test]
    fn sources_are_shown_not_downloaded() {
        for name in [
            "main.rs",
            "main.ts",
            "main.mts",
            "main.tsx",
            "Cargo.toml",
            "ci.yaml",
            "ci.yml",
            "main.c",
            "main.go",
            "main.py",
            "run.sh",
            "README",
            "readme",
            "LICENSE",
            "Makefile",
            "Cargo.lock",
        ] {
            assert_eq!(type_of(name), "text/plain; charset=utf-8", "{name}");
        }
    }

    #[test]
    fn packages_and_archives() {
        for (name, expected) in [
            (
                "idler_1.0_amd64.deb",
                "application/vnd.debian.binary-package",
            ),
            ("idler-1.0.tar.gz", "application/gzip"),
            ("idler-1.0.tar.xz", "application/x-xz"),
            ("idler-1.0.tar.zst", "application/zstd"),
            ("idler-1.0-py3-none-any.whl", "application/zip"),
            ("idler.zip", "application/zip"),
            ("Packages", "text/plain; charset=utf-8"),
        ] {
            assert_eq!(type_of(name), expected, "{name}");
        }
    }

    #[test]
    fn what_tells_nothing_is_bytes() {
        let long = format!("x.{}", "e".repeat(300));
        for name in [
            "",
            ".",
            "..",
            "noext",
            "x.",
            "x.unheardof",
            ".html",
            ".gitignore",
            &long,
        ] {
            assert_eq!(type_of(name), "application/octet-stream", "{name}");
        }
        let types = MediaTypes::default();
        assert_eq!(types.of(b"x.\xff\xfe"), "application/octet-stream");
        assert_eq!(types.of(b"\xff.txt"), "text/plain; charset=utf-8");
    }

    #[test]
    fn only_the_last_segment_of_a_path_counts() {
        assert_eq!(type_of("a.html/b"), "application/octet-stream");
        assert_eq!(type_of("/docs.d/README"), "text/plain; charset=utf-8");
        assert_eq!(
            type_of("/.well-known/security.txt"),
            "text/plain; charset=utf-8"
        );
    }

    #[test]
    fn the_common_path_does_not_allocate() {
        let types = MediaTypes::default();
        for name in [
            "a.html", "a.css", "a.mjs", "a.png", "a.txt", "a.rs", "a.json", "README", "a.bin",
        ] {
            assert!(
                matches!(types.of(name.as_bytes()), Cow::Borrowed(_)),
                "{name}"
            );
        }
    }

    #[test]
    fn the_users_types_come_first() {
        let mut types = MediaTypes::default();
        types.add("ts", "video/mp2t");
        types.add("foo", "text/x-foo");
        types.add("old", "text/plain;charset=iso-8859-1");
        types.add("png", "image/x-first");
        types.add("PNG", "image/x-last");
        assert_eq!(types.of(b"a.TS"), "video/mp2t");
        assert_eq!(types.of(b"a.foo"), "text/x-foo; charset=utf-8");
        assert_eq!(types.of(b"a.old"), "text/plain;charset=iso-8859-1");
        assert_eq!(types.of(b"a.png"), "image/x-last");
    }

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
