#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use super::*;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;

const READ: BitFlags<AccessFs> = landlock::make_bitflags!(AccessFs::{ReadFile | ReadDir});

/// A directory of this test's own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("idler-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Self(fs::canonicalize(path).unwrap())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn places(walls: &Walls) -> Vec<&Path> {
    walls.rules.iter().map(|r| r.place.as_path()).collect()
}

#[test]
fn rules_stand_on_parents() {
    let folder = Folder::new("walls-parents");
    let site = folder.0.join("site");
    fs::create_dir(&site).unwrap();
    let mut walls = Walls::default();
    walls.allow_reading(&site);
    // No such directory: nothing can be opened there.
    walls.allow_appending(&folder.0.join("log/a.log"));
    fs::create_dir(folder.0.join("log")).unwrap();
    // The file may still be missing.
    walls.allow_appending(&folder.0.join("log/a.log"));
    let log = folder.0.join("log");
    assert_eq!(places(&walls), [folder.0.as_path(), log.as_path()]);
    assert!(walls.rules.iter().all(|rule| !rule.pinned));
    assert_eq!(walls.rules[0].access, READ);
    assert_eq!(
        walls.rules[1].access,
        AccessFs::WriteFile | AccessFs::MakeReg
    );
}

#[test]
fn a_release_link_may_move_to_its_neighbours() {
    let folder = Folder::new("walls-links");
    let releases = folder.0.join("releases");
    fs::create_dir_all(releases.join("42/public")).unwrap();
    symlink("releases/42", folder.0.join("current")).unwrap();

    let mut walls = Walls::default();
    walls.allow_reading(&folder.0.join("current/"));
    assert!(places(&walls).iter().all(|place| *place == releases));

    let mut walls = Walls::default();
    walls.allow_reading(&folder.0.join("current/public"));
    let release = releases.join("42");
    assert_eq!(places(&walls), [releases.as_path(), release.as_path()]);
}

#[test]
fn what_stands_under_the_root_is_pinned() {
    let mut walls = Walls::default();
    walls.allow_reading(Path::new("/usr"));
    walls.allow_reading(Path::new("/"));
    assert_eq!(places(&walls), [Path::new("/usr"), Path::new("/")]);
    assert!(walls.rules.iter().all(|rule| rule.pinned));
    // Devices are no files that are rotated.
    let mut walls = Walls::default();
    walls.allow_appending(Path::new("/dev/full"));
    assert_eq!(places(&walls), [Path::new("/dev/full")]);
    assert_eq!(walls.rules[0].access, AccessFs::WriteFile);
}

#[test]
fn the_start_up_line_says_what_holds() {
    let mut applied = Applied {
        landlock: Some(6),
        no_new_privs: true,
        user: None,
        pinned: Vec::new(),
    };
    assert_eq!(applied.to_string(), "landlock v6, no_new_privs");
    applied.pinned.push("/srv".into());
    applied.user = SystemUser::find("1:1").ok();
    assert_eq!(
        applied.to_string(),
        "landlock v6 (pinned to /srv), no_new_privs, user 1:1"
    );
    applied.pinned.clear();
    applied.landlock = None;
    assert!(
        applied
            .to_string()
            .starts_with("no landlock in this kernel, ")
    );
}

const CHILD: &str = "IDLER_TEST_WALLS_CHILD";

/// Walls cannot be taken down: a test that raises them runs again in a process of its own, where
/// only `within` runs. Returns what the child wrote to its report.
fn in_child(test: &str, folder: &Path, within: fn(&Path) -> String) -> Option<String> {
    if let Some(folder) = std::env::var_os(CHILD) {
        let folder = PathBuf::from(folder);
        let report = fs::File::create(folder.join("report")).unwrap();
        let text = within(&folder);
        std::io::Write::write_all(&mut &report, text.as_bytes()).unwrap();
        return None;
    }
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("process::walls::tests::{test}")])
        .env(CHILD, folder)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    Some(fs::read_to_string(folder.join("report")).unwrap())
}

#[test]
fn the_walls_hold_and_let_through_what_they_must() {
    let folder = Folder::new("walls-hold");
    fs::create_dir_all(folder.0.join("www/site")).unwrap();
    fs::create_dir(folder.0.join("log")).unwrap();
    fs::create_dir(folder.0.join("secret")).unwrap();
    fs::write(folder.0.join("www/site/a"), "a").unwrap();
    fs::write(folder.0.join("secret/s"), "s").unwrap();
    let report = in_child(
        "the_walls_hold_and_let_through_what_they_must",
        &folder.0,
        inside,
    );
    if let Some(report) = report {
        // Named, so that a kernel without Landlock does not pass for one that was tested.
        println!("{report}");
        assert!(report.contains("no_new_privs"));
    }

    fn inside(folder: &Path) -> String {
        let (site, log) = (folder.join("www/site"), folder.join("log/a.log"));
        let append = || fs::File::options().append(true).create(true).open(&log);
        let _old = append().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();

        let mut walls = Walls::default();
        walls.allow_reading(&site);
        walls.allow_appending(&log);
        let applied = walls.raise(None).unwrap();
        assert!(applied.no_new_privs);
        assert!(rustix::thread::no_new_privs().unwrap());
        assert!(applied.pinned.is_empty());

        // What must go on: the site, a root that was built again by somebody else, a rotated log.
        assert_eq!(fs::read(site.join("a")).unwrap(), b"a");
        assert_eq!(fs::read_dir(&site).unwrap().count(), 1);
        append().unwrap();
        assert!(fs::File::open("/dev/null").is_ok());

        let Some(version) = applied.landlock else {
            return applied.to_string();
        };
        let denied = |kind: Option<ErrorKind>| kind == Some(ErrorKind::PermissionDenied);
        let open = |path: &Path| fs::File::open(path).err().map(|e| e.kind());
        assert!(denied(open(&folder.join("secret/s"))));
        assert!(denied(open(Path::new("/etc/passwd"))));
        assert!(denied(open(&log)), "the log may be written, not read");
        let write = fs::File::create(site.join("b")).err().map(|e| e.kind());
        assert!(denied(write), "the site may be read, not written");
        assert!(denied(
            fs::remove_file(site.join("a")).err().map(|e| e.kind())
        ));
        assert!(denied(fs::remove_file(&log).err().map(|e| e.kind())));
        if version >= 4 {
            let connect = std::net::TcpStream::connect(at).err().map(|e| e.kind());
            assert!(denied(connect));
            let bind = std::net::TcpListener::bind("127.0.0.1:0").err();
            assert!(denied(bind.map(|e| e.kind())));
        }
        applied.to_string()
    }
}

#[test]
fn what_is_replaced_outside_stays_within_reach() {
    let folder = Folder::new("walls-replaced");
    fs::create_dir_all(folder.0.join("www/site")).unwrap();
    fs::create_dir_all(folder.0.join("releases/1")).unwrap();
    fs::create_dir(folder.0.join("log")).unwrap();
    symlink("releases/1", folder.0.join("current")).unwrap();
    in_child(
        "what_is_replaced_outside_stays_within_reach",
        &folder.0,
        inside,
    );

    fn inside(folder: &Path) -> String {
        let (site, log) = (folder.join("www/site"), folder.join("log/a.log"));
        fs::write(&log, "").unwrap();
        // Another thread, started before, stays outside the walls: it is the world that changes
        // things.
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let (done, finished) = std::sync::mpsc::channel::<()>();
        let world = folder.to_owned();
        let outside = std::thread::spawn(move || {
            wait.recv().unwrap();
            fs::remove_dir(world.join("www/site")).unwrap();
            fs::create_dir(world.join("www/site")).unwrap();
            fs::write(world.join("www/site/new"), "new").unwrap();
            fs::create_dir(world.join("releases/2")).unwrap();
            fs::write(world.join("releases/2/x"), "2").unwrap();
            fs::remove_file(world.join("current")).unwrap();
            symlink("releases/2", world.join("current")).unwrap();
            fs::rename(world.join("log/a.log"), world.join("log/a.log.1")).unwrap();
            done.send(()).unwrap();
        });
        let mut walls = Walls::default();
        walls.allow_reading(&site);
        walls.allow_reading(&folder.join("current"));
        walls.allow_appending(&log);
        let applied = walls.raise(None).unwrap();
        go.send(()).unwrap();
        finished.recv().unwrap();
        outside.join().unwrap();

        assert_eq!(fs::read(site.join("new")).unwrap(), b"new");
        assert_eq!(fs::read(folder.join("current/x")).unwrap(), b"2");
        let new_log = fs::File::options().append(true).create(true).open(&log);
        assert!(new_log.is_ok());
        applied.to_string()
    }
}
