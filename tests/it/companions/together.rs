//! All at once: HTTP and the companions in one process, on one thread, beside a crowd.

use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::run;
use crate::support::idler::free_port;
use crate::support::proc::descriptor_limit;
use crate::support::{Idler, Running, Site, fixture_site, wait_until};

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

const CROWD_SIZE: u64 = 10_000;

#[test]
fn all_at_once_beside_ten_thousand_idle_clients() {
    let size = CROWD_SIZE.min(descriptor_limit().saturating_sub(500));
    if size < CROWD_SIZE {
        println!("the limit of descriptors allows {size} clients instead of {CROWD_SIZE}");
    }
    let site = Site::with(&[("file", &[7; 100_000])]);
    let house = house(&site.path().join("file"));
    let before = house.idler.proc().descriptors();
    let port = house.idler.address().port().to_string();
    let count = size.to_string();
    let mut crowd = Idler::verb("crowd")
        .args(&["127.0.0.1", &port, "-n", &count, "--rate", "10000"])
        .args(&[
            "--mode",
            "keep-alive",
            "--path",
            "/hello.txt",
            "--duration",
            "600s",
        ])
        .spawn();
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
    crowd.signal(Signal::INT);
    assert_eq!(crowd.exit_code(), Some(0), "{}", crowd.stdout());
    house.idler.stop();
}
