//! Negotiation: which of several representations a client would rather have (RFC 9110 §12).
//!
//! What lives here: weights, Accept-Encoding, and as much of Accept as a server of files needs. It may not
//! know which files exist: it is told which codings there are. Invariant: an element that breaks the grammar
//! counts as if it did not stand there, and takes nothing else with it. Read next: `range.rs`, which cuts the
//! representation that was chosen here.

use std::fmt;

use httparse::Header;

use crate::http::fields::{elements, is_quoted_string, is_token, lines};

/// A weight in thousandths, 0 to 1,000 (§12.4.2). 0 refuses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Weight(u16);

impl Weight {
    /// What an element without a weight has.
    pub const FULL: Self = Self(1000);
    /// Not at all.
    pub const NONE: Self = Self(0);

    /// Reads a `qvalue`: 0 to 1, with three decimals at most.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (&first, rest) = value.split_first()?;
        let decimals = match rest {
            [] => rest,
            [b'.', decimals @ ..] if decimals.len() <= 3 => decimals,
            _ => return None,
        };
        let mut thousandths = match first {
            b'0' => 0,
            b'1' => 1000,
            _ => return None,
        };
        for (digit, scale) in decimals.iter().zip([100, 10, 1]) {
            if !digit.is_ascii_digit() {
                return None;
            }
            thousandths += u16::from(digit - b'0') * scale;
        }
        (thousandths <= 1000).then_some(Self(thousandths))
    }

    /// In thousandths.
    pub fn thousandths(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1000.. => f.write_str("1"),
            n if n % 100 == 0 => write!(f, "0.{}", n / 100),
            n if n % 10 == 0 => write!(f, "0.{:02}", n / 10),
            n => write!(f, "0.{n:03}"),
        }
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
        Self::ALL
            .into_iter()
            .find(|coding| name.eq_ignore_ascii_case(coding.name().as_bytes()))
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
    identity: Option<Weight>,
    gzip: Option<Weight>,
    brotli: Option<Weight>,
    zstd: Option<Weight>,
    star: Option<Weight>,
}

impl AcceptEncoding {
    /// Reads all lines of Accept-Encoding. Where a coding is named twice, the first counts. Bounded by the
    /// length of the head.
    pub fn read(headers: &[Header<'_>]) -> Self {
        Self::read_observed(headers, |_| ())
    }

    /// [`read`](Self::read), which tells `observe` each step as it is taken.
    pub fn read_observed<'h>(
        headers: &'h [Header<'h>],
        mut observe: impl FnMut(EncodingStep<'h>),
    ) -> Self {
        let mut accept = Self::default();
        for line in lines(headers, "accept-encoding") {
            accept.present = true;
            for element in elements(line, b',') {
                let reading = accept.add(element);
                observe(EncodingStep::Element(element, reading));
            }
        }
        if !accept.present {
            observe(EncodingStep::Absent);
        }
        accept
    }

    fn add(&mut self, element: &[u8]) -> Reading {
        let mut parts = elements(element, b';');
        // An element of semicolons alone has no first part.
        let (Some(name), false) = (parts.next(), element.starts_with(b";")) else {
            return Reading::Malformed;
        };
        let mut weight = Weight::FULL;
        for (at, part) in parts.enumerate() {
            // Codings have no parameters beside their weight.
            match quality(part) {
                Some(Some(found)) if at == 0 => weight = found,
                _ => return Reading::Malformed,
            }
        }
        if !is_token(name) {
            return Reading::Malformed;
        }
        let place = if name == b"*" {
            &mut self.star
        } else {
            match Coding::named(name) {
                Some(coding) => self.place(coding),
                None => return Reading::Unknown,
            }
        };
        if place.is_some() {
            return Reading::Repeated;
        }
        *place = Some(weight);
        Reading::Weighs(weight)
    }

    fn place(&mut self, coding: Coding) -> &mut Option<Weight> {
        match coding {
            Coding::Identity => &mut self.identity,
            Coding::Gzip => &mut self.gzip,
            Coding::Brotli => &mut self.brotli,
            Coding::Zstd => &mut self.zstd,
        }
    }

    /// How welcome `coding` is (§12.5.3).
    ///
    /// Without the field every coding may be sent, but plain bytes are what a client that says nothing
    /// expects. With it, what is neither named nor meant by `*` is refused; plain bytes alone are acceptable unless
    /// refused by name or by `*;q=0`, though less welcome than anything that was asked for.
    pub fn standing(&self, coding: Coding) -> Standing {
        let identity = coding == Coding::Identity;
        if !self.present {
            return if identity {
                Standing::Asked(Weight::FULL)
            } else {
                Standing::Implied
            };
        }
        let named = match coding {
            Coding::Identity => self.identity,
            Coding::Gzip => self.gzip,
            Coding::Brotli => self.brotli,
            Coding::Zstd => self.zstd,
        };
        match named.or(self.star) {
            Some(Weight::NONE) => Standing::Refused,
            Some(weight) => Standing::Asked(weight),
            None if identity => Standing::Implied,
            None => Standing::Refused,
        }
    }

    /// The most welcome of `available`, which stand in the server's order (the smallest first):
    /// among equals the first is chosen. `None` if all are refused; then plain bytes are the
    /// usual answer all the same, since a 406 helps nobody (§12.4.1).
    pub fn choose(&self, available: &[Coding]) -> Option<Coding> {
        let mut best = None;
        let mut best_standing = Standing::Refused;
        for &coding in available {
            let standing = self.standing(coding);
            if standing > best_standing {
                (best, best_standing) = (Some(coding), standing);
            }
        }
        best
    }
}

/// One step of reading Accept-Encoding. Shown, it is a sentence, safe for a terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EncodingStep<'h> {
    /// There is no such field.
    Absent,
    /// An element of the list, and what it says.
    Element(&'h [u8], Reading),
}

/// What an element of Accept-Encoding says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reading {
    /// A coding that idler knows, or `*`, has this weight.
    Weighs(Weight),
    /// It names a coding that idler does not serve.
    Unknown,
    /// It names what was named before.
    Repeated,
    /// It breaks the grammar.
    Malformed,
}

impl fmt::Display for EncodingStep<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (element, reading) = match self {
            Self::Absent => return f.write_str("no Accept-Encoding: plain bytes are expected"),
            Self::Element(element, reading) => (element.escape_ascii(), reading),
        };
        match reading {
            Reading::Weighs(Weight::NONE) => write!(f, "{element} refuses"),
            Reading::Weighs(weight) => write!(f, "{element} accepts with weight {weight}"),
            Reading::Unknown => write!(f, "{element} is a coding that is not served here"),
            Reading::Repeated => write!(f, "{element} is ignored: it was named before"),
            Reading::Malformed => write!(f, "{element} is ignored: it is malformed"),
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("refused"),
            Self::Implied => f.write_str("acceptable, not asked for"),
            Self::Asked(weight) => write!(f, "acceptable with weight {weight}"),
        }
    }
}

// ---- Accept ----

/// How welcome a media type is, and how exactly it was named.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Acceptance {
    weight: Weight,
    precision: Precision,
}

/// How exactly a media range names a type. The more exact counts (§12.5.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Precision {
    /// Not at all, or by `*/*`.
    Any,
    /// `text/*`.
    Type,
    /// `text/html` with parameters. There is one representation of each type here, so it is meant, unless
    /// the bare name stands there too.
    Parameters,
    /// `text/html`.
    Named,
}

/// What Accept says about one type. Without the field everything is welcome; of elements that are equally
/// exact the first counts. Bounded by the length of the head.
fn acceptance(headers: &[Header<'_>], kind: &str, subtype: &str) -> Acceptance {
    let mut best: Option<Acceptance> = None;
    let mut present = false;
    for line in lines(headers, "accept") {
        present = true;
        for element in elements(line, b',') {
            let Some(found) = media_range(element, kind, subtype) else {
                continue;
            };
            if best.is_none_or(|best| found.precision > best.precision) {
                best = Some(found);
            }
        }
    }
    best.unwrap_or(Acceptance {
        weight: if present { Weight::NONE } else { Weight::FULL },
        precision: Precision::Any,
    })
}

/// What one element says about a type: `None` if nothing, or if it breaks the grammar.
fn media_range(element: &[u8], kind: &str, subtype: &str) -> Option<Acceptance> {
    let mut parts = elements(element, b';');
    let name = parts.next()?;
    let slash = name.iter().position(|&byte| byte == b'/')?;
    let (type_name, subtype_name) = (&name[..slash], &name[slash + 1..]);
    let mut precision = if type_name == b"*" && subtype_name == b"*" {
        Precision::Any
    } else if !type_name.eq_ignore_ascii_case(kind.as_bytes()) {
        return None;
    } else if subtype_name == b"*" {
        Precision::Type
    } else if subtype_name.eq_ignore_ascii_case(subtype.as_bytes()) {
        Precision::Named
    } else {
        return None;
    };
    let mut weight = Weight::FULL;
    for part in parts {
        // A weight is one wherever it stands (§12.4.2).
        match quality(part)? {
            Some(found) => weight = found,
            None if precision == Precision::Named => precision = Precision::Parameters,
            None => {}
        }
    }
    Some(Acceptance { weight, precision })
}

/// Reads a parameter: `None` if it breaks the grammar, else its weight if it is `q` (§5.6.6, §12.4.2).
fn quality(parameter: &[u8]) -> Option<Option<Weight>> {
    let equals = parameter.iter().position(|&byte| byte == b'=')?;
    let (name, value) = (&parameter[..equals], &parameter[equals + 1..]);
    if name.eq_ignore_ascii_case(b"q") {
        return Weight::parse(value).map(Some);
    }
    (is_token(name) && (is_token(value) || is_quoted_string(value))).then_some(None)
}

/// Whether a listing should be JSON rather than HTML: JSON has the greater weight, or the same and was
/// named more exactly. Where the client wants neither, HTML is as good.
pub fn prefers_json(headers: &[Header<'_>]) -> bool {
    let json = acceptance(headers, "application", "json");
    json.weight > Weight::NONE && json > acceptance(headers, "text", "html")
}

/// Whether a client takes HTML.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum TakesHtml {
    /// It does not.
    No,
    /// It takes anything, or any text, as scripts, style sheets, images and command-line clients do.
    Anything,
    /// It named `text/html`: a person follows a link.
    ByName,
}

/// Whether the client takes HTML, and whether it said so. The fallback of a single-page application should go to
/// those who named it: to hand a page to a script that asked for a missing asset hides the mistake.
pub fn takes_html(headers: &[Header<'_>]) -> TakesHtml {
    let html = acceptance(headers, "text", "html");
    match html.precision {
        _ if html.weight == Weight::NONE => TakesHtml::No,
        Precision::Named | Precision::Parameters => TakesHtml::ByName,
        Precision::Type | Precision::Any => TakesHtml::Anything,
    }
}

#[cfg(test)]
mod tests;
