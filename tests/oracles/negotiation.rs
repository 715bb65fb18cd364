//! What a client says about content codings.
//!
//! The input is the values of Accept-Encoding, one a line. Oracle: a slow reading in decimal fractions, by the rules of RFC 9110 §12.5.3; and
//! what is chosen was never refused, nor is anything else more welcome.

use httparse::Header;
use idler::http::accept::{AcceptEncoding, Coding, Standing};

const ALL: [(Coding, &str); 4] = [
    (Coding::Identity, "identity"),
    (Coding::Gzip, "gzip"),
    (Coding::Brotli, "br"),
    (Coding::Zstd, "zstd"),
];

/// See the module.
pub fn check(data: &[u8]) {
    let values: Vec<&[u8]> = data
        .split(|&b| b == b'\n')
        .filter(|line| !line.is_empty())
        .collect();
    let headers: Vec<Header<'_>> = values
        .iter()
        .map(|value| Header {
            name: "accept-encoding",
            value,
        })
        .collect();
    let accept = AcceptEncoding::read(&headers, |_| ());
    let said = slowly(&values);
    for (coding, name) in ALL {
        let named = said
            .iter()
            .find(|(n, _)| n == name)
            .or(said.iter().find(|(n, _)| n == "*"));
        let standing = accept.standing(coding);
        let expected = match (named, coding) {
            _ if values.is_empty() && coding == Coding::Identity => Some(1000),
            _ if values.is_empty() => None,
            (Some((_, weight)), _) => Some(*weight),
            (None, Coding::Identity) => None,
            (None, Coding::Gzip | Coding::Brotli | Coding::Zstd) => Some(0),
        };
        let found = match standing {
            Standing::Refused => Some(0),
            Standing::Implied => None,
            Standing::Asked(weight) => Some(weight.0),
        };
        assert_eq!(found, expected, "{name} in {said:?}");
    }
}

/// Each coding that is well said, with its weight in thousandths; of those said twice the first.
fn slowly(values: &[&[u8]]) -> Vec<(String, u16)> {
    let mut said: Vec<(String, u16)> = Vec::new();
    let blank = |c: char| c == ' ' || c == '\t';
    for value in values {
        let text: String = value.iter().map(|&b| char::from(b)).collect();
        for element in pieces(&text, ',') {
            let element = element.trim_matches(blank);
            let parts = pieces(element, ';');
            let mut parts = parts.iter().map(|part| part.trim_matches(blank));
            let name = parts.next().unwrap_or_default().to_ascii_lowercase();
            let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
            if name.is_empty() || !name.chars().all(token) {
                continue;
            }
            let rest: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
            let weight = match rest[..] {
                [] => Some(1000),
                [one] => one
                    .split_once('=')
                    .filter(|(q, _)| q.eq_ignore_ascii_case("q"))
                    .and_then(|(_, value)| weight(value)),
                _ => None,
            };
            let name = if name == "x-gzip" {
                "gzip".to_owned()
            } else {
                name
            };
            if let Some(weight) = weight
                && said.iter().all(|(other, _)| *other != name)
            {
                said.push((name, weight));
            }
        }
    }
    said
}

fn weight(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if !matches!(whole, "0" | "1")
        || decimals.len() > 3
        || !decimals.bytes().all(|b| b.is_ascii_digit())
    {
        return None;
    }
    let number: f64 = format!("{whole}.{decimals}0").parse().ok()?;
    let thousandths = (number * 1000.0).round();
    (thousandths <= 1000.0).then_some(thousandths as u16)
}

/// What stands between separators outside of quotes.
fn pieces(text: &str, separator: char) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for c in text.chars() {
        if c == separator && !quoted {
            pieces.push(String::new());
            continue;
        }
        pieces.last_mut().expect("there is one").push(c);
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
    }
    pieces
}
