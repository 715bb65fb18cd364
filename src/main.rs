//! The program: from arguments to a command, and to its exit code. `lib.rs` says what to read
//! first.

#![forbid(unsafe_code)]

use idler::cli::{self, Command};
use idler::companions::{daytime, message, ping, transfer};
use idler::event_loop::signal;
use idler::log::logger;
use idler::server::start;
use idler::tools::ClientTask::{DaytimeUdp, Exchange, Ping};
use idler::tools::{self, crowd, explain, get, password, precompress};
use signal_hook::consts::{SIGUSR1, SIGUSR2};
use std::{env, process::ExitCode};

fn main() -> ExitCode {
    match cli::parse(env::args_os().skip(1), |name| env::var_os(name)) {
        Ok(Command::Page(text)) => tools::print_page(&text),
        Ok(command) => run(command),
        Err(error) => {
            logger::say(&error.to_string());
            logger::finish();
            ExitCode::from(2)
        }
    }
}

/// Does what was asked, and returns the exit code: 0 done, 1 failed, 2 not understood.
fn run(command: Command) -> ExitCode {
    // A script that asks all idlers for their figures must end none that has nothing to say, nor
    // one by a mistyped 2.
    signal::tolerate(&[SIGUSR1, SIGUSR2]);
    match command {
        Command::Page(_) => ExitCode::SUCCESS,
        Command::Serve(o) => start::run(&o),
        Command::Get(url, o) => get::run(url, &o),
        Command::MessageServer(o) => start::alone("message-server", &o, message::serve),
        Command::DaytimeServer(o) => start::alone("daytime-server", &o, daytime::serve),
        Command::TransferServer(o) => start::alone("transfer-server", &o, transfer::serve),
        Command::PingServer(o) => start::alone("ping-server", &o, ping::serve),
        Command::MessageClient(o) => tools::run(&o, message::ask, Exchange),
        Command::DaytimeClient(o) if o.udp => tools::run(&o, daytime::ask_by_datagram, DaytimeUdp),
        Command::DaytimeClient(o) => tools::run(&o, daytime::ask, Exchange),
        Command::TransferClient(o) => tools::run(&o, transfer::ask, Exchange),
        Command::PingClient(o) => tools::run(&o, ping::ask, Ping),
        Command::Explain(target, o) => explain::run(&target, &o),
        Command::Precompress(o) => precompress::run(&o),
        Command::Password(user) => password::run(&user),
        Command::Crowd(o) => crowd::run(&o),
    }
}
