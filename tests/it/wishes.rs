//! README's wishes ("How do I …", "Learn with it", "Stress with it"): each block is run as it stands there, and is to do
//! what was wished for.
//!
//! What is run is read from README.md; ports and paths are those written there, which is why each wish has a network and
//! a `/run` of its own.

use crate::support::idler::PROGRAM;
use crate::support::program::Program;
use crate::support::{PATIENCE, Site, repository};

/// The wishes: the words they begin with, and the lines of their blocks, without the prompt.
fn wishes() -> Vec<(String, Vec<String>)> {
    let text = std::fs::read_to_string(repository("README.md")).expect("README.md is there");
    let (_, rest) = text.split_once("\n## How do I …\n").expect("the first");
    let (section, _) = rest
        .split_once("\n## Verbs and options\n")
        .expect("another follows");
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    for line in section.lines() {
        if let Some(wish) = line.strip_prefix("**… ") {
            let (words, _) = wish.split_once("**").expect("the end of the wish");
            found.push((words.to_owned(), Vec::new()));
        } else if let Some(command) = line.strip_prefix("$ ") {
            let (_, commands) = found.last_mut().expect("a wish comes first");
            commands.push(command.to_owned());
        }
    }
    found
}

/// The wish that begins with `words`.
fn wish(words: &str) -> Vec<String> {
    let all = wishes();
    let found = all.into_iter().find(|(wish, _)| wish.starts_with(words));
    let (_, commands) = found.unwrap_or_else(|| panic!("nobody wishes to {words}"));
    assert!(!commands.is_empty(), "{words}: no command");
    commands
}

/// Runs the block of a wish: `before` it, then its lines, of which a server goes on until the end, then `after` it. Returns what was
/// written to standard output; what servers say is in the files `out` and `err`.
fn run(words: &str, before: &str, after: &str) -> String {
    let folder = Site::new();
    let path = folder.path().display();
    let mut script = format!(
        "set -e\ntrap 'kill $server 2>/dev/null || true' EXIT\nmount -t tmpfs none /run\nip link set lo up\n\
         ip addr add 192.0.2.1/24 dev lo\n\
         idler() {{ '{PROGRAM}' \"$@\"; }}\n\
         ready() {{ until grep -q 'up to\\|listens on' err; do kill -0 $server; sleep 0.05; done; }}\n\
         cp -r '{site}' site\n{before}\n",
        site = repository("fixtures/site").display(),
    );
    for line in wish(words) {
        let verb = line
            .strip_prefix("idler ")
            .map(|rest| rest.split(' ').next());
        let serves = verb.flatten().is_some_and(|verb| {
            let ends = ["password", "precompress", "get", "explain", "crowd"].contains(&verb);
            !ends && !verb.ends_with("-client")
        });
        let line = if serves {
            format!(
                "{} >out 2>err & server=$!\nready",
                line.replacen("idler", PROGRAM, 1)
            )
        } else {
            line
        };
        script += &format!("{line}\n");
    }
    script += &format!("{after}\nif [ -n \"$server\" ]; then kill $server; wait $server; fi\n");
    let file = folder.file("../wish.sh", script.as_bytes());
    let outcome = Program::find(&["unshare"])
        .args(&["-n", "-m", "sh", "-c", &format!("cd {path} && . \"$0\"")])
        .arg(file)
        .run(PATIENCE * 2);
    assert!(
        outcome.status.success(),
        "{script}\n{}\n{}",
        outcome.text(),
        outcome.stderr
    );
    outcome.text()
}

const CURL: &str = "curl -sS http://localhost:8080";

#[test]
fn there_are_seventeen_and_each_is_tried() {
    let all = wishes();
    assert_eq!(all.len(), 17, "{all:?}");
    let this = include_str!("wishes.rs");
    for (wish, _) in &all {
        let words: Vec<&str> = wish.trim_end_matches('?').split(' ').take(3).collect();
        let tried = this.contains(&format!("\"{}", words.join(" ")));
        assert!(tried, "nobody tries: {wish}");
    }
}

#[test]
#[ignore = "needs unshare, ip, curl and root"]
fn a_folder_is_shared() {
    let said = run(
        "share a folder",
        "",
        "cat err; curl -sS http://192.0.2.1:8080/hello.txt",
    );
    assert!(said.contains("  http://192.0.2.1:8080/\n"), "{said}");
    assert!(said.ends_with("hello\n"), "{said}");
}

#[test]
#[ignore = "needs unshare, ip, curl and root"]
fn a_site_is_rebuilt() {
    let after = format!(
        "{CURL}/hello.txt; rm -r site; mkdir site; echo rebuilt >site/hello.txt; {CURL}/hello.txt"
    );
    assert_eq!(run("look at a site", "", &after), "hello\nrebuilt\n");
}

#[test]
#[ignore = "needs unshare, ip, curl and root"]
fn an_application_has_one_page() {
    let before = "echo app >site/index.html; echo js >site/app.3f9a1c2b.js";
    let after = format!(
        "{CURL}/some/page -H 'Accept: text/html'; {CURL}/app.3f9a1c2b.js -D -; \
         {CURL}/missing.js -o /dev/null -w '%{{http_code}}'"
    );
    let said = run("serve a single-page", before, &after);
    assert!(said.starts_with("app\n") && said.ends_with("404"), "{said}");
    assert!(said.contains("immutable"), "{said}");
}

#[test]
#[ignore = "needs unshare, ip, curl and root"]
fn a_password_is_asked_for() {
    let after = format!(
        "{CURL}/hello.txt -o /dev/null -w '%{{http_code}} '; {CURL}/hello.txt -u anna:secret"
    );
    assert_eq!(run("ask for a password", "", &after), "401 hello\n");
}

#[test]
#[ignore = "needs unshare, ip, curl and root"]
fn a_download_goes_on() {
    let before = "head -c 50 site/picture.png >picture.png";
    let said = run(
        "go on with a download",
        before,
        "cmp picture.png site/picture.png; cat out",
    );
    assert!(said.contains("\" 206 "), "{said}");
}

/// nginx itself, with the file that is named, is run in `deploy.rs`.
#[test]
#[ignore = "needs unshare, ip, curl and root"]
fn a_socket_is_there_for_nginx() {
    let after = "stat -c '%a %U' /run/idler.sock; curl -sS --unix-socket /run/idler.sock http://idler/hello.txt";
    assert_eq!(
        run("put it behind nginx", "", after),
        "660 www-data\nhello\n"
    );
    let shipped = repository("fixtures/deploy/nginx.conf");
    let shipped = std::fs::read_to_string(shipped).expect("it is shipped");
    assert!(shipped.contains("server unix:/run/idler.sock;"));
}

/// Without systemd as init, units are enabled in a folder that stands for its root.
#[test]
#[ignore = "needs unshare, ip, systemctl and root"]
fn a_service_is_enabled() {
    let repository = repository("");
    let before = format!(
        "root=$PWD/root; mkdir -p $root/etc/systemd/system; cd '{}'\n\
         cp() {{ command cp \"$1\" \"$2\" \"$root$3\"; }}\n\
         systemctl() {{ [ \"$2\" = --now ]; command systemctl --root=$root enable \"$3\" 2>/dev/null; }}",
        repository.display()
    );
    let said = run(
        "run it as a service",
        &before,
        "find $root -name 'idler*' -printf '%P\\n' | sort",
    );
    let expected = [
        "etc/systemd/system/idler.service",
        "etc/systemd/system/idler.socket",
        "etc/systemd/system/sockets.target.wants/idler.socket",
    ];
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);
}

/// No engine runs here, so the lines are held against those in the file; what the file says is run in `deploy.rs`.
#[test]
fn a_container_is_built_as_its_file_says() {
    let shipped = repository("fixtures/deploy/Containerfile");
    let shipped = std::fs::read_to_string(shipped).expect("it is shipped");
    for line in wish("put it in a container") {
        assert!(shipped.contains(&line), "{line}");
    }
}

#[test]
#[ignore = "needs unshare, ip, curl and root"]
fn who_asks_is_seen() {
    let said = run(
        "see who asks",
        "",
        &format!(
            "{CURL}/hello.txt >/dev/null; timeout 20 sh -c 'until grep -q hello out; do :; done'; cat out"
        ),
    );
    assert!(
        said.contains(" 127.0.0.1 200 6 ") && said.contains("GET /hello.txt"),
        "{said}"
    );
}

#[test]
#[ignore = "needs unshare, ip, curl and root"]
fn as_many_are_held_as_the_machine_allows() {
    let said = run("hold as many", "", "ulimit -Hn; cat err");
    let (most, said) = said.split_once('\n').expect("a limit");
    let most: usize = most.parse().expect("a number");
    let held = most.min(idler::limits::SLOTS_MAX + idler::limits::DESCRIPTORS_RESERVED)
        - idler::limits::DESCRIPTORS_RESERVED;
    assert!(
        said.contains(&format!("up to {held} connections")),
        "{said}"
    );
}

#[test]
#[ignore = "needs unshare, ip, curl and root"]
fn what_was_compressed_is_sent() {
    let after = format!("{CURL}/style.css -H 'Accept-Encoding: gzip' -o /dev/null -D -");
    let said = run("send compressed files", "", &after);
    assert!(said.contains("Content-Encoding: gzip"), "{said}");
}

/// The trace itself is held in `readme.rs`, since its command does not end: "follow one connection".
#[test]
#[ignore = "needs unshare, ip and root"]
fn a_slow_client_is_answered() {
    let said = run("be a slow", "exec 2>&1", "");
    assert!(said.contains("GET /hello.txt HTTP/1.1"), "{said}");
    assert!(
        said.contains("HTTP/1.1 200 OK") && said.contains(" would-blocks, "),
        "{said}"
    );
}

#[test]
#[ignore = "needs unshare, ip and root"]
fn an_answer_is_explained() {
    let said = run("know why a", "", "");
    assert!(said.contains("HTTP/1.1 206 Partial Content"), "{said}");
}

#[test]
#[ignore = "needs unshare, ip and root"]
fn a_companion_answers() {
    assert_eq!(run("try my own", "", ""), "reply is: Yes\n");
}

#[test]
#[ignore = "needs unshare, ip and root"]
fn the_same_packets_are_lost_each_time() {
    let said = run("lose packets on", "", "");
    assert!(said.contains("4 packets transmitted, 3 received"), "{said}");
}

#[test]
#[ignore = "needs unshare, ip and root"]
fn a_crowd_stays_beside_an_honest_client() {
    let said = run("bring a crowd,", "", "");
    assert!(said.contains("verdict: all 5,000 stayed"), "{said}");
    assert!(said.contains("honest client, beside them: p50"), "{said}");
}
