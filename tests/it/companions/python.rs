//! The programs of the courses, in Python as they are taught, against ours: both directions of each.
//!
//! What lives here: such programs, as short as students write them. They may not know that idler exists.
//! Invariant: nothing in them is there for our sake but the port, and an end where they would run for ever.
//! Read next: `.ci/run`.

use std::fs;
use std::time::Duration;

use super::transfer::noise;
use super::{Server, run};
use crate::support::idler::{PROGRAM, free_port};
use crate::support::program::{Outcome, Program};
use crate::support::{Running, Site, wait_until};

const LONG: Duration = Duration::from_secs(180);

/// Runs a program with these arguments to its end.
fn python(program: &str, args: &[&str]) -> Outcome {
    let outcome = Program::find(&["python3"])
        .args(&["-u", "-c", program])
        .args(args)
        .run(LONG);
    assert!(outcome.status.success(), "{}", outcome.stderr);
    outcome
}

/// Runs a program beside `then`; it must end by itself.
fn beside<T>(program: &'static str, args: Vec<String>, then: impl FnOnce() -> T) -> (Outcome, T) {
    let thread = std::thread::spawn(move || {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        python(program, &args)
    });
    let done = then();
    (thread.join().expect("the program ends"), done)
}

/// Runs a client of ours until the server it needs is there.
fn when_it_listens(args: &[&str]) -> Outcome {
    wait_until("the program to listen", LONG, || {
        let idler = Program::at(PROGRAM).args(args).env("RUST_LOG", "");
        let outcome = idler.run(LONG);
        let refused = outcome.stderr.contains("refused the connection");
        (!refused).then_some(outcome)
    })
}

#[test]
#[ignore = "needs python3"]
fn a_message_of_a_course() {
    const CLIENT: &str = r#"
import socket, sys
s = socket.socket()
s.connect(("127.0.0.1", int(sys.argv[1])))
s.send("can you hear me?".encode())
print("reply is:", s.recv(1024).decode())
s.close()
"#;
    const SERVER: &str = r#"
import socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(sys.argv[1])))
s.listen()
conn, addr = s.accept()
print(addr, conn.recv(1024).decode())
conn.send("Yes".encode())
conn.close()
"#;
    let server = Server::start("message-server", &[]);
    let outcome = python(CLIENT, &[&server.port()]);
    assert_eq!(outcome.text(), "reply is: Yes\n");
    let port = free_port().to_string();
    let (theirs, ours) = beside(SERVER, vec![port.clone()], || {
        when_it_listens(&["message-client", "127.0.0.1", &port])
    });
    assert_eq!(ours.text(), "reply is: Yes\n");
    assert!(
        theirs.text().ends_with(" can you hear me?\n"),
        "{}",
        theirs.text()
    );
}

#[test]
#[ignore = "needs python3"]
fn the_daytime_of_a_course() {
    const CLIENT: &str = r#"
import socket, sys
from datetime import datetime
s = socket.socket()
s.connect(("127.0.0.1", int(sys.argv[1])))
text = s.recv(1024).decode()
print(datetime.strptime(text.strip(), "%Y-%m-%d %H:%M:%S.%f"))
s.close()
"#;
    const SERVER: &str = r#"
import socket, sys
from datetime import datetime
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(sys.argv[1])))
s.listen()
conn, addr = s.accept()
now = str(datetime.now())
conn.send(now.encode())
conn.close()
print(now)
"#;
    let server = Server::start("daytime-server", &[]);
    let outcome = python(CLIENT, &[&server.port()]);
    assert!(outcome.text().starts_with("20"), "{}", outcome.text());
    let port = free_port().to_string();
    let (theirs, ours) = beside(SERVER, vec![port.clone()], || {
        when_it_listens(&["daytime-client", "127.0.0.1", &port])
    });
    assert_eq!(ours.text(), theirs.text());
}

const TRANSFER_CLIENT: &str = r#"
import base64, json, socket, sys
s = socket.socket()
s.connect(("127.0.0.1", int(sys.argv[1])))
chunks = []
while True:
    chunk = s.recv(65536)
    if not chunk:
        break
    chunks.append(chunk)
message = json.loads(b"".join(chunks).decode())
with open(sys.argv[2], "wb") as f:
    f.write(base64.b64decode(message["filedata"]))
print(message["filename"])
"#;

const TRANSFER_SERVER: &str = r#"
import base64, json, os, socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(sys.argv[1])))
s.listen()
with open(sys.argv[2], "rb") as f:
    data = base64.b64encode(f.read()).decode()
message = json.dumps({"filename": os.path.basename(sys.argv[2]), "filedata": data})
conn, addr = s.accept()
conn.sendall(message.encode())
conn.close()
"#;

fn transfer_both_ways(name: &str, bytes: &[u8]) {
    let from = Site::with(&[(name, bytes)]);
    let (to, file) = (Site::new(), from.path().join(name));
    let path = file.to_str().expect("a path of ours").to_owned();

    let server = Server::start("transfer-server", &[&path]);
    let copy = to.path().join("copy");
    let outcome = python(
        TRANSFER_CLIENT,
        &[&server.port(), copy.to_str().expect("ours")],
    );
    assert_eq!(outcome.text(), format!("{name}\n"));
    assert!(fs::read(&copy).expect("it came") == bytes, "ours to theirs");

    let port = free_port().to_string();
    let directory = to.path().to_str().expect("ours").to_owned();
    let (_, ours) = beside(TRANSFER_SERVER, vec![port.clone(), path], || {
        // It makes all of its base64 before it sends any.
        when_it_listens(&[
            "transfer-client",
            "--timeout",
            "3m",
            "127.0.0.1",
            &port,
            "-o",
            &directory,
        ])
    });
    assert_eq!(ours.status.code(), Some(0), "{}", ours.stderr);
    assert!(
        fs::read(to.path().join(name)).expect("it came") == bytes,
        "theirs to ours"
    );
}

#[test]
#[ignore = "needs python3"]
fn the_file_transfer_of_a_course() {
    for (name, bytes) in [
        ("empty", 0),
        ("one", 1),
        ("two \"quoted\" \\ names", 2),
        ("drei-äöü-日本-😀.txt", 3),
        ("large.bin", 3_000_001),
    ] {
        transfer_both_ways(name, &noise(bytes));
    }
}

#[test]
#[ignore = "needs python3 and a gigabyte of memory for it"]
fn two_hundred_megabytes_to_and_from_the_program_of_a_course() {
    transfer_both_ways("large.bin", &noise(200 * 1024 * 1024));
}

#[test]
#[ignore = "needs python3"]
fn the_ping_of_a_course() {
    const CLIENT: &str = r#"
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(1)
for i in range(1, 11):
    sent = time.time()
    s.sendto(("Ping %d %s" % (i, sent)).encode(), ("127.0.0.1", int(sys.argv[1])))
    try:
        reply, addr = s.recvfrom(1024)
        print(reply.decode())
    except socket.timeout:
        print("Request timed out")
"#;
    const SERVER: &str = r#"
import random, socket, sys
random.seed(4)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", int(sys.argv[1])))
print("ready")
lost = 0
for i in range(20):
    message, address = s.recvfrom(1024)
    if random.randint(0, 10) < 4:
        lost += 1
        continue
    s.sendto(message.upper(), address)
print(lost)
"#;
    let server = Server::start("ping-server", &["--loss", "20%", "--seed", "6"]);
    let text = python(CLIENT, &[&server.port()]).text();
    let pings = text.lines().filter(|l| l.starts_with("PING ")).count();
    let lost = text.lines().filter(|l| *l == "Request timed out").count();
    assert_eq!(pings + lost, 10, "{text}");
    assert!(pings > 0 && lost > 0, "{text}");
    let mut running: Running = server.running;
    running.signal(rustix::process::Signal::INT);
    assert_eq!(running.exit_code(), Some(0));
    let said = running.stdout();
    assert!(
        said.contains(&format!("10 pings heard; on purpose {lost} lost")),
        "{said}"
    );

    let port = free_port().to_string();
    let script = Site::new();
    let program = script.file("server.py", SERVER.as_bytes());
    let log = script.beside("log");
    let mut child = std::process::Command::new("python3")
        .args(["-u", program.to_str().expect("ours"), &port])
        .stdout(fs::File::create(&log).expect("a file for what it says"))
        .spawn()
        .expect("python3 is there");
    let said = || fs::read_to_string(&log).unwrap_or_default();
    wait_until("the program to be ready", LONG, || {
        said().contains("ready").then_some(())
    });
    let outcome = run(&[
        "ping-client",
        "127.0.0.1",
        &port,
        "-c",
        "20",
        "-i",
        "10ms",
        "-W",
        "500ms",
    ]);
    assert!(child.wait().expect("it ends").success());
    let lost = said().lines().nth(1).expect("a number").to_owned();
    let text = outcome.text();
    let timed_out = text
        .lines()
        .filter(|l| l.starts_with("Request timed out"))
        .count();
    assert_eq!(timed_out.to_string(), lost, "{text}");
}

#[test]
#[ignore = "needs python3"]
fn the_web_server_of_a_course() {
    const SERVER: &str = r#"
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(sys.argv[1])))
s.listen(1)
for i in range(2):
    conn, addr = s.accept()
    try:
        message = conn.recv(1024).decode()
        filename = message.split()[1]
        f = open(sys.argv[2] + "/" + filename[1:])
        outputdata = f.read()
        conn.send("HTTP/1.1 200 OK\n\n".encode())
        for c in outputdata:
            conn.send(c.encode())
        conn.close()
    except IOError:
        conn.send("HTTP/1.1 404 Not Found\r\n".encode())
        conn.close()
"#;
    let site = Site::with(&[("HelloWorld.html", b"<h1>Hello</h1>\n")]);
    let port = free_port().to_string();
    let args = vec![port.clone(), site.path().to_str().expect("ours").to_owned()];
    let (_, (found, missing)) = beside(SERVER, args, || {
        (
            when_it_listens(&["get", "127.0.0.1", &port, "HelloWorld.html"]),
            run(&["get", "-v", "127.0.0.1", &port, "nothing.html"]),
        )
    });
    assert_eq!(found.text(), "<h1>Hello</h1>\n");
    assert_eq!(found.status.code(), Some(0));
    assert_eq!(missing.status.code(), Some(4), "{}", missing.stderr);
    assert!(missing.stderr.contains("* wrong: "), "{}", missing.stderr);
}
