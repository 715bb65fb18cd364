//! Other people's programs: found, run with a deadline, heard to the end.
//!
//! It may not know idler. Invariant: a program that is not there fails the test that needs it, and says
//! what to install; such tests are ignored, with that need as the reason, so that a machine with
//! nothing but Rust runs all others.
//! Read next: `clients.rs`.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::{Site, wait_until};

/// A program and its arguments.
pub(crate) struct Program {
    command: Command,
    said: Site,
}

/// What became of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Outcome {
    /// What it wrote, as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

impl Program {
    /// The first of these that is installed.
    ///
    /// # Panics
    /// If none is.
    pub(crate) fn find(names: &[&str]) -> Self {
        Self::at(Self::path(names))
    }

    /// A browser without a window, which has this folder for itself and asks nobody but whom it is sent to.
    pub(crate) fn browser(profile: &Site) -> Self {
        let folder = profile.path();
        Self::find(&["chromium", "chromium-browser", "google-chrome"])
            .args(&[
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--disable-dev-shm-usage",
                "--no-proxy-server",
            ])
            .arg(format!("--user-data-dir={}", folder.display()))
            .env("HOME", folder)
    }

    /// Where the first of these is that is installed.
    ///
    /// # Panics
    /// If none is.
    pub(crate) fn path(names: &[&str]) -> PathBuf {
        let found = names.iter().find_map(|name| on_path(name));
        found.unwrap_or_else(|| {
            let names = names.join(" or ");
            panic!(
                "this test needs {names}: install it (`.ci/run` does), or run without `--ignored`"
            )
        })
    }

    /// The program at this path.
    pub(crate) fn at(path: impl AsRef<OsStr>) -> Self {
        Command::new(path).into()
    }

    /// Adds an argument.
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    pub(crate) fn args(mut self, args: &[&str]) -> Self {
        self.command.args(args);
        self
    }

    /// Sets a variable of its environment.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Gives it this file to read.
    pub(crate) fn stdin(mut self, path: &Path) -> Self {
        self.command
            .stdin(File::open(path).expect("its input is there"));
        self
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// If it takes longer than `patience`; it is killed then.
    pub(crate) fn run(mut self, patience: Duration) -> Outcome {
        let (out, err) = (self.said.path().join("out"), self.said.path().join("err"));
        let mut child = self
            .command
            .stdout(File::create(&out).expect("a file for its output"))
            .stderr(File::create(&err).expect("a file for its complaints"))
            .spawn()
            .unwrap_or_else(|e| panic!("cannot run {:?}: {e}", self.command));
        let read = |path: &Path| std::fs::read(path).unwrap_or_default();
        let Some(status) = ended(&mut child, patience) else {
            let _ = child.kill();
            let _ = child.wait();
            panic!(
                "{:?} took longer than {patience:?}; it said:\n{}{}",
                self.command,
                String::from_utf8_lossy(&read(&out)),
                String::from_utf8_lossy(&read(&err))
            );
        };
        Outcome {
            status,
            stdout: read(&out),
            stderr: String::from_utf8_lossy(&read(&err)).into_owned(),
        }
    }
}

impl From<Command> for Program {
    fn from(mut command: Command) -> Self {
        command.stdin(Stdio::null());
        Self {
            command,
            said: Site::new(),
        }
    }
}

/// Waits for a child to end; `None` if it does not within `patience`.
pub(crate) fn ended(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let begin = Instant::now();
    wait_until(
        "a child, or the end of patience",
        patience * 2,
        || match child.try_wait().expect("a child can be asked") {
            Some(status) => Some(Some(status)),
            None if begin.elapsed() > patience => Some(None),
            None => None,
        },
    )
}

/// Where the shell would find this program.
fn on_path(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}
