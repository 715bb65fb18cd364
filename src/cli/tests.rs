//! Tables of command lines: what they mean, or the exact line that refuses them; and the table of
//! options held against everything that is made from it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop at the first surprise"
)]

use super::*;
use crate::cli::table::Form;
use std::{
    collections::HashSet,
    os::unix::ffi::{OsStrExt, OsStringExt},
};

type Env<'a> = &'a [(&'a str, &'a str)];

/// Splits at blanks; `_` stands for a blank inside a word.
fn words(line: &str) -> Vec<OsString> {
    let words = line.split_ascii_whitespace();
    words.map(|word| word.replace('_', " ").into()).collect()
}

fn parsed(line: &str, env: Env<'_>) -> Result<Command, String> {
    parse(words(line).into_iter(), |name| {
        let found = env.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.into())
    })
}

fn served_with(line: &str, env: Env<'_>) -> Options {
    match parsed(line, env) {
        Ok(Command::Serve(options)) => *options,
        other => panic!("{line}: {other:?}"),
    }
}

fn served(line: &str) -> Options {
    served_with(line, &[])
}

/// What is in force, without where it comes from.
fn in_force(line: &str) -> Options {
    Options {
        words: Vec::new(),
        settings: Vec::new(),
        ..served(line)
    }
}

#[test]
fn a_command_line_without_options_serves_this_directory_with_the_defaults() {
    let options = served("");
    let (server, voice) = (&options.server, options.voice);
    assert_eq!(server.path, PathBuf::from("."));
    assert_eq!(options.listening.port, 8080);
    assert_eq!(options.listening.bind, []);
    assert_eq!(server.index, ["index.html"]);
    assert!(!server.no_listing && !server.hidden && !voice.quiet && !server.check);
    assert_eq!(server.max_connections, None);
    assert_eq!(server.head_bytes_max, 16 * 1024);
    assert_eq!(server.head_timeout, Duration::from_secs(10));
    assert_eq!(server.idle_timeout, Duration::from_secs(60));
    assert_eq!(server.stall_timeout, Duration::from_secs(60));
    assert_eq!(server.grace, Duration::from_secs(10));
    assert_eq!(server.drain_delay, Duration::ZERO);
    assert_eq!(server.access_log, LogDestination::Stdout);
    assert_eq!(server.log_format, LogFormat::Combined);
    assert_eq!((voice.verbose, voice.color), (0, Color::Auto));
    assert_eq!(options, served("serve"));
}

#[test]
fn every_order_and_spelling_means_the_same() {
    let expected = in_force("serve -p 9000 -q --access-log off site");
    for line in [
        "-p 9000 -q --access-log off site",
        "site -p 9000 -q --access-log off",
        "-p9000 -q site --access-log=off",
        "-qp9000 --access-log off -- site",
        "-p=9000 site --quiet --access-log off",
        "--port 1 --port 9000 -q --access-log off site",
        "-q serve --port=9000 site --access-log off",
        "serve site -q -p 9000 --access-log - --access-log off",
        "--quiet=yes -p 9000 --access-log off site",
    ] {
        assert_eq!(in_force(line), expected, "{line}");
    }
}

#[test]
fn a_directory_named_like_a_verb_can_be_served() {
    assert_eq!(served("./man").server.path, PathBuf::from("./man"));
    assert_eq!(served("serve man").server.path, PathBuf::from("man"));
    assert_eq!(served("serve serve").server.path, PathBuf::from("serve"));
    assert_eq!(served("-- man").server.path, PathBuf::from("man"));
    assert_eq!(parsed("man", &[]), Ok(Command::Page(help::manual())));
}

#[test]
fn after_two_dashes_everything_is_a_path() {
    assert_eq!(served("-- --port").server.path, PathBuf::from("--port"));
    assert_eq!(served("serve -- --").server.path, PathBuf::from("--"));
    assert_eq!(served("-p 1 -- -h").server.path, PathBuf::from("-h"));
}

#[test]
fn a_path_is_kept_byte_by_byte() {
    let raw = OsString::from_vec(b"s\xFF\xFEte".to_vec());
    let log = OsString::from_vec(b"--access-log=l\xFFg".to_vec());
    let command = parse([raw.clone(), log].into_iter(), |_| None).unwrap();
    let Command::Serve(options) = command else {
        panic!("{command:?}")
    };
    assert_eq!(options.server.path.as_os_str(), raw);
    let LogDestination::File(log) = options.server.access_log else {
        panic!("not a file")
    };
    assert_eq!(log.as_os_str().as_bytes(), b"l\xFFg");
}

#[test]
fn a_misspelled_verb_is_a_path_with_a_remark() {
    for (line, verb) in [
        ("sevre", Some("serve")),
        ("server", Some("serve")),
        ("completion", Some("completions")),
        ("mna", Some("man")),
        ("site", None),
        ("./sevre", None),
        ("public", None),
        ("message", Some("message-server")),
        ("explian", Some("explain")),
    ] {
        let options = served(line);
        assert_eq!(options.server.path, PathBuf::from(line));
        assert_eq!(options.server.path_resembles_verb, verb, "{line}");
    }
}

#[test]
fn values_reach_their_fields() {
    let options = served(
        "-b 0.0.0.0 -b :: -i a.html -i b.htm -H X-A:_1 --header X-B:2 --type .x=a/b \
         --max-connections 10 --max-head 8K --head-timeout 500ms --idle-timeout 1h \
         --stall-timeout 5m --grace 0 --drain-delay 1.5s --cache-memory 0 --log-format json -vv -v \
         --color never --hidden --no-listing --check",
    );
    let any = |address: &str| BindAddress::Ip {
        address: address.parse().unwrap(),
        port: None,
    };
    assert_eq!(options.listening.bind, [any("0.0.0.0"), any("::")]);
    assert_eq!(options.server.index, ["a.html", "b.htm"]);
    let header = |name: &str, value: &str| HeaderRule {
        path: Vec::new(),
        line: HeaderLine {
            name: name.to_owned(),
            value: value.into(),
        },
    };
    assert_eq!(
        options.server.headers,
        [header("X-A", "1"), header("X-B", "2")]
    );
    assert_eq!(options.server.types[0].media_type, "a/b");
    assert_eq!(options.server.max_connections, Some(10));
    assert_eq!(options.server.head_bytes_max, 8192);
    assert_eq!(options.server.head_timeout, Duration::from_millis(500));
    assert_eq!(options.server.idle_timeout, Duration::from_secs(3600));
    assert_eq!(options.server.stall_timeout, Duration::from_secs(300));
    assert_eq!(options.server.grace, Duration::ZERO);
    assert_eq!(options.server.drain_delay, Duration::from_millis(1500));
    assert_eq!(options.server.cache_bytes_max, 0);
    assert_eq!(options.server.log_format, LogFormat::Json);
    assert_eq!(
        (options.voice.verbose, options.voice.color),
        (3, Color::Never)
    );
    assert!(options.server.hidden && options.server.no_listing && options.server.check);
}

#[test]
fn an_option_beats_the_environment_which_beats_the_default() {
    let env: Env<'_> = &[
        ("IDLER_PORT", "7000"),
        ("IDLER_HIDDEN", "1"),
        ("IDLER_VERBOSE", "2"),
        ("IDLER_BIND", "127.0.0.1 ::1"),
        ("IDLER_HEADER", "A: 1 2\nB: 3\n"),
        ("IDLER_GRACE", ""),
        ("IDLER_MAX_HEAD", "32K"),
    ];
    let options = served_with("", env);
    assert_eq!(options.listening.port, 7000);
    assert!(options.server.hidden);
    assert_eq!(options.voice.verbose, 2);
    assert!(options.listening.bind.len() == 2);
    assert_eq!(options.server.headers.len(), 2);
    assert_eq!(options.server.headers[0].line.value, b"1 2");
    assert_eq!(options.server.grace, Duration::from_secs(10));
    assert_eq!(options.server.head_bytes_max, 32 * 1024);

    let options = served_with("-p 1 --hidden=no -b localhost -H C:4 --verbose=0", env);
    assert_eq!(options.listening.port, 1);
    assert!(!options.server.hidden);
    assert_eq!(options.voice.verbose, 0);
    assert_eq!(
        options.listening.bind,
        [BindAddress::Localhost { port: None }]
    );
    assert_eq!(options.server.headers.len(), 1);
    assert_eq!(served_with("-v", env).voice.verbose, 1);
    // A variable that an option beats is not looked at.
    assert_eq!(
        served_with("-p 1", &[("IDLER_PORT", "x")]).listening.port,
        1
    );
}

#[test]
fn no_color_is_heeded_unless_a_colour_was_asked_for() {
    let with = |line, env| served_with(line, env).voice.color;
    assert_eq!(with("", &[("NO_COLOR", "1")]), Color::Never);
    assert_eq!(with("", &[("NO_COLOR", "")]), Color::Auto);
    assert_eq!(with("--color always", &[("NO_COLOR", "1")]), Color::Always);
    let both: Env<'_> = &[("NO_COLOR", "1"), ("IDLER_COLOR", "always")];
    assert_eq!(with("", both), Color::Always);
    assert_eq!(with("", &[("CLICOLOR_FORCE", "1")]), Color::Always);
    assert_eq!(with("", &[("CLICOLOR_FORCE", "0")]), Color::Auto);
    let both: Env<'_> = &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")];
    assert_eq!(with("", both), Color::Never);
    let forced = &[("CLICOLOR_FORCE", "1")];
    assert_eq!(with("--color never", forced), Color::Never);
}

#[test]
fn check_says_where_each_setting_comes_from() {
    let env: Env<'_> = &[("IDLER_GRACE", "5s"), ("NO_COLOR", "1")];
    let options = served_with("--check -p 1 -p 2 -i a -i b", env);
    let lines = options.settings;
    for (name, value, source) in [
        ("port", "2", "(--port)"),
        ("bind", "localhost", "(default)"),
        ("index", "a", "(--index)"),
        ("index", "b", "(--index)"),
        ("hidden", "no", "(default)"),
        ("header", "(none)", "(default)"),
        ("grace", "5s", "(IDLER_GRACE)"),
        ("color", "never", "(NO_COLOR)"),
        ("verbose", "0", "(default)"),
        ("check", "yes", "(--check)"),
    ] {
        let line = format!("{name:<16} {value:<24} {source}");
        assert!(lines.contains(&line), "{line:?} is not in {lines:#?}");
    }
    assert_eq!(
        lines.iter().filter(|line| line.starts_with("port")).count(),
        1
    );
}

#[test]
fn what_is_not_understood_is_one_line_that_says_what_to_try() {
    for (line, env, expected) in [
        (
            "--prot 1",
            &[] as Env<'_>,
            "idler: '--prot' is no option of idler serve; did you mean --port?",
        ),
        (
            "--hiden",
            &[],
            "idler: '--hiden' is no option of idler serve; did you mean --hidden?",
        ),
        (
            "--max-conn 5",
            &[],
            "idler: '--max-conn' is no option of idler serve; did you mean --max-connections?",
        ),
        (
            "--frobnicate",
            &[],
            "idler: '--frobnicate' is no option of idler serve; idler serve --help lists all",
        ),
        (
            "-P 80",
            &[],
            "idler: '-P' is no option of idler serve; did you mean -p (--port)?",
        ),
        (
            "-Z",
            &[],
            "idler: '-Z' is no option of idler serve; idler serve --help lists all",
        ),
        (
            "man --port 1",
            &[],
            "idler: '--port' is no option of idler man; it belongs to idler serve",
        ),
        (
            "-p abc",
            &[],
            "idler: --port: 'abc' is not a number from 0 to 65535",
        ),
        (
            "-p 65536",
            &[],
            "idler: --port: '65536' is not a number from 0 to 65535",
        ),
        (
            "-p +80",
            &[],
            "idler: --port: '+80' is not a number from 0 to 65535",
        ),
        (
            "-p x -p 1",
            &[],
            "idler: --port: 'x' is not a number from 0 to 65535",
        ),
        ("-p", &[], "idler: --port needs a value: --port N"),
        (
            "--color",
            &[],
            "idler: --color needs a value: --color auto|always|never",
        ),
        (
            "--color red",
            &[],
            "idler: --color: 'red' is not one of auto, always, never",
        ),
        (
            "",
            &[("IDLER_PORT", "http")],
            "idler: IDLER_PORT: 'http' is not a number from 0 to 65535",
        ),
        (
            "",
            &[("IDLER_HIDDEN", "perhaps")],
            "idler: IDLER_HIDDEN: 'perhaps' is neither yes nor no",
        ),
        (
            "",
            &[("IDLER_MAX_HEAD", "16Q")],
            "idler: IDLER_MAX_HEAD: '16Q' is not a size in bytes such as 512, 16K, 4M or 1G",
        ),
        (
            "--quiet=maybe",
            &[],
            "idler: --quiet: 'maybe' is neither yes nor no",
        ),
        (
            "-q=no",
            &[],
            "idler: unexpected argument for option '-q': \"no\"; it takes no value",
        ),
        (
            "--max-connections 0",
            &[],
            "idler: --max-connections: '0' is not a number from 1 to 1048576, nor 'auto'",
        ),
        (
            "--max-head 1",
            &[],
            "idler: --max-head: '1' is not a size from 1K to 1M",
        ),
        (
            "--head-timeout 0",
            &[],
            "idler: --head-timeout: '0' is not a duration from 1ms to 24h",
        ),
        (
            "--grace 25h",
            &[],
            "idler: --grace: '25h' is not a duration from 0s to 24h",
        ),
        (
            "--idle-timeout 10x",
            &[],
            "idler: --idle-timeout: '10x' is not a duration such as 500ms, 10s, 5m or 1h \
             (a bare number counts seconds)",
        ),
        (
            "--access-log=",
            &[],
            "idler: --access-log: the name of a file is empty",
        ),
        (
            "one two",
            &[],
            "idler: 'two' is one argument too many; idler serve --help says what is",
        ),
        (
            "sevre site",
            &[],
            "idler: 'site' is one argument too many; did you mean idler serve?",
        ),
        (
            "man site",
            &[],
            "idler: 'site' is one argument too many; idler man --help says what is",
        ),
        (
            "completions",
            &[],
            "idler: completions needs more words; try idler completions SHELL",
        ),
        (
            "completions csh",
            &[],
            "idler: completions: 'csh' is not one of bash, zsh, fish",
        ),
        (
            "-q man",
            &[],
            "idler: --quiet stands before the verb; try idler man --quiet …, or ./man for the path",
        ),
    ] {
        let error = parsed(line, env).expect_err(line);
        assert_eq!(error.to_string(), expected, "{line}");
    }
}

#[test]
fn an_empty_path_is_refused() {
    let error = parse([OsString::new()].into_iter(), |_| None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "idler: PATH is empty; leave it out for the current directory"
    );
}

#[test]
fn an_error_stays_one_line_whatever_it_quotes() {
    for raw in [
        "--po\nrt",
        "--po\x1b[31mrt",
        "-\n",
        "--port=\r\n\u{202e}",
        "--quiet=\n",
        "-q=\n",
        "--color=\u{7}",
    ] {
        let error = parse([raw.into()].into_iter(), |_| None).unwrap_err();
        let line = error.to_string();
        assert!(line.starts_with("idler: "), "{line:?}");
        assert!(
            !line.chars().any(|c| c.is_control() || c == '\u{202e}'),
            "{line:?}"
        );
    }
    let long = format!("--port={}", "9".repeat(100_000));
    let error = parse([long.into()].into_iter(), |_| None).unwrap_err();
    assert!(error.to_string().len() < 300);
    let long = format!("--{}", "x".repeat(100_000));
    let error = parse([long.into()].into_iter(), |_| None).unwrap_err();
    assert!(error.to_string().len() < 300);
}

#[test]
fn too_many_header_lines_are_refused() {
    let line = format!("-H A:{} -H B:{}", "x".repeat(2000), "y".repeat(2000));
    assert_eq!(
        parsed(&line, &[]).unwrap_err().to_string(),
        "idler: --header: all lines together may have 3072 bytes; proxies refuse longer heads"
    );
}

#[test]
fn help_and_version_are_pages_wherever_they_stand() {
    let Ok(Command::Page(overview)) = parsed("--help", &[]) else {
        panic!("no overview")
    };
    for line in ["-h", "-p 80 -h", "-p abc --help", "site -h", "-qh"] {
        assert_eq!(
            parsed(line, &[]),
            Ok(Command::Page(overview.clone())),
            "{line}"
        );
    }
    let Ok(Command::Page(page)) = parsed("serve --help", &[]) else {
        panic!("no page")
    };
    assert_eq!(
        parsed("serve site -h", &[]),
        Ok(Command::Page(page.clone()))
    );
    assert_ne!(page, overview);
    let version = Command::Page("idler 0.1.0\n".to_owned());
    for line in ["-V", "--version", "serve -V", "man --version"] {
        assert_eq!(parsed(line, &[]), Ok(version.clone()), "{line}");
    }
}

#[test]
fn the_overview_fits_a_screen_and_no_page_is_wider() {
    let overview = help::overview();
    // One line of 24 is the prompt's.
    assert!(overview.lines().count() <= 23, "{overview}");
    let pages = VERBS.into_iter().map(help::of);
    for page in pages.chain([overview]) {
        for line in page.lines() {
            assert!(line.chars().count() <= 79, "{line}");
            assert_eq!(line.trim_end(), line);
        }
    }
}

#[test]
fn every_verb_has_one_row_and_every_spelling_one_option() {
    let mut names = HashSet::new();
    for verb in VERBS {
        assert!(names.insert(verb.name), "{} twice", verb.name);
        assert!(verb.summary.len() <= 48, "{}", verb.name);
        let mut spellings = HashSet::new();
        for row in verb.rows() {
            let long = row.long();
            assert!(spellings.insert(long.to_owned()), "{long}");
            if let Some(short) = row.short() {
                assert!(spellings.insert(short.to_string()), "-{short}");
            }
            assert!(
                row.help().len() <= 60 && !row.help().ends_with('.'),
                "{long}"
            );
            // The logger has that variable.
            assert_ne!(row.variable().as_deref(), Some("IDLER_LOG"));
        }
    }
}

#[test]
fn every_option_is_in_help_manual_page_and_completions() {
    let man = help::manual();
    let [(_, bash), (_, zsh), (_, fish)] = completions::SHELLS else {
        panic!("not three shells")
    };
    let scripts = [bash(), zsh(), fish()];
    for verb in VERBS {
        let page = help::of(verb);
        let heading = format!(
            ".SH IDLER {}\n",
            verb.name.to_uppercase().replace('-', "\\-")
        );
        let section = man.split(&heading).nth(1).expect(verb.name);
        let section = section.split("\n.SH ").next().unwrap();
        for script in &scripts {
            assert!(script.contains(verb.name), "{}", verb.name);
        }
        for row in verb.rows() {
            let line = format!("  {}\n", row.shown());
            assert!(page.contains(&line), "{line:?} is not in\n{page}");
            let escaped = row.long().replace('-', "\\-");
            assert!(
                section.contains(&format!("\\fB\\-\\-{escaped}\\fR")),
                "{escaped}"
            );
            let [bash, zsh, fish] = &scripts;
            let listed = bash
                .lines()
                .find(|l| l.trim().starts_with(&format!("{}:-*)", verb.name)));
            let spelled = listed.expect(verb.name).split(['\'', ' ']).any(|word| {
                word.strip_prefix("--")
                    .is_some_and(|word| word == row.long())
            });
            assert!(spelled, "bash: {}", row.long());
            assert!(
                zsh.contains(&format!("--{}", row.long())),
                "zsh: {}",
                row.long()
            );
            let fish_line = format!("'__idler_verb {}' -l {}", verb.name, row.long());
            assert!(fish.contains(&fish_line), "{fish_line}");
        }
    }
}

#[test]
fn the_examples_are_understood() {
    for verb in VERBS {
        assert!(!verb.examples.is_empty(), "{}", verb.name);
        assert_eq!(
            verb.examples().count(),
            verb.examples.len(),
            "{}",
            verb.name
        );
        for (example, _) in verb.examples() {
            // What follows is for the shell.
            let command = example.split(['>', '&']).next().unwrap();
            // Of the pieces between quotes, every second one stands inside them.
            let mut line = String::new();
            for (number, piece) in command.split('\'').enumerate() {
                let inside = number % 2 == 1;
                line.push_str(&if inside {
                    piece.replace(' ', "_")
                } else {
                    piece.to_owned()
                });
            }
            let line = line.trim().strip_prefix("idler").expect(example);
            parsed(line, &[]).unwrap_or_else(|error| panic!("{example}: {error}"));
        }
    }
}

/// A value for each option that differs from its default; `_` stands for a blank.
const SAMPLES: &[(&str, &str)] = &[
    ("port", "81"),
    ("bind", "::1"),
    ("index", "start.html"),
    ("header", "X:_y"),
    ("type", ".x=a/b"),
    ("cache", "1h,immutable"),
    ("host", "a.example=/srv"),
    ("redirects", "file"),
    ("auth", "file"),
    ("allow", "10.0.0.0/8"),
    ("max-per-address", "5"),
    ("proxy-from", "unix"),
    ("health", "/health"),
    ("status", "/status"),
    ("status-from", "10.0.0.0/8"),
    ("user", "nobody"),
    ("with", "daytime=1313"),
    ("max-connections", "7"),
    ("max-head", "2K"),
    ("head-timeout", "1"),
    ("idle-timeout", "1"),
    ("stall-timeout", "1"),
    ("grace", "1"),
    ("drain-delay", "1"),
    ("cache-memory", "1"),
    ("access-log", "off"),
    ("log-format", "json"),
    ("color", "never"),
    ("output", "file"),
    ("timeout", "1"),
    ("keep", "2"),
    ("pipeline", "2"),
    ("chunk", "2"),
    ("delay", "20ms"),
    ("answer", "No"),
    ("format", "iso"),
    ("count", "3"),
    ("loss", "1%"),
    ("dup", "1%"),
    ("reorder", "1%"),
    ("seed", "1"),
    ("interval", "2"),
    ("wait", "2"),
    ("size", "64"),
    ("clients", "5"),
    ("mode", "churn"),
    ("drip", "1"),
    ("duration", "1"),
    ("rate", "1"),
    ("path", "/x"),
    ("probe", "localhost"),
    ("root", "site"),
];

/// The words that a verb needs.
fn needed(verb: &str) -> &'static str {
    match verb {
        "get" => "http://localhost/file",
        "message-client" | "crowd" => "localhost 1",
        "daytime-client" | "transfer-client" | "ping-client" => "localhost",
        "transfer-server" => "file",
        "explain" => "/",
        "password" => "alice",
        "completions" => "bash",
        _ => "",
    }
}

/// What is in force for any verb, without where it comes from.
fn in_force_for(verb: &Verb, options: &str, env: Env<'_>) -> Command {
    let line = format!("{} {} {options}", verb.name, needed(verb.name));
    let mut command = parsed(&line, env).unwrap_or_else(|error| panic!("{line}: {error}"));
    match &mut command {
        Command::Page(_) | Command::Password(_) => {}
        Command::Serve(options)
        | Command::Get(_, options)
        | Command::MessageServer(options)
        | Command::MessageClient(options)
        | Command::DaytimeServer(options)
        | Command::DaytimeClient(options)
        | Command::TransferServer(options)
        | Command::TransferClient(options)
        | Command::PingServer(options)
        | Command::PingClient(options)
        | Command::Crowd(options)
        | Command::Explain(_, options)
        | Command::Precompress(options) => options.settings.clear(),
    }
    command
}

#[test]
fn every_option_does_something_from_both_sides() {
    for verb in VERBS {
        let by_default = in_force_for(verb, "", &[]);
        for row in verb.rows() {
            let long = row.long();
            if matches!(long, "help" | "version") {
                continue;
            }
            // Some options make sense with another only.
            let also = match long {
                "continue" => "-o file",
                "status-from" => "--status /status",
                _ => "",
            };
            let by_default = match also {
                "" => by_default.clone(),
                also => in_force_for(verb, also, &[]),
            };
            let sample = SAMPLES.iter().find(|(known, _)| *known == long);
            let value = match (row.form(), sample) {
                (Form::Switch, _) => "",
                (_, Some((_, value))) => value,
                (_, None) => panic!("no sample for {long}"),
            };
            let typed = format!("--{long} {value} {also}");
            let given = in_force_for(verb, &typed, &[]);
            assert_ne!(given, by_default, "{}: {typed} changes nothing", verb.name);
            if let Some(variable) = row.variable() {
                let value = match value {
                    "" => "1".to_owned(),
                    value => value.replace('_', " "),
                };
                let from_environment = in_force_for(verb, also, &[(&variable, &value)]);
                assert_eq!(from_environment, given, "{}: {variable}", verb.name);
            }
            if let Some(short) = row.short() {
                let typed = format!("-{short} {value} {also}");
                assert_eq!(in_force_for(verb, &typed, &[]), given, "{typed}");
            }
        }
    }
}

#[test]
fn the_defaults_shown_are_those_in_force() {
    let mut seen = 0;
    for verb in VERBS {
        let by_default = in_force_for(verb, "", &[]);
        for row in verb.rows() {
            // To say "localhost" is not the same as the default, which makes do with one of the
            // two.
            if row.is_switch() || row.default().is_empty() || row.long() == "bind" {
                continue;
            }
            let typed = format!("--{} {}", row.long(), row.default());
            assert_eq!(in_force_for(verb, &typed, &[]), by_default, "{typed}");
            seen += 1;
        }
    }
    assert!(seen > 30);
}

#[test]
fn every_word_of_a_choice_is_understood() {
    for verb in VERBS {
        for row in verb.rows() {
            if let Form::OneOf(words) = row.form() {
                for word in words.split(' ') {
                    in_force_for(verb, &format!("--{} {word}", row.long()), &[]);
                }
            }
        }
    }
}

#[test]
fn companions_and_tools_know_their_words() {
    let peer = |host: &str, port| Peer {
        host: host.to_owned(),
        port,
    };
    let Ok(Command::MessageClient(options)) = parsed("message-client ::1 8000 hi_there", &[])
    else {
        panic!("no message-client")
    };
    assert_eq!(options.peer, peer("::1", 8000));
    assert_eq!(options.text, b"hi there");
    let Ok(Command::DaytimeClient(options)) = parsed("daytime-client --udp [::1]", &[]) else {
        panic!("no daytime-client")
    };
    assert_eq!((options.peer, options.udp), (peer("::1", 1313), true));
    let Ok(Command::TransferServer(options)) = parsed("transfer-server a -q b", &[]) else {
        panic!("no transfer-server")
    };
    assert_eq!(options.files, [PathBuf::from("a"), PathBuf::from("b")]);
    assert_eq!(options.listening.port, 5566);
    let Ok(Command::PingClient(options)) = parsed("ping-client -c 3 -i 0.2 h 9", &[]) else {
        panic!("no ping-client")
    };
    assert_eq!((options.peer, options.count), (peer("h", 9), 3));
    assert_eq!(options.interval, Duration::from_millis(200));
    let Ok(Command::Crowd(options)) = parsed("crowd localhost 80 -n 5", &[]) else {
        panic!("no crowd")
    };
    assert_eq!((options.peer, options.clients), (peer("localhost", 80), 5));
    let Ok(Command::Explain(target, options)) =
        parsed("explain /a_b --root site --spa -H A:b", &[])
    else {
        panic!("no explain")
    };
    assert_eq!(target, "/a b");
    assert_eq!(options.server.path, PathBuf::from("site"));
    assert!(options.server.spa && options.server.headers.is_empty());
    assert_eq!(options.headers.len(), 1);
}

#[test]
fn get_takes_a_url_or_the_textbook_s_three_words() {
    let get = |line: &str| match parsed(&format!("get {line}"), &[]) {
        Ok(Command::Get(url, options)) => (url, *options),
        other => panic!("{line}: {other:?}"),
    };
    let url = Url {
        host: "localhost".to_owned(),
        port: 8080,
        target: "/hello.txt".to_owned(),
    };
    assert_eq!(get("localhost 8080 hello.txt").0, url);
    assert_eq!(get("localhost 8080 /hello.txt").0, url);
    assert_eq!(get("http://localhost:8080/hello.txt").0, url);
    assert_eq!(get("u/a%20b.txt -O").1.output, Some("a b.txt".into()));
    assert_eq!(get("u -o -").1.output, None);
    let repeated = |line| (get(line).1.keep, get(line).1.pipeline);
    assert_eq!(repeated("u --keep 3"), (3, 1));
    assert_eq!(repeated("u --pipeline 3"), (1, 3));
    let pieces = |line| (get(line).1.chunk, get(line).1.delay);
    let slow = |bytes, millis| (Some(bytes), Duration::from_millis(millis));
    assert_eq!(pieces("u --chunk 5"), slow(5, 0));
    assert_eq!(pieces("u --chunk 5 --delay 50"), slow(5, 50));
    assert_eq!(pieces("u --delay 1s"), slow(1, 1000));
    assert_eq!(pieces("u"), (None, Duration::ZERO));
    // What a server is told must not leave with a client.
    let env: Env<'_> = &[("IDLER_HEADER", "X: y")];
    assert!(matches!(parsed("get u", env), Ok(Command::Get(_, get)) if get.headers.is_empty()));
}

#[test]
fn what_contradicts_itself_is_refused() {
    for (line, expected) in [
        ("get", "get needs more words; try idler get [OPTIONS] URL"),
        (
            "get a 80",
            "get takes a URL, or HOST PORT FILE; try idler get http://HOST:PORT/FILE",
        ),
        (
            "get a 80 b c",
            "'c' is one argument too many; idler get --help says what is",
        ),
        ("get a 0 b", "'0' is not a number from 1 to 65535"),
        (
            "get u -o a -O",
            "--output and --remote-name name two files; choose one",
        ),
        (
            "get u/ -O",
            "--remote-name: the URL names no file; try -o FILE",
        ),
        (
            "get u/%2e%2e -O",
            "--remote-name: the URL names no file; try -o FILE",
        ),
        (
            "get u/a%2fb -O",
            "--remote-name: the URL names no file; try -o FILE",
        ),
        (
            "get u -c",
            "--continue needs a file to continue; add -O or -o FILE",
        ),
        (
            "get u -c -o a --keep 2",
            "--continue asks once; leave out --keep and --pipeline",
        ),
        (
            "get u --keep 2 --pipeline 2",
            "--keep waits for each reply and --pipeline does not; choose one",
        ),
        (
            "get u -H content-length:5",
            "--header: content-length announces a body, and get sends none",
        ),
        (
            "get https://example.com/",
            "'https://example.com/': idler speaks no TLS; try http://, or curl",
        ),
        (
            "ping-server -b unix:/a",
            "--bind: datagrams need an IPv4 or IPv6 address, not a Unix socket",
        ),
        (
            "--health /a --status /a",
            "--health and --status have one path; give each its own",
        ),
        (
            "--status-from 10.0.0.0/8",
            "--status-from needs the path of the figures; add --status /PATH",
        ),
        (
            "get u --follow",
            "'--follow' is no option of idler get; idler get --help lists all",
        ),
        (
            "--location site",
            "'--location' is no option of idler serve; it belongs to idler get",
        ),
        (
            "ping-client h x",
            "PORT: 'x' is not a number from 1 to 65535",
        ),
        (
            "daytime-client a/b",
            "HOST: 'a/b' is not a host such as example.com, 127.0.0.1 or ::1",
        ),
        (
            "password a:b",
            "USER: 'a:b' is not a name without ':' and control characters",
        ),
        (
            "transfer-server",
            "transfer-server needs more words; try idler transfer-server [OPTIONS] FILE…",
        ),
    ] {
        let error = parsed(line, &[]).expect_err(line);
        assert_eq!(error.to_string(), format!("idler: {expected}"), "{line}");
    }
}
