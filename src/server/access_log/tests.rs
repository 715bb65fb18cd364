#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use super::*;
use crate::event_loop::PeerAddress;
use crate::event_loop::clock::Clock;
use crate::http::status::Status;
use crate::limits::{LOG_RETRY_FIRST, LOG_RETRY_MAX, WARNING_INTERVAL};
use std::time::UNIX_EPOCH;

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
    let sink = log.sink.as_mut().unwrap();
    sink.line(|into| into.extend_from_slice(text.as_bytes()));
}

#[test]
fn switched_off_it_does_nothing() {
    let mut log = AccessLog::open(&LogDestination::Off, LogFormat::Combined).unwrap();
    assert!(log.sink.is_none(), "nothing is formatted");
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
    assert!(log.sink.is_some());
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
        wall: UNIX_EPOCH,
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

fn record() -> LogRecord {
    LogRecord {
        client: PeerAddress::Ip("127.0.0.1".parse().unwrap()),
        user: None,
        request: b"GET / HTTP/1.1".to_vec(),
        referer: None,
        user_agent: Some(b"curl/8.5".to_vec()),
        status: Status::OK,
        begun: Clock::start().read().instant,
    }
}

fn written_at(unix_seconds: u64, record: &LogRecord, format: LogFormat) -> String {
    let now = Now {
        instant: record.begun + Duration::from_micros(1_234),
        wall: UNIX_EPOCH + Duration::from_secs(unix_seconds),
        ..Clock::start().read()
    };
    let mut into = Vec::new();
    let time = date::common_log(unix_seconds.cast_signed());
    record.write(format, time, 5, &now, &mut into);
    String::from_utf8(into).unwrap()
}

fn written(record: &LogRecord, format: LogFormat) -> String {
    written_at(1_893_456_000, record, format)
}

#[test]
fn the_three_formats() {
    let e = record();
    assert_eq!(
        written(&e, LogFormat::Combined),
        r#"127.0.0.1 - - [01/Jan/2030:00:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "curl/8.5""#
    );
    assert_eq!(
        written(&e, LogFormat::Json),
        concat!(
            r#"{"time":"2030-01-01T00:00:00Z","peer":"127.0.0.1","user":null,"#,
            r#""request":"GET / HTTP/1.1","status":200,"bytes":5,"seconds":0.001234,"#,
            r#""referer":null,"user_agent":"curl/8.5"}"#
        )
    );
    assert_eq!(
        written(&e, LogFormat::Short),
        "00:00:00 127.0.0.1 200 5 1.2ms GET / HTTP/1.1"
    );
}

#[test]
fn nobody_forges_a_line_or_reaches_a_terminal() {
    let nasty = LogRecord {
        client: PeerAddress::Unix,
        user: Some(b"a b\"c"[..].into()),
        request: b"GET /\r\n\x1b[2J\"\\\x00\xff\xc3\xa9 HTTP/1.1".to_vec(),
        referer: Some(Vec::new()),
        user_agent: Some(b"\x7f\t".to_vec()),
        ..record()
    };
    assert_eq!(
        written(&nasty, LogFormat::Combined),
        concat!(
            r#"unix - a\x20b\x22c [01/Jan/2030:00:00:00 +0000] "#,
            r#""GET /\x0D\x0A\x1B[2J\x22\x5C\x00\xFF\xC3\xA9 HTTP/1.1" 200 5 "-" "\x7F\x09""#
        )
    );
    assert!(written(&nasty, LogFormat::Json).contains(
        r#""request":"GET /\u000d\u000a\u001b[2J\"\\\u0000\ufffd\u00e9 HTTP/1.1","status""#
    ));
    for format in [LogFormat::Combined, LogFormat::Json, LogFormat::Short] {
        let every_byte: Vec<u8> = (0..=255).collect();
        let line = written(
            &LogRecord {
                user: Some(every_byte.clone().into()),
                request: every_byte.clone(),
                referer: Some(every_byte),
                ..record()
            },
            format,
        );
        assert!(line.bytes().all(|b| matches!(b, b' '..=b'~')), "{line}");
    }
}

#[test]
fn json_has_surrogate_pairs_for_what_needs_them() {
    let smiling = LogRecord {
        request: "\u{1f600}".into(),
        ..record()
    };
    assert!(written(&smiling, LogFormat::Json).contains(r#""request":"\ud83d\ude00""#));
}

#[test]
fn long_texts_are_cut_and_marked() {
    let long = vec![b'a'; LOG_FIELD_BYTES_MAX + 1];
    let fits = &long[1..];
    let line = |request: &[u8]| {
        let request = request.to_vec();
        written(
            &LogRecord {
                request,
                ..record()
            },
            LogFormat::Short,
        )
    };
    assert!(line(&long).ends_with("aaa..."));
    assert!(line(fits).ends_with("aaaa"));
    // A cut in the middle of a character is no reason for broken JSON.
    let text = "é".repeat(LOG_FIELD_BYTES_MAX);
    let odd = &text.as_bytes()[1..];
    let json = written(
        &LogRecord {
            request: odd.to_vec(),
            ..record()
        },
        LogFormat::Json,
    );
    assert!(json.contains(r#"\ufffd..."#), "{json}");
}

#[test]
fn v4_clients_of_a_v6_socket_are_shown_as_v4() {
    let mapped = LogRecord {
        client: PeerAddress::Ip("::ffff:192.0.2.1".parse().unwrap()),
        ..record()
    };
    assert!(written(&mapped, LogFormat::Combined).starts_with("192.0.2.1 "));
}

#[test]
fn a_time_beyond_the_calendar_spoils_no_line() {
    let written = |format| written_at(i64::MAX.unsigned_abs(), &record(), format);
    assert!(written(LogFormat::Combined).contains(" [-] "));
    assert!(written(LogFormat::Json).starts_with(r#"{"time":null,"peer":"#));
    assert!(written(LogFormat::Short).starts_with("127.0.0.1 200 "));
}
