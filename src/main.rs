//! The program: arguments, command, exit code.
//!
//! What lives here: the first and the last line of the process. It may not know any protocol.
//! Invariant: whatever ends the process says so in its exit code: 0 done, 1 failed, 2 not understood.
//! Read next: `lib.rs`, for the order of a first reading.

#![forbid(unsafe_code)]

use idler::{cli, service};
use std::{
    env,
    io::{self, ErrorKind, Write},
    process::ExitCode,
};

fn main() -> ExitCode {
    match cli::parse(env::args_os().skip(1), |name| env::var_os(name)) {
        Ok(command) => match command.text() {
            Some(text) => print(&text),
            None => service::run(command),
        },
        Err(error) => {
            complain(&error.to_string());
            ExitCode::from(2)
        }
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
