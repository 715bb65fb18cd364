//! What idler keeps to itself: everything outside the site, and what is hidden within it.
//!
//! It may not know how a path is resolved. Invariant: a secret lies outside and inside of every site here,
//! and no reply ever contains it.
//! Read next: `fixtures/hostile/README.md`.

use std::path::Path;

use crate::support::{Idler, Reply, Running, Site, repository};

/// What lies where nobody may see it.
const SECRET: &str = "the secret of the house";

/// A site with a secret beside it, a hidden one in it, and folders that hostile targets name.
fn site() -> Site {
    let site = Site::with(&[
        ("hello.txt", b"hello\n"),
        ("index.html", b"<p>root"),
        ("notes/index.html", b"<p>notes"),
        ("notes/first.txt", b"The first note.\n"),
        ("evil.example/index.html", b"<p>no evil"),
        (".well-known/security.txt", b"Contact: us\n"),
    ]);
    for hidden in [
        ".git/config",
        ".env",
        ".htpasswd",
        "notes/.secret",
        ".well-known/.secret",
    ] {
        site.file(hidden, SECRET.as_bytes());
    }
    std::fs::write(site.beside("secret.txt"), SECRET).expect("a file beside the site");
    site
}

/// Asks for a target exactly as it stands.
fn ask(idler: &Running, target: &str) -> Reply {
    let mut client = idler.client();
    client
        .send(format!("GET {target} HTTP/1.1\r\nHost: idler\r\n\r\n"))
        .expect("sent");
    client.reply()
}

#[test]
fn no_hostile_target_leads_out_of_the_site_or_off_the_host() {
    let site = site();
    let idler = Idler::serve(site.path()).start();
    let list =
        std::fs::read_to_string(repository("fixtures/hostile/targets.txt")).expect("the list");
    let mut asked = 0;
    for target in list
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with("# "))
    {
        asked += 1;
        let reply = ask(&idler, target);
        let text = reply.text();
        assert!(!text.contains(SECRET), "{target} told the secret");
        assert!(!text.contains("root:"), "{target} told /etc/passwd");
        assert!(
            matches!(reply.status, 200 | 301 | 308 | 400 | 404),
            "{target} was answered with {}",
            reply.status
        );
        assert!(
            reply.all("set-cookie").next().is_none(),
            "{target} wrote a header"
        );
        let place = site.path().to_string_lossy();
        assert!(!text.contains(&*place), "{target} told where the site is");
        let locations: Vec<&str> = reply.all("location").collect();
        match (reply.status, locations.as_slice()) {
            (301 | 308, [location]) => stays(target, location),
            (301 | 308, _) => panic!("{target} was sent to {locations:?}"),
            (_, []) => {}
            _ => panic!("{target}: {} with {locations:?}", reply.status),
        }
        // Whatever is served, it is one of the files above, and not what was asked for by a trick.
        if reply.status == 200 {
            assert!(
                ["hello\n", "<p>root", "<p>notes", "<p>no evil"].contains(&text.as_str()),
                "{target} was answered with {text}"
            );
        }
    }
    assert!(asked > 100, "only {asked} targets");
    idler.stop();
}

/// A browser follows this `Location` to the same host, whatever it thinks of backslashes.
fn stays(target: &str, location: &str) {
    let mut bytes = location.bytes();
    assert_eq!(bytes.next(), Some(b'/'), "{target} was sent to {location}");
    assert!(
        !matches!(bytes.next(), Some(b'/' | b'\\')),
        "{target} was sent to another host: {location}"
    );
    assert!(
        location.bytes().all(|b| (b'!'..=b'~').contains(&b)),
        "{target} was sent to {location:?}"
    );
}

#[test]
fn links_that_stay_inside_are_followed() {
    let site = site();
    site.link("link.txt", "hello.txt");
    site.link("notes/up.txt", "../hello.txt");
    site.link("also", "notes");
    site.link("twice", "also");
    site.link("here", ".");
    let idler = Idler::serve(site.path()).start();
    for target in [
        "/link.txt",
        "/notes/up.txt",
        "/also/up.txt",
        "/here/here/here/hello.txt",
    ] {
        assert_eq!(idler.get(target).text(), "hello\n", "{target}");
    }
    assert_eq!(idler.get("/twice/").text(), "<p>notes");
    assert_eq!(idler.get("/twice").header("location"), Some("/twice/"));
    idler.stop();
}

#[test]
fn links_that_leave_are_as_if_missing() {
    let site = site();
    let outside = site.beside("secret.txt");
    std::fs::create_dir(site.beside("outside")).expect("a folder beside the site");
    std::fs::write(site.beside("outside/index.html"), SECRET).expect("a file in it");
    for (name, target) in [
        ("absolute.txt", outside.as_path()),
        ("relative.txt", Path::new("../secret.txt")),
        ("deep.txt", Path::new("notes/../../secret.txt")),
        ("folder", Path::new("../outside")),
        ("parent", Path::new("..")),
        ("everything", Path::new("/")),
        ("inside-but-absolute.txt", &site.path().join("hello.txt")),
        ("loop", Path::new("loop")),
        ("dangling", Path::new("nothing")),
        ("chain", Path::new("relative.txt")),
        ("magic", Path::new("/proc/self/root")),
        ("fd", Path::new("/proc/self/fd/3")),
    ] {
        site.link(name, target);
    }
    let idler = Idler::serve(site.path()).start();
    for target in [
        "/absolute.txt",
        "/relative.txt",
        "/deep.txt",
        "/folder",
        "/folder/",
        "/folder/index.html",
        "/parent/secret.txt",
        "/parent/",
        "/everything/etc/passwd",
        "/inside-but-absolute.txt",
        "/loop",
        "/loop/x",
        "/dangling",
        "/chain",
        "/magic/etc/passwd",
        "/fd",
    ] {
        let reply = idler.get(target);
        assert_eq!(reply.status, 404, "{target}");
        assert!(!reply.text().contains(SECRET), "{target}");
    }
    idler.stop();
}

#[test]
fn an_index_that_leaves_is_no_index() {
    let site = site();
    site.folder("trap");
    site.link("trap/index.html", "../../secret.txt");
    let idler = Idler::serve(site.path()).start();
    let reply = idler.get("/trap/");
    assert!(!reply.text().contains(SECRET));
    idler.stop();
}

#[test]
fn a_link_that_is_turned_while_requests_come_tells_nothing() {
    let site = site();
    site.file("inside.txt", b"inside\n");
    let idler = Idler::serve(site.path()).start();
    let mut client = idler.client();
    let (mut told, mut missing) = (0, 0);
    for turn in 0..3_000 {
        let target = if turn % 2 == 0 {
            "inside.txt"
        } else {
            "../secret.txt"
        };
        site.link("draft", target);
        std::fs::rename(site.path().join("draft"), site.path().join("turning"))
            .expect("links can be replaced");
        let reply = client.get("/turning");
        match (reply.status, turn % 2) {
            (200, 0) => {
                assert_eq!(reply.text(), "inside\n");
                told += 1;
            }
            (404, 1) => missing += 1,
            (status, _) => panic!("turn {turn}: {status} {}", reply.text()),
        }
    }
    assert_eq!((told, missing), (1_500, 1_500));
    idler.stop();
}

#[test]
fn hidden_names_are_as_if_missing() {
    let site = site();
    let idler = Idler::serve(site.path()).start();
    for target in [
        "/.git/config",
        "/.git/",
        "/.git",
        "/.env",
        "/notes/.secret",
        "/.well-known/.secret",
    ] {
        assert_eq!(idler.get(target).status, 404, "{target}");
    }
    assert_eq!(
        idler.get("/.well-known/security.txt").text(),
        "Contact: us\n"
    );
    std::fs::remove_file(site.path().join("index.html")).expect("it was there");
    let listing = idler.get("/").text();
    assert!(
        listing.contains("hello.txt") && listing.contains("notes/"),
        "{listing}"
    );
    assert!(
        !listing.contains(".git") && !listing.contains(".env"),
        "{listing}"
    );
    idler.stop();
}

#[test]
fn hidden_names_can_be_asked_for() {
    let site = site();
    let idler = Idler::serve(site.path()).arg("--hidden").start();
    for target in [
        "/.git/config",
        "/.env",
        "/notes/.secret",
        "/.well-known/.secret",
    ] {
        assert_eq!(idler.get(target).text(), SECRET, "{target}");
    }
    std::fs::remove_file(site.path().join("index.html")).expect("it was there");
    assert!(idler.get("/").text().contains(".env"));
    idler.stop();
}

#[test]
fn a_page_of_an_error_shows_what_was_asked_for_as_text() {
    let site = site();
    let idler = Idler::serve(site.path()).start();
    for target in [
        "/%3Cscript%3Ealert(1)%3C/script%3E",
        "/%22onmouseover=%22alert(1)",
        "/<script>alert(1)</script>",
        "/?<script>alert(1)</script>",
    ] {
        let reply = ask(&idler, target);
        let text = reply.text();
        assert!(
            !text.contains("<script") && !text.contains("\"onmouse"),
            "{target}: {text}"
        );
    }
    idler.stop();
}

/// Neither what stands outside nor whether it may be read.
#[test]
fn what_is_denied_outside_is_as_missing_as_the_rest() {
    use std::os::unix::fs::PermissionsExt;
    let allow = |site: &Site, mode| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(site.path(), mode).expect("rights can be changed");
    };
    let outside = Site::with(&[("there.txt", b"secret")]);
    let site = Site::with(&[("a.txt", b"a")]);
    site.link("there", outside.path().join("there.txt"));
    site.link("not-there", outside.path().join("nothing"));
    allow(&outside, 0o000);
    let idler = Idler::serve(site.path()).unprivileged().start();
    for target in ["/there", "/not-there"] {
        assert_eq!(idler.get(target).status, 404, "{target}");
    }
    assert_eq!(idler.get("/a.txt").text(), "a");
    idler.stop();
    allow(&outside, 0o700);
}
