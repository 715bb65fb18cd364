//! The targets: what idler set out to reach, and whether this run reached it.
//!
//! What lives here: each target with its bound, and the figures of the run that belong to them.
//! What it may not know: how a figure was measured.
//! Invariant: a figure that was not measured is neither met nor missed: it is not shown.
//! Read next: `throughput.rs` and `crowd.rs`, where the figures come from.

use crate::table::{Table, number};

/// What is aimed at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Figure {
    /// 100 B on kept connections, of the limit.
    Small100,
    /// 1 KiB on kept connections, of the limit.
    Small1k,
    /// 16 KiB on kept connections, of the limit.
    Small16k,
    /// One connection for each request, of the limit.
    Close,
    /// Many files: CPU time to the best peer's.
    Many,
    /// 1 MiB: bytes per CPU time to nginx's.
    Large,
    /// 1 GiB: bytes per CPU time to nginx's.
    Huge,
    /// Resident bytes of a connection on which nothing was sent, at the step where it costs most.
    Silent,
    /// The same for one that rests after a request.
    AfterRequest,
    /// The same for one with 100 bytes of a head.
    HalfHead,
    /// Ticks of CPU time of a full idle crowd in ten seconds.
    IdleTicks,
    /// Latency of an honest client beside the full crowd to that without it.
    Beside,
    /// Pss at rest, in MiB.
    Rest,
}

enum Bound {
    AtLeast(f64),
    AtMost(f64),
    Within(f64, f64),
}

impl Figure {
    fn describe(self) -> (&'static str, Bound) {
        match self {
            Self::Small100 => (
                "100 B, kept connections: of the limit",
                Bound::AtLeast(0.88),
            ),
            Self::Small1k => (
                "1 KiB, kept connections: of the limit",
                Bound::AtLeast(0.88),
            ),
            Self::Small16k => (
                "16 KiB, kept connections: of the limit",
                Bound::AtLeast(0.85),
            ),
            Self::Close => (
                "one connection per request: of the limit",
                Bound::AtLeast(0.92),
            ),
            Self::Many => ("10,000 files: CPU time ÷ best peer's", Bound::AtMost(0.65)),
            Self::Large => ("1 MiB: GiB per CPU s, × nginx", Bound::AtLeast(1.0)),
            Self::Huge => ("1 GiB: GiB per CPU s, × nginx", Bound::AtLeast(1.0)),
            Self::Silent => ("idle, silent: bytes each", Bound::AtMost(48.0)),
            Self::AfterRequest => ("idle, after a request: bytes each", Bound::AtMost(48.0)),
            Self::HalfHead => (
                "idle, half a head of 100 bytes: bytes each",
                Bound::AtMost(256.0),
            ),
            Self::IdleTicks => ("full idle crowd: CPU ticks in 10 s", Bound::AtMost(0.0)),
            Self::Beside => (
                "honest client beside the full crowd: p50 ÷ quiet",
                Bound::Within(0.95, 1.05),
            ),
            Self::Rest => ("at rest: Pss, MiB", Bound::AtMost(0.6)),
        }
    }
}

/// Prints what was reached of what was aimed at, if anything was.
pub(crate) fn print(figures: &[(Figure, f64)]) {
    if figures.is_empty() {
        return;
    }
    let mut table = Table::new("Targets of idler", &["target", "bound", "measured", "met"]);
    for (figure, value) in figures {
        let (name, bound) = figure.describe();
        let (text, met) = match bound {
            Bound::AtLeast(least) => (format!("≥ {least}"), *value >= least),
            Bound::AtMost(most) => (format!("≤ {most}"), *value <= most),
            Bound::Within(least, most) => {
                (format!("{least}–{most}"), (least..=most).contains(value))
            }
        };
        let met = if met { "yes" } else { "no" };
        // One digit more than bounds have, so that a miss by a hair looks like one.
        let measured = if *value < 10.0 {
            format!("{value:.3}")
        } else {
            number(*value)
        };
        table.row([name.to_owned(), text, measured, met.to_owned()]);
    }
    table.print();
}
