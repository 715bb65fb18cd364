//! A message and its answer.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc;

use super::{Server, nobody, run, said, says, scripted};
use crate::support::PATIENCE;

#[test]
fn the_server_prints_who_said_what_and_answers_yes() {
    let server = Server::start("message-server", &[]);
    let outcome = run(&["message-client", "127.0.0.1", &server.port()]);
    assert_eq!(said(&outcome), (Some(0), "reply is: Yes\n".to_owned(), ""));
    let lines = server.running.lines(2);
    let peer = lines[0].strip_suffix(" connected").expect("who connected");
    assert!(peer.starts_with("127.0.0.1:"), "{peer}");
    assert_eq!(lines[1], format!("{peer} said: can you hear me?"));
    server.running.stop();
}

#[test]
fn question_and_answer_can_be_chosen_and_quiet_is_quiet() {
    let server = Server::start("message-server", &["--answer", "¿qué?"]);
    let outcome = run(&["message-client", "127.0.0.1", &server.port(), "¡hola!"]);
    assert_eq!(
        said(&outcome),
        (Some(0), "reply is: ¿qué?\n".to_owned(), "")
    );
    assert!(server.running.lines(2)[1].ends_with("said: ¡hola!"));
    server.running.stop();
}

#[test]
fn a_message_in_pieces_is_one_message() {
    let server = Server::start("message-server", &[]);
    let mut client = TcpStream::connect(server.address).expect("it listens");
    client.set_nodelay(true).expect("a socket option");
    for byte in b"one by one" {
        client.write_all(&[*byte]).expect("it reads");
    }
    // The side stays open, as the courses' clients leave it.
    client
        .set_read_timeout(Some(PATIENCE))
        .expect("a socket option");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("it closes");
    assert_eq!(answer, "Yes");
    assert!(server.running.lines(2)[1].ends_with("said: one by one"));
}

#[test]
fn what_a_stranger_sends_cannot_disturb_the_terminal() {
    let server = Server::start("message-server", &[]);
    let mut client = TcpStream::connect(server.address).expect("it listens");
    client.write_all(b"\x1b[2J\xff\r\n").expect("it reads");
    client.shutdown(Shutdown::Write).expect("it is there");
    assert!(server.running.lines(2)[1].ends_with("said: \\u{1b}[2J\\xff"));
}

#[test]
fn a_client_that_says_nothing_gets_nothing() {
    let server = Server::start("message-server", &[]);
    let mut client = TcpStream::connect(server.address).expect("it listens");
    client.shutdown(Shutdown::Write).expect("it is there");
    client
        .set_read_timeout(Some(PATIENCE))
        .expect("a socket option");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("it closes");
    assert_eq!(answer, "");
    server.running.stop();
}

#[test]
fn the_client_hears_an_answer_in_pieces_and_from_servers_that_do_not_close() {
    let (address, thread) = scripted(vec![says("You are ")]);
    let port = address.port().to_string();
    let outcome = run(&["message-client", "127.0.0.1", &port, "x"]);
    assert_eq!(outcome.text(), "reply is: You are \n");
    thread.join().expect("the script ends");

    let (done, wait) = mpsc::channel::<()>();
    let (address, thread) = scripted(vec![Box::new(move |mut stream| {
        stream.write_all(b"no hurry").expect("it listens");
        let _ = wait.recv();
    })]);
    let port = address.port().to_string();
    let outcome = run(&["message-client", "127.0.0.1", &port]);
    assert_eq!(
        said(&outcome),
        (Some(0), "reply is: no hurry\n".to_owned(), "")
    );
    drop(done);
    thread.join().expect("the script ends");
}

#[test]
fn each_failure_has_its_own_words() {
    let port = nobody();
    let outcome = run(&["message-client", "127.0.0.1", &port]);
    assert_eq!(outcome.status.code(), Some(1));
    let words = format!("idler: 127.0.0.1:{port} refused the connection: nothing listens there\n");
    assert_eq!(outcome.stderr, words);

    let outcome = run(&["message-client", "no-such-host.invalid", "1"]);
    assert_eq!(outcome.status.code(), Some(1));
    let words = "idler: cannot resolve no-such-host.invalid: ";
    assert!(outcome.stderr.starts_with(words), "{}", outcome.stderr);

    let (address, thread) = scripted(vec![says("")]);
    let outcome = run(&["message-client", "127.0.0.1", &address.port().to_string()]);
    let words = "idler: the server closed the connection without an answer\n";
    assert_eq!(said(&outcome), (Some(1), String::new(), words));
    thread.join().expect("the script ends");

    let (address, thread) = scripted(vec![Box::new(|mut stream| {
        let mut some = [0; 1];
        stream.read_exact(&mut some).expect("it asks");
        // Unread input at the close becomes a reset.
        drop(stream);
    })]);
    let outcome = run(&["message-client", "127.0.0.1", &address.port().to_string()]);
    let words = format!("idler: {address} reset the connection in the middle\n");
    assert_eq!(said(&outcome), (Some(1), String::new(), words.as_str()));
    thread.join().expect("the script ends");

    let (done, wait) = mpsc::channel::<()>();
    let (address, thread) = scripted(vec![Box::new(move |stream| {
        let _ = wait.recv();
        drop(stream);
    })]);
    let port = address.port().to_string();
    let outcome = run(&["message-client", "--timeout", "200ms", "127.0.0.1", &port]);
    let words = format!("idler: timed out: nothing came from {address} for 0.2 s\n");
    assert_eq!(said(&outcome), (Some(1), String::new(), words.as_str()));
    drop(done);
    thread.join().expect("the script ends");
}

#[test]
fn a_port_in_use_is_an_error_of_one_line() {
    let server = Server::start("message-server", &[]);
    let outcome = run(&["message-server", "-b", "127.0.0.1", "-p", &server.port()]);
    assert_eq!(outcome.status.code(), Some(1));
    assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains(&server.port()),
        "{}",
        outcome.stderr
    );
}
