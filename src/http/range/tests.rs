//! Range fields and what becomes of them; multipart framing, byte for byte.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use super::*;
use crate::http::random::Random;

const HTML: &str = "text/html; charset=utf-8";
const BOUNDARY: u64 = 0x0123_4567_89ab_cdef;

fn choose(value: &str, length: u64) -> Selection {
    let headers = [Header {
        name: "Range",
        value: value.as_bytes(),
    }];
    select(&headers, length, HTML, |_| ())
}

fn one(start: u64, end: u64) -> Selection {
    Selection::One(Span { start, end })
}

fn several(spans: &[(u64, u64)]) -> Selection {
    Selection::Several(
        spans
            .iter()
            .map(|&(start, end)| Span { start, end })
            .collect(),
    )
}

fn steps(value: &str, length: u64) -> Vec<String> {
    let mut steps = Vec::new();
    let headers = [Header {
        name: "range",
        value: value.as_bytes(),
    }];
    let selection = select(&headers, length, HTML, |words| {
        steps.push(words.to_string())
    });
    assert_eq!(selection, choose(value, length));
    steps
}

#[test]
fn one_range() {
    for (value, start, end) in [
        // The examples of §14.1.2, of 10,000 bytes.
        ("bytes=0-499", 0, 500),
        ("bytes=500-999", 500, 1000),
        ("bytes=-500", 9500, 10_000),
        ("bytes=9500-", 9500, 10_000),
        // Ends.
        ("bytes=0-0", 0, 1),
        ("bytes=9999-9999", 9999, 10_000),
        ("bytes=9999-", 9999, 10_000),
        ("bytes=-1", 9999, 10_000),
        ("bytes=0-", 0, 10_000), // what players ask first, and 206 is what tells them they may seek
        ("bytes=0-9999", 0, 10_000),
        ("bytes=-10000", 0, 10_000),
        // Beyond the end: cut.
        ("bytes=0-10000", 0, 10_000),
        ("bytes=9999-10000", 9999, 10_000),
        ("bytes=-10001", 0, 10_000),
        ("bytes=5-18446744073709551615", 5, 10_000),
        ("bytes=5-18446744073709551616", 5, 10_000),
        ("bytes=5-99999999999999999999999999999999999999", 5, 10_000),
        ("bytes=-99999999999999999999999999999999999999", 0, 10_000),
        // Spelling.
        ("Bytes=0-499", 0, 500),
        ("BYTES=0-499", 0, 500),
        ("bytes=000000000000000000000000000000000-00499", 0, 500),
        (" bytes=0-499 ", 0, 500),
        ("bytes= 0-499", 0, 500),
        ("bytes=,0-499,,", 0, 500),
        ("bytes=\t0-499 ,", 0, 500),
    ] {
        assert_eq!(choose(value, 10_000), one(start, end), "{value}");
    }
}

#[test]
fn what_is_malformed_or_of_another_unit_is_ignored() {
    for value in [
        "",
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes=-",
        "bytes=0",
        "bytes=a-b",
        "bytes=0-x",
        "bytes=x-0",
        "bytes=-x",
        "bytes=--1",
        "bytes=0--1",
        "bytes=0-1-2",
        "bytes=+0-1",
        "bytes=0x0-1",
        "bytes=0 - 1",
        "bytes=0- 1",
        "bytes=1.0-2",
        "bytes=1-0",
        "bytes=99999-99998",
        "bytes =0-1",
        "bytes:0-1",
        "bytes 0-1",
        "0-1",
        "=0-1",
        "items=0-1",
        "seconds=1-2",
        "bytess=0-1",
        "bytes=0-1;2-3",
        "bytes=0-1,x",
        "bytes=0-1,2-1", // one bad apple
        "bytes=20000-,x",
        "bytes=\"0-1\"",
        "bytes=٠-١",
    ] {
        assert_eq!(choose(value, 10_000), Selection::Whole, "{value}");
        assert_eq!(choose(value, 0), Selection::Whole, "{value}");
    }
}

#[test]
fn no_range_or_two_lines_of_it() {
    let range = Header {
        name: "RANGE",
        value: b"bytes=0-1",
    };
    let other = Header {
        name: "If-Range",
        value: b"bytes=0-1",
    };
    assert_eq!(select(&[], 10, HTML, |_| ()), Selection::Whole);
    assert_eq!(select(&[other], 10, HTML, |_| ()), Selection::Whole);
    assert_eq!(select(&[other, range], 10, HTML, |_| ()), one(0, 2));
    assert_eq!(select(&[range, range], 10, HTML, |_| ()), Selection::Whole);
}

#[test]
fn what_begins_beyond_the_end_is_unsatisfiable() {
    for (value, length) in [
        ("bytes=10000-", 10_000),
        ("bytes=10000-10001", 10_000),
        ("bytes=10000-10000", 10_000),
        ("bytes=-0", 10_000),
        ("bytes=-000", 10_000),
        ("bytes=-0,10000-,20000-30000", 10_000),
        ("bytes=18446744073709551615-", 10_000),
        ("bytes=18446744073709551615-18446744073709551615", 10_000),
        ("bytes=99999999999999999999-99999999999999999999", 10_000),
        ("bytes=18446744073709551615-", u64::MAX),
        ("bytes=20000000000000000000-", u64::MAX), // no smaller for being too long
        ("bytes=0-", 0),
        ("bytes=0-0", 0),
        ("bytes=-0", 0),
        ("bytes=5-9", 0),
    ] {
        let expected = Selection::Unsatisfiable;
        assert_eq!(choose(value, length), expected, "{value} of {length}");
    }
    // The end of nothing is there (§14.1.2), but has no first and last byte to name.
    assert_eq!(choose("bytes=-5", 0), Selection::Whole);
    assert_eq!(choose("bytes=0-,-5", 0), Selection::Whole);
}

#[test]
fn numbers_at_the_edge_of_64_bits() {
    const MAX: u64 = u64::MAX;
    for (value, length, expected) in [
        ("bytes=0-", MAX, one(0, MAX)),
        ("bytes=0-18446744073709551615", MAX, one(0, MAX)),
        ("bytes=18446744073709551614-", MAX, one(MAX - 1, MAX)),
        ("bytes=-1", MAX, one(MAX - 1, MAX)),
        ("bytes=-18446744073709551615", MAX, one(0, MAX)),
        (
            "bytes=4294967295-4294967296",
            1 << 33,
            one(0xffff_ffff, 0x1_0000_0001),
        ),
        // Near the largest position, "near" does not wrap around.
        (
            "bytes=18446744073709551614-,18446744073709551600-18446744073709551610",
            MAX,
            one(MAX - 15, MAX),
        ),
        (
            "bytes=18446744073709551614-,0-0",
            MAX,
            several(&[(MAX - 1, MAX), (0, 1)]),
        ),
        // Two halves with a hole of a thousand bytes, and one that is not worth the framing.
        (
            "bytes=0-9223372036854775807,9223372036854776808-",
            MAX,
            several(&[(0, 1 << 63), ((1 << 63) + 1000, MAX)]),
        ),
        (
            "bytes=0-9223372036854775807,9223372036854775958-",
            MAX,
            Selection::Whole,
        ),
    ] {
        assert_eq!(choose(value, length), expected, "{value} of {length}");
    }
}

#[test]
fn several_ranges_keep_their_order() {
    for (value, spans) in [
        ("bytes=0-9,500-509", &[(0, 10), (500, 510)][..]),
        ("bytes=500-509,0-9", &[(500, 510), (0, 10)]),
        (
            "bytes=0-9, 5000-5009 ,-10",
            &[(0, 10), (5000, 5010), (9990, 10_000)],
        ),
        (
            "bytes=-10,0-9,5000-5009",
            &[(9990, 10_000), (0, 10), (5000, 5010)],
        ),
        // What is not there is left out.
        ("bytes=20000-,0-9,-0,500-509", &[(0, 10), (500, 510)]),
        ("bytes=0-9,500-509,10000-", &[(0, 10), (500, 510)]),
    ] {
        assert_eq!(choose(value, 10_000), several(spans), "{value}");
    }
}

#[test]
fn ranges_that_overlap_or_are_near_are_joined_where_the_first_stood() {
    let cases: &[(&str, Selection)] = &[
        ("bytes=0-99,50-149", one(0, 150)),
        ("bytes=50-149,0-99", one(0, 150)),
        ("bytes=0-99,100-199", one(0, 200)),
        ("bytes=0-99,0-99,0-99", one(0, 100)),
        ("bytes=0-999,100-199", one(0, 1000)),
        ("bytes=100-199,0-999", one(0, 1000)),
        ("bytes=0-99,120-199", one(0, 200)), // a hole shorter than framing
        ("bytes=0-,0-,0-,-1", one(0, 10_000)),
        (
            "bytes=0-9,5000-5009,5-14",
            several(&[(0, 15), (5000, 5010)]),
        ),
        (
            "bytes=5000-5009,0-9,4990-4999",
            several(&[(4990, 5010), (0, 10)]),
        ),
        // The third joins the first two, at the place of the first.
        (
            "bytes=9000-9009,1000-1009,2000-2009,1010-1999",
            several(&[(9000, 9010), (1000, 2010)]),
        ),
        (
            "bytes=2000-2009,9000-9009,1000-1009,1010-1999",
            several(&[(1000, 2010), (9000, 9010)]),
        ),
        // Several were asked for, one is there: one part, and no multipart.
        ("bytes=0-9,20000-", one(0, 10)),
    ];
    for (value, expected) in cases {
        assert_eq!(choose(value, 10_000), *expected, "{value}");
    }
}

#[test]
fn a_hole_as_long_as_framing_is_kept_and_one_byte_less_is_not() {
    // "\r\n--" boundary "\r\nContent-Type: " type "\r\nContent-Range: bytes " 3 × 5 digits "-/"
    // "\r\n\r\n"
    let head = 4 + 16 + 16 + 24 + 23 + 15 + 2 + 4;
    let kept = format!("bytes=0-9,{}-{}", 10 + head, 20 + head);
    assert_eq!(
        choose(&kept, 10_000),
        several(&[(0, 10), (10 + head, 21 + head)])
    );
    let joined = format!("bytes=0-9,{}-{}", 9 + head, 20 + head);
    assert_eq!(choose(&joined, 10_000), one(0, 21 + head));
    // In the other order as well.
    let kept = format!("bytes={}-{},0-9", 10 + head, 20 + head);
    assert_eq!(
        choose(&kept, 10_000),
        several(&[(10 + head, 21 + head), (0, 10)])
    );
    let joined = format!("bytes={}-{},0-9", 9 + head, 20 + head);
    assert_eq!(choose(&joined, 10_000), one(0, 21 + head));
}

#[test]
fn more_than_32_ranges_are_ignored() {
    let ranges = |n: usize| {
        let list: Vec<String> = (0..n).map(|i| format!("{}-{}", i * 500, i * 500)).collect();
        format!("bytes={}", list.join(","))
    };
    let Selection::Several(spans) = choose(&ranges(RANGES_MAX), 100_000) else {
        panic!("32 ranges are fine");
    };
    assert_eq!(spans.len(), RANGES_MAX);
    assert_eq!(choose(&ranges(RANGES_MAX + 1), 100_000), Selection::Whole);
    // Also where they would be joined, or are not there: reading them all is what is refused.
    let same = format!("bytes={}", vec!["0-0"; RANGES_MAX + 1].join(","));
    assert_eq!(choose(&same, 100_000), Selection::Whole);
    assert_eq!(choose(&same, 0), Selection::Whole);
    // Empty elements are no ranges.
    let gaps = format!("bytes={}0-0", ",".repeat(1000));
    assert_eq!(choose(&gaps, 100_000), one(0, 1));
}

#[test]
fn parts_that_would_be_no_shorter_than_the_whole_are_not_made() {
    // 400 bytes with a hole of 130, but two parts cost more than that.
    assert_eq!(choose("bytes=0-99,230-399", 400), Selection::Whole);
    let two = [
        Span { start: 0, end: 100 },
        Span {
            start: 230,
            end: 400,
        },
    ];
    let framing = Multipart::new(two.into(), HTML, BOUNDARY, 400);
    assert!(framing.body_bytes() >= 400);
    // With a larger hole they are worth it.
    assert_eq!(
        choose("bytes=0-9,400-409", 410),
        several(&[(0, 10), (400, 410)])
    );
}

#[test]
fn the_framing_byte_for_byte() {
    let spans = [
        Span {
            start: 500,
            end: 1000,
        },
        Span {
            start: 7000,
            end: 8000,
        },
    ];
    let parts = Multipart::new(spans.into(), "application/pdf", BOUNDARY, 8000);
    let content_type = "multipart/byteranges; boundary=0123456789abcdef";
    assert_eq!(parts.answer_type(), content_type);
    assert_eq!(*parts.spans, spans);

    let mut out = Vec::new();
    assert_eq!(parts.frame(0, &mut out), Some(spans[0]));
    assert_eq!(
        out,
        b"--0123456789abcdef\r\nContent-Type: application/pdf\r\n\
          Content-Range: bytes 500-999/8000\r\n\r\n"
    );
    out.clear();
    assert_eq!(parts.frame(1, &mut out), Some(spans[1]));
    assert_eq!(
        out,
        b"\r\n--0123456789abcdef\r\nContent-Type: application/pdf\r\n\
          Content-Range: bytes 7000-7999/8000\r\n\r\n"
    );
    out.clear();
    assert_eq!(parts.frame(2, &mut out), None);
    assert_eq!(out, b"\r\n--0123456789abcdef--\r\n");
}

#[test]
fn content_range_values() {
    let written = Span::content_range;
    assert_eq!(written(Span { start: 0, end: 1 }, 1), "bytes 0-0/1");
    assert_eq!(
        written(
            Span {
                start: 42,
                end: 1234
            },
            1234
        ),
        "bytes 42-1233/1234"
    );
    assert_eq!(
        written(
            Span {
                start: 0,
                end: u64::MAX
            },
            u64::MAX
        ),
        "bytes 0-18446744073709551614/18446744073709551615"
    );
}

#[test]
fn boundaries_are_the_digits_of_their_bits() {
    for (bits, expected) in [
        (0, "0000000000000000"),
        (BOUNDARY, "0123456789abcdef"),
        (u64::MAX, "ffffffffffffffff"),
    ] {
        let parts = Multipart::new([].into(), HTML, bits, 0);
        assert_eq!(parts.boundary, expected);
    }
}

#[test]
fn the_steps_say_why() {
    assert_eq!(
        steps("bytes=0-9,-5,20000-, 5-14", 10_000),
        [
            "0-9 is bytes 0 to 9 (10 bytes)",
            "-5 is bytes 9995 to 9999 (5 bytes)",
            "20000- is beyond the end",
            "5-14 is bytes 5 to 14 (10 bytes)",
            "joined with what is next to it: bytes 0 to 14 (15 bytes)",
        ]
    );
    assert_eq!(
        steps("bytes=10000-", 10_000),
        [
            "10000- is beyond the end",
            "none of the ranges can be satisfied"
        ]
    );
    for (value, length, last) in [
        ("items=0-1", 10, "Range is ignored: its unit is not bytes"),
        ("bytes=1", 10, "Range is ignored: it is malformed"),
        (
            "bytes=-1",
            0,
            "Range is ignored: there are no bytes to be part of",
        ),
        (
            "bytes=0-99,230-399",
            400,
            "Range is ignored: in parts it would take 485 bytes, no less than the whole",
        ),
    ] {
        assert_eq!(steps(value, length).last().unwrap(), last);
    }
    let many = format!("bytes={}", vec!["0-0"; RANGES_MAX + 1].join(","));
    assert_eq!(
        steps(&many, 10).last().unwrap(),
        "Range is ignored: it asks for more than 32 ranges"
    );
    let line = Header {
        name: "Range",
        value: b"bytes=0-1",
    };
    let mut taken = Vec::new();
    let _ = select(&[line, line], 10, HTML, |words| {
        taken.push(words.to_string())
    });
    assert_eq!(taken, ["Range is ignored: it stands on several lines"]);
}

/// A list of ranges around the edges of a file of `length` bytes, and which bytes it names.
fn random_ranges(random: &mut Random, length: u64) -> (String, Vec<ByteRange>) {
    let position = |random: &mut Random| match random.below(8) {
        0 => 0,
        1 => length.saturating_sub(1),
        2 => length,
        3 => u64::MAX,
        _ => random.next_u64() % (length + 1),
    };
    let specs: Vec<ByteRange> = (0..1 + random.below(12))
        .map(|_| {
            let (a, b) = (position(random), position(random));
            match random.below(6) {
                0 => ByteRange::From(a),
                1 => ByteRange::Last(a),
                2 => ByteRange::FromTo(a, a),
                3 => ByteRange::FromTo(a, a.saturating_add(random.next_u64() % 64)),
                _ => ByteRange::FromTo(a.min(b), a.max(b)),
            }
        })
        .collect();
    let list: Vec<String> = specs.iter().map(ByteRange::to_string).collect();
    (format!("bytes={}", list.join(",")), specs)
}

#[test]
fn whatever_is_asked_the_answer_is_covered_disjoint_and_no_longer_than_the_whole() {
    let mut random = Random::new(6);
    let mut met = [0; 4];
    for _ in 0..30_000 {
        let length = match random.below(5) {
            0 => random.next_u64() % 4,
            1 => random.next_u64() % 500,
            2 => random.next_u64() % 5_000,
            3 => random.next_u64() % (1 << 40),
            _ => u64::MAX - random.next_u64() % 200,
        };
        let length = length.min(u64::MAX - 1);
        let (value, specs) = random_ranges(&mut random, length);
        let asked: Vec<Span> = specs
            .iter()
            .filter_map(|spec| spec.within(length))
            .collect();
        match choose(&value, length) {
            Selection::Whole => {
                met[0] += 1;
                // Only for want of bytes, or because parts would be too long.
                assert!(
                    asked.is_empty() && length == 0 || asked.len() > 1,
                    "{value}"
                );
            }
            Selection::One(span) => {
                met[1] += 1;
                assert!(span.start < span.end && span.end <= length);
                assert!(
                    asked
                        .iter()
                        .all(|a| span.start <= a.start && a.end <= span.end)
                );
                assert!(asked.iter().any(|a| a.start == span.start));
                assert!(asked.iter().any(|a| a.end == span.end));
            }
            Selection::Several(spans) => {
                met[2] += 1;
                assert!(spans.len() >= 2 && spans.len() <= asked.len());
                // All that was asked for lies in one of them, and each of them begins and ends
                // where something asked for does.
                for a in &asked {
                    assert!(spans.iter().any(|s| s.start <= a.start && a.end <= s.end));
                }
                for s in &spans {
                    assert!(s.start < s.end && s.end <= length);
                    assert!(asked.iter().any(|a| a.start == s.start));
                    assert!(asked.iter().any(|a| a.end == s.end));
                }
                // In the order of the first asked for.
                let first = |s: &Span| {
                    asked
                        .iter()
                        .position(|a| s.start <= a.start && a.end <= s.end)
                        .unwrap()
                };
                assert!(
                    spans
                        .windows(2)
                        .all(|pair| first(&pair[0]) < first(&pair[1]))
                );
                // Sorted, they are disjoint, with holes worth their framing.
                let parts = Multipart::new(spans.clone(), HTML, random.next_u64(), length);
                let mut sorted = spans.to_vec();
                sorted.sort_by_key(|s| s.start);
                for pair in sorted.windows(2) {
                    let mut head = Vec::new();
                    let at = spans.iter().position(|s| *s == pair[1]).unwrap();
                    parts.frame(at, &mut head).unwrap();
                    assert!(pair[0].end < pair[1].start);
                    assert!(pair[1].start - pair[0].end >= head.len() as u64);
                }
                assert!(parts.body_bytes() < length, "{value} of {length}");
            }
            Selection::Unsatisfiable => {
                met[3] += 1;
                assert!(asked.is_empty(), "{value} of {length}");
            }
        }
    }
    assert!(met.iter().all(|&n| n > 100), "all four happen: {met:?}");
}

#[test]
fn the_length_is_that_of_the_concatenation() {
    let mut random = Random::new(7);
    let mut compared = 0;
    while compared < 500 {
        let length = 400 + random.next_u64() % 20_000;
        let file: Vec<u8> = (0..length).map(|n| b'a' + (n % 26) as u8).collect();
        let (value, _) = random_ranges(&mut random, length);
        let Selection::Several(spans) = choose(&value, length) else {
            continue;
        };
        compared += 1;
        let parts = Multipart::new(spans, HTML, random.next_u64(), length);
        let mut body = Vec::new();
        for part in 0.. {
            let Some(span) = parts.frame(part, &mut body) else {
                break;
            };
            let bytes = span.start.try_into().unwrap()..span.end.try_into().unwrap();
            body.extend_from_slice(&file[bytes]);
        }
        assert_eq!(parts.body_bytes(), body.len() as u64);
        assert_eq!(read_back(&body, &parts.boundary, &file), *parts.spans);
    }
}

/// Reads a multipart body as a client would, by the boundary alone, and checks each part against
/// the file.
fn read_back(body: &[u8], boundary: &str, file: &[u8]) -> Vec<Span> {
    let body = std::str::from_utf8(body).unwrap();
    let body = body.strip_prefix(&format!("--{boundary}")).unwrap();
    let body = body
        .strip_suffix(&format!("\r\n--{boundary}--\r\n"))
        .unwrap();
    body.split(&format!("\r\n--{boundary}"))
        .map(|part| {
            let (head, bytes) = part.split_once("\r\n\r\n").unwrap();
            let range = head
                .strip_prefix(&format!(
                    "\r\nContent-Type: {HTML}\r\nContent-Range: bytes "
                ))
                .unwrap();
            let (range, total) = range.split_once('/').unwrap();
            let (first, last) = range.split_once('-').unwrap();
            assert_eq!(total, file.len().to_string());
            let (start, end): (usize, usize) =
                (first.parse().unwrap(), last.parse::<usize>().unwrap() + 1);
            assert_eq!(bytes.as_bytes(), &file[start..end]);
            Span {
                start: start as u64,
                end: end as u64,
            }
        })
        .collect()
}

#[test]
fn random_bytes_never_panic() {
    let mut random = Random::new(8);
    for _ in 0..50_000 {
        let mut value = b"bytes=".to_vec();
        if random.below(10) == 0 {
            value.clear();
        }
        value.extend(random.bytes(b"0123456789--,, \t=9", 40));
        let headers = [Header {
            name: "Range",
            value: &value,
        }];
        let length = random.one_of(&[0, 1, 10, 1000, 1 << 40, u64::MAX]);
        match select(&headers, length, HTML, |_| ()) {
            Selection::Whole | Selection::Unsatisfiable => {}
            Selection::One(span) => assert!(span.start < span.end && span.end <= length),
            Selection::Several(spans) => {
                assert!(spans.iter().all(|s| s.start < s.end && s.end <= length));
            }
        }
    }
}
