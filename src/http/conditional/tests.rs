//! The conditions of RFC 9110 §13, each with its table, and their order.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use super::*;
use crate::http::random::Random;

const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
const TOMORROW: &str = "Mon, 07 Nov 1994 08:49:37 GMT";
const LAST_MODIFIED: UnixSeconds = 784_111_777;
/// An hour after the last modification.
const NOW: UnixSeconds = LAST_MODIFIED + 3600;

const WHOLE: Verdict = Verdict::Proceed {
    honour_range: false,
};
const PROCEED: Verdict = Verdict::Proceed { honour_range: true };
const NOT_MODIFIED: Verdict = Verdict::NotModified;
const FAILED: Verdict = Verdict::Failed;

const STRONG_TAG: Validators<'static> = Validators {
    etag: Some(b"\"now\""),
    last_modified: Some(LAST_MODIFIED),
};
const WEAK_TAG: Validators<'static> = Validators {
    etag: Some(b"W/\"now\""),
    ..STRONG_TAG
};
const DATE_ONLY: Validators<'static> = Validators {
    etag: None,
    ..STRONG_TAG
};
const TAG_ONLY: Validators<'static> = Validators {
    last_modified: None,
    ..STRONG_TAG
};
const BARE: Validators<'static> = Validators {
    etag: None,
    last_modified: None,
};

fn headers<'a>(lines: &[(&'a str, &'a str)]) -> Vec<Header<'a>> {
    lines
        .iter()
        .map(|&(name, value)| Header {
            name,
            value: value.as_bytes(),
        })
        .collect()
}

fn get(lines: &[(&str, &str)], validators: &Validators<'_>) -> Verdict {
    evaluate(&headers(lines), validators, NOW, |_| ())
}

fn steps(lines: &[(&str, &str)], validators: &Validators<'_>) -> Vec<String> {
    let mut steps = Vec::new();
    let headers = headers(lines);
    let verdict = evaluate(&headers, validators, NOW, |step| {
        steps.push(step.to_string());
    });
    assert_eq!(verdict, get(lines, validators));
    steps
}

#[test]
fn without_conditions_everything_proceeds() {
    for validators in [STRONG_TAG, WEAK_TAG, BARE] {
        assert_eq!(get(&[], &validators), PROCEED);
        assert_eq!(
            get(&[("Range", "bytes=0-1"), ("If", "x")], &validators),
            PROCEED
        );
    }
}

#[test]
fn if_match_compares_strongly() {
    for (value, validators, expected) in [
        ("\"now\"", STRONG_TAG, PROCEED),
        ("\"old\"", STRONG_TAG, FAILED),
        ("\"old\", \"now\"", STRONG_TAG, PROCEED),
        ("W/\"now\"", STRONG_TAG, FAILED),
        ("\"now\"", WEAK_TAG, FAILED),
        ("W/\"now\"", WEAK_TAG, FAILED),
        ("*", STRONG_TAG, PROCEED),
        ("*", BARE, PROCEED),
        ("\"now\"", BARE, FAILED),
        ("now", STRONG_TAG, FAILED),
        ("\"now\" x", STRONG_TAG, FAILED),
        ("", STRONG_TAG, FAILED),
    ] {
        assert_eq!(
            get(&[("If-Match", value)], &validators),
            expected,
            "{value}"
        );
    }
    let lines = [("If-Match", "\"old\""), ("if-match", "\"now\"")];
    assert_eq!(get(&lines, &STRONG_TAG), PROCEED);
}

#[test]
fn if_none_match_compares_weakly() {
    for (value, validators, fails) in [
        ("\"now\"", STRONG_TAG, true),
        ("\"old\"", STRONG_TAG, false),
        ("\"old\", \"now\"", STRONG_TAG, true),
        (",\"old\" ,, \"now\",", STRONG_TAG, true),
        ("W/\"now\"", STRONG_TAG, true),
        ("\"now\"", WEAK_TAG, true),
        ("W/\"now\"", WEAK_TAG, true),
        ("\"now,\"", STRONG_TAG, false),
        ("*", STRONG_TAG, true),
        ("*", BARE, true),
        ("\"now\"", BARE, false),
        ("now", STRONG_TAG, false),
        ("\"now\" x", STRONG_TAG, false),
        ("\"now\", *", STRONG_TAG, false),
        ("", STRONG_TAG, false),
    ] {
        let lines = [("If-None-Match", value)];
        let expected = if fails { NOT_MODIFIED } else { PROCEED };
        assert_eq!(get(&lines, &validators), expected, "{value}");
    }
    let lines = [("IF-NONE-MATCH", "\"old\""), ("if-none-match", "\"now\"")];
    assert_eq!(get(&lines, &STRONG_TAG), NOT_MODIFIED);
}

#[test]
fn if_modified_since_is_for_valid_past_dates() {
    for (value, validators, expected) in [
        (MODIFIED, STRONG_TAG, NOT_MODIFIED),
        (AFTER, STRONG_TAG, NOT_MODIFIED),
        (BEFORE, STRONG_TAG, PROCEED),
        ("Sunday, 06-Nov-94 08:49:37 GMT", STRONG_TAG, NOT_MODIFIED),
        ("Sunday, 06-Nov-94 08:49:36 GMT", STRONG_TAG, PROCEED),
        ("Sun Nov  6 08:49:37 1994", STRONG_TAG, NOT_MODIFIED),
        ("Sun Nov  6 08:49:36 1994", STRONG_TAG, PROCEED),
        (TOMORROW, STRONG_TAG, PROCEED),
        ("garbage", STRONG_TAG, PROCEED),
        ("0", STRONG_TAG, PROCEED),
        ("", STRONG_TAG, PROCEED),
        (AFTER, TAG_ONLY, PROCEED),
        (AFTER, DATE_ONLY, NOT_MODIFIED),
    ] {
        let lines = [("If-Modified-Since", value)];
        assert_eq!(get(&lines, &validators), expected, "{value}");
    }
    let twice = [("If-Modified-Since", AFTER), ("If-Modified-Since", AFTER)];
    assert_eq!(get(&twice, &STRONG_TAG), PROCEED);
}

#[test]
fn a_date_is_in_the_future_from_the_next_second_on() {
    let lines = headers(&[("If-Modified-Since", TOMORROW)]);
    let tomorrow = LAST_MODIFIED + 86_400;
    assert_eq!(
        evaluate(&lines, &STRONG_TAG, tomorrow, |_| ()),
        NOT_MODIFIED
    );
    assert_eq!(evaluate(&lines, &STRONG_TAG, tomorrow - 1, |_| ()), PROCEED);
}

#[test]
fn if_unmodified_since_fails_when_modified_later() {
    for (value, validators, fails) in [
        (MODIFIED, STRONG_TAG, false),
        (AFTER, STRONG_TAG, false),
        (BEFORE, STRONG_TAG, true),
        ("Sunday, 06-Nov-94 08:49:36 GMT", STRONG_TAG, true),
        ("Sun Nov  6 08:49:36 1994", STRONG_TAG, true),
        (TOMORROW, STRONG_TAG, false),
        ("garbage", STRONG_TAG, false),
        (BEFORE, TAG_ONLY, false),
        (BEFORE, DATE_ONLY, true),
    ] {
        let lines = [("If-Unmodified-Since", value)];
        let expected = if fails { FAILED } else { PROCEED };
        assert_eq!(get(&lines, &validators), expected, "{value}");
    }
    let twice = [
        ("If-Unmodified-Since", BEFORE),
        ("If-Unmodified-Since", BEFORE),
    ];
    assert_eq!(get(&twice, &STRONG_TAG), PROCEED);
}

#[test]
fn if_range_wants_the_same_bytes() {
    for (value, validators, expected) in [
        ("\"now\"", STRONG_TAG, PROCEED),
        ("\"old\"", STRONG_TAG, WHOLE),
        ("W/\"now\"", STRONG_TAG, WHOLE),
        ("\"now\"", WEAK_TAG, WHOLE),
        ("W/\"now\"", WEAK_TAG, WHOLE),
        ("\"now\"", BARE, WHOLE),
        ("\"now\", \"old\"", STRONG_TAG, WHOLE), // one tag, no list
        ("*", STRONG_TAG, WHOLE),
        ("now", STRONG_TAG, WHOLE),
        ("", STRONG_TAG, WHOLE),
        (MODIFIED, STRONG_TAG, PROCEED),
        (MODIFIED, DATE_ONLY, PROCEED),
        ("Sunday, 06-Nov-94 08:49:37 GMT", STRONG_TAG, PROCEED),
        ("Sun Nov  6 08:49:37 1994", STRONG_TAG, PROCEED),
        (BEFORE, STRONG_TAG, WHOLE), // the same date, not an earlier one
        (AFTER, STRONG_TAG, WHOLE),  // nor a later one
        (TOMORROW, STRONG_TAG, WHOLE),
        (MODIFIED, WEAK_TAG, WHOLE),
        (MODIFIED, TAG_ONLY, WHOLE),
    ] {
        let with_range = [("Range", "bytes=0-1"), ("If-Range", value)];
        assert_eq!(get(&with_range, &validators), expected, "{value}");
        let without = [("If-Range", value)];
        assert_eq!(get(&without, &validators), PROCEED, "{value}");
    }
    let twice = [
        ("Range", "bytes=0-1"),
        ("If-Range", "\"now\""),
        ("If-Range", "\"now\""),
    ];
    assert_eq!(get(&twice, &STRONG_TAG), WHOLE);
}

#[test]
fn a_date_is_weak_until_its_second_is_well_over() {
    let lines = headers(&[("Range", "bytes=0-1"), ("If-Range", MODIFIED)]);
    for (age, expected) in [
        (-1, WHOLE),
        (0, WHOLE),
        (1, WHOLE),
        (2, PROCEED),
        (3, PROCEED),
    ] {
        let verdict = evaluate(&lines, &STRONG_TAG, LAST_MODIFIED + age, |_| ());
        assert_eq!(verdict, expected, "{age} s");
    }
}

#[test]
fn the_order_of_section_13_2_2() {
    let cases: &[(&[(&str, &str)], Verdict)] = &[
        // If-Match that holds makes If-Unmodified-Since moot, and goes on.
        (
            &[("If-Unmodified-Since", BEFORE), ("If-Match", "\"now\"")],
            PROCEED,
        ),
        (
            &[("If-Match", "\"now\""), ("If-None-Match", "\"now\"")],
            NOT_MODIFIED,
        ),
        (
            &[("If-None-Match", "\"now\""), ("If-Match", "\"now\"")],
            NOT_MODIFIED,
        ),
        // A 412 comes before a 304.
        (
            &[("If-None-Match", "\"now\""), ("If-Match", "\"old\"")],
            FAILED,
        ),
        (
            &[("If-None-Match", "*"), ("If-Unmodified-Since", BEFORE)],
            FAILED,
        ),
        (
            &[
                ("If-Modified-Since", AFTER),
                ("If-Unmodified-Since", BEFORE),
            ],
            FAILED,
        ),
        (
            &[("If-Modified-Since", AFTER), ("If-Unmodified-Since", AFTER)],
            NOT_MODIFIED,
        ),
        // If-None-Match makes If-Modified-Since moot, both ways.
        (
            &[("If-Modified-Since", AFTER), ("If-None-Match", "\"old\"")],
            PROCEED,
        ),
        (
            &[("If-Modified-Since", BEFORE), ("If-None-Match", "\"now\"")],
            NOT_MODIFIED,
        ),
        // Even one that is no list, since it is there.
        (
            &[("If-Modified-Since", AFTER), ("If-None-Match", "garbage")],
            PROCEED,
        ),
        // 304 comes before a range; a 412 too.
        (
            &[
                ("Range", "bytes=0-1"),
                ("If-Range", "\"now\""),
                ("If-None-Match", "\"now\""),
            ],
            NOT_MODIFIED,
        ),
        (
            &[
                ("Range", "bytes=0-1"),
                ("If-Range", "\"now\""),
                ("If-Match", "\"old\""),
            ],
            FAILED,
        ),
        (
            &[
                ("Range", "bytes=0-1"),
                ("If-Range", "\"old\""),
                ("If-None-Match", "\"old\""),
            ],
            WHOLE,
        ),
        (
            &[
                ("Range", "bytes=0-1"),
                ("If-Range", "\"now\""),
                ("If-Match", "\"now\""),
                ("If-Modified-Since", BEFORE),
            ],
            PROCEED,
        ),
    ];
    for (lines, expected) in cases {
        assert_eq!(get(lines, &STRONG_TAG), *expected, "{lines:?}");
        // Where the lines stand in the head makes no difference.
        let mut reversed = lines.to_vec();
        reversed.reverse();
        assert_eq!(get(&reversed, &STRONG_TAG), *expected, "{reversed:?}");
    }
}

#[test]
fn the_steps_say_why() {
    let all = [
        ("If-Range", "\"now\""),
        ("If-Modified-Since", AFTER),
        ("If-None-Match", "\"old\""),
        ("If-Unmodified-Since", BEFORE),
        ("If-Match", "\"now\""),
        ("Range", "bytes=0-"),
    ];
    assert_eq!(
        steps(&all, &STRONG_TAG),
        [
            "If-Match holds: the current tag is listed",
            "If-Unmodified-Since is ignored: the field with tags says it more exactly",
            "If-None-Match holds: the current tag is not listed",
            "If-Modified-Since is ignored: the field with tags says it more exactly",
            "If-Range holds: the tag is the current one",
        ]
    );
    assert_eq!(
        steps(&[("If-Match", "x"), ("If-None-Match", "*")], &STRONG_TAG),
        ["If-Match fails: not a list of tags, so it matches nothing"]
    );
    for (line, validators, sentence) in [
        (
            ("If-None-Match", "*"),
            STRONG_TAG,
            "If-None-Match fails: * and there is a representation",
        ),
        (
            ("If-Modified-Since", TOMORROW),
            STRONG_TAG,
            "If-Modified-Since is ignored: the date is in the future",
        ),
        (
            ("If-Modified-Since", "1994"),
            STRONG_TAG,
            "If-Modified-Since is ignored: not one valid date",
        ),
        (
            ("If-Modified-Since", AFTER),
            TAG_ONLY,
            "If-Modified-Since is ignored: no date of last modification is known",
        ),
        (
            ("If-Modified-Since", AFTER),
            STRONG_TAG,
            "If-Modified-Since fails: not modified after that date",
        ),
        (
            ("If-Unmodified-Since", BEFORE),
            STRONG_TAG,
            "If-Unmodified-Since fails: modified after that date",
        ),
        (
            ("If-Range", "\"now\""),
            STRONG_TAG,
            "If-Range is ignored: there is no Range",
        ),
    ] {
        assert_eq!(steps(&[line], &validators), [sentence]);
    }
    for (value, validators, sentence) in [
        (
            "\"old\"",
            STRONG_TAG,
            "If-Range fails: the tag is not the current one",
        ),
        (
            "\"now\"",
            WEAK_TAG,
            "If-Range fails: a weak tag does not promise the same bytes",
        ),
        (
            MODIFIED,
            STRONG_TAG,
            "If-Range holds: the date is that of the last modification",
        ),
        (
            AFTER,
            STRONG_TAG,
            "If-Range fails: the date is not that of the last modification",
        ),
        (
            MODIFIED,
            WEAK_TAG,
            "If-Range fails: modified too recently for a date to promise the same bytes",
        ),
        (
            "x",
            STRONG_TAG,
            "If-Range fails: neither one tag nor one date",
        ),
    ] {
        let lines = [("Range", "bytes=0-1"), ("If-Range", value)];
        assert_eq!(steps(&lines, &validators), [sentence]);
    }
}

#[test]
fn random_heads_never_panic_and_steps_agree_with_the_verdict() {
    let mut random = Random::new(5);
    let values = [
        "\"now\"",
        "W/\"now\"",
        "\"old\"",
        "*",
        "",
        "x",
        BEFORE,
        MODIFIED,
        AFTER,
        TOMORROW,
    ];
    let names = [
        "If-Match",
        "if-unmodified-since",
        "If-None-Match",
        "IF-MODIFIED-SINCE",
        "If-Range",
        "Range",
        "Host",
    ];
    for _ in 0..50_000 {
        let noise = random.bytes(b"\"W/now*,: ", 8);
        let mut lines: Vec<Header<'_>> = (0..random.below(6))
            .map(|_| Header {
                name: random.one_of(&names),
                value: random.one_of(&values).as_bytes(),
            })
            .collect();
        lines.push(Header {
            name: random.one_of(&names),
            value: &noise,
        });
        let validators = random.one_of(&[STRONG_TAG, WEAK_TAG, DATE_ONLY, TAG_ONLY, BARE]);
        let mut taken = Vec::new();
        let verdict = evaluate(&lines, &validators, NOW, |words| {
            taken.push(words.to_string());
        });
        // Each sentence begins with the field: they come in the order of §13.2.2, none twice.
        let fields: Vec<&str> = taken
            .iter()
            .map(|words| words.split(' ').next().unwrap_or_default())
            .collect();
        let order = [
            IF_MATCH,
            IF_UNMODIFIED_SINCE,
            IF_NONE_MATCH,
            IF_MODIFIED_SINCE,
            IF_RANGE,
        ];
        let place = |field: &&str| order.iter().position(|known| known == field);
        assert!(fields.iter().all(|field| place(field).is_some()));
        assert!(
            fields
                .windows(2)
                .all(|pair| place(&pair[0]) < place(&pair[1]))
        );
        // A condition that fails is the last, and decides.
        let is_failing = |words: &String| words.contains(" fails: ");
        let failing: Vec<&str> = taken
            .iter()
            .zip(&fields)
            .filter(|(words, _)| is_failing(words))
            .map(|(_, field)| *field)
            .collect();
        let expected = match failing[..] {
            [] => PROCEED,
            [IF_MATCH | IF_UNMODIFIED_SINCE] => FAILED,
            [IF_NONE_MATCH | IF_MODIFIED_SINCE] => NOT_MODIFIED,
            [IF_RANGE] => WHOLE,
            _ => panic!("{failing:?}"),
        };
        assert_eq!(verdict, expected, "{taken:?}");
        if let Some(at) = taken.iter().position(is_failing) {
            assert_eq!(at, taken.len() - 1);
        }
    }
}

// ---- entity tags ----

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
