#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may stop at the first surprise"
)]

use super::*;
use std::io::Read as _;
use std::os::fd::OwnedFd;

fn new(fd: impl Into<OwnedFd>) -> LogSink {
    LogSink::new(LogTarget::File(File::from(fd.into())))
}

fn add(sink: &mut LogSink, text: &str) -> bool {
    sink.line(|into| into.extend_from_slice(text.as_bytes()))
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

/// A sink as where `/proc` is missing: the shared descriptor itself, with care.
fn careful(fd: impl Into<OwnedFd>, mode: fn(NonBlocking) -> WriteMode) -> LogSink {
    let target = LogTarget::File(File::from(fd.into()));
    LogSink {
        target,
        mode: mode(NonBlocking::Ours),
        pending: Vec::new(),
        within_line: false,
        dropped: 0,
        retry_after: LOG_RETRY_FIRST,
    }
}

/// Both ways of writing to a pipe.
fn pipes() -> Vec<(File, LogSink)> {
    let (one, two) = (rustix::pipe::pipe().unwrap(), rustix::pipe::pipe().unwrap());
    let own = new(one.1);
    assert_eq!(own.mode, WriteMode::Pipe(NonBlocking::Kernel));
    vec![
        (File::from(one.0), own),
        (File::from(two.0), careful(two.1, WriteMode::Pipe)),
    ]
}

#[test]
fn a_reader_that_keeps_up_gets_everything_in_order() {
    for (mut reader, mut sink) in pipes() {
        let mut expected = String::new();
        let mut got = String::new();
        for n in 0..20_000 {
            let line = format!("line {n} {}", "x".repeat(n % 300));
            assert!(add(&mut sink, &line));
            expected.push_str(&line);
            expected.push('\n');
            if n % 100 == 0 {
                while sink.flush() == Flushed::Blocked {
                    got.push_str(&drain(&mut reader));
                }
            }
        }
        while sink.flush() == Flushed::Blocked {
            got.push_str(&drain(&mut reader));
        }
        got.push_str(&drain(&mut reader));
        assert!(got == expected, "lines were lost or changed");
        assert_eq!((sink.dropped, sink.pending.len()), (0, 0));
        assert!(sink.pending.capacity() <= LOG_KEPT_BYTES);
    }
}

#[test]
fn a_reader_that_stops_costs_lines_and_nothing_else() {
    for (mut reader, mut sink) in pipes() {
        let line = "y".repeat(99);
        let mut kept = 0;
        for _ in 0..30_000 {
            kept += u64::from(add(&mut sink, &line));
            // Returns at once, full or not: else this test would hang.
            sink.flush();
            assert!(sink.pending.len() <= LOG_PENDING_BYTES_MAX);
        }
        assert_eq!(sink.dropped + kept, 30_000);
        assert!(sink.dropped > 0);
        assert!(sink.pending.capacity() < 4 * LOG_PENDING_BYTES_MAX);

        // It reads again: what was kept comes whole.
        let mut got = String::new();
        while !sink.pending.is_empty() {
            sink.flush();
            got.push_str(&drain(&mut reader));
        }
        got.push_str(&drain(&mut reader));
        assert_eq!(got.lines().count() as u64, kept);
        assert!(got.lines().all(|l| l == line));
    }
}

#[test]
fn lines_longer_than_a_pipe_takes_at_once_stay_whole() {
    for (mut reader, mut sink) in pipes() {
        let long = "z".repeat(200_000);
        assert!(add(&mut sink, "before"));
        assert!(add(&mut sink, &long));
        assert!(add(&mut sink, "after"));
        let mut got = String::new();
        while sink.flush() == Flushed::Blocked {
            got.push_str(&drain(&mut reader));
        }
        got.push_str(&drain(&mut reader));
        assert!(got == format!("before\n{long}\nafter\n"));
    }
}

#[test]
fn a_line_too_long_for_the_queue_is_dropped_alone() {
    let (mut reader, mut sink) = pipes().remove(0);
    assert!(add(&mut sink, "before"));
    assert!(!add(&mut sink, &"w".repeat(LOG_PENDING_BYTES_MAX + 1)));
    assert!(add(&mut sink, "after"));
    sink.flush();
    assert_eq!(drain(&mut reader), "before\nafter\n");
    assert_eq!(sink.dropped, 1);
}

#[test]
fn a_pipe_without_a_reader_loses_lines_and_says_so() {
    for (reader, mut sink) in pipes() {
        drop(reader);
        add(&mut sink, "one");
        add(&mut sink, "two");
        assert_eq!(sink.flush(), Flushed::Failed(Errno::PIPE));
        assert_eq!((sink.dropped, sink.pending.len()), (2, 0));
        // Nothing is left to be tried again.
        assert_eq!(sink.flush(), Flushed::All);
    }
}

#[test]
fn a_full_disk_keeps_lines_for_a_while() {
    let mut sink = new(File::options().write(true).open("/dev/full").unwrap());
    assert_eq!(sink.mode, WriteMode::Direct);
    let mut kept = 0;
    for _ in 0..LOG_PENDING_BYTES_MAX / 50 {
        kept += u64::from(add(&mut sink, &"v".repeat(99)));
        assert_eq!(sink.flush(), Flushed::Failed(Errno::NOSPC));
    }
    assert!(sink.pending.len() <= LOG_PENDING_BYTES_MAX);
    assert!(sink.dropped > 0);

    // Space again, elsewhere.
    let (mut reader, writer) = rustix::pipe::pipe()
        .map(|(r, w)| (File::from(r), w))
        .unwrap();
    sink.redirect(LogTarget::File(File::from(writer)));
    let mut got = String::new();
    while sink.flush() == Flushed::Blocked {
        got.push_str(&drain(&mut reader));
    }
    got.push_str(&drain(&mut reader));
    assert_eq!(got.lines().count() as u64, kept);
}

#[test]
fn redirecting_within_a_line_loses_its_rest_and_no_more() {
    let (old_reader, mut sink) = pipes().remove(0);
    let long = "u".repeat(100_000); // more than a pipe holds
    add(&mut sink, &long);
    add(&mut sink, "whole");
    assert_eq!(sink.flush(), Flushed::Blocked);
    assert!(sink.within_line);

    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let mut reader = File::from(reader);
    sink.redirect(LogTarget::File(File::from(writer)));
    assert_eq!(sink.flush(), Flushed::All);
    assert_eq!(drain(&mut reader), "whole\n");
    assert_eq!(sink.dropped, 1);
    drop(old_reader);
}

#[test]
fn a_socket_that_nobody_reads_does_not_block() {
    let (reader, writer) = std::os::unix::net::UnixStream::pair().unwrap();
    let mut sink = new(writer);
    assert_eq!(sink.mode, WriteMode::Socket);
    let mut lines = 0;
    let mut blocked = false;
    while !blocked {
        add(&mut sink, &"t".repeat(999));
        lines += 1;
        blocked = sink.flush() == Flushed::Blocked;
        assert!(lines < 100_000);
    }
    let mut reader = File::from(OwnedFd::from(reader));
    let mut got = drain(&mut reader).len();
    while sink.flush() == Flushed::Blocked {
        got += drain(&mut reader).len();
    }
    got += drain(&mut reader).len();
    assert_eq!((got, sink.dropped), (lines * 1000, 0));
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
fn fill_terminal(mut master: File, mut sink: LogSink) {
    // Many short lines: each end becomes two bytes on the way.
    let mut lines = 0;
    let mut turns = 0;
    while sink.pending.len() < 20_000 {
        lines += u64::from(add(&mut sink, "s"));
        if lines % 100 == 0 {
            sink.flush();
            turns += 1;
        }
        assert!(turns < 1_000_000, "a terminal without bottom");
    }
    let mut seen = String::new();
    while !sink.pending.is_empty() {
        sink.flush();
        seen.push_str(&drain(&mut master));
    }
    seen.push_str(&drain(&mut master));
    assert_eq!(seen.matches("s\r\n").count() as u64, lines);
}

#[test]
fn a_terminal_that_nobody_looks_at_does_not_block() {
    if let Some((master, terminal)) = terminal() {
        let sink = new(terminal);
        assert_eq!(sink.mode, WriteMode::Terminal(NonBlocking::Kernel));
        fill_terminal(master, sink);
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
    let sink = new(writer);
    let flags = |fd: BorrowedFd<'_>| rustix::fs::fcntl_getfl(fd).unwrap();
    assert!(flags(sink.target.as_fd()).contains(OFlags::NONBLOCK));
    assert!(!flags(shared.as_fd()).contains(OFlags::NONBLOCK));
}

#[test]
fn a_farewell_waits_for_a_slow_reader_but_not_for_ever() {
    let (mut reader, mut sink) = pipes().remove(0);
    for _ in 0..3_000 {
        add(&mut sink, &"r".repeat(99));
    }
    let slow = std::thread::spawn(move || {
        let mut got = Vec::new();
        reader.read_to_end(&mut got).unwrap();
        got.len()
    });
    sink.finish();
    assert_eq!(sink.pending.len(), 0);
    drop(sink);
    assert_eq!(slow.join().unwrap(), 300_000);

    let (_reader, mut sink) = pipes().remove(0);
    for _ in 0..3_000 {
        add(&mut sink, &"r".repeat(99));
    }
    sink.finish(); // returns
    assert!(sink.pending.is_empty() && (1..3_000).contains(&sink.dropped));
}

#[test]
fn files_are_written_directly() {
    let path = std::env::temp_dir().join(format!("idler-sink-{}", std::process::id()));
    let mut sink = new(File::create(&path).unwrap());
    for n in 0..5_000 {
        add(&mut sink, &format!("{n}"));
        assert_eq!(sink.flush(), Flushed::All);
    }
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let expected: String = (0..5_000).map(|n| format!("{n}\n")).collect();
    assert_eq!(text, expected);
}
