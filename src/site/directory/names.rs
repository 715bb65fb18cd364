//! The order of names.
//!
//! What lives here: [`compare_names`], the order people expect of a directory.
//! It may not know languages: all readers get the same order.
//! Invariant: it is a total order, and equal means the same bytes.
//! Read next: nothing; this is the bottom.

use std::cmp::Ordering;

/// The order of names: as if both were in lower case; if that makes no difference, by their bytes.
///
/// A name that is not UTF-8 is compared too: each byte that belongs to no character counts as one that
/// comes after all others.
pub(super) fn compare_names(a: &[u8], b: &[u8]) -> Ordering {
    let mut at = 0;
    // Most names are ASCII, and differ early.
    while let (Some(x), Some(y)) = (a.get(at), b.get(at)) {
        if !x.is_ascii() || !y.is_ascii() {
            break;
        }
        match x.to_ascii_lowercase().cmp(&y.to_ascii_lowercase()) {
            Ordering::Equal => at += 1,
            different @ (Ordering::Less | Ordering::Greater) => return different,
        }
    }
    // All bytes before `at` are ASCII, so a character begins here in both.
    let (rest_a, rest_b) = (&a[at..], &b[at..]);
    folded(rest_a).cmp(folded(rest_b)).then_with(|| a.cmp(b))
}

/// The characters of a name in lower case, as numbers.
fn folded(name: &[u8]) -> impl Iterator<Item = u32> {
    name.utf8_chunks().flat_map(|chunk| {
        let valid = chunk.valid().chars().flat_map(char::to_lowercase);
        let invalid = chunk.invalid().iter();
        valid
            .map(u32::from)
            .chain(invalid.map(|&byte| u32::from(char::MAX) + 1 + u32::from(byte)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The order of names is one order: what is said of two pairs holds for the third.
    #[test]
    fn names_have_one_order() {
        let parts: [&[u8]; 12] = [
            b"",
            b"a",
            b"A",
            b"b",
            b"_",
            b"\xc3",
            b"\xff",
            "ä".as_bytes(),
            "Ä".as_bytes(),
            "K".as_bytes(),
            "İ".as_bytes(),
            b"9",
        ];
        let mut all = Vec::new();
        for first in parts {
            for second in parts {
                all.push([first, second].concat());
            }
        }
        all.sort();
        all.dedup();
        for a in &all {
            assert_eq!(compare_names(a, a), Ordering::Equal);
            for b in &all {
                let ab = compare_names(a, b);
                assert_eq!(ab, compare_names(b, a).reverse(), "{a:?} {b:?}");
                assert_eq!(ab == Ordering::Equal, a == b);
                for c in &all {
                    if ab.is_lt() && compare_names(b, c).is_lt() {
                        assert!(compare_names(a, c).is_lt(), "{a:?} {b:?} {c:?}");
                    }
                }
            }
        }
    }
}
