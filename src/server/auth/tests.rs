//! Files of users, and checks under a clock that stands where the test puts it.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::sync::LazyLock;
use std::time::SystemTime;

use super::*;
use crate::event_loop::Tick;

/// The password is "secret"; made by htpasswd -B (cost 5) and by idler (cost 4, for speed).
const ALICE: &str = "alice:$2y$05$/uaF/uaF/uaF/uaF/uaF/uqOlJvf5V6mxHa8l/Vi42EntB04znnsa";
const BOB: &str = "bob:$2b$04$/uaF/uaF/uaF/uaF/uaF/uyUa5B4sNev9rTvA6TvEBWYO4koffwMy";

fn auth(lines: &[&str]) -> Auth {
    let path = std::env::temp_dir().join(format!(
        "idler-users-{}-{:p}",
        std::process::id(),
        &raw const lines
    ));
    std::fs::write(&path, lines.join("\n")).unwrap();
    let auth = Auth::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    auth
}

fn credentials(user: &str, password: &str) -> Credentials {
    Credentials {
        user: user.into(),
        password: password.into(),
    }
}

fn at(turn: u64, millis: u32) -> Now {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    Now {
        tick: Tick(millis),
        instant: *START + Duration::from_millis(millis.into()),
        wall: SystemTime::UNIX_EPOCH,
        turn,
    }
}

#[test]
fn the_right_password_is_known_by_its_hash_and_then_remembered() {
    let mut auth = auth(&["# users", ALICE, "", BOB]);
    for (turn, user) in [(1, "alice"), (2, "bob")] {
        assert_eq!(
            auth.check(&credentials(user, "secret"), &at(turn, 0)),
            Password::Right
        );
    }
    for user in ["alice", "bob"] {
        for _ in 0..100 {
            let verdict = auth.check(&credentials(user, "secret"), &at(2, 0));
            assert_eq!(verdict, Password::Right, "without another check");
        }
    }
    let mut turn = 2;
    for (user, password) in [
        ("alice", "Secret"),
        ("alice", ""),
        ("alice", "secret\0"),
        ("Alice", "secret"),
        ("", ""),
        ("carol", "secret"),
    ] {
        turn += 1;
        let millis = u32::try_from(turn * 1000).unwrap();
        let verdict = auth.check(&credentials(user, password), &at(turn, millis));
        assert_eq!(verdict, Password::Wrong, "{user} {password}");
    }
}

#[test]
fn no_turn_has_two_checks_and_no_second_five() {
    let mut auth = auth(&[BOB]);
    let mut n = 0;
    let mut check = |turn, millis| {
        n += 1;
        auth.check(&credentials("bob", &n.to_string()), &at(turn, millis))
    };
    assert_eq!(check(1, 0), Password::Wrong);
    assert_eq!(check(1, 0), Password::Later);
    for (turn, millis) in [(2, 10), (3, 20), (4, 990)] {
        assert_eq!(check(turn, millis), Password::Wrong);
    }
    for (turn, millis) in [(5, 991), (6, 999)] {
        assert_eq!(check(turn, millis), Password::Later);
    }
    assert_eq!(check(7, 1000), Password::Wrong);
    assert_eq!(check(7, 5000), Password::Later);
}

/// Ticks that are more than 24 days apart cannot be told from those of the other order.
#[test]
fn a_second_is_over_after_a_month_as_well() {
    let mut auth = auth(&[BOB]);
    for n in 0..PASSWORD_CHECKS_PER_SECOND {
        auth.check(&credentials("bob", &n.to_string()), &at(n.into(), 0));
    }
    let month = at(9, 30 * 24 * 60 * 60 * 1000);
    let verdict = auth.check(&credentials("bob", "secret"), &month);
    assert_eq!(verdict, Password::Right);
}

#[test]
fn the_same_wrong_password_costs_one_check() {
    let mut auth = auth(&[BOB]);
    for turn in 0..100 {
        let verdict = auth.check(&credentials("bob", "wrong"), &at(turn, 0));
        assert_eq!(verdict, Password::Wrong);
    }
    assert_eq!(
        auth.check(&credentials("bob", "secret"), &at(100, 0)),
        Password::Right
    );
    // However many there are.
    for n in 0..200_u32 {
        auth.check(
            &credentials("bob", &n.to_string()),
            &at(u64::from(n) + 200, n * 1000),
        );
    }
    assert_eq!(auth.file.made.wrong.len(), WRONG_PASSWORDS_REMEMBERED);
}

#[test]
fn files_that_are_wrong_are_refused() {
    let costly = ALICE.replace("$05$", "$07$");
    let faulty = ALICE.replace("$2y$", "$2x$");
    for (file, why) in [
        ("", "no user"),
        ("# only this", "no user"),
        ("alice", "line 1: not of the form"),
        (":x", "line 1: not of the form"),
        ("a:$apr1$x$y", "not one of bcrypt"),
        ("a:{SHA}x", "not one of bcrypt"),
        ("a:$2y$05$short", "not one of bcrypt"),
        (faulty.as_str(), "not one of bcrypt"),
        (costly.as_str(), "cost 7 would hold up"),
        (
            &format!("{ALICE}\r\n{ALICE}"),
            "line 2: this user has a line",
        ),
    ] {
        let said = Users::parse(file.as_bytes()).unwrap_err();
        assert!(said.contains(why), "{file}: {said}");
    }
}
