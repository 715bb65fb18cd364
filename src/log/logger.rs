//! The diagnostic log on standard error: what went wrong, and the teaching view.
//!
//! `env_logger` decides which records are shown, by `IDLER_LOG`, `RUST_LOG` or `-q` and `-v`. Lines
//! come in order, and begin with the key of their connection where they have one, so that `grep
//! '^\[7\]'` follows one connection. A blocked standard error drops and counts lines instead of
//! stopping the server.

use std::io::{self, IsTerminal as _};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use log::{Level, LevelFilter};

use crate::limits::LOG_PENDING_BYTES_MAX;
use crate::log::sink::{LogSink, LogTarget};

/// Whether lines are coloured.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Color {
    /// If standard error is a terminal, and neither `NO_COLOR` nor `TERM=dumb` is set.
    #[default]
    Auto,
    /// In any case.
    Always,
    /// Never.
    Never,
}

/// Everything written to standard error goes through here, from the first line on.
static STDERR: OnceLock<Mutex<Diagnostics>> = OnceLock::new();

/// Sets up the logger of the process. `level` is what `-q` and `-v` ask for; a filter in the
/// environment (`IDLER_LOG`, else `RUST_LOG`) says more and goes before it. A filter that cannot be
/// understood is ignored with a warning. Called twice, the first call holds.
pub fn init(level: LevelFilter, color: Color) {
    let variable = filter_from(|name| std::env::var(name).ok());
    let complaint = variable.as_ref().and_then(|(name, filter)| {
        let what = complaint_about(filter)?;
        Some(format!(
            "{name} is ignored: {what} (try {name}=idler=debug, or {name}=trace)"
        ))
    });
    let filter = match variable {
        Some((_, filter)) if complaint.is_none() => filter,
        _ => format!("idler={level}"),
    };
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let colored = match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => io::stderr().is_terminal() && !is_set("NO_COLOR") && !is_dumb,
    };
    let installed = env_logger::Builder::new()
        .parse_filters(&filter)
        .format(move |_, record| {
            // Nothing is left for env_logger to write, since it would wait for a slow reader.
            let line = layout(record.level(), &record.args().to_string(), colored);
            diagnostics().line(&line);
            Ok(())
        })
        .try_init();
    if let (Ok(()), Some(complaint)) = (installed, complaint) {
        log::warn!("{complaint}");
    }
}

/// Writes a line to standard error as it is, whatever the filter: the start-up lines and the last
/// words. Unlike `eprintln!` it cannot end the program when standard error is full or closed.
pub fn say(line: &str) {
    diagnostics().line(line);
}

/// Writes what standard error did not take before: to be called once a turn. If a duration is
/// returned, something is left, and another call is worth it after that time.
pub fn flush() -> Option<Duration> {
    let sink = &mut diagnostics().sink;
    if !sink.pending.is_empty() {
        sink.flush();
    }
    sink.retry_after()
}

/// Lines that were dropped so far.
pub fn dropped() -> u64 {
    diagnostics().sink.dropped
}

/// Writes what is left at the end of the program, waiting half a second at most for a slow reader.
pub fn finish() {
    diagnostics().sink.finish();
}

fn diagnostics() -> MutexGuard<'static, Diagnostics> {
    STDERR
        .get_or_init(|| Mutex::new(Diagnostics::new(LogTarget::Stderr(io::stderr()))))
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}

/// Standard error, and how many lines are missing at this point of it.
#[derive(Debug)]
struct Diagnostics {
    sink: LogSink,
    missing: u64,
}

impl Diagnostics {
    fn new(target: LogTarget) -> Self {
        Self {
            sink: LogSink::new(target),
            missing: 0,
        }
    }

    /// Writes a line now if that is possible; else it is kept, or dropped and counted. Where lines
    /// are missing, a line says how many.
    fn line(&mut self, line: &str) {
        if self.missing > 0 {
            self.sink.flush();
            // There must be room for more than that one line, or such lines and gaps would take
            // turns.
            if self.sink.pending.len() > LOG_PENDING_BYTES_MAX / 2 {
                self.sink.dropped += 1;
                self.missing += 1;
                return;
            }
            let notice = format!("({} lines could not be written here)", self.missing);
            self.sink.line(|into| into.extend(notice.bytes()));
            self.missing = 0;
        }
        let before = self.sink.dropped;
        self.sink.line(|into| into.extend(line.bytes()));
        self.sink.flush();
        self.missing += self.sink.dropped - before;
    }
}

/// The first of the two variables that says something, by name and text.
fn filter_from(var: impl Fn(&str) -> Option<String>) -> Option<(&'static str, String)> {
    ["IDLER_LOG", "RUST_LOG"]
        .into_iter()
        .find_map(|name| Some((name, var(name).filter(|text| !text.trim().is_empty())?)))
}

/// What is wrong with a filter, if anything: it is a list of `LEVEL`, `MODULE` and `MODULE=LEVEL`,
/// and after a slash a text that lines must contain. Checked here because `env_logger` complains
/// with `eprintln!`, which ends the program if standard error is full.
fn complaint_about(filter: &str) -> Option<String> {
    let (modules, text) = filter.split_once('/').unwrap_or((filter, ""));
    if text.contains('/') {
        return Some("it has more than one slash".to_owned());
    }
    modules.split(',').map(str::trim).find_map(|directive| {
        let (_, level) = directive.split_once('=')?;
        let level = level.trim();
        let known = level.is_empty() || level.parse::<LevelFilter>().is_ok();
        (!known).then(|| format!("`{level}` is no level"))
    })
}

/// One line: the connection's key, the level, the rest. What a client could use to draw on a
/// terminal or to forge a line is escaped.
fn layout(level: Level, message: &str, colored: bool) -> String {
    let (key, text) = split_key(message);
    let color = match level {
        _ if !colored => "",
        Level::Error => "\x1b[1;31m",
        Level::Warn => "\x1b[1;33m",
        Level::Info => "\x1b[32m",
        Level::Debug => "\x1b[36m",
        Level::Trace => "\x1b[2m",
    };
    let reset = if colored { "\x1b[0m" } else { "" };
    let mut line = format!("{key}{color}{level:<5}{reset} ");
    for c in text.chars() {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

/// Splits a record about a connection behind its key: `[`, digits, `] `.
fn split_key(message: &str) -> (&str, &str) {
    let key = message.strip_prefix('[');
    match key.and_then(|rest| rest.split_once("] ")) {
        Some((digits, _)) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
            message.split_at(digits.len() + "[] ".len())
        }
        _ => ("", message),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;
    use std::fs::File;
    use std::io::Read as _;

    #[test]
    fn lines_begin_with_the_key_where_there_is_one() {
        assert_eq!(
            layout(Level::Trace, "[7] read 5 of 16 bytes", false),
            "[7] TRACE read 5 of 16 bytes"
        );
        assert_eq!(layout(Level::Info, "ready", false), "INFO  ready");
        // What only looks like a key stays where it is.
        for odd in ["[] x", "[a] x", "[7]", "x [7] y", "[7 y] z"] {
            assert_eq!(layout(Level::Warn, odd, false), format!("WARN  {odd}"));
        }
        assert_eq!(
            layout(Level::Error, "[0] x", true),
            "[0] \x1b[1;31mERROR\x1b[0m x"
        );
    }

    #[test]
    fn a_client_cannot_draw_on_the_terminal() {
        assert_eq!(
            layout(Level::Debug, "[1] a\x1b[2J\nERROR\r\0\u{9b}é", false),
            "[1] DEBUG a\\u{1b}[2J\\nERROR\\r\\u{0}\\u{9b}é"
        );
    }

    #[test]
    fn the_own_variable_goes_before_the_common_one() {
        let ask = |idler: Option<&str>, rust: Option<&str>| {
            filter_from(|name| {
                let text = if name == "IDLER_LOG" { idler } else { rust };
                text.map(str::to_owned)
            })
        };
        assert_eq!(ask(None, None), None);
        assert_eq!(
            ask(Some("trace"), Some("info")),
            Some(("IDLER_LOG", "trace".to_owned()))
        );
        assert_eq!(
            ask(Some(" "), Some("info")),
            Some(("RUST_LOG", "info".to_owned()))
        );
    }

    #[test]
    fn filters_that_env_logger_would_complain_about_are_found() {
        for good in [
            "trace",
            "idler=trace",
            "idler::event_loop=debug, mio = info",
            "idler",
            "idler=",
            "idler=TRACE/[7]",
            "",
            ",",
            "off",
        ] {
            assert_eq!(complaint_about(good), None, "{good}");
        }
        for bad in ["idler=loud", "idler=trace=info", "trace/a/b"] {
            assert!(complaint_about(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn missing_lines_are_marked_where_they_are_missing() {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let mut diagnostics = Diagnostics::new(LogTarget::File(File::from(writer)));
        let line = "x".repeat(999);
        let mut said = 0_u64;
        while diagnostics.missing < 100 {
            diagnostics.line(&line);
            said += 1;
            assert!(said < 100_000);
        }
        // The reader wakes up.
        let reading = std::thread::spawn(move || {
            let mut text = String::new();
            File::from(reader).read_to_string(&mut text).unwrap();
            text
        });
        while !diagnostics.sink.pending.is_empty() {
            diagnostics.sink.flush();
            std::thread::yield_now();
        }
        diagnostics.line("later");
        diagnostics.sink.finish();
        drop(diagnostics);
        let text = reading.join().unwrap();
        let lines: Vec<_> = text.lines().collect();
        let kept = lines.len() - 2;
        assert!(lines[..kept].iter().all(|l| *l == line));
        assert_eq!(
            lines[kept..],
            ["(100 lines could not be written here)", "later"]
        );
        assert_eq!(kept as u64 + 100, said);
    }

    /// Runs the logger for real, in a process of its own: this test again, with a variable set.
    #[test]
    fn thousands_of_records_arrive_in_order_and_whole() {
        const CHILD: &str = "IDLER_TEST_LOGGER_CHILD";
        if std::env::var_os(CHILD).is_some() {
            init(LevelFilter::Info, Color::Auto);
            init(LevelFilter::Info, Color::Always); // the first call holds
            for n in 0..5_000 {
                log::trace!("[{}] record {n}", n % 7);
            }
            log::trace!(target: "mio", "not ours");
            say("as it is");
            finish();
            return;
        }
        let run = |filter: &str, into: std::process::Stdio| {
            std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "--nocapture"])
                .arg("log::logger::tests::thousands_of_records_arrive_in_order_and_whole")
                .env(CHILD, "1")
                .env("IDLER_LOG", filter)
                .stdout(std::process::Stdio::null())
                .stderr(into)
                .spawn()
                .unwrap()
        };
        let mut expected: String = (0..5_000)
            .map(|n| format!("[{}] TRACE record {n}\n", n % 7))
            .collect();
        expected.push_str("as it is\n");

        // To a pipe whose reader keeps up.
        let child = run("idler=trace", std::process::Stdio::piped());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        assert!(String::from_utf8(output.stderr).unwrap() == expected);

        // To a file.
        let path = std::env::temp_dir().join(format!("idler-logger-{}", std::process::id()));
        let file = File::create(&path).unwrap();
        assert!(run("idler=trace", file.into()).wait().unwrap().success());
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(text == expected);

        // A filter that nobody understands, and a full standard error, end nothing.
        let child = run("idler=loud", std::process::Stdio::piped());
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            String::from_utf8(output.stderr).unwrap(),
            "WARN  IDLER_LOG is ignored: `loud` is no level (try IDLER_LOG=idler=debug, or \
             IDLER_LOG=trace)\nas it is\n"
        );
        let full = File::options().write(true).open("/dev/full").unwrap();
        assert!(run("idler=loud", full.into()).wait().unwrap().success());
    }
}
