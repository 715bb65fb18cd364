//! Clients that are slow, silent or gone: when each is cut off, what it costs meanwhile, and what others notice.
//!
//! It may not know the numbers in the program: each test sets its own. Invariant: whoever is cut off, the log names the limit that
//! did it; and an honest client is answered all the while. Read next: `limits.rs`.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use idler::limits::UNSENT_BYTES_MIN;

use crate::support::{Client, Idler, PATIENCE, Running, Site, wait_until};

/// How many of a kind attack at once.
const CROWD: usize = 100;

/// Bytes that one of them may cost, beside what it has sent.
const EACH: u64 = 4 << 10;

fn site() -> Site {
    let site = Site::with(&[("small.txt", b"small\n")]);
    site.age("small.txt");
    for (name, length) in [("large.bin", 64 << 20), ("medium.bin", 3 << 20)] {
        site.sparse(name, length);
        site.age(name);
    }
    site
}

fn start(site: &Site) -> Running {
    Idler::serve(site.path())
        .args(&["--head-timeout", "1s", "--idle-timeout", "1s"])
        .args(&["--stall-timeout", "1s", "--access-log", "off"])
        .start()
}

/// Lets a crowd do its worst, a step each in turn, until the server has hung up on all of them. Returns how long that took.
///
/// Honest clients are answered all the while, and no memory is left behind.
fn attack(
    idler: &Running,
    costs: u64,
    limit: &str,
    mut begin: impl FnMut(&mut Client),
    mut step: impl FnMut(&mut Client),
) -> Duration {
    let get = || assert_eq!(idler.get("/small.txt").body, b"small\n");
    get();
    let before = idler.proc().anonymous_bytes();
    let mut crowd: Vec<Option<Client>> = (0..CROWD).map(|_| Some(idler.client())).collect();
    crowd.iter_mut().flatten().for_each(&mut begin);
    let since = Instant::now();
    let (mut most, mut honest) = (0, 0);
    while crowd.iter().any(Option::is_some) {
        assert!(since.elapsed() < PATIENCE, "some are never cut off");
        for one in &mut crowd {
            if let Some(client) = one {
                step(client);
                if client.is_closed() {
                    *one = None;
                }
            }
        }
        get();
        honest += 1;
        most = most.max(idler.proc().anonymous_bytes().saturating_sub(before));
    }
    let took = since.elapsed();
    println!("{limit}: {took:?}, {most} bytes, {honest} honest replies");
    assert!(most < CROWD as u64 * costs + (1 << 20), "{most} bytes");
    idler.says(&["[", limit]);
    took
}

/// Not before its time, nor long after it.
fn in_time(took: Duration) {
    assert!(took > Duration::from_millis(900), "{took:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
}

fn send(client: &mut Client, bytes: &str) {
    // Whoever is cut off already hears of it when it reads.
    let _ = client.send(bytes);
}

#[test]
fn heads_a_byte_at_a_time() {
    let (site, mut sent) = (site(), 0);
    let idler = start(&site);
    let took = attack(
        &idler,
        EACH,
        "--head-timeout",
        |client| send(client, "GET /small.txt HTTP/1.1\r\nX: "),
        |client| {
            sent += 1;
            send(client, "x");
        },
    );
    in_time(took);
    idler.stop();
}

#[test]
fn heads_that_never_end() {
    let site = site();
    let idler = start(&site);
    let head = format!("GET / HTTP/1.1\r\n{}", "X: xxxxxxxxxxxxx\r\n".repeat(4_000));
    let took = attack(
        &idler,
        16 << 10,
        "431",
        |client| send(client, &head),
        |client| send(client, "X: "),
    );
    // They are told, and hung up on, while they go on.
    assert!(took < Duration::from_secs(10), "{took:?}");
    idler.stop();
}

/// Also from an address that is believed, a header of the PROXY protocol has an end in time and in bytes.
#[test]
fn introductions_that_never_end() {
    let site = site();
    let idler = Idler::serve(site.path())
        .args(&["--head-timeout", "1s", "--access-log", "off"])
        .args(&["--proxy-from", "127.0.0.1"])
        .start();
    let announced = |bytes: u16| {
        let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11".to_vec();
        header.extend(bytes.to_be_bytes());
        header.extend([192, 0, 2, 1, 198, 51, 100, 1, 0, 1, 0, 2]);
        header
    };
    let slowly = |header: &[u8], step: &str| {
        let took = attack(
            &idler,
            EACH,
            "--head-timeout",
            |client| drop(client.send(header)),
            |client| send(client, step),
        );
        in_time(took);
    };
    slowly(b"PROXY UNKNOWN ", "");
    slowly(&announced(4080), "x");
    // A whole flood of values is read over, and one that is too long is not waited for.
    let mut longest = announced(4080);
    longest.extend([4, 0, 0].repeat(4068 / 3));
    let mut client = idler.client();
    client.send(&longest).expect("it listens");
    assert_eq!(client.get("/small.txt").body, b"small\n");
    attack(
        &idler,
        EACH,
        "longer than is accepted",
        |client| drop(client.send(announced(u16::MAX))),
        |client| send(client, &"\x04\0\0".repeat(1000)),
    );
    idler.stop();
}

#[test]
fn bodies_a_byte_at_a_time() {
    let site = site();
    let idler = start(&site);
    for length in ["Content-Length: 60000", "Transfer-Encoding: chunked"] {
        let took = attack(
            &idler,
            EACH,
            "the body of a request took longer than --head-timeout",
            |client| {
                client.ask("POST", "/small.txt", &format!("{length}\r\n"));
                send(client, "ea60\r\n");
            },
            |client| send(client, "x"),
        );
        in_time(took);
    }
    idler.stop();
}

#[test]
fn silence() {
    let site = site();
    let idler = start(&site);
    in_time(attack(&idler, EACH, "--idle-timeout", |_| {}, |_| {}));
    idler.stop();
}

#[test]
fn half_closes() {
    let site = site();
    let idler = start(&site);
    for (before, words) in [
        ("", "the client hung up"),
        ("GET /small.txt HT", "in the middle of a request"),
    ] {
        let took = attack(
            &idler,
            EACH,
            words,
            |client| {
                send(client, before);
                client.half_close();
            },
            |_| {},
        );
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
    idler.stop();
}

/// Asks for what is larger than all buffers; the rest is up to the reader.
fn ask_much(idler: &Running) -> Vec<Client> {
    ask_for("/large.bin", idler)
}

fn ask_for(path: &str, idler: &Running) -> Vec<Client> {
    let mut crowd: Vec<Client> = (0..CROWD).map(|_| idler.client()).collect();
    for client in &mut crowd {
        client.ask("GET", path, "");
    }
    crowd
}

/// Lines at `-v` that say this.
fn said(idler: &Running, words: &str) -> usize {
    idler.stderr().lines().filter(|l| l.contains(words)).count()
}

#[test]
fn readers_that_never_read_and_those_of_a_byte_now_and_then() {
    let site = site();
    let idler = start(&site);
    assert_eq!(idler.get("/small.txt").body, b"small\n");
    let before = idler.proc().anonymous_bytes();
    let begin = Instant::now();
    let mut crowd = ask_much(&idler);
    let mut most = 0;
    while said(&idler, "--stall-timeout") < CROWD {
        assert!(
            begin.elapsed() < PATIENCE,
            "{}",
            said(&idler, "--stall-timeout")
        );
        // Half of them take a byte.
        for client in &mut crowd[CROWD / 2..] {
            let _ = client.skip(1);
        }
        assert_eq!(idler.get("/small.txt").body, b"small\n");
        most = most.max(idler.proc().anonymous_bytes().saturating_sub(before));
    }
    in_time(begin.elapsed());
    println!("{:?}, {most} bytes", begin.elapsed());
    assert!(most < CROWD as u64 * EACH + (1 << 20), "{most} bytes");
    idler.stop();
}

/// The kernel's memory for TCP is bounded and everybody's: what it holds for those who do not read is missing to the others. It would
/// take 4 MB for each.
#[test]
fn the_kernel_does_not_hold_megabytes_for_each_who_does_not_read() {
    let site = site();
    let idler = start(&site);
    let crowd = ask_much(&idler);
    let port = idler.address().port();
    let mut most = 0;
    wait_until("those readers to be given up", PATIENCE, || {
        most = most.max(unsent(port));
        assert!(most < (CROWD as u64) << 20, "the kernel holds {most} bytes");
        (said(&idler, "--stall-timeout") == CROWD).then_some(())
    });
    println!("{most} bytes");
    assert!(
        most > CROWD as u64 * u64::from(UNSENT_BYTES_MIN) / 2,
        "{most} bytes"
    );
    drop(crowd);
    idler.stop();
}

/// Nor the whole of a file that would fit there: who is sent nothing more would no longer be noticed.
#[test]
fn a_file_that_the_kernel_could_take_whole_is_not_left_to_it() {
    let site = site();
    let idler = start(&site);
    let crowd = ask_for("/medium.bin", &idler);
    let port = idler.address().port();
    let mut most = 0;
    wait_until("those readers to be given up", PATIENCE, || {
        most = most.max(unsent(port));
        assert!(most < (CROWD as u64) << 20, "the kernel holds {most} bytes");
        (said(&idler, "--stall-timeout") == CROWD).then_some(())
    });
    drop(crowd);
    idler.stop();
}

/// Bytes that a server's sockets hold: sent and not acknowledged, or not sent yet.
fn unsent(server: u16) -> u64 {
    let sockets = std::fs::read_to_string("/proc/net/tcp").expect("procfs is there");
    let server = format!(":{server:04X}");
    let held = |line: &str| {
        let mut words = line.split_ascii_whitespace().skip(1);
        let is_it = words.next()?.ends_with(&server);
        let (queue, _) = words.nth(2)?.split_once(':')?;
        is_it.then(|| u64::from_str_radix(queue, 16).ok())?
    };
    sockets.lines().filter_map(held).sum()
}

#[test]
fn resets_in_every_state_leave_nothing_behind() {
    let site = site();
    let idler = start(&site);
    assert_eq!(idler.get("/small.txt").body, b"small\n");
    wait_until("that client to be gone", PATIENCE, || {
        (said(&idler, "closed") == 1).then_some(())
    });
    let before = idler.proc().descriptors();
    for bytes in [
        "",
        "GET /small.txt HT",
        "GET /small.txt HTTP/1.1\r\nHost: idler\r\n\r\n",
        "GET /large.bin HTTP/1.1\r\nHost: idler\r\n\r\n",
        "POST /small.txt HTTP/1.1\r\nHost: idler\r\nContent-Length: 60000\r\n\r\nx",
        "nonsense\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: idler\r\n\r\n",
    ] {
        for _ in 0..CROWD {
            let mut client = idler.client();
            send(&mut client, bytes);
            client.reset();
        }
        assert_eq!(idler.get("/small.txt").body, b"small\n");
    }
    wait_until("all of them to be gone", PATIENCE, || {
        // One file is kept open for the next who asks for it.
        (idler.proc().descriptors() <= before + 1).then_some(())
    });
    idler.stop();
}

#[test]
fn a_storm_of_those_who_connect_and_leave() {
    const STORM: usize = 5_000;
    let site = site();
    let idler = start(&site);
    assert_eq!(idler.get("/small.txt").body, b"small\n");
    let before = idler.proc().anonymous_bytes();
    let begin = Instant::now();
    let mut slowest = Duration::ZERO;
    for number in 0..STORM {
        let stream = TcpStream::connect(idler.address()).expect("it listens");
        match number % 3 {
            0 => drop(stream),
            1 => drop(stream.shutdown(Shutdown::Both)),
            _ => drop((&stream).write_all(b"GET /small.txt HTTP/1.1\r\nHost: idler\r\n\r\n")),
        }
        if number % 50 == 0 {
            let asked = Instant::now();
            assert_eq!(idler.get("/small.txt").body, b"small\n");
            slowest = slowest.max(asked.elapsed());
        }
    }
    println!(
        "{:?}; an honest client waited {slowest:?} at most",
        begin.elapsed()
    );
    assert!(slowest < PATIENCE / 2, "{slowest:?}");
    wait_until("all of them to be gone", PATIENCE, || {
        (said(&idler, "closed") >= STORM).then_some(())
    });
    let grown = idler.proc().anonymous_bytes().saturating_sub(before);
    assert!(grown < 1 << 20, "{grown} bytes");
    idler.stop();
}

/// A connection whose peer cannot hold much that was not read, so that reading shows soon.
fn narrow(idler: &Running) -> Client {
    let address = idler.address();
    let socket = rustix::net::socket(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::STREAM,
        None,
    )
    .expect("a socket");
    rustix::net::sockopt::set_socket_recv_buffer_size(&socket, 8192).expect("a socket option");
    rustix::net::connect(&socket, &address).expect("it listens");
    Client::over(TcpStream::from(socket))
}

/// The socket of a slow reader has no room for a while, since what is sent is sent in large pieces; what the reader has
/// acknowledged shows that it is there.
#[test]
fn a_slow_reader_is_told_from_one_that_has_stalled() {
    let site = site();
    let idler = Idler::serve(site.path())
        .args(&["--stall-timeout", "3s"])
        .start();
    let (mut slow, mut stalled) = (narrow(&idler), narrow(&idler));
    for client in [&mut slow, &mut stalled] {
        client.ask("GET", "/large.bin", "");
        assert_eq!(client.reply_head().status, 200);
    }
    let (begin, mut read) = (Instant::now(), 0);
    while begin.elapsed() < Duration::from_secs(10) {
        // 8,000 bytes a second.
        let due = u64::try_from(begin.elapsed().as_millis() * 8).expect("it fits");
        slow.skip(due - read).expect("it is not given up");
        read = due;
        let _ = stalled.skip(1);
        std::thread::park_timeout(Duration::from_millis(50));
    }
    // One of the two: the one that took a few bytes.
    assert_eq!(said(&idler, "--stall-timeout"), 1);
    slow.skip(64 << 10).expect("it goes on");
    idler.stop();
}
