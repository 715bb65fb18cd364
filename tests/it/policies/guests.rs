//! `--allow` and `--max-per-address`.
//!
//! It may not know where addresses are counted. Invariant: a place that is left is free again, however it was left.
//! Read next: `operation.rs`.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use crate::support::http::Trouble;
use crate::support::{Client, Idler, PATIENCE, Running, Site, wait_until};

fn answers(client: &mut Client) -> bool {
    client.ask("GET", "/a", "");
    client
        .try_reply(false)
        .is_ok_and(|reply| reply.status == 200)
}

/// How many of ten connections are answered.
fn served(idler: &Running) -> usize {
    let mut clients: Vec<Client> = (0..10).map(|_| idler.client()).collect();
    clients
        .iter_mut()
        .filter_map(|client| {
            // Whoever is refused may be reset before it has asked.
            let _ = client.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
            client.try_reply(false).ok()
        })
        .filter(|reply| reply.status == 200)
        .count()
}

#[test]
fn only_those_who_are_allowed_may_connect() {
    let site = Site::with(&[("a", b"a")]);
    let idler = Idler::serve(site.path())
        .args(&["--allow", "127.0.0.0/8", "--allow", "::1"])
        .start();
    assert!(answers(&mut idler.client()));
    for address in idler.addresses() {
        assert!(answers(&mut Client::connect(*address)), "{address}");
    }
    idler.stop();

    let socket = site.beside("socket");
    let idler = Idler::serve(site.path())
        .args(&["--allow", "192.0.2.0/24", "-b", "127.0.0.1", "-b"])
        .arg(format!("unix:{}", socket.display()))
        .start();
    for _ in 0..3 {
        let mut client = idler.client();
        let _ = client.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
        let trouble = client.try_reply(false).expect_err("nobody is served");
        assert!(
            matches!(trouble, Trouble::Closed | Trouble::Reset),
            "{trouble}"
        );
    }
    idler.says(&["closed a connection", "--allow"]);
    let mut stream = UnixStream::connect(&socket).expect("its permissions allow it");
    stream
        .write_all(b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .expect("it listens");
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).expect("a reply");
    assert!(reply.starts_with(b"HTTP/1.1 200 "));
    idler.stop();
}

#[test]
fn an_address_has_only_so_many_connections() {
    let site = Site::with(&[("a", b"a")]);
    let idler = Idler::serve(site.path())
        .args(&["--max-per-address", "3", "--idle-timeout", "1s"])
        .start();
    let mut held: Vec<Client> = (0..3).map(|_| idler.client()).collect();
    for client in &mut held {
        assert!(answers(client));
    }
    let mut fourth = idler.client();
    let _ = fourth.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
    match fourth.try_reply(false) {
        Ok(reply) => assert_eq!(
            (reply.status, reply.header("retry-after")),
            (503, Some("1"))
        ),
        // The request crossed with the refusal.
        Err(trouble) => assert_eq!(trouble, Trouble::Reset),
    }
    idler.says(&["refused a connection", "--max-per-address"]);
    // Left in order, by a reset, in the middle of a request, and by a timeout.
    held.pop();
    wait_until("a free place", PATIENCE, || answers_if_let_in(&idler));
    for way in 0..3 {
        let mut client = wait_until("a place", PATIENCE, || let_in(&idler));
        match way {
            0 => client.reset(),
            1 => {
                client.send("GET /a HT").expect("it listens");
                client.reset();
            }
            _ => drop(client),
        }
    }
    drop(held);
    wait_until("all places", PATIENCE, || {
        (served(&idler) == 3).then_some(())
    });
    // Nobody says anything more for longer than --idle-timeout: all leave by themselves.
    let silent: Vec<Client> = (0..3)
        .map(|_| wait_until("a place", PATIENCE, || let_in(&idler)))
        .collect();
    wait_until("all places again", PATIENCE, || {
        (served(&idler) == 3).then_some(())
    });
    drop(silent);
    idler.stop();
}

fn let_in(idler: &Running) -> Option<Client> {
    let mut client = idler.client();
    client.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n").ok()?;
    let reply = client.try_reply(false).ok()?;
    (reply.status == 200).then_some(client)
}

fn answers_if_let_in(idler: &Running) -> Option<()> {
    let_in(idler).map(drop)
}
