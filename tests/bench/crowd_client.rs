//! The crowd: one process that opens many connections and holds them.
//!
//! What lives here: three ways of being idle, and a count of who is still connected.
//! What it may not know: which server it talks to.
//! Invariant: it holds what it opened until it is told to go, and then leaves at once (by reset), so that no
//! connection lingers in the kernel.
//! Read next: `crowd.rs`, which measures the server beside it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SocketFlags, SocketType, bind, connect, recv, socket_with, sockopt,
};

use crate::answer::{Answer, Heard};
use crate::record::Record;
use crate::site::PAGE;
use crate::{Outcome, measure};

/// How long one client may take to get in, or to get its answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// After so many failures no more are tried.
const FAILURES_MAX: u32 = 50;
/// What a client sends that begins a head and does not end it, in bytes.
const HALF_HEAD_BYTES: usize = 100;

/// In what way a client is idle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mode {
    /// It has never sent a byte.
    Silent,
    /// It got one answer and keeps the connection.
    AfterRequest,
    /// It sent [`HALF_HEAD_BYTES`] of a head.
    HalfHead,
}

impl Mode {
    /// Its name in a record.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::AfterRequest => "after-request",
            Self::HalfHead => "half-head",
        }
    }
}

/// The role `crowd`: `port`, `count`, `mode`, and `source`, the address to come from (127.0.0.1).
///
/// Prints how many got in; then, for each line on its standard input, how many are still there.
pub(crate) fn hold(asked: &Record) -> Outcome<()> {
    measure::raise_descriptor_limit();
    let server = SocketAddrV4::new(Ipv4Addr::LOCALHOST, asked.number("port")?);
    let source: Ipv4Addr = asked.number_or("source", Ipv4Addr::LOCALHOST)?;
    let modes = [Mode::Silent, Mode::AfterRequest, Mode::HalfHead];
    let wanted = asked.text("mode")?;
    let mode = modes
        .into_iter()
        .find(|mode| mode.word() == wanted)
        .ok_or_else(|| format!("no such mode: {wanted}"))?;
    let count = asked.number("count")?;

    let began = Instant::now();
    let mut held = Vec::with_capacity(count);
    let mut failures = 0;
    let mut why = String::from("nothing");
    while held.len() < count && failures < FAILURES_MAX {
        match enter(server, source, mode) {
            Ok(client) => held.push(client),
            Err(error) => {
                failures += 1;
                why = error.to_string().replace(char::is_whitespace, "-");
            }
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "opened={} failed={failures} seconds={seconds:.3} why={why}",
        held.len()
    );
    for line in std::io::stdin().lines() {
        line?;
        println!("{}", roll_call(&held));
    }
    Ok(()) // here all sockets are closed
}

fn enter(server: SocketAddrV4, source: Ipv4Addr, mode: Mode) -> Outcome<TcpStream> {
    let socket = socket_with(
        AddressFamily::INET,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    sockopt::set_socket_linger(&socket, Some(Duration::ZERO))?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    if source != Ipv4Addr::LOCALHOST {
        bind(&socket, &SocketAddrV4::new(source, 0))?;
    }
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?; // bounds connecting, too
    connect(&stream, &server)?;
    let host = server.ip();
    match mode {
        Mode::Silent => {}
        Mode::HalfHead => {
            let mut half =
                format!("GET {} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: ", PAGE.path).into_bytes();
            half.resize(HALF_HEAD_BYTES, b'x');
            stream.write_all(&half)?;
        }
        Mode::AfterRequest => {
            stream.write_all(
                format!("GET {} HTTP/1.1\r\nHost: {host}\r\n\r\n", PAGE.path).as_bytes(),
            )?;
            let mut answer = Answer::default();
            let mut buffer = [0; 4096];
            let heard = loop {
                let count = stream.read(&mut buffer)?;
                let heard = if count == 0 {
                    answer.end()
                } else {
                    answer.hear(&buffer[..count])
                };
                if heard != Heard::Part {
                    break heard;
                }
            };
            let status = 200;
            let length = PAGE.length;
            let keep = true;
            if heard
                != (Heard::Whole {
                    status,
                    length,
                    keep,
                })
            {
                return Err(format!("{heard:?}").into());
            }
        }
    }
    Ok(stream)
}

fn roll_call(held: &[TcpStream]) -> String {
    let (mut alive, mut ended, mut spoken_to, mut broken) = (0, 0, 0, 0);
    for client in held {
        let mut byte = [0];
        match recv(client, &mut byte, RecvFlags::DONTWAIT | RecvFlags::PEEK) {
            Ok((_, 0)) => ended += 1,
            Ok(_) => spoken_to += 1,
            Err(Errno::AGAIN) => alive += 1,
            Err(_) => broken += 1,
        }
    }
    format!("alive={alive} ended={ended} spoken-to={spoken_to} broken={broken}")
}
