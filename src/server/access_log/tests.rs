#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use super::*;
use crate::event_loop::PeerAddress;
use crate::event_loop::clock::Clock;
use crate::http::status::Status;
use crate::limits::{LOG_RETRY_FIRST, LOG_RETRY_MAX, WARNING_INTERVAL};
use std::path::PathBuf;

/// A directory of this test's own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("idler-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn at(path: &Path) -> AccessLog {
    AccessLog::open(&LogDestination::File(path.to_owned()), LogFormat::Short).unwrap()
}

fn now() -> Now {
    Clock::start().read()
}

fn say(log: &mut AccessLog, text: &str) {
    log.line(|into| into.extend_from_slice(text.as_bytes()));
}

#[test]
fn switched_off_it_does_nothing() {
    let mut log = AccessLog::open(&LogDestination::Off, LogFormat::Combined).unwrap();
    assert!(!log.is_on());
    log.line(|_| unreachable!("nothing is formatted"));
    assert_eq!(log.flush(&now()), None);
    log.reopen();
    log.finish();
    assert_eq!(log.dropped(), 0);
}

#[test]
fn lines_are_written_at_the_flush_and_appended() {
    let folder = Folder::new("log-append");
    let path = folder.0.join("access.log");
    std::fs::write(&path, "old\n").unwrap();
    let mut log = at(&path);
    assert!(log.is_on());
    say(&mut log, "one");
    say(&mut log, "two");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "old\n");
    assert_eq!(log.flush(&now()), None);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "old\none\ntwo\n");
}

#[test]
fn after_a_rename_reopening_begins_a_new_file() {
    let folder = Folder::new("log-rotate");
    let (path, rotated) = (folder.0.join("a.log"), folder.0.join("a.log.1"));
    let mut log = at(&path);
    say(&mut log, "one");
    log.flush(&now());
    std::fs::rename(&path, &rotated).unwrap();
    say(&mut log, "two"); // still into the old file: it was said before the signal
    log.reopen();
    say(&mut log, "three");
    log.flush(&now());
    assert_eq!(std::fs::read_to_string(&rotated).unwrap(), "one\ntwo\n");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "three\n");
}

#[test]
fn if_reopening_fails_the_old_file_stays() {
    let folder = Folder::new("log-stay");
    let (path, rotated) = (folder.0.join("a.log"), folder.0.join("a.log.1"));
    let mut log = at(&path);
    std::fs::rename(&path, &rotated).unwrap();
    std::fs::create_dir(&path).unwrap(); // something that is no file stands there
    log.reopen();
    say(&mut log, "kept");
    log.flush(&now());
    assert_eq!(std::fs::read_to_string(&rotated).unwrap(), "kept\n");
}

#[test]
fn what_cannot_be_opened_is_explained() {
    let folder = Folder::new("log-errors");
    let message = |path: &Path| {
        AccessLog::open(&LogDestination::File(path.to_owned()), LogFormat::Short)
            .err()
            .unwrap()
    };
    assert!(message(&folder.0).contains("name a file in it"));
    assert!(message(&folder.0.join("no/a.log")).contains("its directory does not exist"));
    let fifo = folder.0.join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, Mode::RUSR | Mode::WUSR).unwrap();
    assert!(message(&fifo).contains("nobody reads this named pipe"));
}

#[test]
fn a_named_pipe_whose_reader_stops_and_leaves_and_comes_back() {
    use std::io::Read as _;
    let folder = Folder::new("log-fifo");
    let fifo = folder.0.join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, Mode::RUSR | Mode::WUSR).unwrap();
    let open_reader = || {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK;
        File::from(rustix::fs::open(&fifo, flags, Mode::empty()).unwrap())
    };
    let mut reader = open_reader();
    let mut log = at(&fifo);
    let now = now();

    // It stops reading: lines are kept, and the log asks to be called again, ever later.
    for _ in 0..2_000 {
        say(&mut log, &"x".repeat(99));
    }
    assert!(log.flush(&now).is_some());
    let mut waits = Vec::new();
    for _ in 0..9 {
        waits.extend(log.flush(&now));
    }
    assert_eq!(waits.first(), Some(&(LOG_RETRY_FIRST * 2)));
    assert_eq!(waits.last(), Some(&LOG_RETRY_MAX));
    assert_eq!(log.dropped(), 0);

    // It reads again: everything comes.
    let mut got = Vec::new();
    loop {
        let wait = log.flush(&now);
        let _ = reader.read_to_end(&mut got); // would-block ends it too
        if wait.is_none() {
            break;
        }
    }
    let _ = reader.read_to_end(&mut got);
    assert_eq!(got.len(), 200_000);

    // It leaves: the lines are lost and counted, and nothing is tried again.
    drop(reader);
    say(&mut log, "lost");
    assert_eq!(log.flush(&now), None);
    assert_eq!(log.dropped(), 1);

    // Another one comes.
    let mut reader = open_reader();
    say(&mut log, "found");
    assert_eq!(log.flush(&now), None);
    let mut text = [0; 6];
    reader.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"found\n");
}

#[test]
fn a_full_disk_is_told_once_in_a_while() {
    let mut log = at(Path::new("/dev/full"));
    let start = now();
    let later = |time| Now {
        instant: start.instant + time,
        ..start
    };
    // Asks a copy, so that asking changes nothing.
    let may_warn = |log: &AccessLog, now| log.warnings.clone().is_due(&now);
    say(&mut log, "x");
    assert!(log.flush(&start).is_some());
    assert!(log.failing && !may_warn(&log, start));
    // Later troubles within the interval are not told, even if lines are lost.
    for _ in 0..20_000 {
        say(&mut log, &"x".repeat(99));
    }
    assert!(log.dropped() > 0);
    log.flush(&later(WARNING_INTERVAL / 2));
    assert_eq!(log.mentioned, 0);
    log.flush(&later(WARNING_INTERVAL));
    assert_eq!(log.mentioned, log.dropped());
    assert!(!may_warn(&log, later(WARNING_INTERVAL * 3 / 2)));
}

#[test]
fn entries_are_written_in_the_chosen_format() {
    let folder = Folder::new("log-entry");
    let path = folder.0.join("a.log");
    let mut log = at(&path);
    let now = Now {
        wall: std::time::UNIX_EPOCH,
        ..now()
    };
    let head = b"GET / HTTP/1.1\r\n\r\n";
    let record = LogRecord::of_refusal(PeerAddress::Unix, head, Status::NOT_FOUND, &now);
    log.add(&record, 0, &now);
    log.flush(&now);
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        "00:00:00 unix 404 0 0.0ms GET / HTTP/1.1\n"
    );
}

/// Runs in a process of its own, which may write files of 512 or 1,024 bytes only: this test again.
#[test]
fn a_limit_on_file_sizes_is_a_failed_write() {
    const CHILD: &str = "IDLER_TEST_FILE_LIMIT_CHILD";
    if let Some(path) = std::env::var_os(CHILD) {
        let mut log = at(Path::new(&path));
        for _ in 0..100 {
            say(&mut log, &"x".repeat(99));
        }
        assert!(log.flush(&now()).is_some());
        assert!(log.failing);
        return;
    }
    let folder = Folder::new("log-limit");
    let path = folder.0.join("a.log");
    let output = std::process::Command::new("/bin/sh")
        .args(["-c", "ulimit -f 1 && exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "server::access_log::tests::a_limit_on_file_sizes_is_a_failed_write",
        ])
        .env(CHILD, &path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let bytes = std::fs::metadata(&path).unwrap().len();
    assert!((512..=1024).contains(&bytes), "{bytes}");
}
