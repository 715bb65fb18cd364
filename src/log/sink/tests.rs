#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may stop at the first surprise"
)]

use super::*;
use std::io::Read as _;
use std::os::fd::OwnedFd;

fn outlet(fd: impl Into<OwnedFd>) -> LogSink {
    LogSink::new(Target::File(File::from(fd.into())))
}

fn add(outlet: &mut LogSink, text: &str) -> bool {
    outlet.line(|into| into.extend_from_slice(text.as_bytes()))
}

/// Reads what is there without waiting.
fn drain(reader: &mut File) -> String {
    let mut got = Vec::new();
    let mut piece = [0; 4096];
    let poll = |file: &File| {
        let mut fds = [PollFd::from_borrowed_fd(file.as_fd(), PollFlags::IN)];
        let none = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        rustix::event::poll(&mut fds, Some(&none)).unwrap();
        fds[0].revents().contains(PollFlags::IN)
    };
    while poll(reader) {
        let n = reader.read(&mut piece).unwrap();
        got.extend_from_slice(&piece[..n]);
    }
    String::from_utf8(got).unwrap()
}

/// An outlet as where `/proc` is missing: the shared descriptor itself, with care.
fn careful(fd: impl Into<OwnedFd>, way: fn(NonBlocking) -> WriteMode) -> LogSink {
    let target = Target::File(File::from(fd.into()));
    LogSink {
        target,
        way: way(NonBlocking::Ours),
        pending: Vec::new(),
        start: 0,
        within_line: false,
        dropped: 0,
        patience: LOG_RETRY_FIRST,
    }
}

/// Both ways of writing to a pipe.
fn pipes() -> Vec<(File, LogSink)> {
    let (one, two) = (rustix::pipe::pipe().unwrap(), rustix::pipe::pipe().unwrap());
    let own = outlet(one.1);
    assert_eq!(own.way, WriteMode::Pipe(NonBlocking::Kernel));
    vec![
        (File::from(one.0), own),
        (File::from(two.0), careful(two.1, WriteMode::Pipe)),
    ]
}

#[test]
fn a_reader_that_keeps_up_gets_everything_in_order() {
    for (mut reader, mut outlet) in pipes() {
        let mut expected = String::new();
        let mut got = String::new();
        for n in 0..20_000 {
            let line = format!("line {n} {}", "x".repeat(n % 300));
            assert!(add(&mut outlet, &line));
            expected.push_str(&line);
            expected.push('\n');
            if n % 100 == 0 {
                while outlet.flush() == Flushed::Blocked {
                    got.push_str(&drain(&mut reader));
                }
            }
        }
        while outlet.flush() == Flushed::Blocked {
            got.push_str(&drain(&mut reader));
        }
        got.push_str(&drain(&mut reader));
        assert!(got == expected, "lines were lost or changed");
        assert_eq!((outlet.dropped(), outlet.waiting()), (0, 0));
        assert!(outlet.pending.capacity() <= LOG_KEPT_BYTES);
    }
}

#[test]
fn a_reader_that_stops_costs_lines_and_nothing_else() {
    for (mut reader, mut outlet) in pipes() {
        let line = "y".repeat(99);
        let mut kept = 0;
        for _ in 0..30_000 {
            kept += u64::from(add(&mut outlet, &line));
            // Returns at once, full or not: else this test would hang.
            outlet.flush();
            assert!(outlet.waiting() <= LOG_PENDING_BYTES_MAX);
        }
        assert_eq!(outlet.dropped() + kept, 30_000);
        assert!(outlet.dropped() > 0);
        assert!(outlet.pending.capacity() < 4 * LOG_PENDING_BYTES_MAX);

        // It reads again: what was kept comes whole.
        let mut got = String::new();
        while outlet.waiting() > 0 {
            outlet.flush();
            got.push_str(&drain(&mut reader));
        }
        got.push_str(&drain(&mut reader));
        assert_eq!(got.lines().count() as u64, kept);
        assert!(got.lines().all(|l| l == line));
    }
}

#[test]
fn lines_longer_than_a_pipe_takes_at_once_stay_whole() {
    for (mut reader, mut outlet) in pipes() {
        let long = "z".repeat(200_000);
        assert!(add(&mut outlet, "before"));
        assert!(add(&mut outlet, &long));
        assert!(add(&mut outlet, "after"));
        let mut got = String::new();
        while outlet.flush() == Flushed::Blocked {
            got.push_str(&drain(&mut reader));
        }
        got.push_str(&drain(&mut reader));
        assert!(got == format!("before\n{long}\nafter\n"));
    }
}

#[test]
fn a_line_too_long_for_the_queue_is_dropped_alone() {
    let (mut reader, mut outlet) = pipes().remove(0);
    assert!(add(&mut outlet, "before"));
    assert!(!add(&mut outlet, &"w".repeat(LOG_PENDING_BYTES_MAX + 1)));
    assert!(add(&mut outlet, "after"));
    outlet.flush();
    assert_eq!(drain(&mut reader), "before\nafter\n");
    assert_eq!(outlet.dropped(), 1);
}

#[test]
fn a_pipe_without_a_reader_loses_lines_and_says_so() {
    for (reader, mut outlet) in pipes() {
        drop(reader);
        add(&mut outlet, "one");
        add(&mut outlet, "two");
        assert_eq!(outlet.flush(), Flushed::Failed(Errno::PIPE));
        assert_eq!((outlet.dropped(), outlet.waiting()), (2, 0));
        // Nothing is left to be tried again.
        assert_eq!(outlet.flush(), Flushed::All);
    }
}

#[test]
fn a_full_disk_keeps_lines_for_a_while() {
    let mut outlet = outlet(File::options().write(true).open("/dev/full").unwrap());
    assert_eq!(outlet.way, WriteMode::Direct);
    let mut kept = 0;
    for _ in 0..LOG_PENDING_BYTES_MAX / 50 {
        kept += u64::from(add(&mut outlet, &"v".repeat(99)));
        assert_eq!(outlet.flush(), Flushed::Failed(Errno::NOSPC));
    }
    assert!(outlet.waiting() <= LOG_PENDING_BYTES_MAX);
    assert!(outlet.dropped() > 0);

    // Space again, elsewhere.
    let (mut reader, writer) = rustix::pipe::pipe()
        .map(|(r, w)| (File::from(r), w))
        .unwrap();
    outlet.redirect(Target::File(File::from(writer)));
    let mut got = String::new();
    while outlet.flush() == Flushed::Blocked {
        got.push_str(&drain(&mut reader));
    }
    got.push_str(&drain(&mut reader));
    assert_eq!(got.lines().count() as u64, kept);
}

#[test]
fn redirecting_within_a_line_loses_its_rest_and_no_more() {
    let (old_reader, mut outlet) = pipes().remove(0);
    let long = "u".repeat(100_000); // more than a pipe holds
    add(&mut outlet, &long);
    add(&mut outlet, "whole");
    assert_eq!(outlet.flush(), Flushed::Blocked);
    assert!(outlet.within_line);

    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let mut reader = File::from(reader);
    outlet.redirect(Target::File(File::from(writer)));
    assert_eq!(outlet.flush(), Flushed::All);
    assert_eq!(drain(&mut reader), "whole\n");
    assert_eq!(outlet.dropped(), 1);
    drop(old_reader);
}

#[test]
fn a_socket_that_nobody_reads_does_not_block() {
    let (reader, writer) = std::os::unix::net::UnixStream::pair().unwrap();
    let mut outlet = outlet(writer);
    assert_eq!(outlet.way, WriteMode::Socket);
    let mut lines = 0;
    let mut blocked = false;
    while !blocked {
        add(&mut outlet, &"t".repeat(999));
        lines += 1;
        blocked = outlet.flush() == Flushed::Blocked;
        assert!(lines < 100_000);
    }
    let mut reader = File::from(OwnedFd::from(reader));
    let mut got = drain(&mut reader).len();
    while outlet.flush() == Flushed::Blocked {
        got += drain(&mut reader).len();
    }
    got += drain(&mut reader).len();
    assert_eq!((got, outlet.dropped()), (lines * 1000, 0));
}

/// A terminal, and who looks at it. It is no test's fault if the machine has none.
fn terminal() -> Option<(File, OwnedFd)> {
    use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
    let master = openpt(flags).map(File::from).ok()?;
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let terminal = ioctl_tiocgptpeer(&master, flags).unwrap();
    Some((master, terminal))
}

/// Fills a terminal that nobody looks at, then looks.
fn fill_terminal(mut master: File, mut outlet: LogSink) {
    // Many short lines: each end becomes two bytes on the way.
    let mut lines = 0;
    let mut turns = 0;
    while outlet.waiting() < 20_000 {
        lines += u64::from(add(&mut outlet, "s"));
        if lines % 100 == 0 {
            outlet.flush();
            turns += 1;
        }
        assert!(turns < 1_000_000, "a terminal without bottom");
    }
    let mut seen = String::new();
    while outlet.waiting() > 0 {
        outlet.flush();
        seen.push_str(&drain(&mut master));
    }
    seen.push_str(&drain(&mut master));
    assert_eq!(seen.matches("s\r\n").count() as u64, lines);
}

#[test]
fn a_terminal_that_nobody_looks_at_does_not_block() {
    if let Some((master, terminal)) = terminal() {
        let outlet = outlet(terminal);
        assert_eq!(outlet.way, WriteMode::Terminal(NonBlocking::Kernel));
        fill_terminal(master, outlet);
    }
}

#[test]
fn nor_does_one_that_could_not_be_opened_anew() {
    if let Some((master, terminal)) = terminal() {
        fill_terminal(master, careful(terminal, WriteMode::Terminal));
    }
}

#[test]
fn what_is_shared_stays_blocking() {
    let (_reader, writer) = rustix::pipe::pipe().unwrap();
    let shared = writer.try_clone().unwrap();
    let outlet = outlet(writer);
    let flags = |fd: BorrowedFd<'_>| rustix::fs::fcntl_getfl(fd).unwrap();
    assert!(flags(outlet.target.as_fd()).contains(OFlags::NONBLOCK));
    assert!(!flags(shared.as_fd()).contains(OFlags::NONBLOCK));
}

#[test]
fn a_farewell_waits_for_a_slow_reader_but_not_for_ever() {
    let (mut reader, mut outlet) = pipes().remove(0);
    for _ in 0..3_000 {
        add(&mut outlet, &"r".repeat(99));
    }
    let slow = std::thread::spawn(move || {
        let mut got = Vec::new();
        reader.read_to_end(&mut got).unwrap();
        got.len()
    });
    outlet.finish();
    assert_eq!(outlet.waiting(), 0);
    drop(outlet);
    assert_eq!(slow.join().unwrap(), 300_000);

    let (_reader, mut outlet) = pipes().remove(0);
    for _ in 0..3_000 {
        add(&mut outlet, &"r".repeat(99));
    }
    outlet.finish(); // returns
    assert!(outlet.waiting() == 0 && (1..3_000).contains(&outlet.dropped()));
}

#[test]
fn files_are_written_directly() {
    let path = std::env::temp_dir().join(format!("idler-outlet-{}", std::process::id()));
    let mut outlet = outlet(File::create(&path).unwrap());
    for n in 0..5_000 {
        add(&mut outlet, &format!("{n}"));
        assert_eq!(outlet.flush(), Flushed::All);
    }
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let expected: String = (0..5_000).map(|n| format!("{n}\n")).collect();
    assert_eq!(text, expected);
}
