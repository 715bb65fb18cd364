//! Weights, codings and types, each with its table.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use super::*;
use crate::http::accept::Coding::{Brotli, Gzip, Identity, Zstd};
use crate::http::random::Random;

const ALL: [Coding; 4] = [Brotli, Zstd, Gzip, Identity];

fn headers<'a>(name: &'a str, values: &[&'a str]) -> Vec<Header<'a>> {
    values
        .iter()
        .map(|value| Header {
            name,
            value: value.as_bytes(),
        })
        .collect()
}

fn choose(values: &[&str], available: &[Coding]) -> Option<Coding> {
    let accept = AcceptEncoding::read(&headers("Accept-Encoding", values), |_| ());
    most_welcome(&accept, available)
}

/// The first of those with the greatest standing; `None` if all are refused.
fn most_welcome(accept: &AcceptEncoding, available: &[Coding]) -> Option<Coding> {
    let codings = available.iter().copied().rev();
    let best = codings.max_by_key(|&coding| accept.standing(coding))?;
    (accept.standing(best) > Standing::Refused).then_some(best)
}

#[test]
fn weights_have_an_exact_grammar() {
    for (text, thousandths) in [
        ("0", 0),
        ("0.", 0),
        ("0.0", 0),
        ("0.000", 0),
        ("0.001", 1),
        ("0.01", 10),
        ("0.010", 10),
        ("0.5", 500),
        ("0.55", 550),
        ("0.555", 555),
        ("0.999", 999),
        ("1", 1000),
        ("1.", 1000),
        ("1.0", 1000),
        ("1.000", 1000),
    ] {
        let weight = Weight::parse(text.as_bytes()).unwrap();
        assert_eq!(weight.0, thousandths, "{text}");
    }
    for text in [
        "", ".", ".5", "0,5", "00", "01", "0.0000", "0.1234", "1.001", "1.0000", "1.1", "2", "10",
        "-0", "+1", "-1", "0.5 ", " 0.5", "0.x", "1e0", "0x1", "0..5", "½", "٠",
    ] {
        assert_eq!(Weight::parse(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn weights_are_shown_as_they_are_read() {
    for thousandths in 0..=1000 {
        let weight = Weight(thousandths);
        let shown = weight.to_string();
        assert_eq!(Weight::parse(shown.as_bytes()), Some(weight), "{shown}");
        // However many zeros follow, it is the same weight.
        let long = format!("{}.{thousandths:03}", thousandths / 1000);
        if thousandths < 1000 {
            assert_eq!(Weight::parse(long.as_bytes()), Some(weight), "{long}");
        }
    }
    assert_eq!(Weight(500).to_string(), "0.5");
    assert_eq!(Weight(50).to_string(), "0.05");
    assert_eq!(Weight(0).to_string(), "0");
}

#[test]
fn the_coding_that_is_chosen() {
    let cases: &[(&[&str], &[Coding], Option<Coding>)] = &[
        // No field: plain bytes, though anything would do.
        (&[], &ALL, Some(Identity)),
        (&[], &[Gzip], Some(Gzip)),
        // An empty field: plain bytes only.
        (&[""], &ALL, Some(Identity)),
        (&[" , "], &ALL, Some(Identity)),
        (&[""], &[Gzip], None),
        // What browsers send.
        (&["gzip, deflate, br, zstd"], &ALL, Some(Brotli)),
        (
            &["gzip, deflate, br, zstd"],
            &[Gzip, Brotli, Identity],
            Some(Gzip),
        ),
        (&["gzip, deflate, br"], &[Zstd, Gzip, Identity], Some(Gzip)),
        (
            &["gzip, deflate"],
            &[Brotli, Zstd, Identity],
            Some(Identity),
        ),
        (&["gzip, deflate"], &[Identity], Some(Identity)),
        // Several lines are one list.
        (&["gzip", "br"], &ALL, Some(Brotli)),
        // The server's order decides among equals; plain bytes that were not asked for come last.
        (&["gzip"], &[Identity, Gzip], Some(Gzip)),
        (&["gzip, identity"], &[Identity, Gzip], Some(Identity)),
        (&["gzip, identity"], &[Gzip, Identity], Some(Gzip)),
        (&["gzip;q=0.001"], &[Identity, Gzip], Some(Gzip)),
        // Weights.
        (&["gzip;q=1.0, br;q=0.9"], &ALL, Some(Gzip)),
        (&["gzip;q=0.9, br;q=1.0"], &ALL, Some(Brotli)),
        (&["gzip;q=0.5, br;q=0.50, zstd;q=0.500"], &ALL, Some(Brotli)),
        (&["gzip;q=0.5, identity;q=0.6"], &ALL, Some(Identity)),
        (&["compress;q=0.5, gzip;q=1.0"], &ALL, Some(Gzip)),
        (&["gzip;q=1.0, identity; q=0.5, *;q=0"], &ALL, Some(Gzip)),
        // Refusals.
        (&["gzip;q=0"], &[Gzip, Identity], Some(Identity)),
        (&["gzip;q=0.000"], &[Gzip, Identity], Some(Identity)),
        (&["gzip;q=0"], &[Gzip], None),
        (&["identity;q=0"], &[Identity], None),
        (&["identity;q=0"], &ALL, None),
        (&["identity;q=0, gzip"], &ALL, Some(Gzip)),
        (&["*;q=0"], &ALL, None),
        (&["*;q=0, identity"], &ALL, Some(Identity)),
        (&["identity, *;q=0"], &ALL, Some(Identity)),
        (&["identity;q=0.1, *;q=0"], &ALL, Some(Identity)),
        (&["gzip, *;q=0"], &[Brotli, Identity], None),
        // A star means what is not named, plain bytes too.
        (&["*"], &ALL, Some(Brotli)),
        (&["*"], &[Identity, Gzip], Some(Identity)),
        (&["br;q=0, *"], &ALL, Some(Zstd)),
        (&["br;q=0.5, *;q=0.1"], &ALL, Some(Brotli)),
        (&["br;q=0.1, *;q=0.5"], &ALL, Some(Zstd)),
        (&["identity;q=0, *"], &[Identity, Gzip], Some(Gzip)),
        // Names.
        (&["GZip"], &ALL, Some(Gzip)),
        (&["x-gzip"], &ALL, Some(Gzip)),
        (&["X-GZIP;q=0"], &ALL, Some(Identity)),
        (&["gzipp, g, brr"], &ALL, Some(Identity)),
        // Spelling.
        (&["gzip ; q=0.5 , br\t;\tq=0.6"], &ALL, Some(Brotli)),
        (&["gzip;Q=0.5, br;q=0.4"], &ALL, Some(Gzip)),
        (&[",,gzip,,"], &ALL, Some(Gzip)),
        // What is malformed is not there.
        (&["gzip;q=2"], &ALL, Some(Identity)),
        (&["gzip;q=0.1234"], &ALL, Some(Identity)),
        (&["gzip;q=-1, br"], &ALL, Some(Brotli)),
        (&["br;q=abc, gzip"], &ALL, Some(Gzip)),
        (&["br;q =1, gzip"], &ALL, Some(Gzip)),
        (&["br;q= 1, gzip"], &ALL, Some(Gzip)),
        (&["br;q, gzip"], &ALL, Some(Gzip)),
        (&["br;level=5, gzip"], &ALL, Some(Gzip)),
        (&["br;q=1;q=1, gzip"], &ALL, Some(Gzip)),
        (&["b r, gzip"], &ALL, Some(Gzip)),
        (&[";q=1, gzip"], &ALL, Some(Gzip)),
        (&[";, gzip"], &ALL, Some(Gzip)),
        (&[";br, gzip"], &ALL, Some(Gzip)),
        (&["identity;q=0.0.0"], &ALL, Some(Identity)),
        (&["*;q=00"], &ALL, Some(Identity)),
        // Named twice: the first counts.
        (&["gzip;q=0, gzip"], &ALL, Some(Identity)),
        (&["gzip, gzip;q=0"], &ALL, Some(Gzip)),
        (&["gzip", "x-gzip;q=0"], &ALL, Some(Gzip)),
        (&["*", "*;q=0"], &ALL, Some(Brotli)),
        // But what is malformed was not named.
        (&["gzip;q=x, gzip;q=0.5"], &ALL, Some(Gzip)),
        // Nothing to choose from.
        (&["gzip"], &[], None),
    ];
    for (values, available, expected) in cases {
        assert_eq!(
            choose(values, available),
            *expected,
            "{values:?} of {available:?}"
        );
    }
}

#[test]
fn standings_are_ordered() {
    let ordered = [
        Standing::Refused,
        Standing::Implied,
        Standing::Asked(Weight(1)),
        Standing::Asked(Weight(999)),
        Standing::Asked(Weight::FULL),
    ];
    assert!(ordered.is_sorted());
}

#[test]
fn the_steps_of_a_choice_say_why() {
    let lines = [
        "gzip;q=0.50, deflate, br;q=0,",
        "gzip, x\x1b[2J;q=1, *;q=0.001",
    ];
    let lines = headers("accept-encoding", &lines);
    let mut steps = Vec::new();
    let accept = AcceptEncoding::read(&lines, |words| steps.push(words.to_string()));
    assert_eq!(
        steps,
        [
            "gzip;q=0.50 accepts with weight 0.5",
            "deflate is a coding that is not served here",
            "br;q=0 refuses",
            "gzip is ignored: it was named before",
            "x\\x1b[2J;q=1 is ignored: it is malformed",
            "*;q=0.001 accepts with weight 0.001",
        ]
    );
    for (coding, standing) in [
        (Brotli, Standing::Refused),
        (Zstd, Standing::Asked(Weight(1))),
        (Gzip, Standing::Asked(Weight(500))),
        (Identity, Standing::Asked(Weight(1))),
    ] {
        assert_eq!(accept.standing(coding), standing, "{coding:?}");
    }

    let mut steps = Vec::new();
    AcceptEncoding::read(&[], |words| steps.push(words.to_string()));
    assert_eq!(steps, ["no Accept-Encoding: plain bytes are expected"]);
}

#[test]
fn a_choice_is_the_first_of_the_most_welcome() {
    let mut random = Random::new(9);
    let names = ["gzip", "br", "zstd", "identity", "*", "deflate", "x"];
    for _ in 0..30_000 {
        let elements: Vec<String> = (0..random.below(6))
            .map(|_| {
                let weight = random.below(1003);
                let name = random.one_of(&names);
                match weight {
                    1001 => name.to_owned(),
                    1002 => format!("{name};q=bad"),
                    _ => format!("{name};q={}.{:03}", weight / 1000, weight % 1000),
                }
            })
            .collect();
        let value = elements.join(", ");
        let accept = AcceptEncoding::read(&headers("Accept-Encoding", &[&value]), |_| ());
        let mut available = ALL.to_vec();
        available.swap(random.below(4), random.below(4));
        available.truncate(1 + random.below(4));

        let best = available.iter().map(|&c| accept.standing(c)).max().unwrap();
        let expected = available
            .iter()
            .copied()
            .find(|&c| accept.standing(c) == best && best != Standing::Refused);
        assert_eq!(most_welcome(&accept, &available), expected, "{value}");
        // A longer list never makes the choice less welcome.
        let all = most_welcome(&accept, &ALL).map(|c| accept.standing(c));
        let few = most_welcome(&accept, &available).map(|c| accept.standing(c));
        assert!(all >= few, "{value}");
    }
}

#[test]
fn html_or_json() {
    for (values, json) in [
        (&[][..], false),
        (&["*/*"], false),
        (&["text/html"], false),
        (&["application/json"], true),
        (&["application/json, */*"], true), // scripts
        (&["application/json, text/plain, */*"], true),
        (&["*/*, application/json"], true),
        (&["application/*"], true),
        (&["application/json, text/html"], false), // both by name, the same weight
        (&["text/html, application/json;q=0.9"], false),
        (&["application/json, text/html;q=0.9"], true),
        (&["application/json;q=0.5, */*"], false),
        (&["application/json;q=0.5, */*;q=0.1"], true),
        (&["text/html;q=0, */*"], true),
        (&["*/*;q=0.5, text/html;q=0.4"], true),
        (&["application/json;q=0"], false),
        (&["application/json;q=0, */*;q=0"], false),
        (&["image/png"], false), // neither: HTML
        (&[""], false),
        (
            &["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"],
            false,
        ),
        (&["Application/JSON"], true),
        (&["text/html;q=0.1", "application/json;q=0.2"], true),
        (&["application/json; charset=utf-8"], true),
        (&["application/json;charset=\"a,b;q=0\""], true),
        (
            &["application/json;q=0.3;charset=utf-8, text/html;q=0.4"],
            false,
        ),
        (&["application/json;q=5"], false), // malformed: not there
        (&["application/json;q=0, application/json"], false), // named twice: the first counts
        (&["application/json;q=1;x"], false),
        (&["application/json;charset=\"utf-8"], false),
        (&["applicationjson"], false),
        (&["*/json"], false),
        (&["json"], false),
        // The bare name counts more than one with parameters, which counts more than a wildcard.
        (
            &["application/json;v=1;q=0, application/json, */*;q=0.9"],
            true,
        ),
        (&["application/json;v=1;q=0, */*;q=0.9"], false),
    ] {
        assert_eq!(prefers_json(&headers("Accept", values)), json, "{values:?}");
    }
}

#[test]
fn html_is_named_by_those_that_follow_a_link() {
    for (values, expected) in [
        (&[][..], false),
        (&["*/*"], false),
        (&["text/*"], false),
        (&["text/html"], true),
        (&["TEXT/HTML"], true),
        (&["text/html;q=0.1"], true),
        (&["text/html; charset=utf-8"], true),
        (&["text/html;q=0, */*"], false),
        (&["*/*;q=0"], false),
        (&["text/*;q=0, */*"], false),
        (&["image/png"], false),
        (&[""], false),
        // What browsers send: for a page, an image, a style sheet, a script.
        (
            &["text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"],
            true,
        ),
        (&["image/avif,image/webp,*/*;q=0.8"], false),
        (&["text/css,*/*;q=0.1"], false),
    ] {
        assert_eq!(
            names_html(&headers("Accept", values)),
            expected,
            "{values:?}"
        );
    }
}

#[test]
fn random_bytes_never_panic_and_bad_elements_take_nothing_with_them() {
    let mut random = Random::new(10);
    for _ in 0..30_000 {
        let noise = random.bytes(b"gzipbr*;q=01.,/ \t\"\\texhml", 30);
        let lines = [Header {
            name: "Accept-Encoding",
            value: &noise,
        }];
        let _ = AcceptEncoding::read(&lines, |_| ()).standing(Zstd);
        let lines = [Header {
            name: "Accept",
            value: &noise,
        }];
        let _ = (prefers_json(&lines), names_html(&lines));

        // Noise without a comma, quote or known name in front of a good element changes nothing.
        let noise: Vec<u8> = noise
            .into_iter()
            .filter(|byte| !b",\"".contains(byte))
            .collect();
        let both = [b"?", &noise[..], b"?, br;q=0.7"].concat();
        let both = [Header {
            name: "Accept-Encoding",
            value: &both,
        }];
        assert_eq!(
            AcceptEncoding::read(&both, |_| ()).standing(Brotli),
            Standing::Asked(Weight(700))
        );
    }
}
