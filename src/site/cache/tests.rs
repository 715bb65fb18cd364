#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use super::*;
use std::ffi::CString;
use std::path::PathBuf;

struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("idler-cache-{}-{name}", std::process::id()));
        std::fs::write(&path, "one").unwrap();
        Self(path)
    }

    fn condition(&self) -> Vec<Condition> {
        let path = CString::new(self.0.to_str().unwrap()).unwrap();
        let (_, identity) = stat(CWD, &path).unwrap();
        vec![Condition { path, identity }]
    }
}

/// What does not change while a test runs: the root of the file system is the same one.
fn always() -> Vec<Condition> {
    let path = CString::from(c"/");
    let (_, identity) = stat(CWD, &path).unwrap();
    vec![Condition { path, identity }]
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn file(content: Content, size: u64) -> Representation {
    let meta = FileMeta {
        content_type: "text/plain".into(),
        lines: Vec::new(),
        validator_lines: Vec::new(),
        etag: Vec::new(),
        modified: None,
        size,
        varies: false,
    };
    Representation {
        meta: Rc::new(meta),
        content,
    }
}

fn bytes(n: usize) -> Representation {
    file(Content::Whole(vec![0; n].into(), 0), n as u64)
}

#[test]
fn an_entry_holds_until_its_file_changes() {
    let place = Place::new("changes");
    let mut cache = Cache::new(1 << 20, 4);
    cache.keep(0, b"/a", bytes(3), place.condition(), 1);
    assert_eq!(cache.find(0, b"/a", 1).map(|file| file.meta.size), Some(3));
    assert!(
        cache.find(1, b"/a", 1).is_none(),
        "another choice of variant"
    );
    std::fs::write(&place.0, "longer").unwrap();
    assert!(cache.find(0, b"/a", 1).is_some(), "asked once a turn");
    assert!(cache.find(0, b"/a", 2).is_none());
    assert_eq!(cache.bytes, 0, "and forgotten");
}

#[test]
fn an_entry_goes_with_its_file() {
    let place = Place::new("goes");
    let mut cache = Cache::new(1 << 20, 4);
    cache.keep(0, b"/a", bytes(3), place.condition(), 1);
    std::fs::remove_file(&place.0).unwrap();
    assert!(cache.find(0, b"/a", 2).is_none());
}

#[test]
fn it_stays_within_its_budget_and_keeps_what_is_used() {
    let mut cache = Cache::new(10_000, 2);
    cache.keep(0, b"/often", bytes(1000), always(), 1);
    for i in 0..100 {
        assert!(cache.find(0, b"/often", i).is_some(), "round {i}");
        cache.keep(0, format!("/{i}").as_bytes(), bytes(1000), always(), 1);
        assert!(cache.bytes <= 10_000);
    }
    cache.keep(0, b"/huge", bytes(9_000), always(), 1);
    assert!(
        cache.find(0, b"/huge", 1).is_none(),
        "too large to be worth all others"
    );
}

#[test]
fn descriptors_have_a_budget_of_their_own() {
    let mut cache = Cache::new(1 << 20, 2);
    cache.keep(0, b"/bytes", bytes(10), always(), 1);
    for i in 0..10 {
        let open = Content::File(Rc::new(File::open("/dev/null").unwrap()));
        cache.keep(0, format!("/{i}").as_bytes(), file(open, 0), always(), 1);
        assert!(cache.descriptors <= 2);
    }
    assert!(cache.find(0, b"/9", 1).is_some());
    assert!(
        cache.find(0, b"/bytes", 1).is_some(),
        "a descriptor does not cost bytes their place"
    );
    assert!(cache.give_up_descriptors());
    assert!(!cache.give_up_descriptors());
    assert!(cache.find(0, b"/9", 1).is_none());
}
