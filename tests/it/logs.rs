//! What idler writes down: the access log on stdout, and the teaching view on stderr.
//!
//! It may not know how a line is made. Invariant: nothing a client sends can end a line or forge one, and
//! nobody who does not read can stop the server.
//! Read next: `limits.rs`.

use std::io::{self, Read};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::idler::free_port;
use crate::support::{Client, Idler, PATIENCE, Site, fixture_site, wait_until};

/// The fields of a line in Combined format, quotes and brackets taken off; `None` if it is none.
fn fields(line: &str) -> Option<Vec<String>> {
    let mut fields = Vec::new();
    let mut chars = line.chars().peekable();
    while let Some(first) = chars.next() {
        let close = match first {
            '"' => '"',
            '[' => ']',
            _ => ' ',
        };
        let mut field = String::new();
        if close == ' ' {
            field.push(first);
        }
        let mut ended = false;
        while let Some(c) = chars.next() {
            if c == close {
                ended = true;
                break;
            }
            field.push(c);
            if c == '\\' {
                field.push(chars.next()?);
            }
        }
        if close != ' ' && !(ended && matches!(chars.next(), None | Some(' '))) {
            return None;
        }
        fields.push(field);
    }
    Some(fields)
}

#[test]
fn a_reply_is_a_line_in_combined_format() {
    let idler = Idler::serve(fixture_site()).start();
    let mut client = idler.client();
    client.ask(
        "GET",
        "/hello.txt?q=1",
        "Referer: http://idler/\r\nUser-Agent: tests/1.0 (by hand)\r\n",
    );
    assert_eq!(client.reply().status, 200);
    client.ask("HEAD", "/missing", "");
    assert_eq!(client.head_reply().status, 404);
    let lines = idler.lines(2);
    let first = fields(&lines[0]).unwrap_or_else(|| panic!("no line of a log: {}", lines[0]));
    let [
        host,
        ident,
        user,
        time,
        request,
        status,
        bytes,
        referer,
        agent,
    ] = first.as_slice()
    else {
        panic!("nine fields: {first:?}")
    };
    assert_eq!(
        (host.as_str(), ident.as_str(), user.as_str()),
        ("127.0.0.1", "-", "-")
    );
    assert_eq!(request, "GET /hello.txt?q=1 HTTP/1.1");
    assert_eq!((status.as_str(), bytes.as_str()), ("200", "6"));
    assert_eq!(
        (referer.as_str(), agent.as_str()),
        ("http://idler/", "tests/1.0 (by hand)")
    );
    // 10/Oct/2000:13:55:36 +0000
    let shape: String = time
        .chars()
        .map(|c| match c {
            '0'..='9' => '9',
            'a'..='z' => 'a',
            'A'..='Z' => 'A',
            other => other,
        })
        .collect();
    assert!(
        shape == "99/Aaa/9999:99:99:99 +9999" || shape == "99/Aaa/9999:99:99:99 -9999",
        "{time}"
    );
    let second = fields(&lines[1]).expect("a line");
    assert_eq!(second[4], "HEAD /missing HTTP/1.1");
    assert_eq!(second[5], "404");
    assert!(
        second[6] == "0" || second[6] == "-",
        "HEAD sends no bytes: {}",
        second[6]
    );
    assert_eq!((second[7].as_str(), second[8].as_str()), ("-", "-"));
    idler.stop();
}

#[test]
fn what_a_client_sends_cannot_forge_a_line() {
    let idler = Idler::serve(fixture_site()).start();
    let agents: [&[u8]; 6] = [
        b"quotes \" and \\ backslashes \\\"",
        b"a tab\there",
        b"beyond ASCII \xc3\xb6 \xff\xfe",
        b"\" 200 1 \"-\" \"forged",
        b"ends in a backslash \\",
        b"a terminal would obey \xc2\x9b31m",
    ];
    let mut client = idler.client();
    for agent in agents {
        let request = [
            b"GET /hello.txt HTTP/1.1\r\nHost: idler\r\nUser-Agent: ",
            agent,
            b"\r\n\r\n",
        ];
        client.send(request.concat()).expect("sent");
        assert_eq!(client.reply().status, 200);
    }
    // Refused heads are logged, if at all, no less carefully.
    for head in [
        &b"GET /\x1b[31m HTTP/1.1\r\n\r\n"[..],
        b"GET /\"x\" HTTP/1.1\r\nHost: idler\r\n\r\n",
        b"GET /a%0d%0ab HTTP/1.1\r\nHost: idler\r\n\r\n",
        b"\x16\x03\x01\r\n\r\n",
    ] {
        let mut client = idler.client();
        client.send(head).expect("sent");
        client.reply();
    }
    assert_eq!(client.get("/hello.txt?last").status, 200);
    let lines = wait_until("the last line", PATIENCE, || {
        let text = idler.stdout();
        text.contains("?last").then_some(text)
    });
    for line in lines.lines() {
        assert!(line.chars().all(|c| (' '..='~').contains(&c)), "{line:?}");
        let fields = fields(line).unwrap_or_else(|| panic!("no line of a log: {line}"));
        assert_eq!(fields.len(), 9, "{line}");
    }
    assert!(lines.lines().count() > agents.len());
    idler.stop();
}

#[test]
fn json_lines_are_json() {
    let idler = Idler::serve(fixture_site())
        .args(&["--log-format", "json"])
        .start();
    let mut client = idler.client();
    client
        .send(
            b"GET /hello.txt?\"x HTTP/1.1\r\nHost: idler\r\nUser-Agent: \"\\\t\xff\xc3\xb6\r\n\r\n",
        )
        .expect("sent");
    client.reply();
    assert_eq!(idler.get("/hello.txt").status, 200);
    for line in idler.lines(2) {
        let value: serde_json::Value =
            serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        let object = value
            .as_object()
            .unwrap_or_else(|| panic!("no object: {line}"));
        assert!(
            object.get("status").is_some_and(serde_json::Value::is_u64),
            "{line}"
        );
        assert!(line.contains("/hello.txt"), "{line}");
    }
    idler.stop();
}

#[test]
fn the_log_can_be_switched_off() {
    let idler = Idler::serve(fixture_site())
        .args(&["--access-log", "off"])
        .start();
    assert_eq!(idler.get("/hello.txt").status, 200);
    assert_eq!(idler.stdout(), "");
    idler.stop();
}

/// Requests enough to fill any pipe with their lines.
fn ask_much(client: &mut Client, times: usize) {
    for _ in 0..times {
        assert_eq!(
            client
                .get("/hello.txt?to-make-the-line-a-little-longer-than-it-would-be")
                .status,
            200
        );
    }
}

#[test]
fn a_reader_of_the_log_that_stops_reading_stops_nothing() {
    let (mut reader, writer) = io::pipe().expect("a pipe");
    let idler = Idler::serve(fixture_site()).stdout(writer).start();
    let mut client = idler.client();
    // 100 bytes a line, 64 KiB in a pipe, and whatever idler keeps in memory on top of it.
    ask_much(&mut client, 20_000);
    let warning = idler.says(&["dropped"]);
    assert!(
        warning.chars().any(|c| c.is_ascii_digit()),
        "not counted: {warning}"
    );
    // Whoever reads again gets whole lines, the newest at the end.
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        let outcome = reader.read_to_string(&mut text);
        (outcome.is_ok(), text)
    });
    ask_much(&mut client, 50);
    idler.stop();
    let (whole, text) = reading.join().expect("the reader ends when idler does");
    assert!(whole && text.ends_with('\n'));
    assert!(text.lines().count() > 500, "{} lines", text.lines().count());
    for line in text.lines() {
        assert!(fields(line).is_some_and(|f| f.len() == 9), "{line}");
    }
}

#[test]
fn a_log_that_nobody_reads_any_more_ends_nothing() {
    let (reader, writer) = io::pipe().expect("a pipe");
    let idler = Idler::serve(fixture_site()).stdout(writer).start();
    assert_eq!(idler.get("/hello.txt").status, 200);
    drop(reader);
    ask_much(&mut idler.client(), 100);
    idler.stop();
}

#[test]
fn a_full_disk_under_the_log_ends_nothing() {
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .expect("/dev/full");
    let idler = Idler::serve(fixture_site()).stdout(full).start();
    ask_much(&mut idler.client(), 100);
    let said = idler.stop();
    let count = "100 lines of the access log on stdout were lost, 100 in all";
    assert!(said.contains(count), "{said}");
}

#[test]
fn a_stderr_that_nobody_reads_stops_nothing() {
    let (reader, writer) = io::pipe().expect("a pipe");
    let port = free_port();
    let mut idler = Idler::verb("serve")
        .args(&["--port", &port.to_string()])
        .arg(fixture_site())
        .env("RUST_LOG", "idler=trace")
        .stderr(writer)
        .spawn();
    let stream = wait_until("idler to listen", PATIENCE, || {
        TcpStream::connect(("127.0.0.1", port)).ok()
    });
    let mut client = Client::over(stream);
    // At least ten lines each, so far more than a pipe holds.
    ask_much(&mut client, 2_000);
    drop(reader);
    ask_much(&mut client, 100);
    idler.signal(rustix::process::Signal::TERM);
    assert_eq!(idler.exit_code(), Some(0));
}

#[test]
fn stdout_is_left_as_it_was_for_the_shell() {
    let (reader, writer) = io::pipe().expect("a pipe");
    let ours = writer
        .try_clone()
        .expect("a second descriptor of the same pipe");
    let idler = Idler::serve(fixture_site()).stdout(writer).start();
    assert_eq!(idler.get("/hello.txt").status, 200);
    let flags = rustix::fs::fcntl_getfl(&ours).expect("a pipe has flags");
    assert!(!flags.contains(rustix::fs::OFlags::NONBLOCK));
    idler.stop();
    drop(reader);
}

#[test]
fn trace_lets_one_connection_be_followed() {
    let idler = Idler::serve(fixture_site())
        .env("RUST_LOG", "idler=trace")
        .start();
    let mut client = idler.client();
    assert_eq!(client.get("/hello.txt").status, 200);
    assert_eq!(client.get("/missing").status, 404);
    drop(client);
    let line = idler.says(&["/missing"]);
    let start = line.find('[').expect("a key");
    let end = start + line[start..].find(']').expect("a key") + 1;
    let key = &line[start..end];
    assert!(
        key[1..key.len() - 1].bytes().all(|b| b.is_ascii_digit()),
        "the line begins with the connection's key: {line}"
    );
    assert!(
        line.starts_with(key),
        "grep '^{}' finds it: {line}",
        key.escape_default()
    );
    idler.says(&[key, "closed"]);
    let text = idler.stderr();
    let mine: Vec<&str> = text.lines().filter(|l| l.starts_with(key)).collect();
    for what in ["read ", "wrote ", "ReadingHead", "WritingHeaders", "event"] {
        assert!(
            mine.iter().any(|l| l.contains(what)),
            "no {what:?} in {mine:#?}"
        );
    }
    idler.stop();
}

#[test]
fn v_is_debug_and_twice_is_trace() {
    for (option, shows, hides) in [
        ("-v", "closed", "ReadingHead"),
        ("-vv", "ReadingHead", "nothing hidden"),
    ] {
        let idler = Idler::serve(fixture_site())
            .arg(option)
            .args(&["--idle-timeout", "200ms"])
            .env("RUST_LOG", "")
            .start();
        let mut client = idler.client().patience(Duration::from_secs(10));
        assert_eq!(client.get("/hello.txt").status, 200);
        client.expect_closed();
        idler.says(&[shows]);
        assert!(
            !idler.stderr().contains(hides),
            "{option}: {}",
            idler.stderr()
        );
        idler.stop();
    }
}

#[test]
fn it_says_nothing_of_clients_unless_asked() {
    let site = Site::with(&[("a.txt", b"a")]);
    let idler = Idler::serve(site.path()).env("RUST_LOG", "").start();
    let before = idler.stderr();
    assert_eq!(idler.get("/a.txt").status, 200);
    let mut client = idler.client();
    client.send("nonsense\r\n\r\n").expect("sent");
    assert_eq!(client.reply().status, 400);
    client.expect_closed();
    assert_eq!(idler.stderr(), before);
    idler.stop();
}

#[test]
fn the_parser_of_lines_can_fail() {
    assert_eq!(fields("a [b c] \"d \\\" e\" f").map(|f| f.len()), Some(4));
    assert!(fields("a \"b").is_none());
    assert!(fields("a \"b\"c").is_none());
}
