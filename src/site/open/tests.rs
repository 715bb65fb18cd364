#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may stop at the first surprise"
)]

use super::*;
use std::ffi::CString;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

impl crate::site::Site {
    /// Opens files in this way from now on.
    pub(crate) fn force(&mut self, opener: Opener) {
        self.opener = opener;
    }
}

struct Tree(PathBuf);

impl Tree {
    /// `site/` beside a secret, with links of every sort.
    fn new(name: &str) -> Self {
        let top = std::env::temp_dir().join(format!("idler-open-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&top);
        std::fs::create_dir_all(top.join("site/sub")).unwrap();
        std::fs::write(top.join("secret"), "secret").unwrap();
        std::fs::write(top.join("site/a"), "a").unwrap();
        std::fs::write(top.join("site/sub/b"), "b").unwrap();
        symlink("sub/b", top.join("site/inside")).unwrap();
        symlink("../a", top.join("site/sub/up")).unwrap();
        symlink("../secret", top.join("site/outside")).unwrap();
        symlink("/etc/passwd", top.join("site/absolute")).unwrap();
        symlink("loop", top.join("site/loop")).unwrap();
        symlink("/proc/self/root", top.join("site/magic")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            top.join("site/fifo"),
            FileType::Fifo,
            Mode::from_raw_mode(0o644),
            0,
        )
        .unwrap();
        Self(top)
    }

    fn open(&self, opener: Opener, path: &str) -> Found {
        let root = rustix::fs::open(
            self.0.join("site"),
            OFlags::PATH | OFlags::DIRECTORY,
            Mode::empty(),
        )
        .unwrap();
        opener.find(root.as_fd(), &CString::new(path).unwrap())
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn what_lies_beneath_is_opened() {
    let tree = Tree::new("beneath");
    for opener in [Opener::Openat2, Opener::Walk] {
        assert!(matches!(tree.open(opener, "a"), Found::File(_)));
        assert!(matches!(tree.open(opener, "sub"), Found::Directory(_)));
        let found = tree.open(opener, "sub/b");
        assert!(matches!(found, Found::File(b) if b.identity.size == 1));
        assert!(matches!(tree.open(opener, ""), Found::Directory(_)));
    }
}

#[test]
fn links_that_stay_beneath_are_followed_or_refused() {
    let tree = Tree::new("links");
    for path in ["inside", "sub/up"] {
        let found = tree.open(Opener::Openat2, path);
        assert!(matches!(found, Found::File(_)), "{path}");
        let found = tree.open(Opener::Walk, path);
        assert!(matches!(found, Found::Missing(_)), "{path}");
    }
}

#[test]
fn nothing_outside_is_ever_opened() {
    let tree = Tree::new("outside");
    for opener in [Opener::Openat2, Opener::Walk] {
        for path in [
            "outside",
            "absolute",
            "loop",
            "magic/etc/passwd",
            "fifo",
            "a/",
            "a/b",
            "../secret",
            "sub/../../secret",
            "missing",
        ] {
            let found = tree.open(opener, path);
            assert!(
                matches!(found, Found::Missing(_)),
                "{opener:?} {path}: {found:?}"
            );
        }
    }
}

/// A file system that does not answer may stand at the other end of a link.
#[test]
fn nothing_outside_is_even_looked_at() {
    let tree = Tree::new("look-outside");
    for (opener, path) in [
        (Opener::Openat2, "outside"),
        (Opener::Openat2, "absolute"),
        (Opener::Openat2, "magic/etc/passwd"),
        // Where a link stands last, the walk looks at the link itself.
        (Opener::Walk, "magic/etc/passwd"),
    ] {
        faults::plan(faults::Call::Statx, &[Some(Errno::IO)]);
        let found = tree.open(opener, path);
        assert!(matches!(found, Found::Missing(_)), "{opener:?} {path}");
        assert!(!faults::are_over(), "{opener:?} {path}: it was looked at");
    }
}

#[test]
fn both_ways_of_looking_see_the_same() {
    let tree = Tree::new("look");
    let Found::File(a) = tree.open(Opener::Openat2, "a") else {
        panic!("it is there");
    };
    let portable = stat_portably(a.file.as_fd(), c"", AtFlags::EMPTY_PATH).unwrap();
    assert_eq!(portable, (Kind::File, a.identity));
}

/// Errors that the kernel is made to give, in the thread that plans them.
pub(crate) mod faults {
    use std::cell::RefCell;
    use std::collections::VecDeque;

    use rustix::io::Errno;

    /// What is called.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(crate) enum Call {
        Statx,
        Open,
        Read,
        Names,
    }

    thread_local! {
        static PLAN: RefCell<Option<(Call, VecDeque<Option<Errno>>)>> =
            const { RefCell::new(None) };
    }

    /// The next calls of this kind are answered like this (`None`: by the kernel), and those behind
    /// them by the kernel.
    pub(crate) fn plan(call: Call, answers: &[Option<Errno>]) {
        PLAN.set(Some((call, answers.iter().copied().collect())));
    }

    /// Whether all that was planned has come to pass.
    pub(crate) fn are_over() -> bool {
        PLAN.with_borrow(|plan| plan.as_ref().is_none_or(|(_, rest)| rest.is_empty()))
    }

    /// Asked before each call.
    pub(crate) fn next(call: Call) -> Result<(), Errno> {
        PLAN.with_borrow_mut(|plan| match plan {
            Some((planned, answers)) if *planned == call => {
                answers.pop_front().flatten().map_or(Ok(()), Err)
            }
            _ => Ok(()),
        })
    }
}
