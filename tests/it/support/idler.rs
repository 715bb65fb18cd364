//! The built program, started on a free port and stopped again.
//!
//! It may not know how idler works, only what it prints, takes and returns. Invariant: a started program
//! never outlives its value; it is ended by its own process id.
//! Read next: `start_up.rs`.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};

use super::http::{Client, Reply};
use super::proc::Proc;
use super::program::{Outcome, Program, ended};
use super::{PATIENCE, Site, wait_until};

/// Where cargo put the program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_idler");

/// How the program is to be started.
pub(crate) struct Idler {
    args: Vec<OsString>,
    env: Vec<(String, OsString)>,
    before: Option<String>,
    stdin: Option<Stdio>,
    stdout: Option<Stdio>,
    stderr: Option<Stdio>,
    folder: Option<PathBuf>,
    /// A copy of the program that an unprivileged user can reach, and is to be.
    nobody: Option<Site>,
}

/// The user id of `nobody` everywhere.
const NOBODY: u32 = 65534;

impl Idler {
    /// `idler serve --port 0 ROOT`.
    pub(crate) fn serve(root: impl AsRef<Path>) -> Self {
        let mut idler = Self::verb("serve").arg("--port").arg("0");
        idler.args.push(root.as_ref().into());
        idler
    }

    /// `idler VERB`.
    pub(crate) fn verb(verb: &str) -> Self {
        Self::bare().arg(verb)
    }

    /// `idler`, with nothing behind it.
    pub(crate) fn bare() -> Self {
        Self {
            args: Vec::new(),
            env: vec![("RUST_LOG".into(), "idler=debug".into())],
            before: None,
            stdin: None,
            stdout: None,
            stderr: None,
            folder: None,
            nobody: None,
        }
    }

    /// Runs it as a user who is not root, whoever runs the tests.
    pub(crate) fn unprivileged(mut self) -> Self {
        if rustix::process::geteuid().is_root() {
            let site = Site::new();
            // By another process: while this one had the copy open for writing, a child of another test's
            // thread could inherit that, and nobody can run a file that somebody writes.
            let copied = Command::new("cp").arg(PROGRAM).arg(site.path()).status();
            assert!(
                copied.is_ok_and(|s| s.success()),
                "the program can be copied"
            );
            self.nobody = Some(site);
        }
        self
    }

    /// Adds an argument.
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub(crate) fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(OsString::from));
        self
    }

    /// Sets a variable of its environment.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Starts it in this folder.
    pub(crate) fn folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// Has a shell do something first in the same process: `ulimit -n 64`, for example.
    pub(crate) fn after(mut self, shell: &str) -> Self {
        self.before = Some(shell.to_owned());
        self
    }

    /// Gives it this standard input instead of none.
    pub(crate) fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.stdin = Some(stdin.into());
        self
    }

    /// Gives it this standard output instead of a file that [`Running::stdout`] reads.
    pub(crate) fn stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.stdout = Some(stdout.into());
        self
    }

    /// Gives it this standard error instead of a file that [`Running::stderr`] reads. Where it listens is
    /// then not known: give it a port.
    pub(crate) fn stderr(mut self, stderr: impl Into<Stdio>) -> Self {
        self.stderr = Some(stderr.into());
        self
    }

    fn command(&self) -> Command {
        let program = match &self.nobody {
            None => PathBuf::from(PROGRAM),
            Some(site) => site.path().join("idler"),
        };
        let mut command = match &self.before {
            None => Command::new(program),
            Some(before) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("{before}; exec \"$0\" \"$@\"")]);
                shell.arg(program);
                shell
            }
        };
        if self.nobody.is_some() {
            command.uid(NOBODY).gid(NOBODY);
        }
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("IDLER_") {
                command.env_remove(name);
            }
        }
        command.args(&self.args);
        command.envs(self.env.iter().map(|(n, v)| (n, v)));
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command
    }

    /// Starts it without waiting for anything.
    pub(crate) fn spawn(mut self) -> Running {
        let said = Site::new();
        let (out, err) = (said.path().join("out"), said.path().join("err"));
        let file = |path: &Path| Stdio::from(File::create(path).expect("a file for what it says"));
        let mut command = self.command();
        let child = command
            .stdin(self.stdin.take().unwrap_or_else(Stdio::null))
            .stdout(self.stdout.take().unwrap_or_else(|| file(&out)))
            .stderr(self.stderr.take().unwrap_or_else(|| file(&err)))
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
        Running {
            child,
            said,
            _program: self.nobody,
            addresses: Vec::new(),
            gone: None,
        }
    }

    /// Starts it, and waits until it says where it listens.
    ///
    /// # Panics
    /// If it ends instead; with what it said.
    pub(crate) fn start(self) -> Running {
        let mut running = self.spawn();
        running.addresses = wait_until("the line that says where idler listens", PATIENCE, || {
            // Asked first, so that what it said last is read after.
            let gone = running.child.try_wait().expect("a child can be asked");
            let said = running.stderr();
            let addresses = addresses(&said);
            if let Some(status) = gone {
                running.gone = gone;
                panic!("idler ended with {status} instead of listening; it said:\n{said}");
            }
            // A line may be half written: believe only what ends in a line end.
            (!addresses.is_empty() && said.ends_with('\n')).then_some(addresses)
        });
        running
    }

    /// Runs it to its end, for commands that have one.
    pub(crate) fn run(self) -> Outcome {
        assert!(
            self.stdout.is_none() && self.stderr.is_none() && self.stdin.is_none(),
            "what a finished run said is in its outcome"
        );
        Program::from(self.command()).run(PATIENCE)
    }
}

/// The program while it runs.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    said: Site,
    /// Kept for as long as it runs.
    _program: Option<Site>,
    addresses: Vec<SocketAddr>,
    gone: Option<ExitStatus>,
}

impl Running {
    /// Where it listens for IPv4.
    pub(crate) fn address(&self) -> SocketAddr {
        *self
            .addresses
            .iter()
            .find(|a| a.is_ipv4())
            .or(self.addresses.first())
            .expect("a started server listens somewhere")
    }

    /// Everywhere it says it listens.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// `http://127.0.0.1:PORT` and this.
    pub(crate) fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.address())
    }

    /// A new connection.
    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address())
    }

    /// Gets `target` over a connection of its own.
    pub(crate) fn get(&self, target: &str) -> Reply {
        self.client().get(target)
    }

    /// Its process.
    pub(crate) fn proc(&self) -> Proc {
        Proc(self.child.id())
    }

    /// What it has written to standard output so far.
    pub(crate) fn stdout(&self) -> String {
        self.read("out")
    }

    /// What it has written to standard error so far.
    pub(crate) fn stderr(&self) -> String {
        self.read("err")
    }

    fn read(&self, name: &str) -> String {
        let bytes = fs::read(self.said.path().join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until a line of standard error contains all of `words`, and returns it.
    pub(crate) fn says(&self, words: &[&str]) -> String {
        let look = || {
            self.stderr()
                .lines()
                .find(|line| words.iter().all(|word| line.contains(word)))
                .map(str::to_owned)
        };
        let what = format!(
            "a line on stderr with {words:?}; so far {:?}",
            self.stderr()
        );
        wait_until(&what, PATIENCE, look)
    }

    /// Waits until standard output has `count` lines, and returns them.
    pub(crate) fn lines(&self, count: usize) -> Vec<String> {
        let what = format!("{count} lines on stdout");
        wait_until(&what, PATIENCE, || {
            let text = self.stdout();
            let whole = text.ends_with('\n');
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            (whole && lines.len() >= count).then_some(lines)
        })
    }

    /// Whether it still runs.
    pub(crate) fn is_alive(&mut self) -> bool {
        if self.gone.is_none() {
            self.gone = self.child.try_wait().expect("a child can be asked");
        }
        self.gone.is_none()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&mut self, signal: Signal) {
        if self.is_alive() {
            let id = i32::try_from(self.child.id()).expect("process ids are small");
            let pid = Pid::from_raw(id).expect("a child has an id");
            rustix::process::kill_process(pid, signal).expect("a child can be signalled");
        }
    }

    /// Halts it until it is sent `CONT`: what comes meanwhile, it will find all at once.
    pub(crate) fn stand_still(&mut self) {
        self.signal(Signal::STOP);
        wait_until("idler to stand still", PATIENCE, || {
            (self.proc().state() == 'T').then_some(())
        });
    }

    /// Waits until it has ended by itself, and returns its exit code (`None`: ended by a signal).
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        self.exit_within(PATIENCE)
    }

    /// The same, in a time that matters.
    pub(crate) fn exit_within(&mut self, patience: Duration) -> Option<i32> {
        if self.gone.is_none() {
            self.gone = ended(&mut self.child, patience);
        }
        let Some(status) = self.gone else {
            panic!(
                "idler did not end within {patience:?}; it said:\n{}",
                self.stderr()
            )
        };
        status.code()
    }

    /// Sends SIGTERM, waits until it has ended cleanly, and returns what it said.
    ///
    /// # Panics
    /// If it does not, or not with exit code 0, or it panicked on the way.
    pub(crate) fn stop(mut self) -> String {
        self.signal(Signal::TERM);
        let code = self.exit_code();
        let said = self.stderr();
        assert_eq!(code, Some(0), "idler's exit code; it said:\n{said}");
        assert!(!said.contains("panicked"), "idler panicked:\n{said}");
        said
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.is_alive() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            let said = self.stderr();
            let from = said.len().saturating_sub(4000);
            let from = (from..said.len())
                .find(|i| said.is_char_boundary(*i))
                .unwrap_or(from);
            eprintln!("---- the end of what idler said ----\n{}", &said[from..]);
        }
    }
}

/// The addresses of all URLs in a text.
fn addresses(text: &str) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    for (at, scheme) in text.match_indices("http://") {
        let rest = &text[at + scheme.len()..];
        let end = rest
            .find(|c: char| !(c.is_ascii_hexdigit() || ".:[]".contains(c)))
            .unwrap_or(rest.len());
        if let Ok(address) = rest[..end].parse::<SocketAddr>()
            && !found.contains(&address)
        {
            found.push(address);
        }
    }
    found
}

/// A port of the loopback address that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let any = SocketAddr::from((IpAddr::from([127, 0, 0, 1]), 0));
    std::net::TcpListener::bind(any)
        .and_then(|listener| listener.local_addr())
        .expect("some port is free")
        .port()
}

#[cfg(test)]
mod tests {
    use super::addresses;

    #[test]
    fn addresses_are_read_from_whatever_stands_around_them() {
        let text = "[info] serving /tmp/x at http://127.0.0.1:4567/ and <http://[::1]:4567/>\nhttp://localhost:1/";
        let found: Vec<String> = addresses(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["127.0.0.1:4567", "[::1]:4567"]);
        assert!(addresses("http://127.0.0.1/ http://").is_empty());
    }
}
