//! What must be true whatever comes in: one oracle for each target of `tests/fuzz`.
//!
//! What lives here: functions from any bytes to nothing, which panic if what they hold true is not. The fuzzer calls them with
//! bytes that it makes up; `cargo test` with those of `fixtures/hostile`. They may not know who calls. Invariant: an
//! oracle asks for more than that nothing panics: a slow and simple second opinion, a bound, or that cutting the bytes
//! elsewhere changes nothing. Read next: `machine.rs`, the largest.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    unreachable_pub,
    missing_docs,
    reason = "an oracle stops at the first surprise, and its parts are no interface"
)]

pub mod chunked;
pub mod head;
pub mod machine;
pub mod negotiation;
pub mod preconditions;
pub mod range;
pub mod redirects;
#[path = "../it/support/reply.rs"]
#[expect(dead_code, reason = "some of it is for tests over sockets")]
pub(crate) mod reply;
pub mod reply_head;
pub mod target;
pub mod transfer;
pub mod users;

/// An oracle: it panics if what it holds true is not.
pub type Oracle = fn(&[u8]);

/// All of them, each under the name of its target and of its folder in `fixtures/hostile`.
pub const ALL: &[(&str, Oracle)] = &[
    ("head", head::check),
    ("target", target::check),
    ("range", range::check),
    ("preconditions", preconditions::check),
    ("chunked", chunked::check),
    ("transfer", transfer::check),
    ("redirects", redirects::check),
    ("users", users::check),
    ("negotiation", negotiation::check),
    ("reply_head", reply_head::check),
    ("machine", machine::check),
];

/// Seeds, and each input that ever found something.
#[cfg(test)]
#[test]
fn the_corpus_holds() {
    let hostile = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/hostile");
    let mut failed = Vec::new();
    for (name, oracle) in ALL {
        let inputs: Vec<_> = std::fs::read_dir(hostile.join(name))
            .unwrap_or_else(|e| panic!("fixtures/hostile/{name}: {e}"))
            .map(|entry| entry.unwrap().path())
            .collect();
        assert!(!inputs.is_empty(), "{name} has no corpus");
        for path in inputs {
            let input = std::fs::read(&path).unwrap();
            // So that one failure does not hide the others; its words are printed where it happens.
            if std::panic::catch_unwind(|| oracle(&input)).is_err() {
                failed.push(path);
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}
