//! What stands in `fixtures/deploy`, run as far as it can be without systemd as init and without a container engine.
//!
//! It may not know how idler is built. Invariant: files are used as they are shipped; only ports, paths and names that belong to the
//! machine are put in their place, and each of them must be found.
//! Read next: `wishes.rs`.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;

use crate::support::idler::{PROGRAM, free_port};
use crate::support::load::{Load, Manner};
use crate::support::program::Program;
use crate::support::{Idler, PATIENCE, Running, Site, fixture_site, repository, wait_until};

/// A file as it is shipped, with these words of it replaced by others.
fn shipped(name: &str, replaced: &[(&str, &str)]) -> String {
    let path = repository("fixtures/deploy").join(name);
    let mut text = std::fs::read_to_string(path).expect("it is shipped");
    for (from, to) in replaced {
        assert!(text.contains(from), "no {from} in {name}");
        text = text.replace(from, to);
    }
    text
}

/// A program that runs until its value is dropped.
struct Daemon(Child);

impl Daemon {
    fn start(program: PathBuf, args: &[&str]) -> Self {
        let child = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("it can be started");
        Self(child)
    }

    /// Waits until somebody listens at `address`.
    fn at(mut self, address: SocketAddr) -> Self {
        wait_until("a daemon to listen", PATIENCE, || {
            let gone = self.0.try_wait().expect("a child can be asked");
            assert!(gone.is_none(), "it ended with {gone:?}");
            std::net::TcpStream::connect(address).ok()
        });
        self
    }
}

impl Daemon {
    fn terminate(&self) {
        let id = i32::try_from(self.0.id()).expect("process ids are small");
        let pid = rustix::process::Pid::from_raw(id).expect("a child has an id");
        let _ = rustix::process::kill_process(pid, Signal::TERM);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // nginx has children, which only an orderly end ends too.
        self.terminate();
        let _ = crate::support::program::ended(&mut self.0, PATIENCE);
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// The units, in a folder of their own, with the program where it is.
fn units() -> Site {
    let folder = Site::new();
    for (name, as_name) in [
        ("idler.service", "idler.service"),
        ("idler@.service", "idler@8081.service"),
    ] {
        folder.file(
            as_name,
            shipped(name, &[("/usr/bin/idler", PROGRAM)]).as_bytes(),
        );
    }
    folder.file("idler.socket", shipped("idler.socket", &[]).as_bytes());
    folder
}

#[test]
#[ignore = "needs systemd-analyze"]
fn systemd_finds_no_fault_with_the_units() {
    let folder = units();
    let at = |name: &str| folder.path().join(name);
    // The manual page comes with the package, which `.ci/run` installs.
    let outcome = Program::find(&["systemd-analyze"])
        .args(&["verify", "--man=no"])
        .arg(at("idler.service"))
        .arg(at("idler.socket"))
        .arg(at("idler@8081.service"))
        .run(PATIENCE);
    assert!(
        outcome.status.success() && outcome.stderr.is_empty(),
        "{}",
        outcome.stderr
    );
    // In tenths: 0.4 and 1.1 of 10 when this was written.
    for (name, most) in [("idler.service", "5"), ("idler@8081.service", "12")] {
        let outcome = Program::find(&["systemd-analyze"])
            .args(&[
                "security",
                "--offline=yes",
                "--no-pager",
                "--threshold",
                most,
            ])
            .arg(at(name))
            .run(PATIENCE);
        assert!(
            outcome.status.success(),
            "{}{}",
            outcome.text(),
            outcome.stderr
        );
    }
}

/// The system calls of a group, and of the groups within it.
fn calls_of(group: &str) -> BTreeSet<String> {
    let outcome = Program::find(&["systemd-analyze"])
        .args(&["syscall-filter", "--no-pager", group])
        .run(PATIENCE);
    assert!(outcome.status.success(), "{group}: {}", outcome.stderr);
    let mut calls = BTreeSet::new();
    for line in outcome.text().lines().skip(1).map(str::trim) {
        match line.chars().next() {
            None | Some('#') => {}
            Some('@') => calls.extend(calls_of(line)),
            Some(_) => {
                calls.insert(line.to_owned());
            }
        }
    }
    calls
}

/// Without systemd as init nobody enforces the unit's filter here, so what idler calls is held against it by name.
#[test]
#[ignore = "needs systemd-analyze and strace"]
fn the_units_allow_all_that_idler_calls() {
    let mut allowed = BTreeSet::new();
    for line in shipped("idler.service", &[]).lines() {
        let Some(words) = line.strip_prefix("SystemCallFilter=") else {
            continue;
        };
        let (denies, words) = words
            .strip_prefix('~')
            .map_or((false, words), |w| (true, w));
        for word in words.split(' ') {
            let calls = if word.starts_with('@') {
                calls_of(word)
            } else {
                BTreeSet::from([word.to_owned()])
            };
            for call in calls {
                if denies {
                    allowed.remove(&call);
                } else {
                    allowed.insert(call);
                }
            }
        }
    }
    assert!(allowed.len() > 100, "{allowed:?}");
    assert!(shipped("idler@.service", &[]).contains("SystemCallFilter=~@privileged @resources\n"));

    Program::path(&["strace"]);
    let run = Site::new();
    let (trace, manager) = (run.path().join("trace"), run.path().join("notify"));
    let manager_socket = UnixDatagram::bind(&manager).expect("bound");
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").expect("some port is free");
    let strace = format!(
        "exec 3<&0 0</dev/null; export LISTEN_FDS=1 LISTEN_PID=$$; \
         exec strace -D -q -o {} \"$0\" \"$@\"",
        trace.display()
    );
    let mut idler = Idler::bare()
        .arg(fixture_site())
        .after(&strace)
        .stdin(OwnedFd::from(tcp))
        .env("NOTIFY_SOCKET", &manager)
        .start();
    let mut client = idler.client();
    for target in ["/hello.txt", "/", "/files/", "/picture.png", "/missing"] {
        client.get(target);
    }
    idler.signal(Signal::HUP);
    idler.says(&["looking again"]);
    drop(client);
    idler.signal(Signal::TERM);
    assert_eq!(idler.exit_code(), Some(0));
    drop(manager_socket);
    let called = wait_until("the end of the trace", PATIENCE, || {
        let text = std::fs::read_to_string(&trace).ok()?;
        text.contains("exited with 0").then_some(text)
    });
    let called: BTreeSet<&str> = called
        .lines()
        .filter_map(|line| line.split_once('('))
        .map(|(name, _)| name)
        .filter(|name| {
            name.bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        })
        .collect();
    assert!(
        called.contains("epoll_wait") && called.contains("landlock_restrict_self"),
        "{called:?}"
    );
    let refused: Vec<_> = called
        .iter()
        .filter(|call| !allowed.contains(**call))
        .collect();
    assert!(refused.is_empty(), "the unit does not allow {refused:?}");
}

/// Three idlers with a copy of one site each, behind HAProxy with the shipped configuration.
struct Balanced {
    sites: Vec<Site>,
    idlers: Vec<Running>,
    address: SocketAddr,
    _haproxy: Daemon,
    _configuration: Site,
}

const PAGE: &str = "/page.html";

impl Balanced {
    fn start() -> Self {
        let sites: Vec<Site> = (0..3)
            .map(|_| {
                let site = Site::with(&[("page.html", &[b'x'; 20_000])]);
                // Copied with its date, as rsync -a does.
                site.modified("page.html", 1_700_000_000);
                site
            })
            .collect();
        let idlers: Vec<Running> = sites.iter().map(|site| Self::idler(site, 0)).collect();
        let port = free_port();
        let at: Vec<String> = idlers
            .iter()
            .map(|idler| idler.address().to_string())
            .collect();
        let text = shipped(
            "haproxy.cfg",
            &[
                ("bind :8000", &format!("bind 127.0.0.1:{port}")),
                ("127.0.0.1:8081", &at[0]),
                ("127.0.0.1:8082", &at[1]),
                ("127.0.0.1:8083", &at[2]),
            ],
        );
        let configuration = Site::new();
        let file = configuration.file("haproxy.cfg", text.as_bytes());
        let file = file.to_string_lossy();
        let checked = Program::find(&["haproxy", "/usr/sbin/haproxy"])
            .args(&["-c", "-f", &file])
            .run(PATIENCE);
        assert!(
            checked.status.success() && !checked.stderr.contains("WARNING"),
            "{}",
            checked.stderr
        );
        let program = Program::path(&["haproxy", "/usr/sbin/haproxy"]);
        let address = loopback(port);
        let haproxy = Daemon::start(program, &["-q", "-db", "-f", &file]).at(address);
        let all = Self {
            sites,
            idlers,
            address,
            _haproxy: haproxy,
            _configuration: configuration,
        };
        for idler in &all.idlers {
            // HAProxy asks how each one is before it sends anybody there, and believes that it is well until then.
            wait_until("HAProxy to ask for health", PATIENCE, || {
                idler.stderr().contains(" closed: ").then_some(())
            });
        }
        all
    }

    /// At `port`; long enough a delay for HAProxy to notice, and no longer: the test waits for it each time.
    fn idler(site: &Site, port: u16) -> Running {
        Idler::bare()
            .args(&["-b", "127.0.0.1", "-p", &port.to_string()])
            .args(&["--health", "/health", "--drain-delay", "2s", "-v"])
            .arg(site.path())
            .start()
    }

    /// Ends each idler in turn under load by `end`, and starts it again; returns what became of the requests.
    fn each_in_turn(&mut self, mut end: impl FnMut(&mut Running)) -> crate::support::load::Tally {
        let load = Load::start(
            self.address,
            PAGE,
            &[(Manner::Keeps, 4), (Manner::Leaves, 2)],
        );
        load.goes_on(500);
        for (idler, site) in self.idlers.iter_mut().zip(&self.sites) {
            let port = idler.address().port();
            end(idler);
            load.goes_on(300);
            *idler = Self::idler(site, port);
            wait_until("HAProxy to send somebody there again", PATIENCE, || {
                idler.stdout().contains(PAGE).then_some(())
            });
        }
        load.end()
    }
}

#[test]
#[ignore = "needs haproxy"]
fn behind_haproxy_nobody_notices_a_drain_and_a_kill_costs_what_it_interrupts() {
    let _alone = crate::support::alone();
    let mut balanced = Balanced::start();
    let drained = balanced.each_in_turn(|idler| {
        idler.signal(Signal::TERM);
        assert_eq!(idler.exit_code(), Some(0), "{}", idler.stderr());
    });
    println!("drained: {drained:?}");
    assert_eq!(drained.failures(), 0, "{drained:?}");
    assert_eq!(drained.tags.len(), 1, "{drained:?}");
    assert!(
        drained.tags.iter().all(|tag| tag.starts_with('"')),
        "{drained:?}"
    );

    let killed = balanced.each_in_turn(|idler| {
        idler.signal(Signal::KILL);
        assert_eq!(idler.exit_code(), None);
    });
    println!("killed: {killed:?}");
    // Each of the six clients has one request under way at each of the three kills.
    assert!(killed.failures() <= 6 * 3, "{killed:?}");
    assert_eq!(killed.tags, drained.tags);
}

#[test]
#[ignore = "needs nginx, openssl and curl"]
fn behind_nginx_the_site_is_served_over_tls() {
    let run = Site::new();
    let path = |name: &str| run.path().join(name).to_string_lossy().into_owned();
    let mut idler = Idler::bare().args(&["-b", &format!("unix:{},0660", path("idler.sock"))]);
    // Debian's nginx becomes this user, and so does idler, or they could not meet.
    let mut user = "";
    if rustix::process::geteuid().is_root() {
        user = "user www-data;";
        idler = idler.args(&["--user", "www-data"]);
    }
    let site = Site::with(&[("hello.txt", b"hello\n"), ("files/a", b"a")]);
    let idler = idler.arg(site.path()).spawn();
    idler.says(&["up to"]);
    let made = Program::find(&["openssl"])
        .args(&[
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
        ])
        .args(&[
            "-subj",
            "/CN=www.example.org",
            "-out",
            &path("crt"),
            "-keyout",
            &path("key"),
        ])
        .run(PATIENCE);
    assert!(made.status.success(), "{}", made.stderr);
    let port = free_port().to_string();
    let server = shipped(
        "nginx.conf",
        &[
            ("/run/idler.sock", &path("idler.sock")),
            ("listen 443", &format!("listen 127.0.0.1:{port}")),
            ("listen [::]:443", &format!("listen [::1]:{port}")),
            ("/etc/ssl/www.example.org.crt", &path("crt")),
            ("/etc/ssl/www.example.org.key", &path("key")),
        ],
    );
    let whole = format!(
        "{user} daemon off; pid {pid}; error_log stderr; events {{}}\nhttp {{ access_log off;\n\
         client_body_temp_path {tmp}; proxy_temp_path {tmp}; fastcgi_temp_path {tmp}; uwsgi_temp_path {tmp}; scgi_temp_path {tmp};\n\
         {server}}}\n",
        pid = path("pid"),
        tmp = path("tmp"),
    );
    let configuration = run.file("nginx.conf", whole.as_bytes());
    let program = Program::path(&["nginx", "/usr/sbin/nginx"]);
    let address = loopback(port.parse().expect("a port"));
    let configuration = configuration.to_string_lossy();
    let _nginx = Daemon::start(program, &["-c", &configuration]).at(address);

    let curl = |more: &[&str], target: &str| {
        let outcome = Program::find(&["curl"])
            .args(&["-sSi", "--cacert", &path("crt"), "--connect-to"])
            .args(&[&format!("www.example.org:443:127.0.0.1:{port}")])
            .args(more)
            .arg(format!("https://www.example.org{target}"))
            .run(PATIENCE);
        assert!(outcome.status.success(), "{}", outcome.stderr);
        outcome.text()
    };
    let reply = curl(&[], "/hello.txt");
    assert!(
        reply.starts_with("HTTP/2 200") && reply.ends_with("hello\n"),
        "{reply}"
    );
    let tag = reply
        .lines()
        .find_map(|line| line.strip_prefix("etag: "))
        .unwrap_or_else(|| panic!("no tag: {reply}"));
    let again = curl(&["-H", &format!("If-None-Match: {tag}")], "/hello.txt");
    assert!(again.starts_with("HTTP/2 304"), "{again}");
    assert!(curl(&["-r", "0-1"], "/hello.txt").ends_with("\r\n\r\nhe"));
    assert!(curl(&[], "/missing").starts_with("HTTP/2 404"));
    let moved = curl(&[], "/files");
    assert!(moved.contains("location: /files/"), "{moved}");
    assert!(idler.stdout().contains("GET /hello.txt"));
    idler.stop();
}

/// The static program, which `.ci/run` builds.
fn static_program() -> PathBuf {
    let folder = repository("target/static");
    let targets = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    targets
        .map(|target| target.path().join("release/idler"))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("this test needs {}: `.ci/run` builds it", folder.display()))
}

/// What stands behind a word of the Containerfile, each time it stands at the beginning of a line.
fn said<'a>(containerfile: &'a str, word: &str) -> Vec<&'a str> {
    let lines = containerfile.lines();
    lines
        .filter_map(|line| line.strip_prefix(word)?.strip_prefix(' '))
        .collect()
}

/// The strings of a list of strings, such as `["/idler"]`.
fn strings(list: &str) -> Vec<String> {
    serde_json::from_str(list).expect("a list of strings")
}

/// A container engine would do what this test does: copy what is copied, set what is set, become who is to be become.
#[test]
#[ignore = "needs the static build, chroot and root"]
fn the_containerfile_makes_a_server_of_nothing_but_the_static_program() {
    let port = free_port().to_string();
    let text = shipped("Containerfile", &[("8080", &port)]);
    assert_eq!(said(&text, "FROM"), ["scratch"]);
    let root = Site::new();
    for copied in said(&text, "COPY") {
        let (from, to) = copied.split_once(' ').expect("from and to");
        let to = root.path().join(to.trim_start_matches('/'));
        std::fs::create_dir_all(to.parent().expect("not the root")).expect("made");
        let from = match from {
            "idler" => static_program(),
            "site" => fixture_site(),
            other => panic!("what is {other}?"),
        };
        let copied = Program::find(&["cp"])
            .arg("-r")
            .arg(from)
            .arg(to)
            .run(PATIENCE);
        assert!(copied.status.success(), "{}", copied.stderr);
    }
    let mut command = Command::new(Program::path(&["chroot", "/usr/sbin/chroot"]));
    // So Kubernetes does for a service of this name.
    command.env_clear().env("IDLER_PORT", "tcp://10.0.0.1:8080");
    for pair in said(&text, "ENV").join(" ").split(" IDLER_") {
        let (name, value) = pair.split_once('=').expect("name=value");
        let name = format!("IDLER_{}", name.trim_start_matches("IDLER_"));
        command.env(name, value.trim_matches('"'));
    }
    let user = said(&text, "USER")[0];
    assert_ne!(user.split(':').next(), Some("0"));
    let enter = |command: &mut Command, words: &[String]| {
        command
            .arg(format!("--userspec={user}"))
            .arg(root.path())
            .args(words);
    };
    let words = [said(&text, "ENTRYPOINT"), said(&text, "CMD")].concat();
    enter(
        &mut command,
        &words
            .iter()
            .flat_map(|list| strings(list))
            .collect::<Vec<_>>(),
    );
    let out = root.beside("out");
    let child = command
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(&out).expect("a file"))
        .stderr(Stdio::inherit())
        .spawn()
        .expect("chroot runs");
    let address = loopback(port.parse().expect("a port"));
    let mut daemon = Daemon(child).at(address);
    let reply = crate::support::Client::connect(address).get("/hello.txt");
    assert_eq!(reply.body, b"hello\n");
    let v6 = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, address.port()));
    if std::net::TcpListener::bind("[::1]:0").is_ok() {
        assert_eq!(
            crate::support::Client::connect(v6).get("/hello.txt").status,
            200
        );
    }
    let id = daemon.0.id();
    let ids = crate::support::proc::Proc(id).status("Uid");
    assert!(
        ids.split_whitespace()
            .all(|id| Some(id) == user.split(':').next()),
        "{ids}"
    );

    // Its health is asked for by the program itself: there is no other.
    let health = said(&text, "HEALTHCHECK")[0].trim_start_matches("CMD ");
    let health = strings(health);
    let asked = |code| {
        let mut command = Command::new(Program::path(&["chroot", "/usr/sbin/chroot"]));
        command.env_clear();
        enter(&mut command, &health);
        let outcome = Program::from(command).run(PATIENCE);
        assert_eq!(
            outcome.status.code(),
            Some(code),
            "{}{}",
            outcome.text(),
            outcome.stderr
        );
    };
    asked(0);
    assert_eq!(said(&text, "STOPSIGNAL"), ["SIGTERM"]);
    daemon.terminate();
    // It drains for as long as the file says, and is not well meanwhile.
    wait_until("it to say that it stops", PATIENCE, || {
        let reply = crate::support::Client::connect(address).get("/health");
        (reply.status == 503).then_some(())
    });
    asked(5);
    let status = crate::support::program::ended(&mut daemon.0, PATIENCE);
    assert_eq!(status.and_then(|s| s.code()), Some(0));
    assert!(
        std::fs::read_to_string(out)
            .expect("a log")
            .contains("GET /hello.txt")
    );
}

fn written(name: &str, folder: &Site, args: &[&str]) -> PathBuf {
    let outcome = Idler::bare().args(args).run();
    assert_eq!(outcome.status.code(), Some(0), "{}", outcome.stderr);
    folder.file(name, &outcome.stdout)
}

#[test]
#[ignore = "needs groff, bash, zsh and fish"]
fn readers_and_shells_take_what_is_made_for_them() {
    let folder = Site::new();
    let page = written("idler.1", &folder, &["man"]);
    let outcome = Program::find(&["groff"])
        .args(&["-ww", "-man", "-Tutf8", "-z"])
        .arg(&page)
        .run(PATIENCE);
    assert!(
        outcome.status.success() && outcome.stderr.is_empty(),
        "{}",
        outcome.stderr
    );
    for shell in ["bash", "zsh", "fish"] {
        let script = written(shell, &folder, &["completions", shell]);
        let outcome = Program::find(&[shell]).arg("-n").arg(&script).run(PATIENCE);
        assert!(
            outcome.status.success() && outcome.stderr.is_empty(),
            "{shell}: {}",
            outcome.stderr
        );
    }
    let completed = |typed: &str| completed_by_bash(&folder.path().join("bash"), typed);
    assert_eq!(completed("idler --po"), "--port");
    assert_eq!(completed("idler pre"), "precompress");
    assert_eq!(completed("idler serve --log-format j"), "json");
    assert_eq!(completed("idler get --keep"), "--keep");
    assert_eq!(completed("idler completions z"), "zsh");
    let offered = Program::find(&["fish"])
        .args(&["-c", "source $argv[1]; complete -C 'idler --reuse-'"])
        .arg(folder.path().join("fish"))
        .run(PATIENCE);
    assert!(
        offered.text().starts_with("--reuse-port"),
        "{}{}",
        offered.text(),
        offered.stderr
    );
}

/// What bash makes of a line when its user asks for the rest of the last word.
fn completed_by_bash(script: &Path, typed: &str) -> String {
    let function = "source \"$1\"; read -ra COMP_WORDS <<<\"$2\"; COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); \
        COMP_LINE=$2; COMP_POINT=${#2}; spec=$(complete -p idler); \
        function=${spec#*-F }; ${function%% *}; echo \"${COMPREPLY[*]}\"";
    let outcome = Program::find(&["bash"])
        .args(&["--norc", "-c", function, "bash"])
        .arg(script)
        .arg(typed)
        .run(PATIENCE);
    assert!(outcome.status.success(), "{}", outcome.stderr);
    outcome.text().trim().to_owned()
}
