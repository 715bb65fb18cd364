//! Traps: single requests, files and shortages that peers are known to fall over.
//!
//! What lives here: a table with one row a trap and one column a server, in words.
//! What it may not know: which server it talks to.
//! Invariant: each look has a deadline, whatever the server does.
//! Read next: `attack.rs`, whose servers these are.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::{CWD, Mode as Permissions, mkfifoat};

use crate::crowd::Crowd;
use crate::crowd_client::Mode;
use crate::peers::{Imitation, Peer};
use crate::role;
use crate::server::{self, Server};
use crate::site::{PAGE, TINY};
use crate::table::{Table, number, whole};
use crate::{Bench, Outcome, check_interrupted, measure, pause};

/// How long a server may take for one thing.
const PATIENCE: Duration = Duration::from_secs(3);
/// Requests in one burst.
const BURST: usize = 10_000;
/// How long a burst may take.
const BURST_PATIENCE: Duration = Duration::from_secs(20);
/// Descriptors of a server that is short of them.
const FEW_DESCRIPTORS: usize = 64;
/// Clients that come to it.
const CLIENTS: usize = 500;
/// How long it is watched with them, in seconds.
const VIGIL: f64 = 5.0;

/// A trap: its name, and how a server that answers is led into it.
type Trap = (&'static str, fn(&Bench, &Server) -> Outcome<String>);

const TRAPS: [Trap; 5] = [
    ("two lengths in a request", two_lengths),
    ("a length and a coding", length_and_coding),
    ("a file dated before 1970", old_file),
    ("a FIFO in the root", fifo),
    ("10,000 requests in one burst", burst),
];

/// Leads each server into each trap.
pub(crate) fn run(bench: &Bench, peers: &[Peer]) -> Outcome<()> {
    set(bench)?;
    let mut columns = vec!["trap"];
    let names: Vec<&str> = peers.iter().map(|peer| peer.name.as_str()).collect();
    columns.extend(&names);
    let mut table = Table::new("Traps", &columns);
    for (title, lead) in TRAPS {
        let mut cells = vec![title.to_owned()];
        for peer in peers {
            check_interrupted()?;
            eprintln!("{title}: {} …", peer.name);
            cells.push(lead_into(bench, peer, lead).unwrap_or_else(|error| error.to_string()));
        }
        table.row(cells);
    }
    let mut cells = vec![format!(
        "{FEW_DESCRIPTORS} descriptors, {CLIENTS} idle clients"
    )];
    for peer in peers {
        check_interrupted()?;
        eprintln!("{FEW_DESCRIPTORS} descriptors: {} …", peer.name);
        cells.push(few_descriptors(bench, peer).unwrap_or_else(|error| error.to_string()));
    }
    table.row(cells);
    table.print();
    Ok(())
}

fn set(bench: &Bench) -> Outcome<()> {
    let root = bench.site.root();
    let old = root.join("old.html");
    fs::copy(bench.site.file(PAGE), &old)?;
    let day = Duration::from_secs(24 * 3600);
    File::options()
        .write(true)
        .open(&old)?
        .set_modified(SystemTime::UNIX_EPOCH - day)?;
    mkfifoat(CWD, root.join("fifo"), Permissions::from_raw_mode(0o644))?;
    Ok(())
}

fn lead_into(
    bench: &Bench,
    peer: &Peer,
    lead: fn(&Bench, &Server) -> Outcome<String>,
) -> Outcome<String> {
    let mut server = bench.start(peer)?;
    let found = lead(bench, &server)?;
    let others = ask(&server, PAGE.path).is_ok();
    Ok(match (server.is_alive(), others) {
        (true, true) => found,
        (true, false) => format!("{found}; then hangs for everybody"),
        (false, _) => format!("{found}; then it is gone"),
    })
}

/// What comes back for some bytes until the server closes, or is silent for [`PATIENCE`]; and whether it closed.
fn say(server: &Server, bytes: &[u8]) -> Outcome<(Vec<u8>, bool)> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, server.port));
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(bytes)?;
    let mut heard = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok((heard, true)),
            Ok(count) => heard.extend_from_slice(&buffer[..count]),
            Err(error) => return Ok((heard, error.kind() == std::io::ErrorKind::ConnectionReset)),
        }
    }
}

/// The statuses that came back for some bytes.
fn statuses(server: &Server, bytes: &[u8]) -> Outcome<String> {
    let (heard, closed) = say(server, bytes)?;
    let text = String::from_utf8_lossy(&heard);
    let found: Vec<&str> = text
        .match_indices("HTTP/1.1 ")
        .filter_map(|(at, _)| text.get(at + 9..at + 12))
        .collect();
    Ok(match (found.is_empty(), closed) {
        (true, true) => "hangs up".to_owned(),
        (true, false) => "says nothing".to_owned(),
        (false, true) => format!("answers {}, closes", found.join(" and ")),
        (false, false) => format!("answers {}", found.join(" and ")),
    })
}

fn ask(server: &Server, path: &str) -> Outcome<String> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    let found = statuses(server, request.as_bytes())?;
    if found.contains("answers") {
        Ok(found)
    } else {
        Err(found.into())
    }
}

fn two_lengths(_: &Bench, server: &Server) -> Outcome<String> {
    let marker = format!("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", TINY.path);
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: {}\r\n\r\n{marker}",
        PAGE.path,
        marker.len()
    );
    statuses(server, request.as_bytes())
}

fn length_and_coding(_: &Bench, server: &Server) -> Outcome<String> {
    let marker = format!("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", TINY.path);
    let body = format!("0\r\n\r\n{marker}");
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n{body}",
        PAGE.path,
        body.len()
    );
    statuses(server, request.as_bytes())
}

fn old_file(_: &Bench, server: &Server) -> Outcome<String> {
    ask(server, "/old.html")
}

fn fifo(_: &Bench, server: &Server) -> Outcome<String> {
    ask(server, "/fifo").or_else(|error| Ok(error.to_string()))
}

fn burst(_: &Bench, server: &Server) -> Outcome<String> {
    let request = format!("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", TINY.path);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, server.port));
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut sender = stream.try_clone()?;
    let began = Instant::now();
    let bytes = request.repeat(BURST);
    // The server may stop reading while nobody reads what it says.
    let sends = std::thread::spawn(move || {
        sender.set_write_timeout(Some(BURST_PATIENCE)).ok();
        sender.write_all(bytes.as_bytes()).ok();
    });
    let (mut answers, mut last, mut kept) = (0, began, Vec::new());
    let mut buffer = vec![0; 1 << 16];
    let mark = b"HTTP/1.1 200";
    while answers < BURST && began.elapsed() < BURST_PATIENCE {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(count) => kept.extend_from_slice(&buffer[..count]),
        }
        answers += kept.windows(mark.len()).filter(|seen| seen == mark).count();
        let rest = kept.len().saturating_sub(mark.len() - 1);
        kept.drain(..rest);
        last = Instant::now();
    }
    drop(stream.shutdown(std::net::Shutdown::Both));
    if sends.join().is_err() {
        return Err("the sender failed".into());
    }
    let seconds = (last - began).as_secs_f64();
    Ok(format!(
        "answers {} in {} s",
        whole(answers as f64),
        number(seconds)
    ))
}

fn few_descriptors(bench: &Bench, peer: &Peer) -> Outcome<String> {
    bench.site.ripen();
    let port = server::free_port()?;
    let plain = peer.command(
        &bench.site,
        port,
        FEW_DESCRIPTORS,
        &Imitation::Constant(PAGE),
    )?;
    let mut command: Vec<String> = ["sh", "-c", "ulimit -n \"$0\"; exec \"$@\""]
        .map(str::to_owned)
        .to_vec();
    command.push(FEW_DESCRIPTORS.to_string());
    command.extend(plain);
    let log = bench.site.scratch().join(format!("few-{port}.log"));
    let mut server = Server::start(&peer.name, port, bench.cores.server, &command, log)?;
    server
        .first_answer(PAGE)
        .map_err(|error| format!("did not start: {error}: {}", server.last_words()))?;
    let pids = server.family();
    let mut crowd = Crowd::default();
    let held = crowd.grow(bench.cores, &server, CLIENTS, Mode::Silent)?;
    let before = measure::on_cpu(&pids);
    let words = [
        format!("port={port}"),
        format!("seconds={VIGIL}"),
        "pace=100".to_owned(),
        "seed=1".to_owned(),
    ];
    let began = Instant::now();
    let found = role::ask(bench.cores.client, "honest", &words)?;
    let share = (measure::on_cpu(&pids) - before) / began.elapsed().as_secs_f64();
    crowd.leave()?;
    let left = Instant::now();
    let back = loop {
        if ask(&server, PAGE.path).is_ok() {
            break format!(
                "serves {} ms after they left",
                whole(left.elapsed().as_secs_f64() * 1e3)
            );
        }
        if left.elapsed() > BURST_PATIENCE || !server.is_alive() {
            break "does not serve again".to_owned();
        }
        pause(Duration::from_millis(10));
    };
    let failed = found.number::<f64>("wrong")? + found.number::<f64>("unanswered")?;
    let asked = failed + found.number::<f64>("answers")?;
    Ok(format!(
        "{} of {} honest requests fail beside {held}, CPU {} %; {back}",
        whole(failed),
        whole(asked),
        number(share * 100.0)
    ))
}
