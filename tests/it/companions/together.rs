//! All at once: HTTP and the companions in one process, on one thread, beside a crowd.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use super::run;
use crate::support::idler::free_port;
use crate::support::proc::descriptor_limit;
use crate::support::{Client, Idler, Running, Site, fixture_site, wait_until};

/// HTTP, daytime, ping, transfer and message on one loop.
struct House {
    idler: Running,
    ports: [String; 4],
}

fn house(file: &std::path::Path) -> House {
    let ports = [(); 4].map(|()| free_port().to_string());
    let [daytime, ping, transfer, message] = &ports;
    let with = format!(
        "daytime={daytime},ping={ping},transfer={transfer}:{},message={message}",
        file.display()
    );
    let idler = Idler::serve(fixture_site())
        .args(&[
            "--with",
            &with,
            "--idle-timeout",
            "10m",
            "--access-log",
            "off",
        ])
        .env("RUST_LOG", "idler=warn")
        .start();
    House { idler, ports }
}

/// Uses each companion and HTTP once.
fn use_all(house: &House) {
    let [daytime, ping, transfer, message] = &house.ports;
    assert_eq!(house.idler.get("/hello.txt").status, 200);
    let host = "127.0.0.1";
    assert_eq!(
        run(&["daytime-client", host, daytime]).status.code(),
        Some(0)
    );
    assert_eq!(
        run(&["message-client", host, message]).text(),
        "reply is: Yes\n"
    );
    let pings = run(&["ping-client", host, ping, "-c", "5", "-i", "10ms", "--json"]);
    assert!(pings.text().contains("\"received\": 5"), "{}", pings.text());
    let to = Site::new();
    let directory = to.path().to_str().expect("ours");
    let got = run(&["transfer-client", host, transfer, "-o", directory]);
    assert_eq!(got.status.code(), Some(0), "{}", got.stderr);
}

#[test]
fn http_and_companions_share_one_thread() {
    let site = Site::with(&[("file", b"some bytes")]);
    let house = house(&site.path().join("file"));
    use_all(&house);
    assert_eq!(house.idler.proc().threads(), 1);
    house.idler.stop();
}

#[test]
fn a_flood_of_datagrams_does_not_starve_http() {
    let site = Site::with(&[("file", b"some bytes")]);
    let house = house(&site.path().join("file"));
    let ping: SocketAddr = format!("127.0.0.1:{}", house.ports[1])
        .parse()
        .expect("an address");
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let flood = std::thread::spawn(move || {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("some port is free");
        let mut sent = 0_u64;
        while ended.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            sent += u64::from(socket.send_to(b"Ping 1 1.0", ping).is_ok());
        }
        sent
    });
    let mut client = house.idler.client();
    let mut slowest = Duration::ZERO;
    for _ in 0..200 {
        let begin = Instant::now();
        assert_eq!(client.get("/hello.txt").status, 200);
        slowest = slowest.max(begin.elapsed());
    }
    drop(end);
    let sent = flood.join().expect("it ends");
    println!("{sent} datagrams beside 200 requests, the slowest of which took {slowest:?}");
    assert!(sent > 1000, "that was no flood: {sent}");
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    house.idler.stop();
}

#[test]
fn a_companions_port_in_use_is_an_error_at_the_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("some port is free");
    let port = taken.local_addr().expect("it is bound").port();
    let outcome = run(&[
        "serve",
        "-p",
        "0",
        "--with",
        &format!("daytime={port}"),
        ".",
    ]);
    assert_eq!(outcome.status.code(), Some(1));
    assert!(
        outcome.stderr.contains(&port.to_string()),
        "{}",
        outcome.stderr
    );
}

const CROWD: &str = "IDLER_TESTS_CROWD";
const CROWD_SIZE: u64 = 10_000;

/// A crowd of idle clients in a process of its own, since each of them is a descriptor.
struct Crowd {
    child: Child,
    /// Kept, or what the process says at its end would fail.
    out: BufReader<ChildStdout>,
}

impl Crowd {
    fn hold(address: SocketAddr, size: u64) -> Self {
        let me = std::env::current_exe().expect("a test is a program");
        let mut child = Command::new(me)
            .args([
                "--exact",
                "companions::together::a_crowd",
                "--ignored",
                "--nocapture",
            ])
            .env(CROWD, format!("{address} {size}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a test can be run");
        let mut out = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        while !line.contains("held") {
            line.clear();
            let n = out.read_line(&mut line).expect("it is text");
            assert!(n > 0, "the crowd did not come together");
        }
        Self { child, out }
    }

    /// Lets them go, if they were served to the end.
    fn release(mut self) {
        drop(self.child.stdin.take());
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).expect("it is text");
        let status = self.child.wait().expect("a child can be waited for");
        assert!(status.success(), "{rest}");
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "is started by the test below, in a process of its own"]
fn a_crowd() {
    let Ok(asked) = std::env::var(CROWD) else {
        return;
    };
    let (address, size) = asked.split_once(' ').expect("an address and a number");
    let address: SocketAddr = address.parse().expect("an address");
    let size: usize = size.parse().expect("a number");
    let mut crowd: Vec<Client> = (0..size).map(|_| Client::connect(address)).collect();
    // Each has been served once, and stays.
    for client in crowd.iter_mut().step_by(100) {
        assert_eq!(client.get("/hello.txt").status, 200);
    }
    println!("held");
    let mut rest = Vec::new();
    std::io::stdin()
        .read_to_end(&mut rest)
        .expect("until it is over");
    for client in crowd.iter_mut().step_by(1000) {
        assert_eq!(client.get("/hello.txt").status, 200, "alive to the end");
    }
}

#[test]
fn all_at_once_beside_ten_thousand_idle_clients() {
    let size = CROWD_SIZE.min(descriptor_limit().saturating_sub(500));
    if size < CROWD_SIZE {
        println!("the limit of descriptors allows {size} clients instead of {CROWD_SIZE}");
    }
    let site = Site::with(&[("file", &[7; 100_000])]);
    let house = house(&site.path().join("file"));
    let before = house.idler.proc().descriptors();
    let crowd = Crowd::hold(house.idler.address(), size);
    let all = before + usize::try_from(size).expect("it fits");
    wait_until("all to be accepted", Duration::from_secs(60), || {
        (house.idler.proc().descriptors() >= all).then_some(())
    });
    let begin = Instant::now();
    for _ in 0..3 {
        use_all(&house);
    }
    println!(
        "three rounds of everything beside {size} idle clients took {:?}",
        begin.elapsed()
    );
    assert_eq!(house.idler.proc().threads(), 1);

    // Clients of the companions that stall are idle as well.
    let transfer: SocketAddr = format!("127.0.0.1:{}", house.ports[2])
        .parse()
        .expect("an address");
    let stalled: Vec<TcpStream> = (0..20)
        .map(|_| TcpStream::connect(transfer).expect("it listens"))
        .collect();
    use_all(&house);
    drop(stalled);
    assert!(
        house.idler.proc().descriptors() >= all,
        "the crowd is still there"
    );
    crowd.release();
    house.idler.stop();
}
