//! `idler explain`: each row of `fixtures/explain.table`, as it is explained and as it is served.
//!
//! It may not know why an answer is what it is: the table says so. Invariant: what is explained is what a client gets,
//! field by field. Read next: the table.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

use crate::support::{Client, Idler, Reply, Running, Site, repository};

/// One row: a request, and what is said of it.
#[derive(Debug, Default)]
struct Row {
    line: usize,
    /// Of both, `idler serve` and `idler explain`.
    options: Vec<String>,
    method: String,
    target: String,
    headers: Vec<String>,
    story: Vec<String>,
    status: String,
}

impl Row {
    /// As it stands in the table.
    fn written(&self) -> String {
        let mut text = String::new();
        if !self.options.is_empty() {
            writeln!(text, "$ {}", self.options.join(" ")).expect("text");
        }
        writeln!(text, "> {} {}", self.method, self.target).expect("text");
        for header in &self.headers {
            writeln!(text, "> {header}").expect("text");
        }
        for line in &self.story {
            writeln!(text, "| {line}").expect("text");
        }
        writeln!(text, "< {}", self.status).expect("text");
        text
    }
}

fn table() -> Vec<Row> {
    let text = fs::read_to_string(repository("fixtures/explain.table")).expect("the table");
    let mut rows = Vec::new();
    let mut row = Row::default();
    for (number, line) in text.lines().enumerate() {
        let Some((mark, rest)) = line.split_at_checked(2) else {
            assert!(line.is_empty(), "line {} of the table: {line}", number + 1);
            continue;
        };
        match mark {
            "# " => {}
            "$ " => row.options = rest.split(' ').map(str::to_owned).collect(),
            "> " if row.method.is_empty() => {
                let (method, target) = rest.split_once(' ').expect("a method and a target");
                (row.method, row.target) = (method.to_owned(), target.to_owned());
                row.line = number + 1;
            }
            "> " => row.headers.push(rest.to_owned()),
            "| " => row.story.push(rest.to_owned()),
            "< " => {
                row.status = rest.to_owned();
                rows.push(std::mem::take(&mut row));
            }
            _ => panic!("line {} of the table: {line}", number + 1),
        }
    }
    assert!(row.method.is_empty(), "the last row has no status");
    rows
}

/// When every file of the site was last changed: Sun, 13 Sep 2020 12:26:40 GMT.
const MODIFIED: i64 = 1_600_000_000;

fn site() -> Site {
    let site = Site::new();
    let long: Vec<u8> = (0..10_000_u32).map(|n| (n % 251) as u8).collect();
    let files: &[(&str, &[u8])] = &[
        ("hello.txt", b"hello\n"),
        ("empty.txt", b""),
        ("a b.txt", b"blank\n"),
        ("sn\u{f6}.txt", b"snow\n"),
        ("long.bin", &long),
        ("docs/index.html", b"<p>docs\n"),
        ("folder/one.txt", b"1\n"),
        (".hidden", b"hidden\n"),
        (".well-known/security.txt", b"known\n"),
        ("picture.png", b"picture\n"),
        ("picture.png.gz", b"ignored\n"),
        ("x.js", b"the original, which is the longest\n"),
        ("x.js.br", b"in brotli\n"),
        ("x.js.zst", b"in zstd, as it were\n"),
        ("x.js.gz", b"in gzip\n"),
        ("old.js", b"the original\n"),
        ("old.js.br", b"from before\n"),
        ("old.js.gz", b""),
        ("alone.js", b"no sibling\n"),
        ("new.txt", b"changed later than its sibling\n"),
    ];
    for (name, bytes) in files {
        site.file(name, bytes);
        site.modified(name, MODIFIED);
    }
    site.modified("old.js.br", MODIFIED - 1);
    site.folder("old.js.zst");
    site.link("inside", "docs/index.html");
    site.link("outside", "../secret");
    fs::write(site.beside("secret"), b"secret\n").expect("a file beside the site");
    site.link("absolute", site.path().join("hello.txt"));
    site.link("circle", "circle");
    site.fifo("fifo");
    site
}

/// What `idler explain` says: the story, and the head with what is told of its body.
fn explained(site: &Site, row: &Row) -> (Vec<String>, Vec<String>, String) {
    let mut idler = Idler::verb("explain").arg("--root").arg(site.path());
    for option in &row.options {
        idler = idler.arg(option);
    }
    for header in &row.headers {
        idler = idler.arg("-H").arg(header);
    }
    if row.method == "HEAD" {
        idler = idler.arg("--head");
    }
    let outcome = idler.arg("--").arg(&row.target).run();
    assert_eq!(outcome.status.code(), Some(0), "{outcome:?}");
    let text = String::from_utf8(outcome.stdout).expect("text");
    let mut parts = text.split("\n\n");
    let mut part = || parts.next().expect("three parts").trim_end().to_owned();
    let (story, head, body) = (part(), part(), part());
    let story = story.lines().skip(1).map(|line| {
        let (topic, words) = line.trim_start().split_once(' ').expect("a topic");
        format!("{topic}: {}", words.trim_start())
    });
    (
        story.collect(),
        head.lines().map(str::to_owned).collect(),
        body,
    )
}

/// What the server sends: the lines of its head, and its body.
fn served(client: &mut Client, row: &Row) -> (Vec<String>, Reply) {
    let headers: String = row.headers.iter().map(|h| format!("{h}\r\n")).collect();
    // The path of a URL, as a client sends it; the table has no others with a host.
    let target = row
        .target
        .strip_prefix("http://host")
        .unwrap_or(&row.target);
    let target = target.split('#').next().expect("a first part");
    let host = if target == row.target.as_str() {
        "localhost"
    } else {
        "host"
    };
    let slash = if target.starts_with('/') { "" } else { "/" };
    let target = target.replace(' ', "%20");
    let request = format!(
        "{} {slash}{target} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n",
        row.method
    );
    client.send(request).expect("a request is sent");
    let reply = if row.method == "HEAD" {
        client.head_reply()
    } else {
        client.reply()
    };
    let status = format!("HTTP/1.1 {} {}", reply.status, reply.reason);
    let fields = reply.headers.iter().map(|(n, v)| format!("{n}: {v}"));
    ([status].into_iter().chain(fields).collect(), reply)
}

/// Without what differs from one answer to the next, and without the case of names.
fn comparable(lines: &[String]) -> Vec<String> {
    lines
        .iter()
        .map(|line| match line.split_once(": ") {
            Some((name, value)) => {
                let value = value.split("boundary=").next().expect("a first part");
                format!("{}: {value}", name.to_ascii_lowercase())
            }
            None => line.clone(),
        })
        .filter(|line| !line.starts_with("date: "))
        .collect()
}

#[test]
fn every_row_is_explained_and_served() {
    let site = site();
    let rows = table();
    assert!(rows.len() >= 60, "only {} rows", rows.len());
    let mut servers: BTreeMap<Vec<String>, Running> = BTreeMap::new();
    let mut wrong = String::new();
    for row in &rows {
        let (story, head, body) = explained(&site, row);
        let status = head[0].strip_prefix("HTTP/1.1 ").expect("a status line");
        let found = Row {
            story,
            status: status.to_owned(),
            options: row.options.clone(),
            method: row.method.clone(),
            target: row.target.clone(),
            headers: row.headers.clone(),
            line: row.line,
        };
        if found.written() != row.written() {
            write!(wrong, "at line {}:\n{}\n", row.line, found.written()).expect("text");
        }
        let server = servers.entry(row.options.clone()).or_insert_with(|| {
            let mut idler = Idler::serve(site.path());
            for option in &row.options {
                idler = idler.arg(option);
            }
            idler.start()
        });
        let mut client = server.client();
        let (lines, reply) = served(&mut client, row);
        assert_eq!(
            comparable(&lines),
            comparable(&head),
            "line {} of the table: served (left) and explained (right)",
            row.line
        );
        let bytes = format!("{} bytes of body", reply.body.len());
        let told = match (row.method.as_str(), reply.body.len()) {
            ("HEAD", _) => body.starts_with("no body"),
            (_, 0) => body == "no body",
            _ => body.starts_with(&bytes) || !body.starts_with(|c: char| c.is_ascii_digit()),
        };
        assert!(told, "line {}: {bytes}, but explained: {body}", row.line);
    }
    assert!(wrong.is_empty(), "the table says otherwise\n{wrong}");
    for (_, server) in servers {
        server.stop();
    }
}

#[test]
fn that_the_figures_are_there_is_told_and_what_others_get() {
    let site = Site::with(&[("figures", b"a file")]);
    let explain = |target: &str| {
        let idler = Idler::verb("explain").arg("--root").arg(site.path());
        let outcome = idler.args(&["--status", "/figures", target]).run();
        String::from_utf8(outcome.stdout).expect("text")
    };
    let told = explain("/figures?json");
    assert!(
        told.contains("  status     this machine, Unix sockets"),
        "{told}"
    );
    assert!(told.contains("figures is a file of 6 bytes"), "{told}");
    assert!(!explain("/").contains("  status "));
}

#[test]
fn what_cannot_be_explained_is_an_error() {
    let outcome = Idler::verb("explain")
        .args(&["--root", "/nonexistent", "/"])
        .run();
    assert_eq!(outcome.status.code(), Some(1));
    assert!(outcome.stdout.is_empty());
    let outcome = Idler::verb("explain").run();
    assert_eq!(outcome.status.code(), Some(2));
    let outcome = Idler::verb("explain").args(&["-H", "no colon", "/"]).run();
    assert_eq!(outcome.status.code(), Some(2));
}
