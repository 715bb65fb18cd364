//! Negotiation: which of several representations a client would rather have (RFC 9110 §12).
//!
//! An element that breaks the grammar counts as if it did not stand there, and takes nothing else
//! with it.

use std::fmt;

use httparse::Header;

use crate::http::fields::{elements, is_quoted_string, is_token, lines, split_once, trim};

/// A weight in thousandths, 0 to 1,000 (§12.4.2). 0 refuses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Weight(pub u16);

impl Weight {
    /// What an element without a weight has.
    pub const FULL: Self = Self(1000);
    /// Not at all.
    pub const NONE: Self = Self(0);

    /// Reads a `qvalue`: 0 to 1, with three decimals at most.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let text = str::from_utf8(value).ok()?;
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        if !matches!(whole, "0" | "1") || decimals.len() > 3 {
            return None;
        }
        let thousandths = format!("{whole}{decimals:0<3}").parse().ok()?;
        (thousandths <= 1000).then_some(Self(thousandths))
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (f64::from(self.0) / 1000.0).fmt(f)
    }
}

// ---- Accept-Encoding ----

/// The content codings that idler serves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Coding {
    /// As it is, uncoded.
    Identity,
    /// gzip (RFC 1952).
    Gzip,
    /// Brotli (RFC 7932).
    Brotli,
    /// Zstandard (RFC 8878).
    Zstd,
}

impl Coding {
    const ALL: [Self; 4] = [Self::Identity, Self::Gzip, Self::Brotli, Self::Zstd];

    /// Its name in `Content-Encoding`, where `identity` is never written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    /// The coding of this name; names have no case, and `x-gzip` is an old one of gzip (§8.4.1.3).
    fn named(name: &[u8]) -> Option<Self> {
        if name.eq_ignore_ascii_case(b"x-gzip") {
            return Some(Self::Gzip);
        }
        let mut all = Self::ALL.into_iter();
        all.find(|coding| name.eq_ignore_ascii_case(coding.name().as_bytes()))
    }
}

/// How welcome a coding is. Ordered: the greater, the more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Standing {
    /// Not to be sent.
    Refused,
    /// Acceptable because nothing was said against it (§12.5.3, rules 1 and 2).
    Implied,
    /// Acceptable with this weight, which is not 0.
    Asked(Weight),
}

/// What a client says about content codings. Small and cheap, so that it can be read once and
/// asked again for each file.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct AcceptEncoding {
    present: bool,
    /// In the order of [`Coding::ALL`].
    codings: [Option<Weight>; Coding::ALL.len()],
    star: Option<Weight>,
}

impl AcceptEncoding {
    /// Reads all lines of Accept-Encoding, and hands `note` a sentence on each element. Where a
    /// coding is named twice, the first counts. Bounded by the length of the head.
    pub fn read(headers: &[Header<'_>], mut note: impl FnMut(fmt::Arguments<'_>)) -> Self {
        let mut accept = Self::default();
        for line in lines(headers, "Accept-Encoding") {
            accept.present = true;
            for element in elements(line, b',') {
                accept.add(element, &mut note);
            }
        }
        if !accept.present {
            note(format_args!("no Accept-Encoding: plain bytes are expected"));
        }
        accept
    }

    fn add(&mut self, element: &[u8], note: &mut impl FnMut(fmt::Arguments<'_>)) {
        let shown = element.escape_ascii();
        let malformed = "is ignored: it is malformed";
        let Some((name, weight)) = weighted_coding(element) else {
            return note(format_args!("{shown} {malformed}"));
        };
        let place = match Coding::named(name) {
            Some(coding) => &mut self.codings[coding as usize],
            None if name == b"*" => &mut self.star,
            None if is_token(name) => {
                return note(format_args!("{shown} is a coding that is not served here"));
            }
            None => return note(format_args!("{shown} {malformed}")),
        };
        if place.is_some() {
            return note(format_args!("{shown} is ignored: it was named before"));
        }
        *place = Some(weight);
        match weight {
            Weight::NONE => note(format_args!("{shown} refuses")),
            _ => note(format_args!("{shown} accepts with weight {weight}")),
        }
    }

    /// How welcome `coding` is (§12.5.3).
    ///
    /// Without the field every coding may be sent, but plain bytes are what a client that says
    /// nothing expects. With it, what is neither named nor meant by `*` is refused; plain bytes
    /// alone are acceptable unless refused by name or by `*;q=0`, though less welcome than anything
    /// that was asked for.
    pub fn standing(&self, coding: Coding) -> Standing {
        let is_plain = coding == Coding::Identity;
        match self.codings[coding as usize].or(self.star) {
            _ if !self.present && is_plain => Standing::Asked(Weight::FULL),
            _ if !self.present => Standing::Implied,
            Some(Weight::NONE) => Standing::Refused,
            Some(weight) => Standing::Asked(weight),
            None if is_plain => Standing::Implied,
            None => Standing::Refused,
        }
    }
}

/// What stands for a name in an element of Accept-Encoding, and its weight; `None` if it breaks the
/// grammar.
fn weighted_coding(element: &[u8]) -> Option<(&[u8], Weight)> {
    let Some((name, parameters)) = split_once(element, b';') else {
        return Some((element, Weight::FULL));
    };
    // Codings have no parameters beside their weight.
    let mut parameters = elements(parameters, b';');
    let weight = match parameters.next() {
        Some(parameter) => weight_of(parameter)??,
        None => Weight::FULL,
    };
    parameters.next().is_none().then_some((trim(name), weight))
}

/// Reads a parameter: `None` if it breaks the grammar, else its weight if it is `q` (§5.6.6,
/// §12.4.2).
fn weight_of(parameter: &[u8]) -> Option<Option<Weight>> {
    let (name, value) = split_once(parameter, b'=')?;
    if name.eq_ignore_ascii_case(b"q") {
        return Weight::parse(value).map(Some);
    }
    (is_token(name) && (is_token(value) || is_quoted_string(value))).then_some(None)
}

// ---- Accept ----

/// How welcome a media type is, and how exactly it was named.
type Acceptance = (Weight, Precision);

/// How exactly a media range names a type. The more exact counts (§12.5.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Precision {
    /// Not at all, or by `*/*`.
    Any,
    /// `text/*`.
    Type,
    /// `text/html` with parameters. There is one representation of each type here, so it is meant,
    /// unless the bare name stands there too.
    Parameters,
    /// `text/html`.
    Named,
}

/// What Accept says about one type. Without the field everything is welcome; of elements that are
/// equally exact the first counts. Bounded by the length of the head.
fn acceptance(headers: &[Header<'_>], kind: &str, subtype: &str) -> Acceptance {
    let mut best: Option<Acceptance> = None;
    let mut weight = Weight::FULL;
    for line in lines(headers, "Accept") {
        weight = Weight::NONE;
        for found in elements(line, b',').filter_map(|e| media_range(e, kind, subtype)) {
            if best.is_none_or(|(_, precision)| found.1 > precision) {
                best = Some(found);
            }
        }
    }
    best.unwrap_or((weight, Precision::Any))
}

/// What one element says about a type: `None` if nothing, or if it breaks the grammar.
fn media_range(element: &[u8], kind: &str, subtype: &str) -> Option<Acceptance> {
    let mut parts = elements(element, b';');
    let (type_name, subtype_name) = split_once(parts.next()?, b'/')?;
    let is_kind = type_name.eq_ignore_ascii_case(kind.as_bytes());
    let mut precision = match (type_name, subtype_name) {
        (b"*", b"*") => Precision::Any,
        (_, b"*") if is_kind => Precision::Type,
        (_, name) if is_kind && name.eq_ignore_ascii_case(subtype.as_bytes()) => Precision::Named,
        _ => return None,
    };
    let mut weight = Weight::FULL;
    for parameter in parts {
        // A weight is one wherever it stands (§12.4.2).
        match weight_of(parameter)? {
            Some(found) => weight = found,
            None => precision = precision.min(Precision::Parameters),
        }
    }
    Some((weight, precision))
}

/// Whether a listing should be JSON rather than HTML: JSON has the greater weight, or the same and
/// was named more exactly. Where the client wants neither, HTML is as good.
pub fn prefers_json(headers: &[Header<'_>]) -> bool {
    let json = acceptance(headers, "application", "json");
    json.0 > Weight::NONE && json > acceptance(headers, "text", "html")
}

/// Whether the client named `text/html`: a person follows a link. Scripts, style sheets, images and
/// command-line clients take anything, or any text. The fallback of a single-page application
/// should go to those that named it: to hand a page to a script that asked for a missing asset
/// hides the mistake.
pub fn names_html(headers: &[Header<'_>]) -> bool {
    let (weight, precision) = acceptance(headers, "text", "html");
    weight > Weight::NONE && precision >= Precision::Parameters
}

#[cfg(test)]
mod tests;
