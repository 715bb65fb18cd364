//! The companions and their options: message, daytime, transfer, ping.

use super::serve::{COLOR, VERBOSE, set_port};
use super::table::{Group, PLAIN, Repeat::Each, Row, Verb, group};
use super::values::network::{bind_address, host, peer_port};
use super::values::policy::{jitter, share};
use super::values::{number, one_of, path, push, put, timeout, yes_no};
use super::{Command, DaytimeFormat, Options};
use crate::http::url::BindAddress;
use crate::limits;
use std::os::unix::ffi::OsStrExt;

const BIND: Group = group! { "Where it listens":
    "-b, --bind ADDR  Listen on this address; 0.0.0.0 and :: share (default: localhost). An IPv4 \
     or IPv6 address, with :PORT or without; or localhost for both loopback addresses."
        [repeat: Each] => |o, v| push(&mut o.listening.bind, bind_address(v));
};

const QUIET: Group = group! { "What it says":
    "-q, --quiet  Say nothing of who connects" => |o, v| put(&mut o.voice.quiet, yes_no(v));
};

pub(super) const TIMEOUT: Group = group! { "What it does":
    "--timeout TIME  Give up when nothing happens for so long (default: 30s)"
        => |o, v| put(&mut o.timeout, timeout(v));
};

pub(super) const PROGRESS: Group = group! { "What it says":
    "-q, --quiet  No progress bar. There is none anyway unless standard error is a terminal."
        => |o, v| put(&mut o.voice.quiet, yes_no(v));
};

pub(super) static MESSAGE_SERVER: Verb = Verb {
    name: "message-server",
    usage: &["message-server [OPTIONS]"],
    summary: "A message and its answer over TCP",
    about: "Prints each peer and the message it sent, answers, and closes.",
    examples: &["idler message-server --answer No  answer something else"],
    options: &[MESSAGE_PORT, BIND, ANSWER, QUIET, VERBOSE, COLOR],
    finish: |options| Ok(Command::MessageServer(options)),
};

const MESSAGE_PORT: Group = group! { "Where it listens":
    "-p, --port N  Listen on this port; 0 takes any free one (default: 8000)" => set_port;
};

const ANSWER: Group = group! { "What it does":
    "--answer TEXT  What to answer (default: Yes)"
        => |o, v| put(&mut o.answer, Ok(v.as_bytes().to_vec()));
};

pub(super) static MESSAGE_CLIENT: Verb = Verb {
    name: "message-client",
    usage: &["message-client [OPTIONS] HOST PORT [TEXT]"],
    summary: "Send a message and print the answer",
    about: "Sends TEXT, or \"can you hear me?\", and prints the answer.",
    examples: &["idler message-client localhost 8000 hello  say hello"],
    options: &[TIMEOUT, VERBOSE, COLOR],
    finish: |options| {
        let mut options = with_peer(options, limits::MESSAGE_PORT)?;
        let text = options.words.get(2).map(|text| text.as_bytes());
        options.text = text.unwrap_or(b"can you hear me?").to_vec();
        Ok(Command::MessageClient(options))
    },
};

pub(super) static DAYTIME_SERVER: Verb = Verb {
    name: "daytime-server",
    usage: &["daytime-server [OPTIONS]"],
    summary: "Date and time (RFC 867)",
    about: "Sends date and time, in this machine's zone, to whoever connects, and closes.",
    examples: &["idler daytime-server --format iso  a standard form"],
    options: &[DAYTIME_PORT, BIND, DAYTIME, QUIET, VERBOSE, COLOR],
    finish: |options| match options.udp {
        true => without_unix(options).map(Command::DaytimeServer),
        false => Ok(Command::DaytimeServer(options)),
    },
};

const DAYTIME_PORT: Group = group! { "Where it listens":
    "-p, --port N  Listen on this port; 0 takes any free one (default: 1313). Many \
     courses use 9999; RFC 867 has 13." => set_port;
};

const DAYTIME: Group = group! { "What it does":
    "--udp  Answer datagrams on the same UDP port as well" => |o, v| put(&mut o.udp, yes_no(v));
    "--format datetime|rfc867|iso|unix  The form of date and time (default: datetime). \
     datetime is 2023-04-19 17:04:30.293444; unix counts seconds since 1970."
        => |o, v| put(&mut o.format, one_of(v, &[
            ("datetime", DaytimeFormat::Datetime), ("rfc867", DaytimeFormat::Rfc867),
            ("iso", DaytimeFormat::Iso), ("unix", DaytimeFormat::Unix),
        ]));
};

pub(super) static DAYTIME_CLIENT: Verb = Verb {
    name: "daytime-client",
    usage: &["daytime-client [OPTIONS] HOST [PORT]"],
    summary: "Print another machine's date and time",
    about: "Prints the date and time that HOST sends; PORT is 1313 unless given.",
    examples: &["idler daytime-client localhost  on this machine"],
    options: &[ASKS, TIMEOUT, VERBOSE, COLOR],
    finish: |options| with_peer(options, limits::DAYTIME_PORT).map(Command::DaytimeClient),
};

const ASKS: Group = group! { "What it does":
    "--udp  Ask over UDP" => |o, v| put(&mut o.udp, yes_no(v));
};

pub(super) static TRANSFER_SERVER: Verb = Verb {
    name: "transfer-server",
    usage: &["transfer-server [OPTIONS] FILE…"],
    summary: "Files as JSON and base64",
    about: "Sends to each client that connects one JSON object with the name of FILE and its \
         contents in base64, and closes. Of several files, clients get each in turn.",
    examples: &["idler transfer-server song.mp3  to whoever connects to port 5566"],
    options: &[TRANSFER_PORT, BIND, QUIET, VERBOSE, COLOR],
    finish: |mut options| {
        let files: Result<_, String> = options.words.iter().map(|word| path(word)).collect();
        options.files = files.map_err(|reason| format!("FILE: {reason}"))?;
        Ok(Command::TransferServer(options))
    },
};

const TRANSFER_PORT: Group = group! { "Where it listens":
    "-p, --port N  Listen on this port; 0 takes any free one (default: 5566)" => set_port;
};

pub(super) static TRANSFER_CLIENT: Verb = Verb {
    name: "transfer-client",
    usage: &["transfer-client [OPTIONS] HOST [PORT]"],
    summary: "Receive a file as JSON and base64",
    about: "Receives a file and writes it under the last component of its name; PORT is 5566 \
         unless given. Nothing is left behind unless all of it came.",
    examples: &["idler transfer-client localhost -o Downloads  into another directory"],
    options: &[SAVES, TIMEOUT, PROGRESS, VERBOSE, COLOR],
    finish: |options| with_peer(options, limits::TRANSFER_PORT).map(Command::TransferClient),
};

const SAVES: Group = group! { "What it does":
    "-o, --output DIR  Write the file into this directory (default: .)"
        => |o, v| put(&mut o.directory, path(v));
    "--force  Replace a file of the same name" => |o, v| put(&mut o.force, yes_no(v));
};

pub(super) static PING_SERVER: Verb = Verb {
    name: "ping-server",
    usage: &["ping-server [OPTIONS]"],
    summary: "UDP ping, with bad weather if asked for",
    about: "Answers each datagram with its text in capitals.",
    examples: &[
        "idler ping-server --loss 30% --delay 100ms+-50ms --seed 1  a bad line, the same each \
         time",
    ],
    options: &[PING_PORT, BIND, STOPS, WEATHER, QUIET, VERBOSE, COLOR],
    finish: |options| without_unix(options).map(Command::PingServer),
};

const PING_PORT: Group = group! { "Where it listens":
    "-p, --port N  Listen on this port; 0 takes any free one (default: 12000)" => set_port;
};

const STOPS: Group = group! { "What it does":
    "-c, --count N  Stop after N messages"
        => |o, v| put(&mut o.answers_max, number(v, 1..=u64::MAX).map(Some));
};

const WEATHER: Group = group! { "Bad weather":
    "--loss SHARE  Do not answer this share of the messages (default: 0%)"
        => |o, v| put(&mut o.weather.loss, share(v));
    "--delay TIME[+-TIME]  Answer so much later (default: 0s). 100ms+-50ms: between 50 and \
     150 ms later." => |o, v| put(&mut o.weather.delay, jitter(v));
    "--dup SHARE  Answer this share twice (default: 0%)"
        => |o, v| put(&mut o.weather.dup, share(v));
    "--reorder SHARE  Answer this share after the one that follows (default: 0%)"
        => |o, v| put(&mut o.weather.reorder, share(v));
    "--seed N  The same weather each time"
        => |o, v| put(&mut o.weather.seed, number(v, 0..=u64::MAX).map(Some));
};

pub(super) static PING_CLIENT: Verb = Verb {
    name: "ping-client",
    usage: &["ping-client [OPTIONS] HOST [PORT]"],
    summary: "Measure round trips over UDP",
    about: "Sends pings and prints a line for each, and at the end losses, round trip times and \
         jitter; PORT is 12000 unless given. Ctrl-C prints the figures so far. The exit code is 1 \
         if no reply came.",
    examples: &["idler ping-client -c 100 -i 0.2 localhost  five a second, for 20 seconds"],
    options: &[PINGS, FIGURES, VERBOSE, COLOR],
    finish: |options| with_peer(options, limits::PING_PORT).map(Command::PingClient),
};

const PINGS: Group = group! { "What it does":
    "-c, --count N  Send N pings (default: 10)"
        => |o, v| put(&mut o.count, number(v, 1..=u32::MAX));
    "-i, --interval TIME  From one ping to the next (default: 1s)"
        => |o, v| put(&mut o.interval, timeout(v));
    "-W, --wait TIME  Wait so long for each reply (default: 1s). A later one is counted as \
     late." => |o, v| put(&mut o.wait, timeout(v));
    "-s, --size N  Fill each message up to N bytes (default: 0)"
        => |o, v| put(&mut o.message_bytes_min, number(v, 0..=limits::DATAGRAM_BYTES_MAX));
};

const FIGURES: Group = group! { "What it says":
    "--json  Print the figures as one JSON object" => |o, v| put(&mut o.json, yes_no(v));
};

/// Reads HOST and PORT, the first words; `default` is the port if there is none.
pub(super) fn with_peer(mut options: Box<Options>, default: u16) -> Result<Box<Options>, String> {
    let port = options
        .words
        .get(1)
        .map_or(Ok(default), |port| peer_port(port));
    options.peer.port = port.map_err(|reason| format!("PORT: {reason}"))?;
    options.peer.host = host(&options.words[0]).map_err(|reason| format!("HOST: {reason}"))?;
    Ok(options)
}

/// Datagrams are answered to an address, which clients of a Unix socket need not have.
fn without_unix(options: Box<Options>) -> Result<Box<Options>, String> {
    let is_unix = |address: &BindAddress| matches!(address, BindAddress::Unix { .. });
    match options.listening.bind.iter().any(is_unix) {
        true => Err("--bind: datagrams need an IPv4 or IPv6 address, not a Unix socket".into()),
        false => Ok(options),
    }
}
