//! From a file's name to its media type.
//!
//! What lives here: [`MediaTypes`], the one table of names idler knows better than `mime_guess`, and
//! the rules for `charset`. It looks at names alone, never into files: it may not know what is in them.
//! Invariant: every answer can stand in a header as it is (visible ASCII and spaces).
//! Read next: nothing; this is the bottom.

use std::borrow::Cow;
use std::fmt;

/// Extensions whose type differs from what `mime_guess` says, in alphabetical order, in lower case.
///
/// Three reasons to stand here. Its table is older than the registration (`md`, `mjs`, `woff`, `deb`).
/// It calls a source file something else (`ts` is a transport stream there, `java` a binary): people look
/// at sources in the browser, which shows `text/plain` and downloads what it does not know; who serves
/// streams says `--type .ts=video/mp2t`. Or it is common and missing (`whl`, `zst`).
/// JSON has no charset parameter (RFC 8259 §11), and XML names its own encoding (RFC 7303 §3), so
/// neither gets one.
const EXTENSIONS: &[(&str, &str)] = &[
    ("adoc", PLAIN),
    ("asc", PLAIN),
    ("bash", PLAIN),
    ("bat", PLAIN),
    ("bib", PLAIN),
    ("br", BINARY),
    ("cff", PLAIN),
    ("cfg", PLAIN),
    ("cjs", JAVASCRIPT),
    ("cmake", PLAIN),
    ("css", "text/css; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("cts", PLAIN),
    ("dart", PLAIN),
    ("deb", "application/vnd.debian.binary-package"),
    ("diff", PLAIN),
    ("env", PLAIN),
    ("ex", PLAIN),
    ("exs", PLAIN),
    ("fish", PLAIN),
    ("flatpakref", "application/vnd.flatpak.ref"),
    ("go", PLAIN),
    ("hs", PLAIN),
    ("htm", HTML),
    ("html", HTML),
    ("ipynb", "application/x-ipynb+json"),
    ("java", PLAIN),
    ("js", JAVASCRIPT),
    ("json5", PLAIN),
    ("jsonc", PLAIN),
    ("jsonl", "application/jsonl"),
    ("jsx", PLAIN),
    ("kt", PLAIN),
    ("less", PLAIN),
    ("lock", PLAIN),
    ("log", PLAIN),
    ("lua", PLAIN),
    ("m3u8", "application/vnd.apple.mpegurl"),
    ("m4a", "audio/mp4"),
    ("map", JSON),
    ("markdown", MARKDOWN),
    ("md", MARKDOWN),
    ("mjs", JAVASCRIPT),
    ("mts", PLAIN),
    ("ndjson", "application/x-ndjson"),
    ("nix", PLAIN),
    ("org", PLAIN),
    ("otf", "font/otf"),
    ("patch", PLAIN),
    ("php", PLAIN),
    ("pl", PLAIN),
    ("pom", "application/xml"),
    ("proto", PLAIN),
    ("ps1", PLAIN),
    ("py", PLAIN),
    ("rb", PLAIN),
    ("rpm", "application/x-rpm"),
    ("rs", PLAIN),
    ("rst", PLAIN),
    ("sass", PLAIN),
    ("scss", PLAIN),
    ("sh", PLAIN),
    ("sha256", PLAIN),
    ("sha512", PLAIN),
    ("sql", PLAIN),
    ("svelte", PLAIN),
    ("svgz", BINARY),
    ("swift", PLAIN),
    ("tex", PLAIN),
    ("text", PLAIN),
    ("tgz", "application/gzip"),
    ("toml", PLAIN),
    ("ts", PLAIN),
    ("tsx", PLAIN),
    ("txt", PLAIN),
    ("txz", "application/x-xz"),
    ("typ", PLAIN),
    ("usdz", "model/vnd.usdz+zip"),
    ("vcf", "text/vcard; charset=utf-8"),
    ("vtt", "text/vtt; charset=utf-8"),
    ("vue", PLAIN),
    ("whl", "application/zip"),
    ("woff", "font/woff"),
    ("xml", "application/xml"),
    ("xsd", "application/xml"),
    ("xsl", "application/xml"),
    ("yaml", PLAIN),
    ("yml", PLAIN),
    ("zig", PLAIN),
    ("zst", "application/zstd"),
];

/// Whole names without a telling extension, in alphabetical order, in lower case.
const NAMES: &[(&str, &str)] = &[
    ("apple-app-site-association", JSON),
    ("authors", PLAIN),
    ("changelog", PLAIN),
    ("changes", PLAIN),
    ("contributing", PLAIN),
    ("copying", PLAIN),
    ("copyright", PLAIN),
    ("dockerfile", PLAIN),
    ("inrelease", PLAIN),
    ("install", PLAIN),
    ("licence", PLAIN),
    ("license", PLAIN),
    ("makefile", PLAIN),
    ("md5sums", PLAIN),
    ("news", PLAIN),
    ("notice", PLAIN),
    ("packages", PLAIN),
    ("readme", PLAIN),
    ("release", PLAIN),
    ("sha256sums", PLAIN),
    ("sha512sums", PLAIN),
    ("sources", PLAIN),
    ("thanks", PLAIN),
    ("todo", PLAIN),
    ("version", PLAIN),
];

const HTML: &str = "text/html; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const MARKDOWN: &str = "text/markdown; charset=utf-8";
const JSON: &str = "application/json";
const BINARY: &str = "application/octet-stream";

/// Longest name or extension in the tables, in bytes.
const KNOWN_BYTES_MAX: usize = 32;

/// What each kind of file is called on the wire: the user's own types first, then idler's table, then
/// `mime_guess`.
#[derive(Debug, Default)]
pub struct MediaTypes {
    /// Extension in lower case without its dot, and the type with its charset.
    own: Vec<(Box<str>, Box<str>)>,
}

impl MediaTypes {
    /// Adds a type of the user's, as given to `--type`: `.ext=media/type`, the dot optional. The last one
    /// of an extension counts. A `text/` type without parameters is taken to be UTF-8.
    ///
    /// # Errors
    ///
    /// What is wrong with `spec`: it must never reach a header unless it is a media type (RFC 9110 §8.3.1).
    pub fn add(&mut self, spec: &str) -> Result<(), TypeError> {
        let (extension, media_type) = spec.split_once('=').ok_or(TypeError::NoEquals)?;
        let extension = extension.strip_prefix('.').unwrap_or(extension);
        if extension.is_empty() || extension.contains(['/', '\0', '.']) {
            return Err(TypeError::Extension);
        }
        if !is_media_type(media_type) {
            return Err(TypeError::MediaType);
        }
        let extension = extension.to_ascii_lowercase().into();
        let media_type = with_charset(media_type).into();
        self.own.retain(|(known, _)| *known != extension);
        self.own.push((extension, media_type));
        Ok(())
    }

    /// The media type of a file of this name (a whole path will do: the last segment counts), with
    /// `; charset=utf-8` where it is text. `application/octet-stream` if the name tells nothing.
    ///
    /// Allocates only for `text/` types that no table here has.
    pub fn of(&self, name: &[u8]) -> Cow<'_, str> {
        let name = name.rsplit(|&byte| byte == b'/').next().unwrap_or(name);
        let Some(extension) = extension(name) else {
            return Cow::Borrowed(lookup(NAMES, name).unwrap_or(BINARY));
        };
        let is_same = |known: &str| known.as_bytes().eq_ignore_ascii_case(extension);
        if let Some((_, own)) = self.own.iter().find(|(known, _)| is_same(known)) {
            return Cow::Borrowed(own);
        }
        if let Some(known) = lookup(EXTENSIONS, extension) {
            return Cow::Borrowed(known);
        }
        let extension = std::str::from_utf8(extension).unwrap_or_default();
        match mime_guess::from_ext(extension).first_raw() {
            Some(guess) => with_charset(guess),
            None => Cow::Borrowed(lookup(NAMES, name).unwrap_or(BINARY)),
        }
    }
}

/// Why a type of the user's was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TypeError {
    /// There is no `=` in it.
    NoEquals,
    /// What stands before the `=` is no extension.
    Extension,
    /// What stands behind the `=` is no media type.
    MediaType,
}

impl fmt::Display for TypeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoEquals => "expected .extension=media/type, as in .ts=video/mp2t",
            Self::Extension => {
                "the extension must be one dot and letters, as in .ts (the last part of a name)"
            }
            Self::MediaType => {
                "the media type must look like video/mp2t or text/plain; charset=utf-8"
            }
        })
    }
}

impl std::error::Error for TypeError {}

/// What follows the last dot of a name; a dot at the beginning makes a hidden file, not an extension.
fn extension(name: &[u8]) -> Option<&[u8]> {
    let dot = name.iter().rposition(|&byte| byte == b'.')?;
    (dot > 0).then(|| &name[dot + 1..])
}

fn lookup(table: &[(&str, &'static str)], name: &[u8]) -> Option<&'static str> {
    let mut lower = [0; KNOWN_BYTES_MAX];
    let lower = lower.get_mut(..name.len())?;
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    let place = table.binary_search_by(|(known, _)| known.as_bytes().cmp(lower));
    place
        .ok()
        .and_then(|place| table.get(place))
        .map(|row| row.1)
}

/// Text is UTF-8 unless a parameter says something else.
fn with_charset(media_type: &str) -> Cow<'_, str> {
    let is_text = media_type
        .get(..5)
        .is_some_and(|top| top.eq_ignore_ascii_case("text/"));
    if !is_text || media_type.contains(';') {
        return Cow::Borrowed(media_type);
    }
    Cow::Owned(format!("{media_type}; charset=utf-8"))
}

/// `type "/" subtype parameters` of RFC 9110 §8.3.1: tokens, and visible ASCII in quoted values.
fn is_media_type(text: &str) -> bool {
    let (essence, parameters) = match text.split_once(';') {
        Some((essence, parameters)) => (essence.trim_end_matches([' ', '\t']), Some(parameters)),
        None => (text, None),
    };
    let Some((kind, subtype)) = essence.split_once('/') else {
        return false;
    };
    is_token(kind) && is_token(subtype) && parameters.is_none_or(are_parameters)
}

fn are_parameters(text: &str) -> bool {
    text.split(';').all(|parameter| {
        let Some((name, value)) = parameter.trim_matches([' ', '\t']).split_once('=') else {
            return false;
        };
        let quoted = value
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'));
        is_token(name)
            && match quoted {
                Some(inner) => inner
                    .bytes()
                    .all(|b| matches!(b, b' '..=b'~') && b != b'"' && b != b'\\'),
                None => is_token(value),
            }
    })
}

/// RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    fn type_of(name: &str) -> String {
        MediaTypes::default().of(name.as_bytes()).into_owned()
    }

    #[test]
    fn tables_are_sorted_lower_case_and_fit_the_search() {
        for table in [EXTENSIONS, NAMES] {
            assert!(table.is_sorted_by(|a, b| a.0 < b.0));
            for (known, media_type) in table {
                assert_eq!(*known, known.to_lowercase());
                assert!(known.len() <= KNOWN_BYTES_MAX);
                assert!(is_media_type(media_type), "{media_type}");
                assert!(
                    matches!(with_charset(media_type), Cow::Borrowed(_)),
                    "{known}"
                );
            }
        }
    }

    #[test]
    fn a_row_that_changes_nothing_is_there_only_to_save_an_allocation() {
        let mut needless = Vec::new();
        for (extension, media_type) in EXTENSIONS {
            let guess = mime_guess::from_ext(extension).first_raw();
            if guess.map(with_charset).as_deref() == Some(media_type)
                && !media_type.starts_with("text/")
            {
                needless.push(extension);
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
        types.add(".ts=video/mp2t").unwrap();
        types.add("foo=text/x-foo").unwrap();
        types.add(".old=text/plain;charset=iso-8859-1").unwrap();
        types.add(".q=application/x-q; a=\"b c\"; d=e").unwrap();
        types.add(".png=image/x-first").unwrap();
        types.add(".PNG=image/x-last").unwrap();
        assert_eq!(types.of(b"a.TS"), "video/mp2t");
        assert_eq!(types.of(b"a.foo"), "text/x-foo; charset=utf-8");
        assert_eq!(types.of(b"a.old"), "text/plain;charset=iso-8859-1");
        assert_eq!(types.of(b"a.q"), "application/x-q; a=\"b c\"; d=e");
        assert_eq!(types.of(b"a.png"), "image/x-last");
    }

    #[test]
    fn what_is_no_type_is_refused() {
        let mut types = MediaTypes::default();
        for (spec, error) in [
            ("", TypeError::NoEquals),
            (".ts", TypeError::NoEquals),
            ("=text/plain", TypeError::Extension),
            (".=text/plain", TypeError::Extension),
            (".tar.gz=application/gzip", TypeError::Extension),
            ("a/b=text/plain", TypeError::Extension),
            (".ts=", TypeError::MediaType),
            (".ts=video", TypeError::MediaType),
            (".ts=/mp2t", TypeError::MediaType),
            (".ts=video/", TypeError::MediaType),
            (".ts=video/mp2t/x", TypeError::MediaType),
            (".ts=vid eo/mp2t", TypeError::MediaType),
            (".ts=video/mp2t;", TypeError::MediaType),
            (".ts=video/mp2t; =a", TypeError::MediaType),
            (".ts=video/mp2t\r\nX: y", TypeError::MediaType),
            (".ts=text/plain; a=\"b\r\nX: y\"", TypeError::MediaType),
            (".ts=text/plänt", TypeError::MediaType),
        ] {
            assert_eq!(types.add(spec), Err(error), "{spec:?}");
        }
        assert!(types.own.is_empty());
    }
}
