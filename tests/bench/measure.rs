//! What the kernel tells about processes, and what is made of several tellings.
//!
//! What lives here: readings from `/proc` (CPU time, memory, descriptors, wake-ups, busy cores) and medians.
//! What it may not know: which server is measured, or why.
//! Invariant: a process that has gone counts as nothing; a file of `/proc` that cannot be understood is an error.
//! Read next: `load.rs`, which takes these readings at both ends of a slice.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit};

use crate::{Outcome, pause};

/// Ticks per second in `/proc/*/stat`: 100 to user space on every Linux that Rust runs on (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;
/// Bytes of a KiB, the unit of `/proc/*/smaps_rollup`.
const KIB: u64 = 1024;
/// A process is at rest when its CPU time stood still for this long.
const REST: Duration = Duration::from_millis(150);

/// CPU seconds that have been used since the machine started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Busy {
    /// By all cores together.
    pub(crate) all: f64,
    /// By one of them.
    pub(crate) core: f64,
}

/// Reads `/proc/stat`; idle, waiting and stolen time do not count.
pub(crate) fn busy(core: usize) -> Outcome<Busy> {
    let text = fs::read_to_string("/proc/stat")?;
    let line = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
            .map(|numbers| {
                let ticks: Vec<f64> = numbers
                    .split_ascii_whitespace()
                    .filter_map(|number| number.parse().ok())
                    .collect();
                // user, nice, system, (idle, waiting,) interrupts, soft interrupts
                ticks
                    .iter()
                    .take(3)
                    .chain(ticks.iter().skip(5).take(2))
                    .sum::<f64>()
                    / TICKS_PER_SECOND
            })
            .ok_or_else(|| format!("/proc/stat has no line {name}"))
    };
    Ok(Busy {
        all: line("cpu")?,
        core: line(&format!("cpu{core}"))?,
    })
}

/// A process and all its living descendants. Bounded by the number of processes.
pub(crate) fn family(pid: u32) -> Vec<u32> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(child) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        if let Some(parent) = stat_field(child, 1).and_then(|text| text.parse().ok()) {
            parents.push((child, parent));
        }
    }
    let mut found = Vec::new();
    if parents.iter().any(|(child, _)| *child == pid) {
        found.push(pid);
    }
    let mut looked_at = 0;
    while let Some(parent) = found.get(looked_at).copied() {
        let children = parents.iter().filter(|(_, of)| *of == parent);
        found.extend(children.map(|(child, _): &(u32, u32)| *child));
        looked_at += 1;
    }
    found
}

/// When a process started, in ticks since boot: with its number, this names it for good.
pub(crate) fn started(pid: u32) -> Option<u64> {
    stat_field(pid, 19)?.parse().ok()
}

/// Whether a process is there and not a corpse that nobody has buried.
pub(crate) fn lives(pid: u32) -> bool {
    stat_field(pid, 0).is_some_and(|state| state != "Z" && state != "X")
}

/// A field of `/proc/PID/stat`, counted from the state (0), which follows the name in parentheses.
fn stat_field(pid: u32, field: usize) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(") ")?;
    rest.split_ascii_whitespace().nth(field).map(str::to_owned)
}

/// Seconds that the living threads of some processes have spent on a core, by the scheduler's own clock.
pub(crate) fn on_cpu(pids: &[u32]) -> f64 {
    schedstat(pids, 0)
}

/// Seconds that they were ready to run, and did not: others had the core.
pub(crate) fn held_up(pids: &[u32]) -> f64 {
    schedstat(pids, 1)
}

fn schedstat(pids: &[u32], field: usize) -> f64 {
    let nanoseconds: u64 = threads(pids)
        .filter_map(|thread| fs::read_to_string(thread.join("schedstat")).ok())
        .filter_map(|text| text.split(' ').nth(field)?.parse::<u64>().ok())
        .sum();
    Duration::from_nanos(nanoseconds).as_secs_f64()
}

/// How often the living threads of some processes went to sleep, and so will have been woken.
pub(crate) fn sleeps(pids: &[u32]) -> u64 {
    threads(pids)
        .filter_map(|thread| fs::read_to_string(thread.join("status")).ok())
        .filter_map(|text| {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
            line.trim().parse::<u64>().ok()
        })
        .sum()
}

fn threads(pids: &[u32]) -> impl Iterator<Item = std::path::PathBuf> {
    pids.iter()
        .filter_map(|pid| fs::read_dir(format!("/proc/{pid}/task")).ok())
        .flat_map(|threads| threads.flatten().map(|thread| thread.path()))
}

/// Ticks of CPU time that some processes were charged, children that they have buried included.
pub(crate) fn ticks(pids: &[u32]) -> u64 {
    let of = |pid: &u32| -> u64 {
        (11..=14)
            .filter_map(|field| stat_field(*pid, field)?.parse::<u64>().ok())
            .sum()
    };
    pids.iter().map(of).sum()
}

/// Descriptors that some processes have open.
pub(crate) fn descriptors(pids: &[u32]) -> usize {
    pids.iter()
        .filter_map(|pid| fs::read_dir(format!("/proc/{pid}/fd")).ok())
        .map(Iterator::count)
        .sum()
}

/// Connections that servers of this port hold, by the kernel's own list: those that are established, and those whose
/// client has left while the server has not yet. Their clients' ends, on other ports, do not count.
pub(crate) fn connections(port: u16) -> Outcome<usize> {
    Ok(sockets(port)?
        .filter(|(state, _)| matches!(state.as_str(), "01" | "08"))
        .count())
}

/// How many wait at this port to be accepted, those who have left again included.
pub(crate) fn queued(port: u16) -> Outcome<usize> {
    Ok(sockets(port)?
        .filter(|(state, _)| state == "0A")
        .map(|(_, waiting)| waiting)
        .sum())
}

/// State of each socket at this port, and what waits in it to be read (of a listening one: to be accepted).
fn sockets(port: u16) -> Outcome<impl Iterator<Item = (String, usize)>> {
    let text = fs::read_to_string("/proc/net/tcp")?;
    let port = format!("{port:04X}");
    let found: Vec<_> = text
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut words = line.split_ascii_whitespace().skip(1);
            let local = words.next()?;
            let (state, queues) = (words.nth(1)?, words.next()?);
            let (_, waiting) = queues.split_once(':')?;
            let waiting = usize::from_str_radix(waiting, 16).ok()?;
            local.ends_with(&port).then(|| (state.to_owned(), waiting))
        })
        .collect();
    Ok(found.into_iter())
}

/// Memory of some processes together, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    /// Resident pages, shared ones counted in full.
    pub(crate) rss: u64,
    /// Resident pages, shared ones counted by their share.
    pub(crate) pss: u64,
    /// Pages that belong to no file: heap, stack, written data.
    pub(crate) anonymous: u64,
}

/// Reads `/proc/PID/smaps_rollup` of each.
pub(crate) fn memory(pids: &[u32]) -> Memory {
    let mut sum = Memory::default();
    for pid in pids {
        let Ok(text) = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) else {
            continue;
        };
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            let (Some(name), Some(Ok(kib))) = (words.next(), words.next().map(str::parse::<u64>))
            else {
                continue;
            };
            match name {
                "Rss:" => sum.rss += kib * KIB,
                "Pss:" => sum.pss += kib * KIB,
                "Anonymous:" => sum.anonymous += kib * KIB,
                _ => {}
            }
        }
    }
    sum
}

/// The size of a process's program and of the libraries it has mapped, in bytes.
pub(crate) fn program_sizes(pid: u32) -> Outcome<(u64, u64)> {
    let program = fs::read_link(format!("/proc/{pid}/exe"))?;
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let mut libraries: Vec<&str> = maps
        .lines()
        .filter_map(|line| line.split_ascii_whitespace().nth(5))
        .filter(|path| path.contains(".so"))
        .collect();
    libraries.sort_unstable();
    libraries.dedup();
    let size = |path: &Path| fs::metadata(path).map_or(0, |about| about.len());
    let shared = libraries.iter().map(|path| size(Path::new(path))).sum();
    Ok((size(&program), shared))
}

/// A field of `/proc/meminfo`, in bytes.
pub(crate) fn machine_memory(field: &str) -> Outcome<u64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let kib = text
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
        .and_then(|rest| rest.split_ascii_whitespace().next()?.parse::<u64>().ok());
    Ok(kib.ok_or_else(|| format!("/proc/meminfo has no {field}"))? * KIB)
}

/// Waits until some processes use no CPU time any more, and want none. Whether they came to rest within `patience`.
pub(crate) fn settle(pids: &[u32], patience: Duration) -> bool {
    let end = Instant::now() + patience;
    let mut before = on_cpu(pids);
    while Instant::now() < end {
        pause(REST);
        let now = on_cpu(pids);
        // On a busy machine, who gets no CPU time may be waiting for it.
        let sleep = pids
            .iter()
            .all(|pid| stat_field(*pid, 0).is_none_or(|state| state == "S"));
        if sleep && now - before < 1e-4 {
            return true;
        }
        before = now;
    }
    false
}

/// Raises this process's descriptor limit as far as it goes, and says how far that is. Children inherit it.
pub(crate) fn raise_descriptor_limit() -> usize {
    let now = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: now.maximum,
        maximum: now.maximum,
    };
    let reached = match rustix::process::setrlimit(Resource::Nofile, raised) {
        Ok(()) => now.maximum,
        Err(_) => now.current,
    };
    // Containers report a thousand million; nobody here wants more than a million.
    let bounded = reached.unwrap_or(u64::MAX).min(1_048_576);
    usize::try_from(bounded).unwrap_or(usize::MAX)
}

/// The middle value, or the mean of the two in the middle; not a number if there are none.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.into_iter().filter(|value| !value.is_nan()).collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match (sorted.get(middle), sorted.len() % 2) {
        (None, _) => f64::NAN,
        (Some(value), 1) => *value,
        (Some(value), _) => (value + sorted[middle - 1]) / 2.0,
    }
}

/// The values below which a quarter and three quarters of all lie.
pub(crate) fn quartiles(values: &[f64]) -> (f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    let at = |quarters: usize| {
        sorted
            .get((last * quarters + 2) / 4)
            .copied()
            .unwrap_or(f64::NAN)
    };
    (at(1), at(3))
}

/// The smallest and the largest value.
pub(crate) fn range(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    values
        .into_iter()
        .fold((f64::NAN, f64::NAN), |(least, most), value| {
            (least.min(value), most.max(value)) // `min` and `max` pass over what is not a number
        })
}
