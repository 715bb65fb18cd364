//! The program: arguments, command, exit code.
//!
//! What lives here: the first and the last line of the process. It may not know any protocol.
//! Invariant: whatever ends the process says so in its exit code: 0 done, 1 failed, 2 not understood.
//! Read next: `lib.rs`, for the order of a first reading.

#![forbid(unsafe_code)]

use idler::cli::{self, Command};
use idler::companions::daytime::{self, DatagramClient};
use idler::companions::ping::client::PingClient;
use idler::companions::{message, ping, transfer};
use idler::event_loop::signal;
use idler::server::start;
use idler::tools::handlers::{self, ClientTask};
use idler::tools::{crowd, explain, get, password, precompress};
use signal_hook::consts::{SIGUSR1, SIGUSR2};
use std::{
    env,
    io::{self, ErrorKind, Write},
    process::ExitCode,
};

fn main() -> ExitCode {
    match cli::parse(env::args_os().skip(1), |name| env::var_os(name)) {
        Ok(command) => match command.text() {
            Some(text) => print(&text),
            None => run(command),
        },
        Err(error) => {
            complain(&error.to_string());
            ExitCode::from(2)
        }
    }
}

/// Does what was asked, and returns the exit code: 0 done, 1 failed, 2 not understood.
fn run(command: Command) -> ExitCode {
    // A script that asks all idlers for their figures must end none that has nothing to say, nor one by a mistyped 2.
    for number in [SIGUSR1, SIGUSR2] {
        if let Err(e) = signal::tolerate(number) {
            log::debug!("signal {number} is not caught: {e}");
        }
    }
    match command {
        Command::Help(_) | Command::Version | Command::Man | Command::Completions(_) => {
            ExitCode::SUCCESS
        }
        Command::Serve(options) => start::run(&options),
        Command::Get(options) => get::run(&options),
        Command::MessageServer(o) => {
            handlers::serve("message-server", o.voice, || message::serve(&o))
        }
        Command::DaytimeServer(o) => {
            handlers::serve("daytime-server", o.voice, || daytime::serve(&o))
        }
        Command::TransferServer(o) => {
            handlers::serve("transfer-server", o.voice, || transfer::serve(&o))
        }
        Command::PingServer(o) => {
            handlers::serve("ping-server", o.voice, || ping::server::serve(&o))
        }
        Command::MessageClient(o) => {
            handlers::run(&o.peer, o.voice, |to| Ok(message::ask(&o, to)?.into()))
        }
        Command::DaytimeClient(o) => handlers::run(&o.peer, o.voice, |to| {
            if !o.udp {
                return Ok(daytime::ask(&o, to)?.into());
            }
            let client = DatagramClient::start(to, o.timeout)?;
            Ok(ClientTask::DaytimeUdp(Box::new(client)))
        }),
        Command::TransferClient(o) => {
            handlers::run(&o.peer, o.voice, |to| Ok(transfer::ask(&o, to)?.into()))
        }
        Command::PingClient(o) => handlers::run(&o.peer, o.voice, |to| {
            let client = PingClient::start(&o, to)?;
            Ok(ClientTask::Ping(Box::new(client)))
        }),
        Command::Explain(options) => explain::run(&options),
        Command::Precompress(options) => precompress::run(&options),
        Command::Password(options) => password::run(&options),
        Command::Crowd(options) => crowd::run(&options),
    }
}

/// Prints a page. A reader that has seen enough (`idler man | head`) is no failure.
fn print(text: &str) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("idler: cannot write to standard output: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// One line on standard error; where that is closed too, only the exit code is left to speak.
fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
