//! Entity tags: one, two compared, or a list of them (RFC 9110 §8.8.3).
//!
//! What lives here: the grammar and both comparisons. It may not know how idler makes its tags, nor what
//! a field decides with them. Invariant: a list that breaks the grammar anywhere matches nothing, whatever
//! stands before the break. Read next: `preconditions.rs`.

use crate::http::fields::trim;

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
        let bytes = bytes.strip_prefix(b"\"")?;
        let end = bytes.iter().position(|&byte| byte == b'"')?;
        let (opaque, rest) = bytes.split_at(end);
        // Anything visible, and bytes beyond ASCII; no spaces, no controls. There are no escapes.
        let legal = opaque
            .iter()
            .all(|&byte| byte == 0x21 || (0x23..=0x7e).contains(&byte) || byte >= 0x80);
        legal.then_some((Self { weak, opaque }, &rest[1..]))
    }
}

/// How the tags of a field are compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Comparison {
    /// Both must be strong: for If-Match and If-Range.
    Strong,
    /// Weak will do: for If-None-Match.
    Weak,
}

impl Comparison {
    /// Compares two tags.
    pub fn holds(self, one: &EntityTag<'_>, other: &EntityTag<'_>) -> bool {
        match self {
            Self::Strong => one.strongly_matches(other),
            Self::Weak => one.weakly_matches(other),
        }
    }
}

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

/// Looks for `current` in a list of tags (`*` or `1#entity-tag`, §13.1.1) that may stand on several lines.
/// Bounded by the length of the lines, all of which are read: see the module's invariant.
pub fn find_in_list<'a>(
    lines: impl Iterator<Item = &'a [u8]>,
    current: Option<&EntityTag<'_>>,
    comparison: Comparison,
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
            found |= current.is_some_and(|current| comparison.holds(&tag, current));
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
                assert_eq!(Comparison::Strong.holds(&one, &other), strong);
                assert_eq!(Comparison::Weak.holds(&one, &other), weak);
            }
        }
    }

    #[test]
    fn lists() {
        use Comparison::{Strong, Weak};
        use ListMatch::{Any, Found, Malformed, NotFound};
        let cases: &[(&[&str], &str, Comparison, ListMatch)] = &[
            (&["\"a\""], "\"a\"", Strong, Found),
            (&["\"a\""], "\"b\"", Strong, NotFound),
            (&["\"a\", \"b\""], "\"b\"", Strong, Found),
            (&["\"a\",\"b\""], "\"b\"", Strong, Found),
            (&["\"a\" , \t\"b\""], "\"b\"", Strong, Found),
            (&["\"a\"", "\"b\""], "\"b\"", Strong, Found), // several lines
            (&["\"a\"", "\"c\""], "\"b\"", Strong, NotFound),
            (&["W/\"b\""], "\"b\"", Strong, NotFound),
            (&["W/\"b\""], "\"b\"", Weak, Found),
            (&["\"b\""], "W/\"b\"", Weak, Found),
            (&["\"a,b\""], "\"a\"", Weak, NotFound), // a comma inside quotes
            (&["\"a,b\""], "\"a,b\"", Weak, Found),
            (&[",, \"a\" ,,\t, \"b\",,"], "\"b\"", Weak, Found), // empty elements
            (&["", "\"b\"", " "], "\"b\"", Weak, Found),
            (&["*"], "\"b\"", Strong, Any),
            (&[" * "], "\"b\"", Weak, Any),
            (&["*", "*"], "\"b\"", Weak, Malformed),
            (&["*", "\"b\""], "\"b\"", Weak, Malformed),
            (&["\"b\"", "*"], "\"b\"", Weak, Malformed),
            (&["\"b\", *"], "\"b\"", Weak, Malformed),
            (&["*, \"b\""], "\"b\"", Weak, Malformed),
            (&["b"], "\"b\"", Weak, Malformed), // quotes are part of a tag
            (&["\"b\", b"], "\"b\"", Weak, Malformed),
            (&["\"b\"\"b\""], "\"b\"", Weak, Malformed),
            (&["\"b\" \"b\""], "\"b\"", Weak, Malformed),
            (&["\"b\";\"b\""], "\"b\"", Weak, Malformed),
            (&["\"b\", \"open"], "\"b\"", Weak, Malformed),
            (&["\"open", "\"b\""], "\"b\"", Weak, Malformed), // a quote ends with its line
            (&["w/\"b\""], "\"b\"", Weak, Malformed),
            (&[""], "\"b\"", Weak, Malformed),
            (&[","], "\"b\"", Weak, Malformed),
            (&[], "\"b\"", Weak, Malformed),
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
        let look =
            |line: &'static [u8]| find_in_list(std::iter::once(line), None, Comparison::Weak);
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
                for comparison in [Comparison::Strong, Comparison::Weak] {
                    let member = tags
                        .iter()
                        .any(|member| comparison.holds(&tag(member), &tag(sought)));
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
            let found = find_in_list(lines.into_iter(), Some(&current), Comparison::Weak);
            if found == ListMatch::Found {
                let hay = lines.concat();
                assert!(hay.windows(3).any(|part| part == b"\"a\""));
            }
        }
    }
}
