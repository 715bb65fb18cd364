//! Orders of codings.

use httparse::Header;

use super::*;

use Coding::{Brotli as B, Gzip as G, Zstd as Z};

/// Every order there is.
const ORDERS: [&[Coding]; 16] = [
    &[],
    &[B],
    &[G],
    &[Z],
    &[B, G],
    &[B, Z],
    &[G, B],
    &[G, Z],
    &[Z, B],
    &[Z, G],
    &[B, G, Z],
    &[B, Z, G],
    &[G, B, Z],
    &[G, Z, B],
    &[Z, B, G],
    &[Z, G, B],
];

fn order(value: &str) -> Vec<Coding> {
    preference(value).codings().collect()
}

fn preference(value: &str) -> Preference {
    let headers = [Header {
        name: "Accept-Encoding",
        value: value.as_bytes(),
    }];
    Preference::of(&AcceptEncoding::read(&headers, |_| ()))
}

#[test]
fn what_clients_say_becomes_an_order() {
    let cases: &[(&str, &[Coding])] = &[
        ("", &[]),
        ("identity", &[]),
        ("deflate", &[]),
        ("gzip", &[G]),
        ("x-gzip", &[G]),
        ("gzip, deflate, br", &[B, G]),
        ("gzip, deflate, br, zstd", &[B, Z, G]),
        ("zstd, br, gzip", &[B, Z, G]), // equal weights: the server's order
        ("*", &[B, Z, G]),
        ("*;q=0", &[]),
        ("gzip;q=0", &[]),
        ("gzip;q=1.0,deflate;q=0.6,identity;q=0.3", &[G]),
        ("identity, gzip;q=0.5", &[]), // plain bytes are more welcome
        ("identity;q=0.5, gzip;q=0.5", &[G]),
        ("identity;q=0", &[]), // nothing else is acceptable either; no 406
        ("identity;q=0, br", &[B]),
        ("gzip;q=0.1", &[G]), // plain bytes are only implied
        ("br;q=0.5, zstd;q=0.4, gzip", &[G, B, Z]),
        ("br;q=0.4, zstd;q=0.5, gzip", &[G, Z, B]),
        ("br;q=0.5, zstd, gzip;q=0.4", &[Z, B, G]),
        ("br;q=0.4, zstd, gzip;q=0.5", &[Z, G, B]),
        ("br, zstd;q=0.4, gzip;q=0.5", &[B, G, Z]),
        ("br;q=0.5, zstd", &[Z, B]),
        ("br;q=0.5, gzip", &[G, B]),
        ("zstd;q=0.5, gzip", &[G, Z]),
        ("zstd, gzip", &[Z, G]),
        ("br, zstd", &[B, Z]),
        ("br", &[B]),
        ("zstd", &[Z]),
        ("br;q=0.5, *;q=0.2", &[B, Z, G]),
    ];
    for (value, expected) in cases {
        assert_eq!(order(value), *expected, "{value}");
    }
    for known in ORDERS {
        assert!(
            known.is_empty() || cases.iter().any(|(_, order)| *order == known),
            "{known:?} is reached by no case"
        );
    }
}

#[test]
fn orders_are_all_different_and_silence_is_class_0() {
    let mut classes = std::collections::BTreeSet::new();
    for order in ORDERS {
        let words = ["gzip;q=0.9, ", "gzip;q=0.8, ", "gzip;q=0.7, "];
        let value: String = (order.iter().zip(words))
            .map(|(coding, word)| word.replace("gzip", coding.name()))
            .collect();
        let class = preference(&value).class();
        assert!(class < CLASSES && classes.insert(class), "{value}");
    }
    let silent = Preference::of(&AcceptEncoding::read(&[], |_| ()));
    assert_eq!(silent.codings().count(), 0);
    assert_eq!(silent.class(), PLAIN_CLASS);
}
