//! The processes of this benchmark: itself again, in another role.
//!
//! What lives here: how a process is started on a core, asked, and ended. One thread each; what must happen at the same
//! time happens in processes.
//! What it may not know: what the roles do.
//! Invariant: no process outlives the benchmark: each gets SIGTERM from the kernel when its parent is gone.
//! Read next: `main.rs`, which lists the roles.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};
use rustix::thread::CpuSet;

use crate::record::Record;
use crate::{Outcome, measure, pause};

/// The word that says that a role follows.
pub(crate) const AS: &str = "--as";
/// How long a process may take to end when it was asked to.
const FAREWELL: Duration = Duration::from_secs(5);

/// The cores in use: servers on one, clients (and this process) on the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cores {
    /// Where servers run.
    pub(crate) server: usize,
    /// Where clients run.
    pub(crate) client: usize,
}

impl Cores {
    /// The first two that this process may use.
    pub(crate) fn choose() -> Outcome<Self> {
        let allowed = rustix::thread::sched_getaffinity(None)?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
        match (cores.next(), cores.next()) {
            (Some(server), Some(client)) => Ok(Self { server, client }),
            _ => Err("two cores are needed: one for the server, one for its clients".into()),
        }
    }
}

/// Keeps this process, and its future children, on one core.
pub(crate) fn stay_on(core: usize) -> Outcome<()> {
    let mut only = CpuSet::new();
    only.set(core);
    Ok(rustix::thread::sched_setaffinity(None, &only)?)
}

/// The role `on`: moves to a core, arranges to go when the parent goes, and becomes another program.
/// The process number stays, so the child that the parent started *is* that program.
pub(crate) fn become_program(words: &[OsString]) -> Outcome<()> {
    let [core, program, arguments @ ..] = words else {
        return Err("usage: on CORE PROGRAM [ARGUMENT…]".into());
    };
    stay_on(core.to_string_lossy().parse()?)?;
    set_parent_process_death_signal(Some(Signal::TERM))?;
    let error = Command::new(program).args(arguments).exec();
    Err(format!("{}: {error}", program.display()).into())
}

/// A command that runs a program on a core.
pub(crate) fn program_on(core: usize, program: impl AsRef<OsStr>) -> Outcome<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([AS, "on", &core.to_string()]).arg(program);
    Ok(command)
}

/// A command that runs this program in a role on a core.
pub(crate) fn role_on(core: usize, role: &str, words: &[String]) -> Outcome<Command> {
    let mut command = program_on(core, std::env::current_exe()?)?;
    command.args([AS, role]).args(words);
    Ok(command)
}

/// Runs a role to its end and reads the record it prints.
pub(crate) fn ask(core: usize, role: &str, words: &[String]) -> Outcome<Record> {
    let mut client = Client::start(core, role, words)?;
    let found = client.read()?;
    client.end()?;
    Ok(found)
}

/// A role that prints records, and lasts until its standard input is closed.
pub(crate) struct Client {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl Client {
    /// Starts it.
    pub(crate) fn start(core: usize, role: &str, words: &[String]) -> Outcome<Self> {
        let mut command = role_on(core, role, words)?;
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let answers = child
            .stdout
            .take()
            .ok_or("a child has no standard output")?;
        Ok(Self {
            child,
            answers: BufReader::new(answers),
        })
    }

    /// Waits for the next record it prints.
    pub(crate) fn read(&mut self) -> Outcome<Record> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        if line.ends_with('\n') {
            return Record::read(line.split_ascii_whitespace());
        }
        let mut complaint = String::new();
        if let Some(errors) = &mut self.child.stderr {
            errors.read_to_string(&mut complaint)?;
        }
        let status = self.child.wait()?;
        Err(format!("a client ended early ({status}): {}", complaint.trim()).into())
    }

    /// Asks it for another record.
    pub(crate) fn ask(&mut self) -> Outcome<Record> {
        if let Some(input) = &mut self.child.stdin {
            std::io::Write::write_all(input, b"\n")?;
        }
        self.read()
    }

    /// Lets it go, and waits until it has.
    pub(crate) fn end(mut self) -> Outcome<()> {
        drop(self.child.stdin.take());
        let status = self.child.wait()?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("a client ended with {status}").into())
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        stop(&mut self.child);
    }
}

/// Ends a child that we started, and what it started in turn: politely first, then for good.
pub(crate) fn stop(child: &mut Child) {
    drop(child.stdin.take());
    if !matches!(child.try_wait(), Ok(None)) {
        return;
    }
    // A process number may be given away again; together with its start it may not.
    let family: Vec<_> = measure::family(child.id())
        .into_iter()
        .map(|pid| (pid, measure::started(pid)))
        .collect();
    signal(child.id(), Signal::TERM);
    let end = Instant::now() + FAREWELL;
    while matches!(child.try_wait(), Ok(None)) {
        if Instant::now() > end {
            // Cannot fail in a way that matters: it is our child, and not yet waited for.
            child.kill().ok();
            child.wait().ok();
            break;
        }
        pause(Duration::from_millis(2));
    }
    for (pid, started) in family {
        if started.is_some() && measure::started(pid) == started && measure::lives(pid) {
            signal(pid, Signal::KILL);
        }
    }
}

/// Sends a signal to a process that we started. That it has gone already is no failure.
pub(crate) fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        kill_process(pid, signal).ok();
    }
}
