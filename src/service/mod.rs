//! (being written)

use crate::cli::Command;
use std::process::ExitCode;

/// Does what was asked.
pub fn run(command: Command) -> ExitCode {
    match command {
        Command::Help(_) | Command::Version | Command::Man | Command::Completions(_) => {
            ExitCode::SUCCESS
        }
        Command::Serve(_)
        | Command::Get(_)
        | Command::MessageServer(_)
        | Command::MessageClient(_)
        | Command::DaytimeServer(_)
        | Command::DaytimeClient(_)
        | Command::TransferServer(_)
        | Command::TransferClient(_)
        | Command::PingServer(_)
        | Command::PingClient(_)
        | Command::Crowd(_)
        | Command::Explain(_)
        | Command::Precompress(_)
        | Command::Password(_) => ExitCode::FAILURE,
    }
}
