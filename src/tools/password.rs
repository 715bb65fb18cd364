//! `idler password`: reads a password without showing it, and prints a line for the file of users.
//!
//! Invariant: a terminal is left as it was found, whatever is typed.

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::process::ExitCode;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::exit_code;
use crate::companions::client::Failure;
use crate::limits::{BCRYPT_COST_MAX, PASSWORD_BYTES_MAX};

/// Reads a password from standard input and prints the line.
pub fn run(user: &str) -> ExitCode {
    let printed = read(user).and_then(|password| {
        let line = line(user, &password)?;
        writeln!(io::stdout(), "{line}").map_err(|e| format!("cannot print the line: {e}"))
    });
    exit_code(printed.map_err(Failure::new))
}

/// `NAME:HASH`. `$2y$` is the mark that other servers know.
fn line(user: &str, password: &[u8]) -> Result<String, String> {
    if password.is_empty() || password.contains(&0) {
        return Err("the password is empty or contains a NUL".to_owned());
    }
    // bcrypt does not look further.
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(format!(
            "the password is longer than {PASSWORD_BYTES_MAX} bytes"
        ));
    }
    let parts = bcrypt::hash_with_result(password, BCRYPT_COST_MAX)
        .map_err(|e| format!("cannot make a hash: {e}"))?;
    Ok(format!(
        "{user}:{}",
        parts.format_for_version(bcrypt::Version::TwoY)
    ))
}

/// From a terminal twice, without showing it; from anything else the first line.
fn read(user: &str) -> Result<Vec<u8>, String> {
    let failed = |e: io::Error| format!("cannot read the password: {e}");
    if !io::stdin().is_terminal() {
        return read_line(false).map_err(failed);
    }
    let terminal = Terminal::hide().map_err(failed)?;
    let password = ask(&format!("Password for {user}: ")).map_err(failed)?;
    let again = ask("The same again: ").map_err(failed)?;
    drop(terminal);
    if password == again {
        Ok(password)
    } else {
        Err("the two passwords differ".to_owned())
    }
}

fn ask(prompt: &str) -> io::Result<Vec<u8>> {
    let mut out = io::stderr();
    write!(out, "{prompt}")?;
    out.flush()?;
    let line = read_line(true);
    writeln!(out)?;
    line
}

/// A line, byte by byte: what follows it is not ours. `keys` says that it comes key by key,
/// not edited by the terminal.
/// Longer ones are cut one byte beyond what is allowed, and refused later.
fn read_line(keys: bool) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    for byte in io::stdin().lock().bytes() {
        match byte? {
            b'\n' => break,
            b'\r' if keys => break,
            3 | 4 if keys => return Err(io::ErrorKind::Interrupted.into()),
            8 | 0x7f if keys => {
                line.pop();
            }
            byte if line.len() <= PASSWORD_BYTES_MAX => line.push(byte),
            _ => {}
        }
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(line)
}

/// A terminal that shows nothing and hands over each key, Ctrl-C too: else that would leave it
/// silent.
struct Terminal(Termios);

impl Terminal {
    fn hide() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes -= LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // If the terminal is gone, there is nothing to restore.
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}
