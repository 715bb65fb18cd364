//! Idle crowds: what each idle client costs in memory, what a full crowd costs in CPU time, and whether an honest client
//! notices it.
//!
//! What lives here: two measurements, each with one server up at a time.
//! What it may not know: how clients are idle.
//! Invariant: memory is read when the server has taken in everybody and has come to rest; latency beside the crowd is
//! compared with the latency without it just before and just after.
//! Read next: `crowd_client.rs`.

use std::time::{Duration, Instant};

use crate::crowd_client::Mode;
use crate::measure::{self, Memory, median, quartiles};
use crate::peers::{Imitation, Peer};
use crate::role::{Client, Cores};
use crate::server::Server;
use crate::site;
use crate::slice::{self, Load, Slice, Until};
use crate::table::{Table, mebibytes, number, percent, whole};
use crate::targets::Figure;
use crate::{Bench, Outcome, check_interrupted, pause};

/// How long a server may take to let a crowd in, or to forget it.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a full crowd is watched for signs of life.
const VIGIL: Duration = Duration::from_secs(10);
/// Requests of the honest client in one go.
const HONEST_REQUESTS: u64 = 5000;

/// Both measurements.
pub(crate) fn run(bench: &mut Bench) -> Outcome<()> {
    for (mode, title, figure) in [
        (Mode::Silent, "silent", Figure::Silent),
        (Mode::AfterRequest, "after a request", Figure::AfterRequest),
        (Mode::HalfHead, "half a head of 100 bytes", Figure::HalfHead),
    ] {
        hold(bench, mode, title, figure)?;
    }
    beside(bench)
}

/// A crowd that one or several processes hold.
#[derive(Default)]
pub(crate) struct Crowd(Vec<Client>);

impl Crowd {
    /// Adds some clients; returns how many got in.
    pub(crate) fn grow(
        &mut self,
        cores: Cores,
        server: &Server,
        count: usize,
        mode: Mode,
    ) -> Outcome<usize> {
        check_interrupted()?;
        let words = [
            format!("port={}", server.port),
            format!("count={count}"),
            format!("mode={}", mode.word()),
        ];
        let mut client = Client::start(cores.client, "crowd", &words)?;
        let found = client.read()?;
        let opened = found.number("opened")?;
        if opened < count {
            eprintln!(
                "{}: {opened} of {count} got in; the last failure: {}",
                server.name,
                found.text("why")?
            );
        }
        self.0.push(client);
        Ok(opened)
    }

    fn alive(&mut self) -> Outcome<usize> {
        let mut alive = 0;
        for client in &mut self.0 {
            alive += client.ask()?.number::<usize>("alive")?;
        }
        Ok(alive)
    }

    /// All go at once, by reset.
    pub(crate) fn leave(self) -> Outcome<()> {
        self.0.into_iter().try_for_each(Client::end)
    }
}

/// Waits until a server has as many descriptors open as `wanted` says; whether it came to that.
pub(crate) fn await_descriptors(pids: &[u32], wanted: impl Fn(usize) -> bool) -> bool {
    let end = Instant::now() + PATIENCE;
    while !wanted(measure::descriptors(pids)) {
        if Instant::now() > end {
            return false;
        }
        pause(Duration::from_millis(20));
    }
    measure::settle(pids, PATIENCE)
}

/// Starts a server and lets it answer some requests, so that what it needs for any work is not put down to the crowd.
fn start_warm(bench: &Bench, peer: &Peer) -> Outcome<(Server, Vec<u32>)> {
    let imitation = Imitation::Constant(site::PAGE);
    let server = peer.start(bench.cores, &bench.site, bench.slots(), &imitation)?;
    slice::take_once(bench.cores, &server, &Load::calm(2000))?;
    let several = Load {
        connections: 16,
        until: Until::Answers(10_000),
        ..Load::calm(1)
    };
    slice::take_once(bench.cores, &server, &several)?;
    let pids = server.family();
    measure::settle(&pids, PATIENCE);
    Ok((server, pids))
}

/// Memory for each idle client at each step, and the stillness of the last.
fn hold(bench: &mut Bench, mode: Mode, title: &str, figure: Figure) -> Outcome<()> {
    let mut table = Table::new(
        format!("Crowd: idle, {title}"),
        &[
            "server",
            "clients",
            "Rss B each",
            "Pss B each",
            "anonymous B each",
            "Rss MiB before",
            "Rss MiB then",
            "CPU ticks in 10 s",
            "wake-ups in 10 s",
            "alive",
        ],
    );
    table.note(
        "User memory of the server: what it grew by, divided by the clients. Ticks (10 ms) and wake-ups at the last step \
         only. The limit server's Pss is pulled down by its clients, which are the same program. What the kernel keeps \
         for each socket is the same for all and not shown.",
    );
    for peer in bench.peers(false) {
        if !peer.keeps() {
            continue;
        }
        let (server, pids) = match start_warm(bench, &peer) {
            Ok(started) => started,
            Err(error) => {
                bench.leave_out(&*error)?;
                continue;
            }
        };
        let before = measure::memory(&pids);
        let descriptors = measure::descriptors(&pids);
        let mut crowd = Crowd::default();
        let mut held = 0;
        let mut dearest = 0.0_f64;
        let steps = bench.crowd_steps(&peer);
        for (place, step) in steps.iter().enumerate() {
            held += crowd.grow(bench.cores, &server, step - held, mode)?;
            await_descriptors(&pids, |now| now >= descriptors + held);
            let then = measure::memory(&pids);
            let each = |bytes: fn(&Memory) -> u64| {
                (bytes(&then) as f64 - bytes(&before) as f64) / held as f64
            };
            let rss = each(|memory| memory.rss);
            dearest = dearest.max(rss);
            let last = place + 1 == steps.len();
            let (ticks, wakes) = if last {
                watch(&pids)?
            } else {
                (f64::NAN, f64::NAN)
            };
            let alive = crowd.alive()?;
            table.row([
                server.name.clone(),
                whole(held as f64),
                number(rss),
                number(each(|memory| memory.pss)),
                number(each(|memory| memory.anonymous)),
                mebibytes(before.rss as f64),
                mebibytes(then.rss as f64),
                whole(ticks),
                whole(wakes),
                whole(alive as f64),
            ]);
            if last && peer.is_idler() {
                bench.note_figure(figure, dearest);
                bench.note_worst_figure(Figure::IdleTicks, ticks);
            }
            if held < *step {
                break;
            }
        }
        crowd.leave()?;
    }
    table.print();
    Ok(())
}

/// Ticks and wake-ups in the vigil.
fn watch(pids: &[u32]) -> Outcome<(f64, f64)> {
    let (ticks, sleeps) = (measure::ticks(pids), measure::sleeps(pids));
    let end = Instant::now() + VIGIL;
    while Instant::now() < end {
        check_interrupted()?;
        pause(Duration::from_millis(500));
    }
    Ok((
        measure::ticks(pids) as f64 - ticks as f64,
        measure::sleeps(pids) as f64 - sleeps as f64,
    ))
}

/// The latency of one honest client, in turn without the crowd and beside all of it.
fn beside(bench: &mut Bench) -> Outcome<()> {
    let mut table = Table::new(
        "Crowd: one honest client beside it",
        &[
            "server",
            "clients",
            "rounds",
            "p50 µs quiet",
            "p50 µs beside",
            "beside ÷ quiet",
            "quartiles",
            "others %",
            "least alive",
        ],
    );
    table.note(
        "In each round the crowd (idle after a request) comes, one client asks 5,000 times, the crowd leaves, and the client \
         asks again. *Beside ÷ quiet* is the median over the rounds of its p50 beside the crowd, divided by the mean of the \
         two quiet ones around it.",
    );
    for peer in bench.peers(false) {
        if !peer.keeps() || bench.live_rounds == 0 {
            continue;
        }
        let (server, pids) = match start_warm(bench, &peer) {
            Ok(started) => started,
            Err(error) => {
                bench.leave_out(&*error)?;
                continue;
            }
        };
        let Some(full) = bench.crowd_steps(&peer).last().copied() else {
            continue;
        };
        let empty = measure::descriptors(&pids);
        let honest = Load::calm(HONEST_REQUESTS);
        let ask = || slice::take(bench.cores, &server, &honest);
        let mut quiet = vec![ask()?];
        let mut crowded = Vec::new();
        let mut least_alive = usize::MAX;
        for _ in 0..bench.live_rounds {
            let mut crowd = Crowd::default();
            let held = crowd.grow(bench.cores, &server, full, Mode::AfterRequest)?;
            await_descriptors(&pids, |now| now >= empty + held);
            crowded.push(ask()?);
            least_alive = least_alive.min(crowd.alive()?);
            crowd.leave()?;
            await_descriptors(&pids, |now| now <= empty);
            quiet.push(ask()?);
        }
        let ratios: Vec<f64> = crowded
            .iter()
            .zip(quiet.windows(2))
            .map(|(beside, around)| {
                beside.p50 / around.iter().map(|slice| slice.p50 / 2.0).sum::<f64>()
            })
            .collect();
        let (low, high) = quartiles(&ratios);
        let ratio = median(ratios);
        let all = || quiet.iter().chain(&crowded);
        let disturbance = median(all().map(Slice::disturbance));
        if disturbance > slice::OTHERS_MAX {
            bench.remark(&format!(
                "{}: others were in the way of the honest client's latency",
                server.name
            ));
        }
        table.row([
            server.name.clone(),
            whole(full as f64),
            bench.live_rounds.to_string(),
            number(median(quiet.iter().map(|slice| slice.p50))),
            number(median(crowded.iter().map(|slice| slice.p50))),
            number(ratio),
            format!("{}–{}", number(low), number(high)),
            percent(disturbance),
            whole(least_alive as f64),
        ]);
        if peer.is_idler() {
            bench.note_figure(Figure::Beside, ratio);
        }
    }
    table.print();
    Ok(())
}

impl Bench {
    /// The sizes of the crowd that a server can hold, cut to what it takes.
    fn crowd_steps(&self, peer: &Peer) -> Vec<usize> {
        let most = peer.connections_max(self.descriptors);
        let mut steps: Vec<usize> = self.crowd.iter().map(|step| (*step).min(most)).collect();
        steps.dedup();
        steps
    }
}
