//! Other people's clients: what they get is what they expect.
//!
//! It may not know any of them better than its manual does. Invariant: each test is ignored with the program it
//! needs as the reason; `.ci/run` installs them all and runs these tests too.
//! Read next: `.ci/run`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::support::program::Program;
use crate::support::{Idler, Site, fixture_site};

const PATIENCE: Duration = Duration::from_secs(60);

/// Of the documentation's files so many are fetched and compared.
const DOCUMENTS: usize = 4_000;

fn curl(args: &[&str]) -> Program {
    // A user's own settings, and proxies, are not what is tested.
    Program::find(&["curl"])
        .arg("-q")
        .args(&["--silent", "--show-error", "--noproxy", "*"])
        .args(args)
}

#[test]
#[ignore = "needs curl"]
fn curl_gets_files_heads_errors_and_redirects() {
    let idler = Idler::serve(fixture_site()).start();
    let got = curl(&[&idler.url("/hello.txt")]).run(PATIENCE);
    assert_eq!(
        (got.status.code(), got.text().as_str()),
        (Some(0), "hello\n")
    );
    let head = curl(&["-I", &idler.url("/hello.txt")]).run(PATIENCE).text();
    assert!(
        head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
    assert!(
        head.to_ascii_lowercase().contains("content-length: 6\r\n"),
        "{head}"
    );
    let missing = curl(&["-f", &idler.url("/missing")]).run(PATIENCE);
    assert_eq!(
        missing.status.code(),
        Some(22),
        "curl's code for 4xx: {}",
        missing.stderr
    );
    let followed = curl(&[
        "-L",
        "-w",
        "%{num_redirects} %{url_effective}",
        &idler.url("/notes"),
    ])
    .run(PATIENCE);
    assert!(
        followed
            .text()
            .ends_with(&format!("1 {}", idler.url("/notes/"))),
        "{}",
        followed.text()
    );
    let old = curl(&["-0", &idler.url("/hello.txt")]).run(PATIENCE);
    assert_eq!(old.text(), "hello\n");
    idler.stop();
}

#[test]
#[ignore = "needs curl"]
fn curl_posts_in_vain_and_without_delay() {
    let site = Site::with(&[("a.txt", b"a"), ("form.bin", &[b'x'; 300_000])]);
    let idler = Idler::serve(site.path()).start();
    let form = format!("@{}", site.path().join("form.bin").display());
    let begin = Instant::now();
    for args in [
        &["-d", "a=1&b=2"][..],
        &["--data-binary", &form],
        &["--data-binary", &form, "-H", "Expect: 100-continue"],
        &["--data-binary", &form, "-H", "Transfer-Encoding: chunked"],
        &["-T", &form[1..]],
    ] {
        let url = idler.url("/a.txt");
        let got = curl(&["-o", "/dev/null", "-w", "%{http_code}", &url])
            .args(args)
            .run(PATIENCE);
        assert_eq!(got.text(), "405", "{args:?}: {}", got.stderr);
    }
    // curl itself waits a second for a go-ahead that does not come.
    assert!(
        begin.elapsed() < Duration::from_secs(4),
        "{:?}",
        begin.elapsed()
    );
    idler.stop();
}

#[test]
#[ignore = "needs wget"]
fn wget_mirrors_a_site() {
    let idler = Idler::serve(fixture_site()).start();
    let copy = Site::new();
    let got = Program::find(&["wget"])
        .args(&[
            "--no-config",
            "--no-proxy",
            "--quiet",
            "--recursive",
            "--level=3",
            "--no-host-directories",
        ])
        .args(&["--execute", "robots=off", "-P"])
        .arg(copy.path())
        .arg(idler.url("/"))
        .run(PATIENCE);
    // 8 is wget's code for "some page was an error": the first page links to one that is missing.
    assert_eq!(got.status.code(), Some(8), "{}", got.stderr);
    for name in [
        "index.html",
        "style.css",
        "picture.png",
        "hello.txt",
        "notes/index.html",
        "notes/first.txt",
        "files/with blank.txt",
    ] {
        let original = fs::read(fixture_site().join(name)).expect("part of the site");
        let copied = fs::read(copy.path().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(original == copied, "{name} differs");
    }
    idler.stop();
}

#[test]
#[ignore = "needs nc"]
fn people_can_type_into_nc() {
    let idler = Idler::serve(fixture_site()).start();
    let typed = Site::new();
    // Lines as a terminal sends them: ended by LF alone.
    let request = typed.file(
        "typed",
        b"GET /hello.txt HTTP/1.1\nHost: idler\nConnection: close\n\n",
    );
    let got = Program::find(&["nc"])
        .args(&["127.0.0.1", &idler.address().port().to_string()])
        .stdin(&request)
        .run(PATIENCE);
    assert_eq!(got.status.code(), Some(0), "{}", got.stderr);
    assert!(
        got.text().starts_with("HTTP/1.1 200 OK\r\n"),
        "{}",
        got.text()
    );
    assert!(got.text().ends_with("\r\n\r\nhello\n"), "{}", got.text());
    idler.stop();
}

#[test]
#[ignore = "needs nc"]
fn nc_that_says_it_is_done_still_gets_its_reply() {
    let site = Site::new();
    site.sparse("large.bin", 20 << 20);
    let idler = Idler::serve(site.path()).start();
    let typed = Site::new();
    let request = typed.file("typed", b"GET /large.bin HTTP/1.0\n\n");
    let got = Program::find(&["nc"])
        .args(&["-N", "127.0.0.1", &idler.address().port().to_string()])
        .stdin(&request)
        .run(PATIENCE);
    let head = crate::support::http::find(&got.stdout, b"\r\n\r\n").expect("a head") + 4;
    assert_eq!(got.stdout.len() - head, 20 << 20);
    idler.stop();
}

#[test]
#[ignore = "needs python3"]
fn python_keeps_its_connection() {
    const SCRIPT: &str = r#"
import http.client, sys
c = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=20)
c.connect()
mine = c.sock.getsockname()
for i in range(100):
    c.request("GET", "/hello.txt", headers={"Accept-Encoding": "identity"})
    r = c.getresponse()
    assert (r.status, r.read(), r.will_close) == (200, b"hello\n", False), r.status
    c.request("HEAD", "/missing")
    r = c.getresponse()
    assert (r.status, r.read()) == (404, b""), r.status
    c.request("POST", "/hello.txt", body=b"a" * 1000)
    r = c.getresponse()
    assert (r.status, r.getheader("Allow")) == (405, "GET, HEAD, OPTIONS"), r.getheaders()
    r.read()
    c.request("GET", "/hello.txt", headers={"If-None-Match": "*"})
    r = c.getresponse()
    assert (r.status, r.read()) == (304, b""), r.status
    c.request("POST", "/hello.txt", body=iter([b"abc", b"de"]), encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
    r = c.getresponse()
    assert r.status == 405, r.status
    r.read()
    assert c.sock.getsockname() == mine, "the connection was not kept"
print("kept")
"#;
    let idler = Idler::serve(fixture_site()).start();
    let got = Program::find(&["python3"])
        .args(&["-c", SCRIPT, &idler.address().port().to_string()])
        .run(PATIENCE);
    assert_eq!(got.text(), "kept\n", "{}", got.stderr);
    idler.stop();
}

/// Where the toolchain keeps its documentation.
fn documentation() -> PathBuf {
    let sysroot = Program::find(&["rustc"])
        .args(&["--print", "sysroot"])
        .run(PATIENCE)
        .text();
    let folder = Path::new(sysroot.trim()).join("share/doc/rust/html");
    assert!(
        folder.is_dir(),
        "this test needs the documentation of the toolchain (the component rust-docs) in {}",
        folder.display()
    );
    folder
}

/// All files below a folder that a server shows: none that is hidden.
fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).expect("folders can be read");
    for entry in entries.map(|e| e.expect("an entry")) {
        let kind = entry.file_type().expect("an entry has a type");
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if kind.is_dir() {
            files(&entry.path(), into);
        } else if kind.is_file() {
            into.push(entry.path());
        }
    }
}

#[test]
#[ignore = "needs curl and the toolchain's documentation"]
fn the_documentation_of_rust_is_served_byte_by_byte() {
    let root = documentation();
    let mut all = Vec::new();
    files(&root, &mut all);
    all.sort();
    let step = (all.len() / DOCUMENTS).max(1);
    let some: Vec<&PathBuf> = all.iter().step_by(step).take(DOCUMENTS).collect();
    assert!(some.len() >= 1_000, "only {} documents", some.len());
    let copies = Site::new();
    let idler = Idler::serve(&root).start();
    let mut config = String::new();
    for (number, path) in some.iter().enumerate() {
        let name = path
            .strip_prefix(&root)
            .expect("below the root")
            .to_string_lossy();
        let mut target = String::new();
        for byte in name.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
                target.push(char::from(byte));
            } else {
                target.push_str(&format!("%{byte:02X}"));
            }
        }
        let place = copies.path().join(number.to_string());
        config.push_str(&format!(
            "url = \"{}\"\noutput = \"{}\"\n",
            idler.url(&format!("/{target}")),
            place.display()
        ));
    }
    let config = copies.file("config", config.as_bytes());
    let begin = Instant::now();
    let got = curl(&["--fail", "-w", "%{num_connects} %{http_code}\n", "-K"])
        .arg(&config)
        .run(Duration::from_secs(300));
    let took = begin.elapsed();
    assert_eq!(got.status.code(), Some(0), "{}", got.stderr);
    let text = got.text();
    let connects: u64 = text
        .lines()
        .map(|line| {
            line.split(' ')
                .next()
                .and_then(|n| n.parse::<u64>().ok())
                .expect("a number")
        })
        .sum();
    assert_eq!(text.lines().count(), some.len());
    assert!(
        connects <= 2,
        "the connection was not kept: {connects} connections"
    );
    let mut bytes = 0;
    for (number, path) in some.iter().enumerate() {
        let original = fs::read(path).expect("a document");
        let copy = fs::read(copies.path().join(number.to_string())).expect("its copy");
        assert!(original == copy, "{} differs", path.display());
        bytes += copy.len();
    }
    println!(
        "{} documents, {} MiB, {connects} connection(s), {took:?}",
        some.len(),
        bytes >> 20
    );
    idler.stop();
}

/// Opens a page in a browser without a window, and returns the document as it is after its scripts have run.
fn browse(url: &str) -> String {
    let profile = Site::new();
    let got = Program::browser(&profile)
        .args(&["--virtual-time-budget=20000", "--dump-dom"])
        .arg(url)
        .run(Duration::from_secs(180));
    assert_eq!(got.status.code(), Some(0), "{}", got.stderr);
    got.text()
}

#[test]
#[ignore = "needs chromium"]
fn a_browser_shows_a_page_with_its_picture() {
    let site = Site::with(&[
        ("style.css", b"body { max-width: 321px }"),
        ("script.mjs", b"export const greeting = 'hello';"),
        (
            "index.html",
            b"<!doctype html><meta charset=utf-8><title>A page</title><link rel=stylesheet href=style.css>\
              <img id=picture src='picture.png'><p id=size>not loaded</p>\
              <script type=module>import {greeting} from './script.mjs';\
              document.body.dataset.greeting = greeting;</script>\
              <script>addEventListener('load', () => { const p = document.getElementById('picture');\
              document.getElementById('size').textContent = [document.title, p.naturalWidth, p.naturalHeight,\
              getComputedStyle(document.body).maxWidth].join(' '); });</script>",
        ),
    ]);
    fs::copy(
        fixture_site().join("picture.png"),
        site.path().join("picture.png"),
    )
    .expect("part of the site");
    let idler = Idler::serve(site.path()).start();
    let document = browse(&idler.url("/"));
    assert!(document.contains("A page 64 48 321px"), "{document}");
    assert!(
        document.contains("data-greeting=\"hello\""),
        "the module was not run: {document}"
    );
    idler.stop();
}

#[test]
#[ignore = "needs chromium"]
fn a_browser_shows_the_site_that_comes_with_idler() {
    let idler = Idler::serve(fixture_site()).start();
    let document = browse(&idler.url("/"));
    assert!(
        document.contains("<title>Idler is serving</title>"),
        "{document}"
    );
    assert!(
        document.contains("This page's script ran, and read data.json"),
        "{document}"
    );
    idler.stop();
}

#[test]
#[ignore = "needs chromium"]
fn a_browser_finds_its_way_through_redirects_and_listings() {
    let idler = Idler::serve(fixture_site()).start();
    assert!(browse(&idler.url("/notes")).contains("<title>Notes</title>"));
    let listing = browse(&idler.url("/files"));
    assert!(
        listing.contains("snö.txt") && listing.contains("100%.txt"),
        "{listing}"
    );
    assert!(browse(&idler.url("/missing")).contains("404"));
    idler.stop();
}
