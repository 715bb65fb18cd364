//! `idler precompress`: which siblings are there afterwards, and that they are what `idler serve` sends.
//!
//! It may not know how anything is compressed; the coders are held against their decoders beside them. Invariant: a second run
//! changes nothing, and nothing outside the tree is ever touched.
//! Read next: `variants.rs`.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::support::program::Outcome;
use crate::support::{Idler, Site};

/// Every path beneath the site.
fn names(site: &Site) -> BTreeSet<String> {
    fn add(root: &Path, folder: &Path, names: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if entry.file_type().expect("a type").is_dir() {
                add(root, &path, names);
            } else {
                let name = path.strip_prefix(root).expect("beneath");
                names.insert(name.to_string_lossy().into_owned());
            }
        }
    }
    let mut found = BTreeSet::new();
    add(site.path(), site.path(), &mut found);
    found
}

fn run(path: &Path) -> Outcome {
    Idler::verb("precompress").arg(path).run()
}

const TEXT: &str = "the same again, and again the same; ";

fn long() -> Vec<u8> {
    TEXT.repeat(100).into_bytes()
}

/// What this program's coders make: the end of the name, and the coding.
const SIBLINGS: &[(&str, &str)] = &[
    #[cfg(feature = "precompress")]
    ("br", "br"),
    ("gz", "gzip"),
    #[cfg(feature = "precompress")]
    ("zst", "zstd"),
];

#[test]
fn what_is_worth_it_gets_siblings_and_nothing_else() {
    let site = Site::new();
    let secret = site.beside("secret");
    fs::create_dir_all(&secret).expect("a folder");
    fs::write(secret.join("out.js"), long()).expect("a file");
    for name in [
        "a.js",
        "folder/deep/b c.html",
        "picture.png",
        ".hidden.js",
        ".git/c.js",
        ".well-known/d.txt",
        "e.js.gz",
    ] {
        site.file(name, &long());
    }
    site.file("tiny.js", b"x");
    site.file("empty.js", b"");
    site.link("link.js", "a.js");
    site.link("folder/out.js", secret.join("out.js"));
    site.link("out", &secret);
    site.fifo("fifo.js");
    let before = names(&site);
    let outcome = run(site.path());
    assert_eq!(outcome.status.code(), Some(0), "{outcome:?}");
    assert_eq!(outcome.stderr, "");
    let new: Vec<String> = names(&site).difference(&before).cloned().collect();
    let mut expected = Vec::new();
    for name in ["a.js", "folder/deep/b c.html", ".well-known/d.txt"] {
        for (suffix, _) in SIBLINGS {
            expected.push(format!("{name}.{suffix}"));
        }
    }
    expected.sort();
    assert_eq!(new, expected);
    assert_eq!(fs::read_dir(&secret).expect("a folder").count(), 1);
    let text = outcome.text();
    let begin = format!("5 files: {} siblings written (9", 3 * SIBLINGS.len());
    assert!(text.starts_with(&begin), "{text}");
    let rest = format!("{} would not be smaller", 2 * SIBLINGS.len());
    assert!(text.contains(&rest), "{text}");
    assert_eq!(text.lines().count(), 1);
}

#[test]
fn siblings_have_the_time_and_rights_of_their_original_and_are_sent() {
    let site = Site::new();
    site.file("a.js", &long());
    site.age("a.js");
    let path = site.path().join("a.js");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("rights");
    assert_eq!(run(site.path()).status.code(), Some(0));
    let original = fs::metadata(&path).expect("there");
    for (suffix, _) in SIBLINGS {
        let sibling = fs::metadata(site.path().join(format!("a.js.{suffix}"))).expect("there");
        assert_eq!(
            (sibling.mtime(), sibling.mtime_nsec()),
            (original.mtime(), original.mtime_nsec())
        );
        assert_eq!(sibling.mode(), original.mode());
        assert!(sibling.len() < original.len());
    }
    let idler = Idler::serve(site.path()).start();
    for (suffix, coding) in SIBLINGS {
        let mut client = idler.client();
        client.ask("GET", "/a.js", &format!("Accept-Encoding: {coding}\r\n"));
        let reply = client.reply();
        assert_eq!(reply.header("content-encoding"), Some(*coding));
        let sibling = fs::read(site.path().join(format!("a.js.{suffix}"))).expect("there");
        assert!(reply.body == sibling, "{coding}");
    }
    idler.stop();
}

#[test]
fn only_what_is_due_is_written_again() {
    let site = Site::new();
    site.file("a.js", &long());
    site.age("a.js");
    assert_eq!(run(site.path()).status.code(), Some(0));
    let inode = |(suffix, _): &(&str, &str)| {
        let path = site.path().join(format!("a.js.{suffix}"));
        fs::metadata(path).expect("there").ino()
    };
    let inodes = || SIBLINGS.iter().map(inode).collect::<Vec<u64>>();
    let before = inodes();
    let outcome = run(site.path());
    let fresh = format!("0 siblings written, {} fresh", SIBLINGS.len());
    assert!(outcome.text().contains(&fresh), "{outcome:?}");
    assert_eq!(inodes(), before);
    // One is too old, the next time it is empty.
    for change in 0..2 {
        let before = inodes();
        if change == 0 {
            site.modified("a.js.gz", 1_000_000);
        } else {
            site.file("a.js.gz", b"");
        }
        let outcome = run(&site.path().join("a.js"));
        let text = outcome.text();
        assert!(text.starts_with("1 files: 1 siblings written"), "{text}");
        let changed = inodes().iter().zip(&before).filter(|(a, b)| a != b).count();
        assert_eq!(changed, 1);
    }
}

#[test]
fn what_fails_is_said_and_the_rest_is_done() {
    let site = Site::new();
    site.file("a.js", &long());
    site.folder("a.js.gz");
    site.file("z\n.js", &long());
    site.folder("z\n.js.gz");
    let outcome = run(site.path());
    assert_eq!(outcome.status.code(), Some(1));
    let written = format!("{} siblings written", 2 * SIBLINGS.len() - 2);
    assert!(outcome.text().contains(&written), "{outcome:?}");
    assert!(outcome.text().contains("2 failed"), "{outcome:?}");
    assert_eq!(outcome.stderr.lines().count(), 2, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("a.js.gz: "), "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("z\\n.js.gz: "),
        "{}",
        outcome.stderr
    );
    assert!(!names(&site).iter().any(|name| name.contains("idler-")));

    let outcome = run(Path::new("/nonexistent"));
    assert_eq!(outcome.status.code(), Some(1));
    assert!(
        outcome
            .stderr
            .contains("/nonexistent: no such file or directory"),
        "{}",
        outcome.stderr
    );
}
