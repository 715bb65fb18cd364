//! Other people's servers, started on a free port in the foreground, and ended again.
//!
//! It may not know idler. Invariant: a started server never outlives its value; it is ended by its own process id.
//! Read next: `program.rs`, for programs that end by themselves.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::program::{Program, ended};
use super::{PATIENCE, Site, wait_until};

/// A port that was found free may be taken a moment later: so often another one is tried.
const TRIES: usize = 5;

/// A server of other people's while it runs.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
    folder: Site,
    address: SocketAddr,
}

impl Daemon {
    /// nginx with one worker; `http` goes into the block of that name, and finds its port as `{port}` and a folder to
    /// write to as `{folder}`.
    ///
    /// # Panics
    /// If it is not installed, or does not start.
    pub(crate) fn nginx(http: &str) -> Self {
        let user = if rustix::process::geteuid().is_root() {
            "user root;"
        } else {
            ""
        };
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {{folder}}/{kind};"))
            .concat();
        let configuration = format!(
            "{user} daemon off; worker_processes 1; pid {{folder}}/pid; error_log stderr;\n\
             events {{ worker_connections 512; }}\nhttp {{ access_log off; {temporary}\n{http} }}\n"
        );
        Self::start("nginx", &["-e", "stderr", "-c"], &configuration)
    }

    /// HAProxy with this configuration.
    ///
    /// # Panics
    /// If it is not installed, or does not start.
    pub(crate) fn haproxy(configuration: &str) -> Self {
        Self::start("haproxy", &["-db", "-f"], configuration)
    }

    fn start(name: &str, args: &[&str], configuration: &str) -> Self {
        let sbin = format!("/usr/sbin/{name}");
        let program = match Path::new(&sbin).is_file() {
            true => sbin.into(),
            false => Program::path(&[name]),
        };
        for _ in 0..TRIES {
            let folder = Site::new();
            let port = free_port();
            let file = folder.file(
                "conf",
                configuration
                    .replace("{port}", &port.to_string())
                    .replace("{folder}", &folder.path().display().to_string())
                    .as_bytes(),
            );
            let said = || File::create(folder.beside("said")).expect("a file for what it says");
            let child = Command::new(&program)
                .args(args)
                .arg(file)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(said())
                .spawn()
                .unwrap_or_else(|e| panic!("cannot run {name}: {e}"));
            let mut daemon = Self {
                child,
                folder,
                address: (Ipv4Addr::LOCALHOST, port).into(),
            };
            if daemon.listens() {
                return daemon;
            }
            eprintln!("{name} did not start: {}", daemon.said());
        }
        panic!("{name} did not start {TRIES} times");
    }

    fn listens(&mut self) -> bool {
        wait_until("a server to listen, or to end", PATIENCE, || {
            if self
                .child
                .try_wait()
                .expect("a child can be asked")
                .is_some()
            {
                return Some(false);
            }
            TcpStream::connect(self.address).is_ok().then_some(true)
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A file that it wrote into its folder.
    pub(crate) fn file(&self, name: &str) -> String {
        let bytes = fs::read(self.folder.path().join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// What it wrote to standard error.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.folder.beside("said")).unwrap_or_default()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // nginx's master takes its worker along, if it is asked and not killed.
            let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
            let asked = pid.is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok());
            if !asked || ended(&mut self.child, Duration::from_secs(5)).is_none() {
                let _ = self.child.kill();
                let _ = self.child.wait();
            }
        }
    }
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .expect("a port can be had")
        .port()
}
