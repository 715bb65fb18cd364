//! The conditions of RFC 9110 §13, each with its table, and their order.

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

const STRONG: Validators<'static> = Validators {
    etag: Some(b"\"now\""),
    last_modified: Some(LAST_MODIFIED),
    exists: true,
};
const WEAK: Validators<'static> = Validators {
    etag: Some(b"W/\"now\""),
    ..STRONG
};
const DATE_ONLY: Validators<'static> = Validators {
    etag: None,
    ..STRONG
};
const TAG_ONLY: Validators<'static> = Validators {
    last_modified: None,
    ..STRONG
};
const BARE: Validators<'static> = Validators {
    etag: None,
    last_modified: None,
    exists: true,
};
const MISSING: Validators<'static> = Validators {
    etag: None,
    last_modified: None,
    exists: false,
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
    evaluate(&headers(lines), true, validators, NOW, |_| ())
}

fn put(lines: &[(&str, &str)], validators: &Validators<'_>) -> Verdict {
    evaluate(&headers(lines), false, validators, NOW, |_| ())
}

fn steps(lines: &[(&str, &str)], validators: &Validators<'_>) -> Vec<String> {
    let mut steps = Vec::new();
    let headers = headers(lines);
    let verdict = evaluate(&headers, true, validators, NOW, |step| {
        steps.push(step.to_string());
    });
    assert_eq!(verdict, get(lines, validators));
    steps
}

#[test]
fn without_conditions_everything_proceeds() {
    for validators in [STRONG, WEAK, BARE] {
        assert_eq!(get(&[], &validators), PROCEED);
        assert_eq!(
            get(&[("Range", "bytes=0-1"), ("If", "x")], &validators),
            PROCEED
        );
        assert_eq!(put(&[], &validators), WHOLE);
    }
}

#[test]
fn if_match_compares_strongly() {
    for (value, validators, expected) in [
        ("\"now\"", STRONG, PROCEED),
        ("\"old\"", STRONG, FAILED),
        ("\"old\", \"now\"", STRONG, PROCEED),
        ("W/\"now\"", STRONG, FAILED),
        ("\"now\"", WEAK, FAILED),
        ("W/\"now\"", WEAK, FAILED),
        ("*", STRONG, PROCEED),
        ("*", BARE, PROCEED),
        ("\"now\"", BARE, FAILED),
        ("now", STRONG, FAILED),
        ("\"now\" x", STRONG, FAILED),
        ("", STRONG, FAILED),
    ] {
        assert_eq!(
            get(&[("If-Match", value)], &validators),
            expected,
            "{value}"
        );
        let expected = if expected == PROCEED { WHOLE } else { expected };
        assert_eq!(
            put(&[("If-Match", value)], &validators),
            expected,
            "{value}"
        );
    }
    let lines = [("If-Match", "\"old\""), ("if-match", "\"now\"")];
    assert_eq!(get(&lines, &STRONG), PROCEED);
}

#[test]
fn if_none_match_compares_weakly() {
    for (value, validators, fails) in [
        ("\"now\"", STRONG, true),
        ("\"old\"", STRONG, false),
        ("\"old\", \"now\"", STRONG, true),
        (",\"old\" ,, \"now\",", STRONG, true),
        ("W/\"now\"", STRONG, true),
        ("\"now\"", WEAK, true),
        ("W/\"now\"", WEAK, true),
        ("\"now,\"", STRONG, false),
        ("*", STRONG, true),
        ("*", BARE, true),
        ("\"now\"", BARE, false),
        ("now", STRONG, false),
        ("\"now\" x", STRONG, false),
        ("\"now\", *", STRONG, false),
        ("", STRONG, false),
    ] {
        let lines = [("If-None-Match", value)];
        let (to_get, to_put) = if fails {
            (NOT_MODIFIED, FAILED)
        } else {
            (PROCEED, WHOLE)
        };
        assert_eq!(get(&lines, &validators), to_get, "{value}");
        assert_eq!(put(&lines, &validators), to_put, "{value}");
    }
    let lines = [("IF-NONE-MATCH", "\"old\""), ("if-none-match", "\"now\"")];
    assert_eq!(get(&lines, &STRONG), NOT_MODIFIED);
}

#[test]
fn if_modified_since_is_for_get_and_valid_past_dates() {
    for (value, validators, expected) in [
        (MODIFIED, STRONG, NOT_MODIFIED),
        (AFTER, STRONG, NOT_MODIFIED),
        (BEFORE, STRONG, PROCEED),
        ("Sunday, 06-Nov-94 08:49:37 GMT", STRONG, NOT_MODIFIED),
        ("Sunday, 06-Nov-94 08:49:36 GMT", STRONG, PROCEED),
        ("Sun Nov  6 08:49:37 1994", STRONG, NOT_MODIFIED),
        ("Sun Nov  6 08:49:36 1994", STRONG, PROCEED),
        (TOMORROW, STRONG, PROCEED),
        ("garbage", STRONG, PROCEED),
        ("0", STRONG, PROCEED),
        ("", STRONG, PROCEED),
        (AFTER, TAG_ONLY, PROCEED),
        (AFTER, DATE_ONLY, NOT_MODIFIED),
    ] {
        let lines = [("If-Modified-Since", value)];
        assert_eq!(get(&lines, &validators), expected, "{value}");
        assert_eq!(put(&lines, &validators), WHOLE, "{value}");
    }
    let twice = [("If-Modified-Since", AFTER), ("If-Modified-Since", AFTER)];
    assert_eq!(get(&twice, &STRONG), PROCEED);
}

#[test]
fn a_date_is_in_the_future_from_the_next_second_on() {
    let lines = headers(&[("If-Modified-Since", TOMORROW)]);
    let tomorrow = LAST_MODIFIED + 86_400;
    assert_eq!(
        evaluate(&lines, true, &STRONG, tomorrow, |_| ()),
        NOT_MODIFIED
    );
    assert_eq!(
        evaluate(&lines, true, &STRONG, tomorrow - 1, |_| ()),
        PROCEED
    );
}

#[test]
fn if_unmodified_since_fails_when_modified_later() {
    for (value, validators, fails) in [
        (MODIFIED, STRONG, false),
        (AFTER, STRONG, false),
        (BEFORE, STRONG, true),
        ("Sunday, 06-Nov-94 08:49:36 GMT", STRONG, true),
        ("Sun Nov  6 08:49:36 1994", STRONG, true),
        (TOMORROW, STRONG, false),
        ("garbage", STRONG, false),
        (BEFORE, TAG_ONLY, false),
        (BEFORE, DATE_ONLY, true),
    ] {
        let lines = [("If-Unmodified-Since", value)];
        let (to_get, to_put) = if fails {
            (FAILED, FAILED)
        } else {
            (PROCEED, WHOLE)
        };
        assert_eq!(get(&lines, &validators), to_get, "{value}");
        assert_eq!(put(&lines, &validators), to_put, "{value}");
    }
    let twice = [
        ("If-Unmodified-Since", BEFORE),
        ("If-Unmodified-Since", BEFORE),
    ];
    assert_eq!(get(&twice, &STRONG), PROCEED);
}

#[test]
fn if_range_wants_the_same_bytes() {
    for (value, validators, expected) in [
        ("\"now\"", STRONG, PROCEED),
        ("\"old\"", STRONG, WHOLE),
        ("W/\"now\"", STRONG, WHOLE),
        ("\"now\"", WEAK, WHOLE),
        ("W/\"now\"", WEAK, WHOLE),
        ("\"now\"", BARE, WHOLE),
        ("\"now\", \"old\"", STRONG, WHOLE), // one tag, no list
        ("*", STRONG, WHOLE),
        ("now", STRONG, WHOLE),
        ("", STRONG, WHOLE),
        (MODIFIED, STRONG, PROCEED),
        (MODIFIED, DATE_ONLY, PROCEED),
        ("Sunday, 06-Nov-94 08:49:37 GMT", STRONG, PROCEED),
        ("Sun Nov  6 08:49:37 1994", STRONG, PROCEED),
        (BEFORE, STRONG, WHOLE), // the same date, not an earlier one
        (AFTER, STRONG, WHOLE),  // nor a later one
        (TOMORROW, STRONG, WHOLE),
        (MODIFIED, WEAK, WHOLE),
        (MODIFIED, TAG_ONLY, WHOLE),
    ] {
        let with_range = [("Range", "bytes=0-1"), ("If-Range", value)];
        assert_eq!(get(&with_range, &validators), expected, "{value}");
        let without = [("If-Range", value)];
        assert_eq!(get(&without, &validators), PROCEED, "{value}");
        assert_eq!(put(&with_range, &validators), WHOLE, "{value}");
    }
    let twice = [
        ("Range", "bytes=0-1"),
        ("If-Range", "\"now\""),
        ("If-Range", "\"now\""),
    ];
    assert_eq!(get(&twice, &STRONG), WHOLE);
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
        let verdict = evaluate(&lines, true, &STRONG, LAST_MODIFIED + age, |_| ());
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
        assert_eq!(get(lines, &STRONG), *expected, "{lines:?}");
        // Where the lines stand in the head makes no difference.
        let mut reversed = lines.to_vec();
        reversed.reverse();
        assert_eq!(get(&reversed, &STRONG), *expected, "{reversed:?}");
    }
}

#[test]
fn what_is_not_there_is_404_before_any_condition() {
    for lines in [
        [("If-Match", "*")],
        [("If-Match", "\"now\"")],
        [("If-None-Match", "*")],
        [("If-Unmodified-Since", BEFORE)],
        [("If-Modified-Since", AFTER)],
    ] {
        assert_eq!(get(&lines, &MISSING), WHOLE, "{lines:?}");
    }
    // For a method that could create it, that it is missing is what is asked (§13.1.1, §13.1.2).
    assert_eq!(put(&[("If-Match", "*")], &MISSING), FAILED);
    assert_eq!(put(&[("If-None-Match", "*")], &MISSING), WHOLE);
    assert_eq!(put(&[("If-None-Match", "*")], &STRONG), FAILED);
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
        steps(&all, &STRONG),
        [
            "If-Match holds: the current tag is listed",
            "If-Unmodified-Since is ignored: the field with tags says it more exactly",
            "If-None-Match holds: the current tag is not listed",
            "If-Modified-Since is ignored: the field with tags says it more exactly",
            "If-Range holds: the tag is the current one",
        ]
    );
    assert_eq!(
        steps(&all, &MISSING)[0],
        "If-Match is ignored: there is nothing at the target, and that comes first"
    );
    assert_eq!(steps(&all, &MISSING).len(), 5);
    assert_eq!(
        steps(&[("If-Match", "x"), ("If-None-Match", "*")], &STRONG),
        ["If-Match fails: not a list of tags, so it matches nothing"]
    );
    for (line, validators, sentence) in [
        (
            ("If-None-Match", "*"),
            STRONG,
            "If-None-Match fails: * and there is a representation",
        ),
        (
            ("If-Modified-Since", TOMORROW),
            STRONG,
            "If-Modified-Since is ignored: the date is in the future",
        ),
        (
            ("If-Modified-Since", "1994"),
            STRONG,
            "If-Modified-Since is ignored: not one valid date",
        ),
        (
            ("If-Modified-Since", AFTER),
            TAG_ONLY,
            "If-Modified-Since is ignored: no date of last modification is known",
        ),
        (
            ("If-Modified-Since", AFTER),
            STRONG,
            "If-Modified-Since fails: not modified after that date",
        ),
        (
            ("If-Unmodified-Since", BEFORE),
            STRONG,
            "If-Unmodified-Since fails: modified after that date",
        ),
        (
            ("If-Range", "\"now\""),
            STRONG,
            "If-Range is ignored: there is no Range",
        ),
    ] {
        assert_eq!(steps(&[line], &validators), [sentence]);
    }
    for (value, validators, sentence) in [
        (
            "\"old\"",
            STRONG,
            "If-Range fails: the tag is not the current one",
        ),
        (
            "\"now\"",
            WEAK,
            "If-Range fails: a weak tag does not promise the same bytes",
        ),
        (
            MODIFIED,
            STRONG,
            "If-Range holds: the date is that of the last modification",
        ),
        (
            AFTER,
            STRONG,
            "If-Range fails: the date is not that of the last modification",
        ),
        (
            MODIFIED,
            WEAK,
            "If-Range fails: modified too recently for a date to promise the same bytes",
        ),
        ("x", STRONG, "If-Range fails: neither one tag nor one date"),
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
        let validators = random.one_of(&[STRONG, WEAK, DATE_ONLY, TAG_ONLY, BARE, MISSING]);
        let is_get = random.below(2) == 0;
        let mut taken = Vec::new();
        let verdict = evaluate(&lines, is_get, &validators, NOW, |words| {
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
            [] => {
                let missing = is_get && !validators.exists && !taken.is_empty();
                Verdict::Proceed {
                    honour_range: is_get && !missing,
                }
            }
            [IF_MATCH | IF_UNMODIFIED_SINCE] => FAILED,
            [IF_NONE_MATCH] if !is_get => FAILED,
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
