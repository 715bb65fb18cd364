//! Every error that the kernel can give, at every place where it can give one.
//!
//! The numbers from 1 to beyond the last that Linux knows, as answers to recv, send, sendfile and
//! shutdown of a scripted socket, and to the calls by which a site is read. Whatever the kernel
//! says, a connection is parked, queued or gone, and a file's trouble has its status.

use std::collections::BTreeSet;

use rustix::io::Errno;

use super::*;
use crate::cli::{LogDestination, LogFormat};
use crate::server::access_log::AccessLog;
use crate::site::cache::Cache;
use crate::site::open::Opener;
use crate::site::open::tests::faults::{Call, are_over, plan};

/// Everything that Linux calls an error, and some that it does not yet.
fn all_errors() -> impl Iterator<Item = Errno> {
    (1..=140).map(Errno::from_raw_os_error)
}

/// All scripts of up to two letters after which a call can fail.
fn beginnings() -> Vec<Vec<Letter>> {
    let mut scripts = vec![Vec::new()];
    for first in [Few, Many, Block] {
        scripts.push(vec![first]);
        for second in [Few, Many, Block] {
            scripts.push(vec![first, second]);
        }
    }
    scripts
}

#[test]
fn every_error_of_the_socket_ends_the_connection_in_every_state_or_passes() {
    let mut stand = Stand::new("errors", &[]);
    let mut failed_in = BTreeSet::new();
    for errno in all_errors() {
        let passes = matches!(errno, Errno::AGAIN | Errno::INTR);
        for says in [GET, LARGE, LIST, POST, BAD_BODY, NO_HOST] {
            for mut script in beginnings() {
                script.push(Fail(errno));
                let before = stand.closed(Close::Error);
                let played = stand.play(says, &script);
                let failed = stand.closed(Close::Error) - before;
                if played.used == script.len() && !passes {
                    assert_eq!(played.states.last(), Some(&"Closed"), "{script:?}");
                    // A connection whose end has been counted already is not counted again.
                    assert!(failed == 1 || says == BAD_BODY, "{script:?}: {played:?}");
                    let state = played.states.iter().rev().nth(1);
                    failed_in.insert(state.copied().unwrap_or("ReadingHead"));
                } else {
                    assert_eq!(failed, 0, "{script:?}: {played:?}");
                }
            }
        }
    }
    let states = ["Lingering", "ReadingHead", "WritingBody", "WritingHeaders"];
    assert!(failed_in.into_iter().eq(states));
}

#[test]
fn what_signals_interrupt_is_done_again_and_not_for_ever() {
    let mut stand = Stand::new("interrupted", &[]);
    for times in 1..40 {
        let mut script = vec![Fail(Errno::INTR); times];
        script.extend([Many, Fail(Errno::INTR), Many, End]);
        let played = stand.play(GET, &script);
        assert!(played.sent.starts_with("HTTP/1.1 200 "), "{times}");
        assert!(played.states.len() < 8 + times, "{times}");
    }
}

#[test]
fn every_error_of_hanging_up_ends_the_connection() {
    let mut stand = Stand::new("farewell", &[]);
    for errno in all_errors() {
        for (says, why) in [(NO_HOST, Close::Error), (BAD_BODY, Close::Malformed)] {
            let before = stand.closed(why);
            let mut held = stand.accept(Scripted::new(says, &[Many, Many, Many]));
            held.connection.transport().shutdown = Some(errno);
            for _ in 0..5 {
                held.ready.set(Side::Either);
                if held.place != Place::Left {
                    stand.drive(&mut held, &errno);
                }
            }
            assert_eq!(held.place, Place::Left, "{errno:?}");
            assert_eq!(stand.closed(why) - before, 1, "{errno:?} {why:?}");
        }
    }
}

/// The status that is due if a call says this of a file.
fn status_of(call: Call, errno: Errno) -> &'static str {
    match (call, errno) {
        // Whatever opened it, it was there.
        (Call::Read, _) => "500",
        (
            _,
            Errno::NOENT
            | Errno::NOTDIR
            | Errno::LOOP
            | Errno::XDEV
            | Errno::NXIO
            | Errno::NODEV
            | Errno::NAMETOOLONG
            | Errno::INVAL,
        ) => "404",
        (_, Errno::ACCESS | Errno::PERM) => "403",
        (_, Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::BUSY) => "503",
        _ => "500",
    }
}

/// Plays all scripts of up to six answers, each an error or none, to requests for what is not kept.
#[test]
fn every_error_of_the_file_system_has_its_status_and_passes() {
    let mut stand = Stand::new("files", &[]);
    let mut seen = BTreeSet::new();
    for (opener, call) in [
        (Opener::Openat2, Call::Statx),
        (Opener::Openat2, Call::Open),
        (Opener::Openat2, Call::Read),
        (Opener::Walk, Call::Statx),
        (Opener::Walk, Call::Open),
    ] {
        stand.server.http.sites[0].site.force(opener);
        for errno in all_errors() {
            for code in 0..1 << 6 {
                let answers: Vec<Option<Errno>> = (0..6)
                    .map(|at| (code >> at & 1 == 1).then_some(errno))
                    .collect();
                plan(call, &answers);
                // Asked again until the errors are used up: then all is well.
                let mut statuses = Vec::new();
                while !are_over() || statuses.is_empty() {
                    assert!(statuses.len() < 7, "{call:?} {answers:?}: {statuses:?}");
                    stand.server.http.sites[0].cache = Cache::new(1 << 20, 8);
                    let played = stand.play(LAST, &[Many, Many]);
                    statuses.push(played.sent[9..12].to_owned());
                }
                plan(call, &[]);
                let sound = stand.play(LAST, &[Many, Many]).sent;
                assert!(sound.starts_with("HTTP/1.1 200 "), "{sound}");
                let due = status_of(call, errno);
                for status in statuses {
                    // A root that cannot be asked about is as good as gone; what is open and cannot
                    // be asked about has failed.
                    let gone = call == Call::Statx && matches!(&*status, "404" | "500");
                    // What the portable way found, or another try.
                    let found = status == "200";
                    // A file system that is interrupted or raced with for ever is busy.
                    let busy = matches!(errno, Errno::INTR | Errno::AGAIN) && status == "503";
                    assert!(
                        status == due || found || gone || busy,
                        "{call:?} {errno:?}: {status}, not {due}"
                    );
                    seen.insert(status);
                }
            }
        }
    }
    assert!(seen.into_iter().eq(["200", "403", "404", "500", "503"]));
}

#[test]
fn a_directory_that_cannot_be_read_is_cut_off_and_logged() {
    let mut stand = Stand::new("names", &[]);
    let log = std::env::temp_dir().join(format!("idler-names-{}.log", std::process::id()));
    stand.server.access =
        AccessLog::open(&LogDestination::File(log.clone()), LogFormat::Short).unwrap();
    let mut lines = 0;
    for errno in all_errors().filter(|errno| *errno != Errno::INTR) {
        for at in 0..4 {
            let mut answers = vec![None; at];
            answers.push(Some(errno));
            plan(Call::Names, &answers);
            let errors = stand.closed(Close::Listing);
            let played = stand.play(LIST, &[Many; 6]);
            if are_over() {
                assert_eq!(played.states.last(), Some(&"Closed"), "{errno:?} {at}");
                assert!(!played.sent.contains("0\r\n\r\n"), "{}", played.sent);
                assert_eq!(stand.closed(Close::Listing) - errors, 1, "{errno:?} {at}");
            }
            lines += played.sent.matches("HTTP/1.1 ").count();
        }
    }
    stand.server.access.flush(&stand.now);
    let text = std::fs::read_to_string(&log).unwrap();
    std::fs::remove_file(&log).unwrap();
    assert_eq!(text.lines().count(), lines);
    plan(Call::Names, &[Some(Errno::INTR); 20]);
    let played = stand.play(LIST, &[Many; 6]);
    assert!(
        are_over() && played.sent.contains("0\r\n\r\n"),
        "{played:?}"
    );
}
