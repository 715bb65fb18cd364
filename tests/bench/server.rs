//! A server that runs, and how it is asked once.
//!
//! What lives here: a started process with its port, and the plainest of clients.
//! What it may not know: which program it is.
//! Invariant: when its value is dropped, the server and all it started are gone.
//! Read next: `role.rs`, which ends it.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::answer::{Answer, Heard};
use crate::site::Asset;
use crate::{Outcome, measure, pause, role};

/// How long a server may take until it answers.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server that runs.
#[derive(Debug)]
pub(crate) struct Server {
    /// What it is called in tables.
    pub(crate) name: String,
    /// Where it listens, on 127.0.0.1.
    pub(crate) port: u16,
    /// Whether it keeps connections.
    pub(crate) keeps: bool,
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts a command on a core. `log`: where its standard error goes.
    pub(crate) fn start(
        name: &str,
        port: u16,
        core: usize,
        command: &[String],
        log: PathBuf,
    ) -> Outcome<Self> {
        let [program, arguments @ ..] = command else {
            return Err(format!("{name}: an empty command").into());
        };
        let child = role::program_on(core, program)?
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()?;
        Ok(Self {
            name: name.to_owned(),
            port,
            keeps: true,
            child,
            log,
        })
    }

    /// The last lines it wrote to standard error.
    pub(crate) fn last_words(&self) -> String {
        let said = fs::read_to_string(&self.log).unwrap_or_default();
        let last: Vec<&str> = said.lines().rev().take(3).collect();
        last.join(" / ")
    }

    /// Its first process and all that came of it.
    pub(crate) fn family(&self) -> Vec<u32> {
        measure::family(self.child.id())
    }

    /// Asks until it answers.
    pub(crate) fn first_answer(&mut self, asset: Asset) -> Outcome<()> {
        let end = Instant::now() + PATIENCE;
        loop {
            match fetch(self.port, asset.path, |_| Ok(())) {
                Ok((200, length)) if length == asset.length => return Ok(()),
                Ok((status, length)) => {
                    return Err(format!("status {status} with {length} bytes").into());
                }
                Err(_) if Instant::now() < end && self.child.try_wait()?.is_none() => {
                    pause(Duration::from_millis(5))
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether the process is still there.
    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        role::stop(&mut self.child);
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> Outcome<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

/// Asks once, on a connection of its own. Each piece of the body goes to `take`; returns the status and the length.
pub(crate) fn fetch(
    port: u16,
    path: &str,
    mut take: impl FnMut(&[u8]) -> Outcome<()>,
) -> Outcome<(u16, u64)> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(
        format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").as_bytes(),
    )?;
    let mut answer = Answer::default();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = stream.read(&mut buffer)?;
        let heard = if count == 0 {
            answer.end()
        } else {
            answer.hear(&buffer[..count])
        };
        let body = usize::try_from(answer.take_new_bytes())?;
        take(&buffer[count - body..count])?;
        match heard {
            Heard::Part => {}
            Heard::Whole { status, length, .. } => return Ok((status, length)),
            Heard::Nonsense => return Err("no whole answer".into()),
        }
    }
}

/// A sink for [`fetch`] that fails as soon as a piece differs from what the file has there.
pub(crate) fn compare_with(path: &Path) -> Outcome<impl FnMut(&[u8]) -> Outcome<()> + use<>> {
    let mut file = File::open(path)?;
    let mut expected = Vec::new();
    Ok(move |piece: &[u8]| {
        expected.resize(piece.len(), 0);
        file.read_exact(&mut expected)?;
        if expected == piece {
            Ok(())
        } else {
            Err("other bytes than the file has".into())
        }
    })
}
