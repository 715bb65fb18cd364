//! A file as one JSON object.
//!
//! The input is what a sender sends; and once more, a name (its first line) with contents. Oracle: the general JSON and base64 packages
//! read the same; the same outcome however it is cut; a name is one plain component; and what is encoded is decoded as itself.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use idler::companions::transfer::decoder::{Decoder, last_component};
use idler::companions::transfer::{Encoder, Piece, encode_base64};
use serde_json::Value;

/// Small, so that a fuzzer meets it.
const FILE_BYTES_MAX: u64 = 256;

const NAME_TOO_LONG: &str = "the file name is longer than ";

/// See the module.
pub fn check(data: &[u8]) {
    let whole = decode(data, usize::MAX, FILE_BYTES_MAX);
    for step in [1, 2, 3, 5, 64] {
        assert_eq!(
            decode(data, step, FILE_BYTES_MAX),
            whole,
            "in pieces of {step}"
        );
    }
    if let Ok((name, file)) = &whole {
        hold_name(name);
        assert!(file.len() as u64 <= FILE_BYTES_MAX);
    }
    hold_against_others(data, &whole);

    let cut = data.iter().position(|&b| b == b'\n').unwrap_or(data.len());
    let name = String::from_utf8_lossy(&data[..cut]).into_owned();
    hold_round_trip(&name, data.get(cut + 1..).unwrap_or_default());
}

fn hold_name(name: &str) {
    assert!(!name.is_empty() && !name.contains(['/', '\0']) && name != "." && name != "..");
}

/// The name and the contents.
type File = (String, Vec<u8>);

fn decode(data: &[u8], step: usize, max: u64) -> Result<File, String> {
    let mut decoder = Decoder::new(max);
    let mut file = Vec::new();
    for piece in data.chunks(step.min(data.len().max(1))) {
        let before = file.len();
        let heard = decoder.feed(piece, &mut file);
        assert!(file.len() - before <= piece.len() + 2, "more than came");
        heard?;
        assert_eq!(decoder.file_bytes, file.len() as u64);
    }
    assert_eq!(decoder.fed, data.len() as u64);
    decoder.finish().map(|name| (name, file))
}

/// What `serde_json` and `base64` make of it.
fn hold_against_others(data: &[u8], found: &Result<File, String>) {
    let Ok(Value::Object(object)) = serde_json::from_slice::<Value>(data) else {
        return;
    };
    let text = |key: &str| object.get(key).and_then(Value::as_str);
    let (Some(name), Some(contents)) = (text("filename"), text("filedata")) else {
        assert!(found.is_err(), "a member is missing");
        return;
    };
    let contents: String = contents
        .chars()
        .filter(|c| !matches!(c, '\r' | '\n'))
        .collect();
    match (last_component(name), STANDARD.decode(&contents), found) {
        (Ok(name), Ok(contents), Ok(found)) => assert_eq!(*found, (name.to_owned(), contents)),
        // The bits behind the last byte may be anything, as Python has it; nothing else.
        (Ok(_), Err(base64::DecodeError::InvalidLastSymbol { .. }), Ok(_)) => {}
        (name, contents, Ok(found)) => panic!("{found:?} out of {name:?} and {contents:?}"),
        (Ok(_), Ok(contents), Err(why)) => {
            let nested = object.values().any(|v| v.is_array() || v.is_object());
            let known = nested
                || contents.len() as u64 > FILE_BYTES_MAX
                || why.ends_with(" is there twice")
                || why.starts_with(NAME_TOO_LONG)
                || why == "an unknown member holds an array or an object"
                // A first member of the same key counted; the second is what `serde_json` kept.
                || data.windows(8).filter(|w| *w == b"filename" || *w == b"filedata").count() > 2
                || data.contains(&b'\\');
            assert!(known, "refused: {why:?}");
        }
        (_, _, Err(_)) => {}
    }
}

fn hold_round_trip(name: &str, contents: &[u8]) {
    let mut encoder = Encoder::new(name, contents.len() as u64);
    let mut wire = Vec::new();
    // As a socket would take it: odd lengths.
    for taken in [3, 1, 7, 2, 64, 5].into_iter().cycle() {
        let piece = match encoder.piece() {
            Piece::Done => break,
            Piece::Text(text) => text.to_vec(),
            Piece::File {
                at,
                remaining,
                skip,
            } => {
                let at = usize::try_from(at).expect("it is short");
                assert_eq!(remaining as usize, contents.len() - at);
                let mut text = vec![0; 200];
                let n = encode_base64(&contents[at..(at + 90).min(contents.len())], &mut text);
                text.truncate(n);
                text.split_off(skip)
            }
        };
        let n = taken.min(piece.len());
        wire.extend_from_slice(&piece[..n]);
        encoder.advance(n);
    }
    assert_eq!(encoder.wire_bytes(), wire.len() as u64);
    let value: Value = serde_json::from_slice(&wire).expect("it is JSON");
    assert_eq!(value["filename"], name);
    assert_eq!(value["filedata"], STANDARD.encode(contents));
    match (decode(&wire, 11, u64::MAX), last_component(name)) {
        (Ok((found, file)), Ok(last)) => {
            hold_name(last);
            assert_eq!((found.as_str(), file.as_slice()), (last, contents));
        }
        (Err(why), _) if why.starts_with(NAME_TOO_LONG) => assert!(name.len() > 4096),
        (Err(why), Err(bad)) => assert_eq!(why, bad),
        other => panic!("{other:?}"),
    }
}
