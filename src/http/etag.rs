//! Entity tags: one, two compared, or a list of them (RFC 9110 §8.8.3).
//!
//! A list that breaks the grammar anywhere matches nothing, whatever stands before the break.

use crate::http::fields::{split_once, trim};

/// An entity tag, borrowed from where it was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EntityTag<'a> {
    /// Whether it begins with `W/`: equal tags stand for equivalent representations only.
    pub weak: bool,
    /// What stands between the quotes.
    pub opaque: &'a [u8],
}

impl<'a> EntityTag<'a> {
    /// Reads a value that is one tag and nothing more, `"…"` or `W/"…"`.
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let (tag, rest) = Self::split_from(value)?;
        rest.is_empty().then_some(tag)
    }

    /// Whether both are strong and the same (§8.8.3.2): byte for byte the same representation.
    pub fn strongly_matches(&self, other: &EntityTag<'_>) -> bool {
        !self.weak && !other.weak && self.opaque == other.opaque
    }

    /// Whether both are the same, weak or not (§8.8.3.2).
    pub fn weakly_matches(&self, other: &EntityTag<'_>) -> bool {
        self.opaque == other.opaque
    }

    /// Reads the tag that `bytes` begin with, and what follows it. `W` is a capital always.
    fn split_from(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (weak, bytes) = match bytes.strip_prefix(b"W/") {
            Some(rest) => (true, rest),
            None => (false, bytes),
        };
        let (opaque, rest) = split_once(bytes.strip_prefix(b"\"")?, b'"')?;
        // Anything visible, and bytes beyond ASCII; no spaces, no controls. There are no escapes.
        let legal = opaque
            .iter()
            .all(|byte| matches!(byte, b'!'..=b'~' | 0x80..));
        legal.then_some((Self { weak, opaque }, rest))
    }
}

/// How the tags of a field are compared.
pub type Comparison = fn(&EntityTag<'_>, &EntityTag<'_>) -> bool;

/// For If-Match: see [`EntityTag::strongly_matches`].
pub const STRONG: Comparison = |one, other| one.strongly_matches(other);

/// For If-None-Match: see [`EntityTag::weakly_matches`].
pub const WEAK: Comparison = |one, other| one.weakly_matches(other);

/// What a field with a list of tags says about one tag.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ListMatch {
    /// The list is `*`: anything that exists.
    Any,
    /// One of the tags matches.
    Found,
    /// None does.
    NotFound,
    /// It is no list of tags.
    Malformed,
}

/// Looks for `current` in a list of tags (`*` or `1#entity-tag`, §13.1.1) that may stand on several
/// lines. Bounded by the length of the lines, all of which are read: see the module's invariant.
pub fn find_in_list<'a>(
    lines: impl Iterator<Item = &'a [u8]>,
    current: Option<&EntityTag<'_>>,
    matches: Comparison,
) -> ListMatch {
    let (mut any, mut tags, mut found) = (false, false, false);
    for line in lines {
        let mut rest = trim(line);
        if rest == b"*" {
            // Twice, a star is no list; nor is it beside tags, as the end finds.
            if any {
                return ListMatch::Malformed;
            }
            any = true;
            continue;
        }
        while !rest.is_empty() {
            if let Some(next) = rest.strip_prefix(b",") {
                rest = trim(next);
                continue;
            }
            let Some((tag, next)) = EntityTag::split_from(rest) else {
                return ListMatch::Malformed;
            };
            rest = trim(next);
            if !(rest.is_empty() || rest.starts_with(b",")) {
                return ListMatch::Malformed;
            }
            tags = true;
            found |= current.is_some_and(|current| matches(&tag, current));
        }
    }
    match (any, tags, found) {
        (true, false, _) => ListMatch::Any,
        (false, true, true) => ListMatch::Found,
        (false, true, false) => ListMatch::NotFound,
        (true, true, _) | (false, false, _) => ListMatch::Malformed,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;
    use crate::http::random::Random;

    fn tag(text: &str) -> EntityTag<'_> {
        EntityTag::parse(text.as_bytes()).unwrap()
    }

    fn look(lines: &[&str], current: &str, comparison: Comparison) -> ListMatch {
        find_in_list(
            lines.iter().map(|line| line.as_bytes()),
            Some(&tag(current)),
            comparison,
        )
    }

    #[test]
    fn a_tag_is_quoted_and_perhaps_weak() {
        for (text, weak, opaque) in [
            ("\"xyzzy\"", false, "xyzzy"),
            ("W/\"xyzzy\"", true, "xyzzy"),
            ("\"\"", false, ""),
            ("W/\"\"", true, ""),
            ("\"a,b\"", false, "a,b"),
            ("\"a\\b\"", false, "a\\b"), // a backslash is a byte like others
            ("\"ä!~\"", false, "ä!~"),
        ] {
            let expected = EntityTag {
                weak,
                opaque: opaque.as_bytes(),
            };
            assert_eq!(EntityTag::parse(text.as_bytes()), Some(expected), "{text}");
        }
        for text in [
            "",
            "x",
            "\"",
            "\"x",
            "x\"",
            "w/\"x\"",
            "W\"x\"",
            "W/x",
            "W/",
            "W/ \"x\"",
            "\"a b\"",
            "\"a\tb\"",
            "\"a\x7fb\"",
            "\"a\" ",
            " \"a\"",
            "\"a\"\"b\"",
            "*",
            "'a'",
        ] {
            assert_eq!(EntityTag::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn the_table_of_section_8_8_3_2() {
        for (one, other, strong, weak) in [
            ("W/\"1\"", "W/\"1\"", false, true),
            ("W/\"1\"", "W/\"2\"", false, false),
            ("W/\"1\"", "\"1\"", false, true),
            ("\"1\"", "\"1\"", true, true),
            ("\"1\"", "\"2\"", false, false),
        ] {
            for (one, other) in [(tag(one), tag(other)), (tag(other), tag(one))] {
                assert_eq!(one.strongly_matches(&other), strong);
                assert_eq!(one.weakly_matches(&other), weak);
            }
        }
    }

    #[test]
    fn lists() {
        use ListMatch::{Any, Found, Malformed, NotFound};
        let cases: &[(&[&str], &str, Comparison, ListMatch)] = &[
            (&["\"a\""], "\"a\"", STRONG, Found),
            (&["\"a\""], "\"b\"", STRONG, NotFound),
            (&["\"a\", \"b\""], "\"b\"", STRONG, Found),
            (&["\"a\",\"b\""], "\"b\"", STRONG, Found),
            (&["\"a\" , \t\"b\""], "\"b\"", STRONG, Found),
            (&["\"a\"", "\"b\""], "\"b\"", STRONG, Found), // several lines
            (&["\"a\"", "\"c\""], "\"b\"", STRONG, NotFound),
            (&["W/\"b\""], "\"b\"", STRONG, NotFound),
            (&["W/\"b\""], "\"b\"", WEAK, Found),
            (&["\"b\""], "W/\"b\"", WEAK, Found),
            (&["\"a,b\""], "\"a\"", WEAK, NotFound), // a comma inside quotes
            (&["\"a,b\""], "\"a,b\"", WEAK, Found),
            (&[",, \"a\" ,,\t, \"b\",,"], "\"b\"", WEAK, Found), // empty elements
            (&["", "\"b\"", " "], "\"b\"", WEAK, Found),
            (&["*"], "\"b\"", STRONG, Any),
            (&[" * "], "\"b\"", WEAK, Any),
            (&["*", "*"], "\"b\"", WEAK, Malformed),
            (&["*", "\"b\""], "\"b\"", WEAK, Malformed),
            (&["\"b\"", "*"], "\"b\"", WEAK, Malformed),
            (&["\"b\", *"], "\"b\"", WEAK, Malformed),
            (&["*, \"b\""], "\"b\"", WEAK, Malformed),
            (&["b"], "\"b\"", WEAK, Malformed), // quotes are part of a tag
            (&["\"b\", b"], "\"b\"", WEAK, Malformed),
            (&["\"b\"\"b\""], "\"b\"", WEAK, Malformed),
            (&["\"b\" \"b\""], "\"b\"", WEAK, Malformed),
            (&["\"b\";\"b\""], "\"b\"", WEAK, Malformed),
            (&["\"b\", \"open"], "\"b\"", WEAK, Malformed),
            (&["\"open", "\"b\""], "\"b\"", WEAK, Malformed), // a quote ends with its line
            (&["w/\"b\""], "\"b\"", WEAK, Malformed),
            (&[""], "\"b\"", WEAK, Malformed),
            (&[","], "\"b\"", WEAK, Malformed),
            (&[], "\"b\"", WEAK, Malformed),
        ];
        for &(lines, current, comparison, expected) in cases {
            assert_eq!(
                look(lines, current, comparison),
                expected,
                "{lines:?} {current}"
            );
        }
    }

    #[test]
    fn where_there_is_no_tag_only_a_star_matches() {
        let look = |line: &'static [u8]| find_in_list(std::iter::once(line), None, WEAK);
        assert_eq!(look(b"\"\""), ListMatch::NotFound);
        assert_eq!(look(b"*"), ListMatch::Any);
    }

    #[test]
    fn a_list_of_good_tags_finds_exactly_its_members() {
        let mut random = Random::new(3);
        for _ in 0..5_000 {
            let tags: Vec<String> = (0..1 + random.below(6))
                .map(|_| {
                    let opaque = random.bytes(b"ab,-/W", 3);
                    let opaque: String = opaque
                        .iter()
                        .filter(|byte| b"ab,-/W".contains(byte))
                        .map(|&byte| char::from(byte))
                        .collect();
                    format!("{}\"{opaque}\"", random.one_of(&["", "W/"]))
                })
                .collect();
            let separator = random.one_of(&[",", ", ", " ,\t,", ",,"]);
            let (first, second) = tags.split_at(random.below(tags.len()));
            let lines = [first.join(separator), second.join(separator)];
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            for sought in ["\"a\"", "W/\"a\"", "\"b,\"", "\"\""] {
                for comparison in [STRONG, WEAK] {
                    let member = tags
                        .iter()
                        .any(|member| comparison(&tag(member), &tag(sought)));
                    let expected = if member {
                        ListMatch::Found
                    } else {
                        ListMatch::NotFound
                    };
                    assert_eq!(look(&lines, sought, comparison), expected, "{lines:?}");
                }
            }
        }
    }

    #[test]
    fn random_bytes_never_panic() {
        let mut random = Random::new(4);
        for _ in 0..50_000 {
            let one = random.bytes(b"\"W/ab, *\t", 12);
            let two = random.bytes(b"\"W/ab, *\t", 6);
            let _ = EntityTag::parse(&one);
            let lines = [&one[..], &two[..]];
            let current = tag("\"a\"");
            let found = find_in_list(lines.into_iter(), Some(&current), WEAK);
            if found == ListMatch::Found {
                let hay = lines.concat();
                assert!(hay.windows(3).any(|part| part == b"\"a\""));
            }
        }
    }
}
