//! Both halves of a transfer against each other, and the decoder against everything else.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop at the first surprise"
)]

use super::decoder::{Decoder, last_component};
use super::{Encoder, Piece, encode_base64};
use crate::http::random::Random;
use crate::limits::TRANSFER_NAME_BYTES_MAX;

/// Decodes `wire` cut at the given places.
fn decode(wire: &[u8], cuts: &[usize], max: u64) -> Result<(String, Vec<u8>), String> {
    let mut decoder = Decoder::new(max);
    let mut file = Vec::new();
    let mut at = 0;
    for &cut in cuts.iter().chain([&wire.len()]) {
        let before = file.len();
        decoder.feed(&wire[at..cut], &mut file)?;
        assert!(file.len() - before <= cut - at + 2, "gave more than it got");
        at = cut;
    }
    let bytes = decoder.file_bytes;
    let name = decoder.finish()?;
    assert_eq!(bytes, file.len() as u64);
    Ok((name, file))
}

/// The outcome of `wire`, which must be the same whole, byte by byte, and cut in two anywhere.
fn check(wire: &[u8]) -> Result<(String, Vec<u8>), String> {
    let whole = decode(wire, &[], 1000);
    let every: Vec<usize> = (0..wire.len()).collect();
    assert_eq!(decode(wire, &every, 1000), whole, "byte by byte");
    for cut in 0..=wire.len() {
        assert_eq!(decode(wire, &[cut], 1000), whole, "cut at {cut}");
    }
    whole
}

fn ok(wire: &str) -> (String, Vec<u8>) {
    check(wire.as_bytes()).expect(wire)
}

fn wrong(wire: &str) -> String {
    check(wire.as_bytes()).expect_err(wire)
}

/// What an encoder makes of a file when each send takes as many bytes as `takes` says.
fn encode(name: &str, file: &[u8], mut takes: impl FnMut(usize) -> usize) -> Vec<u8> {
    let mut encoder = Encoder::new(name, file.len() as u64);
    let mut wire = Vec::new();
    let mut buffer = [0; 40];
    loop {
        let sent = match encoder.piece() {
            Piece::Text(text) => {
                let n = takes(text.len());
                wire.extend_from_slice(&text[..n]);
                n
            }
            Piece::File {
                at,
                remaining,
                skip,
            } => {
                let at = usize::try_from(at).unwrap();
                assert_eq!(at % 3, 0);
                assert_eq!(at as u64 + remaining, file.len() as u64);
                let group = &file[at..file.len().min(at + 30)];
                let n = encode_base64(group, &mut buffer);
                let text = &buffer[skip..n];
                let n = takes(text.len());
                wire.extend_from_slice(&text[..n]);
                n
            }
            Piece::Done => break,
        };
        encoder.advance(sent);
        assert_eq!(encoder.sent, wire.len() as u64);
    }
    assert_eq!(wire.len() as u64, encoder.wire_bytes());
    wire
}

#[test]
fn the_wire_looks_as_python_writes_it() {
    assert_eq!(
        encode("a.txt", b"hello", |n| n),
        br#"{"filename": "a.txt", "filedata": "aGVsbG8="}"#
    );
    assert_eq!(
        encode("", b"", |n| n),
        br#"{"filename": "", "filedata": ""}"#
    );
    assert_eq!(
        encode("\"\\\n\t\r\u{1}\u{7f}é日😀/", b"", |n| n),
        br#"{"filename": "\"\\\n\t\r\u0001\u007f\u00e9\u65e5\ud83d\ude00/", "filedata": ""}"#
    );
}

#[test]
fn base64_is_as_the_rfc_says() {
    // RFC 4648 §10.
    for (plain, text) in [
        ("", ""),
        ("f", "Zg=="),
        ("fo", "Zm8="),
        ("foo", "Zm9v"),
        ("foob", "Zm9vYg=="),
        ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ] {
        let mut into = [0; 16];
        let n = encode_base64(plain.as_bytes(), &mut into);
        assert_eq!(str::from_utf8(&into[..n]).unwrap(), text);
    }
    let mut small = [0; 7];
    assert_eq!(encode_base64(b"foobar", &mut small), 4, "what fits");
}

#[test]
fn every_length_survives_sends_of_every_size() {
    let mut random = Random::new(1);
    for length in 0..100 {
        let file: Vec<u8> = (0..length).map(|_| random.byte()).collect();
        let whole = encode("n", &file, |n| n);
        assert_eq!(encode("n", &file, |_| 1), whole);
        assert_eq!(encode("n", &file, |n| 1 + random.below(n)), whole);
        assert_eq!(
            decode(&whole, &[], 1000),
            Ok(("n".to_owned(), file.clone()))
        );
    }
}

#[test]
fn names_and_bytes_round_trip_however_they_are_cut() {
    let mut random = Random::new(2);
    for _ in 0..300 {
        let name: String = (0..=random.below(12))
            .map(|_| random.character())
            .filter(|c| !matches!(c, '/' | '\0'))
            .collect();
        let name = format!("x{name}");
        let file: Vec<u8> = (0..random.below(400)).map(|_| random.byte()).collect();
        let wire = encode(&name, &file, |n| 1 + random.below(n));
        let mut cuts: Vec<usize> = (0..random.below(9))
            .map(|_| random.below(wire.len()))
            .collect();
        cuts.sort_unstable();
        assert_eq!(decode(&wire, &cuts, 1000), Ok((name, file)));
    }
}

#[test]
fn what_pythons_json_may_write_is_understood() {
    let hello = || ("a.txt".to_owned(), b"hello".to_vec());
    for wire in [
        r#"{"filename": "a.txt", "filedata": "aGVsbG8="}"#,
        r#"{"filename":"a.txt","filedata":"aGVsbG8="}"#,
        r#"{"filedata": "aGVsbG8=", "filename": "a.txt"}"#,
        "\n{\n    \"filedata\" : \"aGVsbG8=\" ,\n\t\"filename\"\r:\r\"a.txt\"\n}\n \t\r\n",
        r#"{"filename": "dir\/a.txt", "filedata": "aGVsbG8\u003d"}"#,
        r#"{"\u0066ilename": "\u0061.txt", "filedata": "aGVs\nbG8=\n"}"#,
        concat!(
            r#"{"size": 5, "ok": true, "x": null, "y": -1.5E+3, "note": "\"}", "#,
            r#""filename": "a.txt", "filedata": "aGVsbG8="}"#
        ),
        r#"{"filename": "a.txt", "filedata": "aGVsbG8=", "size": 5}"#,
        concat!(
            r#"{"a key that is longer than any of ours": "", "#,
            r#""filename": "a.txt", "filedata": "aGVsbG8="}"#
        ),
    ] {
        assert_eq!(ok(wire), hello(), "{wire}");
    }
    assert_eq!(
        ok(r#"{"filename": "\ud83d\ude00\u00e9é", "filedata": ""}"#).0,
        "😀éé"
    );
}

#[test]
fn slashes_in_base64_may_be_escaped() {
    assert_eq!(
        ok(r#"{"filename": "a", "filedata": "\/\/\/\/+\u002B//"}"#).1,
        [0xff, 0xff, 0xff, 0xfb, 0xef, 0xff]
    );
}

#[test]
fn a_name_is_reduced_to_its_last_component() {
    let name = |n: &str| ok(&format!(r#"{{"filename": "{n}", "filedata": ""}}"#)).0;
    assert_eq!(name("/etc/passwd"), "passwd");
    assert_eq!(name("../../x"), "x");
    assert_eq!(name("..\\\\x"), "..\\x", "a backslash is a character");
    assert_eq!(name("..."), "...");
    const DIRECTORY: &str = "the file name is that of a directory (\".\" or \"..\")";
    let bad = |n: &str| wrong(&format!(r#"{{"filename": "{n}", "filedata": ""}}"#));
    assert_eq!(bad(""), "the file name is empty");
    assert_eq!(bad("dir/"), "the file name is empty");
    assert_eq!(bad("."), DIRECTORY);
    assert_eq!(bad("a/.."), DIRECTORY);
    assert_eq!(bad("\\/.."), DIRECTORY);
    assert_eq!(bad("a\\u0000b"), "the file name contains a NUL");
    assert_eq!(
        decode(b"{\"filename\": \"\xff\"", &[], 9),
        Err("the file name is not UTF-8".to_owned())
    );
    let long = "a".repeat(TRANSFER_NAME_BYTES_MAX + 1);
    let wire = format!(r#"{{"filename": "{long}""#);
    assert_eq!(
        decode(wire.as_bytes(), &[], 9),
        Err(format!(
            "the file name is longer than {TRANSFER_NAME_BYTES_MAX} bytes"
        ))
    );
}

#[test]
fn no_name_that_comes_out_leads_anywhere() {
    let mut random = Random::new(3);
    let parts = ["..", ".", "/", "a", "\\", "\0", "//", " "];
    for _ in 0..2000 {
        let name: String = (0..random.below(8))
            .map(|_| parts[random.below(parts.len())])
            .collect();
        if let Ok(last) = last_component(&name) {
            assert!(!last.is_empty() && last != "." && last != "..");
            assert!(!last.contains(['/', '\0']));
            assert_eq!(last_component(last), Ok(last));
        }
    }
}

#[test]
fn each_way_of_being_cut_short_is_truncated() {
    const TRUNCATED: &str = "the input ends in the middle of the object";
    assert_eq!(wrong(""), "the sender closed without sending anything");
    assert_eq!(wrong("  "), TRUNCATED);
    let wire = br#"{"a": 1, "filename": "a\u0061", "filedata": "aGVsbG8=", "b": "c"}"#;
    for end in 1..wire.len() {
        assert_eq!(check(&wire[..end]), Err(TRUNCATED.to_owned()), "{end}");
    }
    assert!(check(wire).is_ok());
}

#[test]
fn malformed_objects_are_told_apart() {
    const NO_OBJECT: &str = "this is not a JSON object";
    const NESTED: &str = "an unknown member holds an array or an object";
    const NO_ESCAPE: &str = "a string holds an escape that is none";
    const PADDING: &str = "the base64 ends within a group of four";
    for (wire, reason) in [
        ("GET / HTTP/1.1", NO_OBJECT),
        ("[]", NO_OBJECT),
        ("{}", r#""filedata" is missing"#),
        (r#"{"filename": "a"}"#, r#""filedata" is missing"#),
        (r#"{"filedata": ""}"#, r#""filename" is missing"#),
        ("{,}", r#""," is out of place"#),
        (r#"{"filename": "a",}"#, r#""}" is out of place"#),
        (r#"{"filename" "a"}"#, r#""\"" is out of place"#),
        (
            r#"{"filename": "a" "filedata": ""}"#,
            r#""\"" is out of place"#,
        ),
        (
            r#"{"filename": 1"#,
            r#"the value of "filename" is not a string"#,
        ),
        (
            r#"{"filedata": null"#,
            r#"the value of "filedata" is not a string"#,
        ),
        (
            r#"{"filename": "a", "filename": "b""#,
            r#""filename" is there twice"#,
        ),
        (
            r#"{"filedata": "", "filedata": """#,
            r#""filedata" is there twice"#,
        ),
        (r#"{"x": [1]"#, NESTED),
        (r#"{"x": {"#, NESTED),
        (r#"{"x": }"#, r#""}" is out of place"#),
        (r#"{"x": 1 2"#, r#""2" is out of place"#),
        (
            "{\"filename\": \"a\nb\"",
            "byte 10 stands in a string unescaped",
        ),
        (r#"{"filename": "\x41""#, NO_ESCAPE),
        (r#"{"filename": "\u12g4""#, NO_ESCAPE),
        (r#"{"filename": "\ud83d!""#, NO_ESCAPE),
        (r#"{"filename": "\ud83d\n""#, NO_ESCAPE),
        (r#"{"filename": "\ud83dA""#, NO_ESCAPE),
        (r#"{"filename": "\ude00""#, NO_ESCAPE),
        (r#"{"filedata": "aGV*""#, r#""*" is not base64"#),
        (r#"{"filedata": "a===""#, r#""=" is not base64"#),
        (r#"{"filedata": "aGVsbG8=a""#, r#""a" is not base64"#),
        (r#"{"filedata": "aG=s""#, r#""s" is not base64"#),
        (r#"{"filedata": "aGV""#, PADDING),
        (r#"{"filedata": "aGVsbG8""#, PADDING),
        (
            r#"{"filename": "a", "filedata": ""}x"#,
            r#""x" stands behind the object"#,
        ),
        (
            r#"{"filename": "a", "filedata": ""}{"#,
            r#""{" stands behind the object"#,
        ),
    ] {
        assert_eq!(wrong(wire), reason, "{wire}");
    }
}

#[test]
fn a_file_may_be_as_large_as_it_may_be_and_no_larger() {
    let wire = encode("a", &[7; 10], |n| n);
    assert!(decode(&wire, &[], 10).is_ok());
    assert_eq!(
        decode(&wire, &[], 9),
        Err("the file is larger than 9 bytes".to_owned())
    );
    // Whatever is wrong behind that, in the same piece.
    let wire = br#"{"filename": "a", "filedata": "aGVsbG8gd29ybGQhISEh!"}"#;
    for cut in 0..=wire.len() {
        assert_eq!(
            decode(wire, &[cut], 9),
            Err("the file is larger than 9 bytes".to_owned())
        );
    }
}

#[test]
fn white_space_without_end_comes_to_an_end() {
    let mut decoder = Decoder::new(1000);
    let mut file = Vec::new();
    let space = [b' '; 65_536];
    let outcome = (0..100).find_map(|_| decoder.feed(&space, &mut file).err());
    assert_eq!(
        outcome,
        Some("far more was sent than the file explains".to_owned())
    );
}

#[test]
fn whatever_is_changed_in_a_transfer_is_understood_or_refused() {
    let mut random = Random::new(4);
    let wire = encode("some name.txt", b"some bytes of a file", |n| n);
    for _ in 0..20_000 {
        let mut mutant = wire.clone();
        for _ in 0..=random.below(3) {
            let at = random.below(mutant.len());
            match random.below(3) {
                0 => mutant[at] = random.byte(),
                1 => mutant.insert(at, b"\"\\{}:,u0 "[random.below(9)]),
                _ => {
                    mutant.remove(at);
                }
            }
        }
        let whole = decode(&mutant, &[], 1000);
        let cut = random.below(mutant.len());
        assert_eq!(decode(&mutant, &[cut], 1000), whole);
    }
}
