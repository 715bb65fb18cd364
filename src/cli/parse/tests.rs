//! Which spelling is near.

use super::*;

#[test]
fn distance_counts_changed_added_missing_and_swapped_letters() {
    for (a, b, expected) in [
        ("", "", 0),
        ("", "abc", 3),
        ("abc", "", 3),
        ("port", "port", 0),
        ("prot", "port", 1),
        ("pot", "port", 1),
        ("poort", "port", 1),
        ("part", "port", 1),
        ("kitten", "sitting", 3),
        ("é", "e", 1),
    ] {
        assert_eq!(strsim::osa_distance(a, b), expected, "{a} {b}");
    }
}

#[test]
fn the_nearest_is_near() {
    let known = ["port", "grace", "max-head", "head-timeout", "idle-timeout"];
    for (word, expected) in [
        ("prot", Some("port")),
        ("ports", Some("port")),
        ("grac", Some("grace")),
        ("head", Some("head-timeout")),
        ("idletimeout", Some("idle-timeout")),
        ("timeout", None),
        ("x", None),
        ("", None),
    ] {
        assert_eq!(nearest(word, known.into_iter()), expected, "{word}");
    }
}
