//! Work: small files, one connection per request, many files, large files.
//!
//! What lives here: the workloads in which all servers are up at the same time and take turns in short slices
//! (A B C … A B C …), so that what changes on the machine meets all of them.
//! What it may not know: how a slice is taken.
//! Invariant: a ratio is the median of the ratios within each round, never a ratio of medians.
//! Read next: `slice.rs`; `targets.rs`, which remembers what idler must reach.

use crate::measure::{median, range};
use crate::peers::{Imitation, Peer};
use crate::server::Server;
use crate::site::{self, Asset};
use crate::slice::{self, Load, Slice, Until};
use crate::table::{Table, number, percent, whole};
use crate::targets::Figure;
use crate::{Bench, Outcome};

/// Connections kept busy with small files.
const CONNECTIONS: usize = 64;
/// Connections kept busy with large files.
const LARGE_CONNECTIONS: usize = 8;
/// How long each server is exercised before the first round, in seconds.
const WARM_UP: f64 = 0.5;

/// Files of three small sizes on kept connections.
pub(crate) fn small(bench: &mut Bench) -> Outcome<()> {
    for (asset, figure) in [
        (site::TINY, Figure::Small100),
        (site::PAGE, Figure::Small1k),
        (site::LONG_PAGE, Figure::Small16k),
    ] {
        let title = format!("Small: {}, {CONNECTIONS} kept connections", asset.title);
        let load = bench.load(asset, CONNECTIONS);
        let results = compare(bench, &load, &Imitation::Constant(asset), false)?;
        show_requests(&title, &results);
        results.warn(bench, &title);
        bench.note_figure(figure, results.of_limit("idler"));
    }
    Ok(())
}

/// One connection for each request.
pub(crate) fn close(bench: &mut Bench) -> Outcome<()> {
    let load = Load {
        close: true,
        ..bench.load(site::PAGE, CONNECTIONS)
    };
    let results = compare(bench, &load, &Imitation::ConstantClose(site::PAGE), false)?;
    let title = format!("Close: one connection for each request, 1 KiB, {CONNECTIONS} at a time");
    show_requests(&title, &results);
    results.warn(bench, &title);
    bench.note_figure(Figure::Close, results.of_limit("idler"));
    Ok(())
}

/// Many files at random.
pub(crate) fn many(bench: &mut Bench) -> Outcome<()> {
    let load = Load {
        paths: Some(bench.site.add_many()?),
        ..bench.load(site::ONE_OF_MANY, CONNECTIONS)
    };
    let results = compare(bench, &load, &Imitation::Constant(site::ONE_OF_MANY), true)?;
    let title = format!(
        "Many: {} files of 4 KiB at random, {CONNECTIONS} kept connections",
        site::MANY
    );
    show_requests(&title, &results);
    results.warn(bench, &title);
    bench.note_figure(Figure::Many, results.to_best_peer("idler"));
    Ok(())
}

/// Large files; the client lets the kernel throw the bytes away, so that the server's side alone is measured.
pub(crate) fn large(bench: &mut Bench) -> Outcome<()> {
    for (asset, figure) in [(site::LARGE, Figure::Large), (site::HUGE, Figure::Huge)] {
        bench.site.add(asset)?;
        let load = Load {
            discard: true,
            ..bench.load(asset, LARGE_CONNECTIONS)
        };
        let results = compare(bench, &load, &Imitation::Sendfile(asset), false)?;
        let title = format!(
            "Large: {}, {LARGE_CONNECTIONS} connections, discarded by the client",
            asset.title
        );
        show_bytes(&title, &results);
        results.warn(bench, &title);
        bench.note_figure(figure, results.to("nginx", "idler", Slice::cost_of_bytes));
    }
    Ok(())
}

/// The slices of all servers, by round.
struct Results(Vec<Line>);

struct Line {
    peer: Peer,
    slices: Vec<Slice>,
}

/// Starts all servers, and gives each a slice in turn.
fn compare(
    bench: &mut Bench,
    load: &Load,
    imitation: &Imitation,
    from_files: bool,
) -> Outcome<Results> {
    let slots = bench.slots();
    let mut running: Vec<(Line, Server)> = Vec::new();
    for peer in bench.peers(from_files) {
        match peer.start(bench.cores, &bench.site, slots, imitation) {
            Ok(server) => {
                let slices = Vec::new();
                running.push((Line { peer, slices }, server));
            }
            Err(error) => bench.leave_out(&*error)?,
        }
    }
    for (_, server) in &running {
        let warm = Load {
            until: Until::Seconds(WARM_UP),
            ..load.clone()
        };
        slice::take_once(bench.cores, server, &warm)?;
    }
    for round in 1..=bench.rounds {
        for (line, server) in &mut running {
            let load = Load {
                seed: round,
                ..load.clone()
            };
            line.slices.push(slice::take(bench.cores, server, &load)?);
        }
    }
    Ok(Results(running.into_iter().map(|(line, _)| line).collect()))
}

impl Results {
    fn slices(&self, name: &str) -> Option<&[Slice]> {
        let line = self.0.iter().find(|line| line.peer.name == name)?;
        Some(&line.slices)
    }

    /// Remarks that other programs were in the way, if they were.
    fn warn(&self, bench: &mut Bench, title: &str) {
        let disturbance = median(
            self.0
                .iter()
                .flat_map(|line| &line.slices)
                .map(Slice::disturbance),
        );
        if disturbance > slice::OTHERS_MAX {
            bench.remark(&format!(
                "{title}: other programs used {} % of a core all the time; do not trust these figures",
                percent(disturbance)
            ));
        }
    }

    /// The median of `reference`'s figure divided by `name`'s, within each round.
    fn to(&self, reference: &str, name: &str, figure: impl Fn(&Slice) -> f64) -> f64 {
        let (Some(these), Some(those)) = (self.slices(name), self.slices(reference)) else {
            return f64::NAN;
        };
        median(
            those
                .iter()
                .zip(these)
                .map(|(that, this)| figure(that) / figure(this)),
        )
    }

    /// The limit server's CPU time for a request by that of another: 1 is the best there can be.
    fn of_limit(&self, name: &str) -> f64 {
        self.to("limit", name, Slice::cost)
    }

    /// CPU time for a request by that of the best peer: less is better.
    fn to_best_peer(&self, name: &str) -> f64 {
        let peers = self
            .0
            .iter()
            .filter(|line| !line.peer.is_limit() && !line.peer.is_idler());
        let cost = |line: &Line| median(line.slices.iter().map(Slice::cost));
        match peers.min_by(|a, b| cost(a).total_cmp(&cost(b))) {
            Some(best) => 1.0 / self.to(&best.peer.name, name, Slice::cost),
            None => f64::NAN,
        }
    }
}

fn show_requests(title: &str, results: &Results) {
    let mut table = Table::new(
        title,
        &[
            "server",
            "CPU µs/request",
            "min–max",
            "of the limit",
            "÷ best peer",
            "requests/s",
            "p50 µs",
            "p99 µs",
            "server %",
            "client %",
            "others %",
            "errors",
        ],
    );
    table.note(
        "*Of the limit*: the limit server's CPU time for a request divided by this one's (1.00 is all there is to get). \
         *÷ best peer*: this one's CPU time divided by that of the best peer (less is better). Where the client is busier \
         than the server, requests per second are the client's.",
    );
    for line in &results.0 {
        let of = |figure: fn(&Slice) -> f64| median(line.slices.iter().map(figure));
        let name = &line.peer.name;
        let (least, most) = range(line.slices.iter().map(Slice::cost));
        table.row([
            name.clone(),
            number(of(Slice::cost)),
            format!("{}–{}", number(least), number(most)),
            number(results.of_limit(name)),
            number(results.to_best_peer(name)),
            whole(of(|slice| slice.answers / slice.seconds)),
            number(of(|slice| slice.p50)),
            number(of(|slice| slice.p99)),
            percent(of(|slice| slice.server / slice.seconds)),
            percent(of(|slice| slice.client / slice.seconds)),
            percent(of(Slice::disturbance)),
            errors(line),
        ]);
    }
    table.print();
}

fn show_bytes(title: &str, results: &Results) {
    let mut table = Table::new(
        title,
        &[
            "server",
            "GiB per CPU s",
            "min–max",
            "of the limit",
            "× nginx",
            "GiB/s",
            "server %",
            "client %",
            "others %",
            "errors",
        ],
    );
    table.note(
        "*Of the limit*, *× nginx*: GiB per second of CPU time, divided by that of the limit server (`sendfile` from an open \
         file) and of nginx with `sendfile`; more is better.",
    );
    let yielded = |slice: &Slice| 1.0 / slice.cost_of_bytes();
    for line in &results.0 {
        let of = |figure: &dyn Fn(&Slice) -> f64| median(line.slices.iter().map(figure));
        let name = &line.peer.name;
        let (least, most) = range(line.slices.iter().map(yielded));
        table.row([
            name.clone(),
            number(of(&yielded)),
            format!("{}–{}", number(least), number(most)),
            number(results.to("limit", name, Slice::cost_of_bytes)),
            number(results.to("nginx", name, Slice::cost_of_bytes)),
            number(of(&|slice| {
                slice.bytes / slice.seconds / f64::from(1 << 30)
            })),
            percent(of(&|slice| slice.server / slice.seconds)),
            percent(of(&|slice| slice.client / slice.seconds)),
            percent(of(&Slice::disturbance)),
            errors(line),
        ]);
    }
    table.print();
}

fn errors(line: &Line) -> String {
    whole(line.slices.iter().map(|slice| slice.errors).sum())
}

impl Bench {
    /// A load of this run's length of slice.
    fn load(&self, asset: Asset, connections: usize) -> Load {
        Load {
            asset,
            paths: None,
            connections,
            until: Until::Seconds(self.seconds),
            close: false,
            discard: false,
            seed: 1,
        }
    }
}
