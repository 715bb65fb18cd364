//! (being written)

use crate::cli::Command;
use std::process::ExitCode;

/// Does what was asked.
pub fn run(command: Command) -> ExitCode {
    match command {
        Command::Help(_) | Command::Version | Command::Man | Command::Completions(_) => {
            ExitCode::SUCCESS
        }
        Command::Serve(_) => ExitCode::FAILURE,
    }
}
