//! `--proxy-from`: the PROXY protocol, and fields that say for whom a proxy asks.
//!
//! It may not know how a header is read. Invariant: a trusted proxy is believed, and nobody else. Every test client has a loopback
//! address, so that 127.0.0.1 is the proxy. Read next: `operation.rs`.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::http::Trouble;
use crate::support::program::Program;
use crate::support::{Client, Idler, PATIENCE, Running, Site, wait_until};

const GET: &str = "GET /a HTTP/1.1\r\nHost: x\r\n";
const V1: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n";
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x13\xc0\0\x02\x02\xc6\x33\x64\x01\xdc\x04\x01\xbb\x03\0\x04\x01\x02\x03\x04";

fn start(args: &[&str]) -> (Site, Running) {
    let site = Site::with(&[("a", b"a")]);
    let idler = Idler::serve(site.path()).args(args).start();
    (site, idler)
}

/// A client that has sent these bytes.
fn begin(idler: &Running, bytes: &[u8]) -> Client {
    let mut client = idler.client();
    client.send(bytes).expect("it listens");
    client
}

/// Whom the last line of the log names.
fn last_client(idler: &Running, lines: usize) -> String {
    let lines = idler.lines(lines);
    let last = lines.last().expect("there is one");
    last.split(' ').next().unwrap_or_default().to_owned()
}

#[test]
fn a_header_names_the_client_however_it_is_cut() {
    let (_site, idler) = start(&["--proxy-from", "127.0.0.1"]);
    let request = format!("{GET}\r\n");
    let mut count = 0;
    for (header, client) in [(V1, "192.0.2.1"), (V2, "192.0.2.2")] {
        let all = [header, request.as_bytes()].concat();
        for cut in 0..=all.len() {
            let mut proxy = idler.client();
            proxy.send(&all[..cut]).expect("it listens");
            proxy.send(&all[cut..]).expect("it listens");
            assert_eq!(proxy.reply().status, 200, "{cut}");
            count += 1;
            // It holds for all requests of the connection.
            if cut == 0 {
                assert_eq!(proxy.get("/missing").status, 404);
                count += 1;
            }
            assert_eq!(last_client(&idler, count), client, "{cut}");
        }
        let mut proxy = idler.client();
        for byte in all {
            proxy.send([byte]).expect("it listens");
        }
        assert_eq!(proxy.reply().status, 200);
        count += 1;
        assert_eq!(last_client(&idler, count), client);
    }
    idler.stop();
}

#[test]
fn a_trusted_proxy_may_also_speak_plainly_or_for_itself() {
    let (_site, idler) = start(&["--proxy-from", "127.0.0.1"]);
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    for (number, (bytes, client)) in [
        (&b""[..], "127.0.0.1"),
        (b"\r\n", "127.0.0.1"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
        (local, "127.0.0.1"),
        (b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n", "2001:db8::1"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut proxy = begin(&idler, bytes);
        assert_eq!(proxy.get("/a").status, 200);
        assert_eq!(last_client(&idler, number + 1), client);
    }
    let mut proxy = begin(&idler, b"");
    for (number, (fields, client)) in [
        ("X-Forwarded-For: 203.0.113.9, 192.0.2.3\r\n", "192.0.2.3"),
        ("X-Forwarded-For: 192.0.2.4, 127.0.0.1\r\n", "192.0.2.4"),
        (
            "Forwarded: for=\"[2001:db8::5]:80\";proto=https\r\n",
            "2001:db8::5",
        ),
        (
            "Forwarded: for=192.0.2.6\r\nX-Forwarded-For: 192.0.2.7\r\n",
            "unknown",
        ),
        ("", "127.0.0.1"),
    ]
    .into_iter()
    .enumerate()
    {
        proxy.ask("GET", "/a", fields);
        assert_eq!(proxy.reply().status, 200);
        assert_eq!(last_client(&idler, number + 6), client, "{fields}");
    }
    // Whoever was introduced is no trusted proxy, so its fields are its own words.
    let mut proxy = begin(&idler, V1);
    proxy.ask("GET", "/a", "X-Forwarded-For: 192.0.2.8\r\n");
    assert_eq!(proxy.reply().status, 200);
    assert_eq!(last_client(&idler, 11), "192.0.2.1");
    idler.stop();
}

#[test]
fn nobody_else_is_believed() {
    let (_site, idler) = start(&["--proxy-from", "192.0.2.0/24"]);
    let mut proxy = idler.client();
    proxy.ask("GET", "/a", "X-Forwarded-For: 192.0.2.8\r\n");
    assert_eq!(proxy.reply().status, 200);
    assert_eq!(last_client(&idler, 1), "127.0.0.1");
    for header in [V1, V2] {
        let all = [header, b"\r\n\r\n"].concat();
        assert_eq!(begin(&idler, &all).reply().status, 400);
    }
    idler.stop();
}

#[test]
fn a_header_that_breaks_a_rule_ends_the_connection() {
    let (_site, idler) = start(&[
        "--proxy-from",
        "127.0.0.1",
        "--head-timeout",
        "1s",
        "--status",
        "/figures",
    ]);
    let long = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 200]].concat();
    let v1 = b"PROXY TCP4 192.0.2.1 nowhere 1 2\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n".as_slice();
    let overlong = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff".as_slice();
    for bytes in [v1, &long, overlong] {
        let trouble = begin(&idler, bytes).try_reply(false).expect_err("no reply");
        assert!(
            matches!(trouble, Trouble::Closed | Trouble::Reset),
            "{trouble}"
        );
    }
    for words in [
        "none of its family",
        "longer than 107",
        "longer than is accepted",
    ] {
        idler.says(&["PROXY protocol", words]);
    }
    let text = idler.get("/figures").text();
    assert!(
        text.contains("closed_total{reason=\"proxy_header\"} 3\n"),
        "{text}"
    );
    // The time of a head counts over it.
    let mut slow = begin(&idler, &V1[..20]);
    assert_eq!(slow.reply().status, 408);
    idler.stop();
}

#[test]
fn limits_are_for_the_client_of_a_trusted_proxy() {
    let (_site, idler) = start(&[
        "--proxy-from",
        "127.0.0.1",
        "--allow",
        "192.0.2.0/24",
        "--max-per-address",
        "1",
        "--status",
        "/figures",
        "--status-from",
        "192.0.2.2",
    ]);
    let other = V1
        .iter()
        .map(|&b| if b == b'2' { b'3' } else { b })
        .collect::<Vec<u8>>();
    let trouble = begin(&idler, &other)
        .try_reply(false)
        .expect_err("not allowed");
    assert!(
        matches!(trouble, Trouble::Closed | Trouble::Reset),
        "{trouble}"
    );
    idler.says(&["the proxy's client is not in --allow"]);
    // Whom its fields name is asked for each request; the proxy itself is no client that is allowed.
    let mut proxy = idler.client();
    for (fields, status) in [
        ("X-Forwarded-For: 192.0.2.9\r\n", 200),
        ("X-Forwarded-For: 203.0.113.9\r\n", 403),
        ("X-Forwarded-For: unknown\r\n", 403),
        ("", 403),
    ] {
        proxy.ask("GET", "/a", fields);
        assert_eq!(proxy.reply().status, status, "{fields}");
    }
    // One connection of each address, as its header says; the proxy has as many as it wants.
    let mut first = begin(&idler, V1);
    assert_eq!(first.get("/a").status, 200);
    let mut second = begin(&idler, V1);
    assert_eq!(second.reply().status, 503);
    let mut third = begin(&idler, V2);
    assert_eq!(third.get("/a").status, 200);
    assert_eq!(first.get("/figures").status, 404);
    let text = third.get("/figures").text();
    for reason in ["allow", "max_per_address"] {
        let line = format!("idler_connections_closed_total{{reason=\"{reason}\"}} 1\n");
        assert!(text.contains(&line), "{text}");
    }
    drop((first, second));
    wait_until("a free place", PATIENCE, || {
        let mut again = begin(&idler, &[V1, GET.as_bytes(), b"\r\n"].concat());
        (again.reply().status == 200).then_some(())
    });
    idler.stop();
}

#[test]
fn whoever_comes_through_a_unix_socket_can_be_trusted() {
    for (trusts, client) in [(true, "192.0.2.1"), (false, "unix")] {
        let site = Site::with(&[("a", b"a")]);
        let socket = site.beside("socket");
        let proxies: &[&str] = if trusts {
            &["--proxy-from", "unix"]
        } else {
            &[]
        };
        let idler = Idler::serve(site.path())
            .args(proxies)
            .args(&["-b", "127.0.0.1", "-b"])
            .arg(format!("unix:{}", socket.display()))
            .start();
        let mut stream = UnixStream::connect(&socket).expect("its permissions allow it");
        let request = format!("{GET}X-Forwarded-For: 192.0.2.1\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it listens");
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).expect("a reply");
        assert!(reply.starts_with(b"HTTP/1.1 200 "));
        assert_eq!(last_client(&idler, 1), client);
        idler.stop();
    }
}

/// Another program that listens at a port; ended by its own process id.
struct Proxy {
    child: Child,
    port: u16,
    site: Site,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Proxy {
    /// Starts `program` with what `configure` says for a free port, and waits until it listens.
    fn start(program: &str, args: &[&str], configure: impl Fn(u16, &Path) -> String) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = free.expect("there are free ports").port();
        let site = Site::new();
        let config = site.file("config", configure(port, site.path()).as_bytes());
        let log = fs::File::create(site.path().join("said")).expect("a file");
        let child = Command::new(Program::path(&[program]))
            .args(args)
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("it can be started");
        let proxy = Self { child, port, site };
        wait_until("a proxy that listens", PATIENCE, || {
            std::net::TcpStream::connect(("127.0.0.1", port)).ok()
        });
        proxy
    }

    fn get(&self) {
        let address = ([127, 0, 0, 1], self.port).into();
        let mut client = Client::connect(address).patience(Duration::from_secs(10));
        client.ask(
            "GET",
            "/a",
            "X-Forwarded-For: 203.0.113.9\r\nConnection: close\r\n",
        );
        let reply = client.try_reply(false);
        let said = fs::read_to_string(self.site.path().join("said")).unwrap_or_default();
        assert!(reply.is_ok_and(|reply| reply.status == 200), "{said}");
    }
}

/// The log of an idler that a real proxy has asked: the proxy connects from 127.0.0.2, its client from 127.0.0.1.
fn seen_behind(program: &str, args: &[&str], configure: impl Fn(u16, u16, &Path) -> String) {
    let site = Site::with(&[("a", b"a")]);
    let idler = Idler::serve(site.path())
        .args(&["-b", "127.0.0.1", "--proxy-from", "127.0.0.2"])
        .start();
    let port = idler.address().port();
    let proxy = Proxy::start(program, args, |own, folder| configure(own, port, folder));
    proxy.get();
    proxy.get();
    wait_until("both in the log", PATIENCE, || {
        let said = idler.stdout();
        let lines = said
            .lines()
            .filter(|line| line.starts_with("127.0.0.1 ") && line.contains("GET /a"));
        (lines.count() == 2).then_some(())
    });
    idler.stop();
}

fn haproxy(how: &str) {
    seen_behind("haproxy", &["-db", "-f"], |own, idler, _| {
        format!(
            "defaults\n mode http\n timeout connect 5s\n timeout client 5s\n timeout server 5s\n\
             listen front\n bind 127.0.0.1:{own}\n server idler 127.0.0.1:{idler} source 127.0.0.2 {how}\n"
        )
    });
}

#[test]
#[ignore = "needs haproxy"]
fn haproxy_introduces_its_clients_in_both_versions() {
    haproxy("send-proxy");
    haproxy("send-proxy-v2");
    haproxy("send-proxy-v2 proxy-v2-options crc32c,unique-id");
}

#[test]
#[ignore = "needs nginx"]
fn nginx_names_its_clients_in_a_field() {
    seen_behind("nginx", &["-e", "stderr", "-c"], |own, idler, folder| {
        let folder = folder.display();
        format!(
            "daemon off; master_process off; pid {folder}/pid; error_log stderr;\n\
             events {{}}\nhttp {{ access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;\n\
             fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n\
             server {{ listen 127.0.0.1:{own}; location / {{ proxy_pass http://127.0.0.1:{idler};\n\
             proxy_bind 127.0.0.2; proxy_set_header Host $host;\n\
             proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; }} }} }}\n"
        )
    });
}
