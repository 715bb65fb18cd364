//! What people do with a file server, done by the programs they do it with.
//!
//! What lives here: a film that is skipped through, downloads that were cut, reloads, package repositories,
//! clones, mirrors. It may not know what these programs send, only what came of it and what idler's access log
//! says. Invariant: nothing leaves this machine, and no setting, cache or proxy of whoever runs the tests is
//! used or changed. Read next: `clients.rs`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::program::{Outcome, Program};
use crate::support::{self, Idler, Running, Site, wait_until};

/// How long another program may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A time well in the past, in seconds since 1970.
const THEN: i64 = 1_700_000_000;

/// The status and the bytes of the body of each GET of `path` that idler's access log tells of, once they
/// are what is expected.
fn answers(
    idler: &Running,
    path: &str,
    expected: impl Fn(&[(u16, u64)]) -> bool,
) -> Vec<(u16, u64)> {
    let start = format!("\"GET {path} HTTP/1.");
    let begin = Instant::now();
    // The line of a reply is written at the end of its turn: a moment after the client has it all.
    wait_until(
        "what the access log should tell",
        2 * support::PATIENCE,
        || {
            let said = idler.stdout();
            let seen: Vec<(u16, u64)> = said
                .lines()
                .filter_map(|line| line.split_once(&start))
                .filter_map(|(_, rest)| {
                    // 1" 206 4096 "…; unless the line is only half written.
                    let mut words = rest.split(' ').skip(1);
                    let status = words.next()?.parse().ok()?;
                    Some((status, words.next()?.parse().ok()?))
                })
                .collect();
            let right = expected(&seen);
            assert!(
                right || begin.elapsed() < support::PATIENCE,
                "{path}: {seen:?} in\n{said}"
            );
            right.then_some(seen)
        },
    )
}

/// Bytes of which no two places look alike.
fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut noise = Vec::with_capacity(bytes + 8);
    while noise.len() < bytes {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        noise.extend_from_slice(&state.to_le_bytes());
    }
    noise.truncate(bytes);
    noise
}

/// Runs a program that must succeed.
fn done(program: Program) -> Outcome {
    let got = program.run(PATIENCE);
    assert!(
        got.status.success(),
        "{}:\n{}{}",
        got.status,
        got.text(),
        got.stderr
    );
    got
}

// ---- A browser

/// Opens a page in a browser without a window, in real time, since sound takes its time; returns the document
/// as it is when all of it has loaded.
///
/// A page that wants to be looked at later keeps a document of its own open in the frame `wait`: until that
/// is closed, the page has not loaded.
fn browse(url: &str) -> String {
    let profile = Site::new();
    let browser = Program::browser(&profile)
        .args(&[
            "--autoplay-policy=no-user-gesture-required",
            "--timeout=30000",
            "--dump-dom",
        ])
        .arg(url);
    done(browser).text()
}

/// Seconds of sound, at so many bytes each.
const SECONDS: u32 = 4_000;
const BYTES_PER_SECOND: u32 = 16_000;

/// Makes a long silence: one channel, 8000 samples a second, 16 bits each. It takes no room on the disk.
fn silence(site: &Site, name: &str) -> u64 {
    let bytes = SECONDS * BYTES_PER_SECOND;
    let mut head = Vec::new();
    head.extend_from_slice(b"RIFF");
    head.extend_from_slice(&(36 + bytes).to_le_bytes());
    head.extend_from_slice(b"WAVEfmt ");
    head.extend_from_slice(&16_u32.to_le_bytes());
    head.extend_from_slice(&[1, 0, 1, 0]);
    head.extend_from_slice(&8_000_u32.to_le_bytes());
    head.extend_from_slice(&BYTES_PER_SECOND.to_le_bytes());
    head.extend_from_slice(&[2, 0, 16, 0]);
    head.extend_from_slice(b"data");
    head.extend_from_slice(&bytes.to_le_bytes());
    let all = u64::try_from(head.len()).expect("a few bytes") + u64::from(bytes);
    let path = site.file(name, &head);
    fs::File::options()
        .write(true)
        .open(path)
        .and_then(|file| file.set_len(all))
        .expect("files can be made long");
    all
}

#[test]
#[ignore = "needs chromium"]
fn a_browser_skips_through_a_long_sound() {
    let site = Site::with(&[(
        "index.html",
        b"<!doctype html><meta charset=utf-8><title>Sound</title><iframe id=wait></iframe>\
          <audio id=sound muted preload=metadata></audio><script>\
          const wait = document.getElementById('wait').contentDocument; wait.open();\
          const sound = document.getElementById('sound'), said = [];\
          const say = (what, last) => { said.push(what); document.body.dataset.outcome = said.join(', ');\
            if (last) wait.close(); };\
          sound.onloadedmetadata = () => { say('long ' + sound.duration); sound.currentTime = 3800; };\
          sound.onseeked = () => { say('at ' + sound.currentTime);\
            sound.play().catch(e => say('refused: ' + e, true)); };\
          sound.ontimeupdate = () => { if (sound.currentTime > 3800.2) {\
            sound.ontimeupdate = null; sound.pause(); say('played', true); } };\
          sound.onerror = () => say('error: ' + sound.error.message, true);\
          sound.src = 'silence.wav';</script>",
    )]);
    let all = silence(&site, "silence.wav");
    let idler = Idler::serve(site.path()).start();
    let document = browse(&idler.url("/"));
    assert!(
        document.contains("data-outcome=\"long 4000, at 3800, played\""),
        "{document}"
    );
    // It asks from the start, hangs up, and asks from where it skipped to; nothing in between is sent.
    let rest = u64::from((SECONDS - 3_800) * BYTES_PER_SECOND);
    let seen = answers(&idler, "/silence.wav", |seen| {
        seen.iter().filter(|(status, _)| *status == 206).count() >= 2
    });
    // A part that it has already it may ask for again, on a condition.
    assert!(
        seen.iter().all(|(status, _)| [206, 304].contains(status)),
        "{seen:?}"
    );
    let sent: u64 = seen.iter().map(|(_, bytes)| bytes).sum();
    assert!(
        sent > rest / 100 && sent < all / 2,
        "{sent} of {all} bytes: {seen:?}"
    );
    idler.stop();
}

#[test]
#[ignore = "needs chromium"]
fn a_browser_that_reloads_gets_nothing_twice() {
    let site = Site::with(&[
        ("style.css", b"body { max-width: 321px }"),
        (
            "index.html",
            b"<!doctype html><meta charset=utf-8><title>Again</title><link rel=stylesheet href=style.css>\
              <iframe id=wait></iframe><img id=picture src=picture.png><script>\
              const picture = document.getElementById('picture');\
              if (sessionStorage.getItem('again')) {\
                addEventListener('load', () => { document.body.dataset.outcome = [\
                  performance.getEntriesByType('navigation')[0].type, picture.naturalWidth,\
                  getComputedStyle(document.body).maxWidth].join(' '); });\
              } else {\
                sessionStorage.setItem('again', 'yes');\
                document.getElementById('wait').contentDocument.open();\
                const again = () => location.reload();\
                if (picture.complete) again(); else picture.onload = again;\
              }</script>",
        ),
    ]);
    fs::copy(
        support::fixture_site().join("picture.png"),
        site.path().join("picture.png"),
    )
    .expect("part of the site");
    for name in ["index.html", "style.css", "picture.png"] {
        site.age(name);
    }
    let idler = Idler::serve(site.path()).start();
    let document = browse(&idler.url("/"));
    assert!(
        document.contains("data-outcome=\"reload 64 321px\""),
        "{document}"
    );
    for (target, name) in [
        ("/", "index.html"),
        ("/style.css", "style.css"),
        ("/picture.png", "picture.png"),
    ] {
        let length = fs::metadata(site.path().join(name)).expect("a file").len();
        answers(&idler, target, |seen| seen == [(200, length), (304, 0)]);
    }
    idler.stop();
}

// ---- Downloads that were cut

fn curl(args: &[&str], into: &Path, url: &str) -> Outcome {
    Program::find(&["curl"])
        .args(&["-q", "--silent", "--show-error", "--noproxy", "*"])
        .args(args)
        .arg("-o")
        .arg(into)
        .arg(url)
        .run(PATIENCE)
}

fn wget(args: &[&str], into: &Path, url: &str) -> Outcome {
    Program::find(&["wget"])
        .args(&["--no-config", "--no-proxy", "--tries=1", "-P"])
        .arg(into)
        .args(args)
        .arg(url)
        .env("LC_ALL", "C")
        .run(PATIENCE)
}

/// What `curl -C -` and `wget -c` are given: 3 MB to serve, and of it the first MB.
fn cut() -> (Site, Site, Vec<u8>) {
    let film = noise(3_000_000, 1);
    let site = Site::with(&[("film.bin", &film)]);
    let here = Site::with(&[("film.bin", &film[..1_000_000])]);
    site.modified("film.bin", THEN);
    (site, here, film)
}

#[test]
#[ignore = "needs curl"]
fn curl_goes_on_with_a_download_that_was_cut() {
    let (site, here, film) = cut();
    let copy = here.path().join("film.bin");
    let idler = Idler::serve(site.path()).start();
    let url = idler.url("/film.bin");
    let got = curl(&["-C", "-"], &copy, &url);
    assert_eq!(got.status.code(), Some(0), "{}", got.stderr);
    assert!(fs::read(&copy).expect("a file") == film, "it differs");
    answers(&idler, "/film.bin", |seen| seen == [(206, 2_000_000)]);
    // Once more: there is nothing left, and the page that says so is not put behind the film.
    let got = curl(&["-C", "-"], &copy, &url);
    assert_eq!(got.status.code(), Some(0), "{}", got.stderr);
    assert!(fs::read(&copy).expect("a file") == film, "it differs now");
    let seen = answers(&idler, "/film.bin", |seen| seen.len() == 2);
    assert_eq!(seen[1].0, 416, "{seen:?}");
    idler.stop();
}

#[test]
#[ignore = "needs curl"]
fn curl_does_not_glue_two_films_together_if_it_says_which_it_has() {
    let (site, here, film) = cut();
    let copy = here.path().join("film.bin");
    let idler = Idler::serve(site.path()).start();
    let url = idler.url("/film.bin");
    let first = idler.get("/film.bin");
    let tag = first.header("etag").expect("files have tags").to_owned();
    let date = first.header("last-modified").expect("and dates").to_owned();
    // The tag it has is still that of the file: the rest of it.
    let if_range = format!("If-Range: {tag}");
    let got = curl(&["-C", "-", "-H", &if_range], &copy, &url);
    assert_eq!(got.status.code(), Some(0), "{}", got.stderr);
    assert!(fs::read(&copy).expect("a file") == film, "it differs");
    // Another film of the same length: all of it, which curl takes for a server that cannot resume.
    let other = noise(3_000_000, 2);
    site.replace("film.bin", &other);
    for validator in [&tag, &date] {
        here.file("film.bin", &film[..1_000_000]);
        let if_range = format!("If-Range: {validator}");
        let got = curl(&["-C", "-", "-H", &if_range], &copy, &url);
        assert_eq!(
            got.status.code(),
            Some(33),
            "curl's code for ranges that are not given: {}",
            got.stderr
        );
        let kept = fs::read(&copy).expect("a file");
        assert!(kept == film[..1_000_000], "it was touched: {}", kept.len());
    }
    // Without that, curl asks for the rest of whatever is there, and gets just this.
    let got = curl(&["-C", "-"], &copy, &url);
    assert_eq!(got.status.code(), Some(0), "{}", got.stderr);
    let glued = fs::read(&copy).expect("a file");
    assert!(glued[1_000_000..] == other[1_000_000..], "the rest differs");
    // And of a shorter one nothing, with an error.
    site.replace("film.bin", &other[..500_000]);
    here.file("film.bin", &film[..1_000_000]);
    let got = curl(&["--fail", "-C", "-"], &copy, &url);
    assert_eq!(
        got.status.code(),
        Some(22),
        "curl's code for 416: {}",
        got.stderr
    );
    assert!(fs::read(&copy).expect("a file") == film[..1_000_000]);
    idler.stop();
}

#[test]
#[ignore = "needs wget"]
fn wget_goes_on_with_a_download_that_was_cut() {
    let (site, here, film) = cut();
    let copy = here.path().join("film.bin");
    let idler = Idler::serve(site.path()).start();
    let url = idler.url("/film.bin");
    let got = wget(&["-c"], here.path(), &url);
    assert_eq!(got.status.code(), Some(0), "{}", got.stderr);
    assert!(
        got.stderr.contains("206 Partial Content")
            && got.stderr.contains("2000000 (1.9M) remaining"),
        "{}",
        got.stderr
    );
    assert!(fs::read(&copy).expect("a file") == film, "it differs");
    answers(&idler, "/film.bin", |seen| seen == [(206, 2_000_000)]);
    // Once more: nothing to do.
    let got = wget(&["-c"], here.path(), &url);
    assert_eq!(got.status.code(), Some(0), "{}", got.stderr);
    assert!(
        got.stderr.contains("The file is already fully retrieved"),
        "{}",
        got.stderr
    );
    assert!(fs::read(&copy).expect("a file") == film, "it differs now");
    // The file has grown, as logs do: only what is new.
    let mut longer = film;
    longer.extend(noise(50_000, 3));
    site.replace("film.bin", &longer);
    let got = wget(&["-c"], here.path(), &url);
    assert_eq!(got.status.code(), Some(0), "{}", got.stderr);
    assert!(fs::read(&copy).expect("a file") == longer, "it differs");
    answers(&idler, "/film.bin", |seen| {
        seen.len() == 3 && seen[1].0 == 416 && seen[2] == (206, 50_000)
    });
    idler.stop();
}

#[test]
#[ignore = "needs wget"]
fn wget_gets_what_is_newer() {
    let site = Site::with(&[("news.txt", b"old news")]);
    let here = Site::new();
    site.modified("news.txt", THEN);
    let idler = Idler::serve(site.path()).start();
    for _ in 0..2 {
        let got = wget(&["-N"], here.path(), &idler.url("/news.txt"));
        assert_eq!(got.status.code(), Some(0), "{}", got.stderr);
    }
    site.replace("news.txt", b"good news");
    site.modified("news.txt", THEN + 1);
    let got = wget(&["-N"], here.path(), &idler.url("/news.txt"));
    assert_eq!(got.status.code(), Some(0), "{}", got.stderr);
    let copy = fs::read(here.path().join("news.txt")).expect("a file");
    assert_eq!(copy, b"good news");
    answers(&idler, "/news.txt", |seen| {
        seen == [(200, 8), (304, 0), (200, 9)]
    });
    idler.stop();
}

// ---- Mirrors

/// A site without a page of its own: only listings lead to its files.
fn shelves() -> Site {
    Site::with(&[
        ("with blank.txt", b"blank"),
        ("100%.txt", b"percent"),
        ("a&b;c.txt", b"ampersand"),
        ("sn\u{f6}.txt", "sn\u{f6}".as_bytes()),
        ("deep/deeper/deepest.bin", &[0, 1, 2, 255]),
        ("deep/another folder/x.txt", b"x"),
        ("deep/empty.txt", b""),
        (".hidden/secret.txt", b"secret"),
        (".secret", b"secret"),
    ])
}

/// All files below a folder, by their paths from there.
fn files(folder: &Path) -> Vec<PathBuf> {
    fn walk(folder: &Path, top: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("folders can be read") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, top, into);
            } else {
                into.push(path.strip_prefix(top).expect("below it").to_owned());
            }
        }
    }
    let mut found = Vec::new();
    walk(folder, folder, &mut found);
    found.sort();
    found
}

#[test]
#[ignore = "needs wget"]
fn wget_mirrors_through_listings() {
    let site = shelves();
    let here = Site::new();
    let idler = Idler::serve(site.path()).start();
    let args = &[
        "--recursive",
        "--level=inf",
        "--no-parent",
        "--no-host-directories",
        "--restrict-file-names=nocontrol",
    ];
    let got = wget(args, here.path(), &idler.url("/"));
    assert_eq!(got.status.code(), Some(0), "{}", got.stderr);
    // What is there besides are the listings.
    let mut copied = files(here.path());
    copied.retain(|path| !path.to_string_lossy().contains("index.html"));
    let mut originals = files(site.path());
    originals.retain(|path| !path.to_string_lossy().starts_with('.'));
    assert_eq!(copied, originals, "{}", got.stderr);
    for path in &originals {
        let original = fs::read(site.path().join(path)).expect("a file");
        let copy = fs::read(here.path().join(path)).expect("its copy");
        assert!(original == copy, "{} differs", path.display());
    }
    idler.stop();
}

#[test]
#[ignore = "needs python3"]
fn python_walks_through_listings_and_keeps_its_connection() {
    const SCRIPT: &str = r#"
import http.client, json, os, sys, urllib.parse, urllib.request
port, root = int(sys.argv[1]), sys.argv[2]
c = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
c.connect()
mine = c.sock.getsockname()

def get(path, accept):
    c.request("GET", path, headers={"Accept": accept})
    r = c.getresponse()
    body = r.read()
    assert r.status == 200 and not r.will_close, (path, r.status)
    assert c.sock.getsockname() == mine, "the connection was not kept"
    return r, body

found = {}
def walk(path):
    r, body = get(path, "application/json")
    assert r.getheader("Content-Type").startswith("application/json"), r.getheaders()
    for entry in json.loads(body):
        target = urllib.parse.urljoin(path, entry["href"])
        if entry["type"] == "directory":
            walk(target)
        else:
            found[urllib.parse.unquote(target)], size = get(target, "*/*")[1], entry["size"]
            assert len(found[urllib.parse.unquote(target)]) == size, entry
walk("/")
originals = {}
for folder, folders, names in os.walk(root):
    folders[:] = [f for f in folders if not f.startswith(".")]
    for name in names:
        if not name.startswith("."):
            path = os.path.join(folder, name)
            originals["/" + os.path.relpath(path, root)] = open(path, "rb").read()
assert found == originals, (found, originals)

# urllib says Connection: close, and reads to the end.
urllib.request.install_opener(urllib.request.build_opener(urllib.request.ProxyHandler({})))
for path, bytes in originals.items():
    with urllib.request.urlopen(f"http://127.0.0.1:{port}" + urllib.parse.quote(path), timeout=20) as r:
        assert r.read() == bytes, path
try:
    urllib.request.urlopen(f"http://127.0.0.1:{port}/missing", timeout=20)
    raise SystemExit("found what is missing")
except urllib.error.HTTPError as e:
    assert e.code == 404 and b"404" in e.read()
print(len(found), "files")
"#;
    let site = shelves();
    let idler = Idler::serve(site.path()).start();
    let got = Program::find(&["python3"])
        .args(&["-c", SCRIPT, &idler.address().port().to_string()])
        .arg(site.path())
        .run(PATIENCE);
    assert_eq!(got.text(), "7 files\n", "{}", got.stderr);
    idler.stop();
}

// ---- Repositories

/// pip, without any settings but these.
fn pip(args: &[&str], target: &Path) -> Program {
    Program::find(&["pip3", "pip"])
        .args(&["--isolated", "--disable-pip-version-check", "--no-input"])
        .args(&["install", "--no-deps", "--no-cache-dir", "--target"])
        .arg(target)
        .args(args)
        .env("PIP_CONFIG_FILE", "/dev/null")
        .env("no_proxy", "*")
        .env("HOME", target)
}

/// Makes wheels of two versions of the package `idle-wheel` in this folder.
fn wheels(folder: &Path) {
    const SCRIPT: &str = r#"
import sys, zipfile
for version in ["1.0", "1.1"]:
    info = f"idle_wheel-{version}.dist-info/"
    parts = {
        "idle_wheel.py": f"version = '{version}'\n",
        info + "METADATA": f"Metadata-Version: 2.1\nName: idle-wheel\nVersion: {version}\n",
        info + "WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = info + "RECORD"
    parts[record] = "".join(f"{name},,\n" for name in [*parts, record])
    with zipfile.ZipFile(f"{sys.argv[1]}/idle_wheel-{version}-py3-none-any.whl", "w") as wheel:
        for name, text in parts.items():
            wheel.writestr(name, text)
"#;
    done(
        Program::find(&["python3"])
            .args(&["-c", SCRIPT])
            .arg(folder),
    );
}

#[test]
#[ignore = "needs pip and python3"]
fn pip_installs_from_listings() {
    let site = Site::new();
    wheels(&site.folder("simple/idle-wheel"));
    let idler = Idler::serve(site.path()).start();
    let (index, links) = (idler.url("/simple/"), idler.url("/simple/idle-wheel/"));
    // Asked under another spelling of its name, found under the normal one.
    for (args, version) in [
        (&["--index-url", &index, "Idle_Wheel"][..], "1.1"),
        (&["--index-url", &index, "idle-wheel==1.0"], "1.0"),
        (
            &["--no-index", "--find-links", &links, "idle-wheel<2"],
            "1.1",
        ),
    ] {
        let target = Site::new();
        let got = done(pip(args, target.path()));
        let module = fs::read_to_string(target.path().join("idle_wheel.py"));
        assert_eq!(
            module.expect("it is installed"),
            format!("version = '{version}'\n"),
            "{args:?}: {}",
            got.text()
        );
    }
    let target = Site::new();
    let got = pip(&["--index-url", &index, "idle-hands"], target.path()).run(PATIENCE);
    assert_eq!(got.status.code(), Some(1), "{}", got.text());
    assert!(
        got.stderr.contains("No matching distribution found"),
        "{}",
        got.stderr
    );
    idler.stop();
}

/// `apt-get` with a system of its own below `folder`: nothing of the machine's is read or changed.
fn apt_get(folder: &Site, args: &[&str]) -> Outcome {
    let mut apt = Command::new(Program::path(&["apt-get"]));
    apt.args(args)
        .env("APT_CONFIG", folder.path().join("apt.conf"))
        .env("LC_ALL", "C")
        .current_dir(folder.folder("downloads"));
    done(apt.into())
}

#[test]
#[ignore = "needs apt-get and dpkg-deb"]
fn apt_gets_packages_from_a_flat_repository() {
    const NAMES: [&str; 5] = ["idle-a", "idle-b", "idle-c", "idle-d", "idle-e"];
    let site = Site::new();
    let build = Site::new();
    let mut packages = String::new();
    for (name, seed) in NAMES.into_iter().zip(1..) {
        let control = format!(
            "Package: {name}\nVersion: 1.0~1+b2\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\n\
             Description: something to download\n"
        );
        build.file(format!("{name}/DEBIAN/control"), control.as_bytes());
        build.file(format!("{name}/usr/share/{name}"), &noise(100_000, seed));
        // As apt names what it downloads, and as a URL must not be cut short.
        let file = format!("{name}_1.0~1+b2_all.deb");
        let path = site.path().join(&file);
        done(
            Program::find(&["dpkg-deb"])
                .args(&["--root-owner-group", "-Znone", "--build"])
                .arg(build.path().join(name))
                .arg(&path),
        );
        let sum = done(Program::find(&["sha256sum"]).arg(&path)).text();
        let sum = sum.split(' ').next().expect("a sum");
        let size = fs::metadata(&path).expect("a package").len();
        packages.push_str(&format!(
            "{control}Filename: ./{file}\nSize: {size}\nSHA256: {sum}\n\n"
        ));
    }
    let plain = site.file("Packages", packages.as_bytes());
    done(Program::find(&["gzip"]).args(&["-k", "-n"]).arg(&plain));
    for name in ["Packages", "Packages.gz"] {
        site.modified(name, THEN);
    }

    let idler = Idler::serve(site.path()).start();
    let system = Site::new();
    for folder in [
        "etc/apt/apt.conf.d",
        "etc/apt/preferences.d",
        "etc/apt/sources.list.d",
        "etc/apt/trusted.gpg.d",
        "var/lib/apt/lists/partial",
        "var/cache/apt/archives/partial",
        "var/log/apt",
    ] {
        system.folder(folder);
    }
    system.file("var/lib/dpkg/status", b"");
    let source = format!("deb [trusted=yes] {} ./\n", idler.url("/"));
    system.file("etc/apt/sources.list", source.as_bytes());
    let settings = format!(
        "Dir \"{}/\";\nAPT::Sandbox::User \"root\";\nAcquire::http::Proxy \"DIRECT\";\nAcquire::Languages \"none\";\n\
         Acquire::Retries \"0\";\n",
        system.path().display()
    );
    system.file("apt.conf", settings.as_bytes());

    apt_get(&system, &["update"]);
    let mut download = vec!["download"];
    download.extend(NAMES);
    apt_get(&system, &download);
    for name in NAMES {
        let file = format!("{name}_1.0~1+b2_all.deb");
        let copy = fs::read(system.path().join("downloads").join(&file));
        let original = fs::read(site.path().join(&file)).expect("a package");
        assert!(copy.expect("it is here") == original, "{file} differs");
    }
    // Nothing is new: the list is not sent again.
    let again = apt_get(&system, &["update"]);
    assert!(
        again.text().contains("Hit:") && !again.text().contains("Get:"),
        "{}",
        again.text()
    );
    // apt asks for a flat repository below "./".
    answers(&idler, "/./Packages.gz", |seen| {
        seen.len() == 2 && seen[0].0 == 200 && seen[1] == (304, 0)
    });
    idler.stop();
}

/// git, without any settings but these.
fn git(args: &[&str], folder: &Path) -> Program {
    Program::find(&["git"])
        .arg("-C")
        .arg(folder)
        .args(&[
            "-c",
            "user.name=nobody",
            "-c",
            "user.email=nobody@localhost",
        ])
        .args(&["-c", "init.defaultBranch=main"])
        .args(args)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("LC_ALL", "C")
        .env("no_proxy", "*")
        .env("HOME", folder)
}

#[test]
#[ignore = "needs git"]
fn git_clones_what_lies_in_a_folder() {
    let site = Site::new();
    let work = site.folder("project");
    done(git(&["init", "--quiet"], &work));
    for number in 0..3_u8 {
        site.file(
            format!("project/{number}.txt"),
            &noise(10_000, number.into()),
        );
        done(git(&["add", "."], &work));
        let message = format!("number {number}");
        done(git(&["commit", "--quiet", "-m", &message], &work));
    }
    let bare = site.path().join("repo.git");
    done(git(
        &["clone", "--quiet", "--bare", "project", "repo.git"],
        site.path(),
    ));
    let idler = Idler::serve(site.path()).start();
    let url = idler.url("/repo.git");
    let head = done(git(&["rev-parse", "HEAD"], &work)).text();
    // First each object in a file of its own, then all of them in a pack.
    for packed in [false, true] {
        if packed {
            done(git(&["repack", "-a", "-d", "--quiet"], &bare));
        }
        done(git(&["update-server-info"], &bare));
        let here = Site::new();
        done(git(&["clone", "--quiet", &url, "copy"], here.path()));
        let copy = here.path().join("copy");
        assert_eq!(done(git(&["rev-parse", "HEAD"], &copy)).text(), head);
        done(git(&["fsck", "--strict"], &copy));
        for number in 0..3_u8 {
            let file = fs::read(copy.join(format!("{number}.txt")));
            assert!(file.expect("a file") == noise(10_000, number.into()));
        }
    }
    // A pack was asked for by its name, once the list of packs had told it.
    answers(&idler, "/repo.git/objects/info/packs", |seen| {
        seen.len() == 1 && seen[0].0 == 200
    });
    // The folder `.git` of a working copy is hidden, unless somebody wants it shown.
    done(git(&["update-server-info"], &work));
    let here = Site::new();
    let url = idler.url("/project/.git");
    let got = git(&["clone", "--quiet", &url, "copy"], here.path()).run(PATIENCE);
    assert_eq!(got.status.code(), Some(128), "{}", got.stderr);
    assert!(got.stderr.contains("not found"), "{}", got.stderr);
    idler.stop();
    let idler = Idler::serve(site.path()).arg("--hidden").start();
    let url = idler.url("/project/.git");
    done(git(&["clone", "--quiet", &url, "copy"], here.path()));
    let copy = here.path().join("copy");
    assert_eq!(done(git(&["rev-parse", "HEAD"], &copy)).text(), head);
    idler.stop();
}
