//! How far a client has come, as one line that is drawn over itself. Nothing is drawn on anything
//! but a terminal, and the line is gone when its `StatusLine` is.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use crate::event_loop::Now;
use crate::http::text::Size;
use crate::limits::PROGRESS_INTERVAL;

/// A line of the terminal.
#[derive(Default, Debug)]
pub(crate) struct StatusLine {
    drawn: Option<Instant>,
}

impl StatusLine {
    /// One, if standard error is a terminal.
    pub(crate) fn on_terminal() -> Option<Self> {
        std::io::stderr().is_terminal().then(Self::default)
    }

    /// Draws it, [`PROGRESS_INTERVAL`] after the last time at the earliest.
    pub(crate) fn draw(&mut self, now: &Now, line: impl FnOnce() -> String) {
        let due = |last| now.instant.duration_since(last) >= PROGRESS_INTERVAL;
        if self.drawn.is_none_or(due) {
            self.drawn = Some(now.instant);
            redraw(&line());
        }
    }

    /// Takes it off the terminal. It is drawn at once the next time.
    pub(crate) fn clear(&mut self) {
        if self.drawn.take().is_some() {
            redraw("");
        }
    }
}

impl Drop for StatusLine {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Draws a line over what stands there. A terminal that is gone needs none.
pub(crate) fn redraw(line: &str) {
    let _ = write!(std::io::stderr(), "\r{line}\x1b[K");
}

/// The line of one transfer.
#[derive(Default, Debug)]
pub struct Progress {
    line: StatusLine,
    total: Option<u64>,
    /// Bytes that were there before.
    before: u64,
    started: Option<Instant>,
}

impl Progress {
    /// A line, if standard error is a terminal.
    pub fn on_terminal() -> Option<Self> {
        std::io::stderr().is_terminal().then(Self::default)
    }

    /// How many bytes there will be in the end, if that is known, and how many were there before.
    pub fn expect(&mut self, total: Option<u64>, before: u64) {
        self.total = total;
        self.before = before;
    }

    /// Draws it, if it is time.
    pub fn draw(&mut self, done: u64, now: &Now) {
        let started = *self.started.get_or_insert(now.instant);
        let (before, total) = (self.before, self.total);
        self.line
            .draw(now, || line(done, before, total, now.instant - started));
    }
}

/// `[=====>    ]  50%  1.5 MiB  512.0 KiB/s  3 s left`, at most 79 characters.
fn line(done: u64, before: u64, total: Option<u64>, elapsed: Duration) -> String {
    let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    let came = done.saturating_sub(before).saturating_mul(1000);
    let rate = came.checked_div(millis).unwrap_or(0);
    let speed = format!("{:.1}  {:.1}/s", Size(done), Size(rate));
    let Some(total) = total.filter(|total| *total > 0) else {
        return speed;
    };
    let share = |n: u128| u128::from(done.min(total)) * n / u128::from(total);
    let of = |n| usize::try_from(share(n));
    let (filled, percent) = (of(20).unwrap_or(0), of(100).unwrap_or(0));
    let mut bar = "=".repeat(filled);
    if filled < 20 {
        bar.push('>');
    }
    let left = match total.saturating_sub(done).checked_div(rate) {
        Some(seconds) => format!("  {seconds} s left"),
        None => String::new(),
    };
    format!("[{bar:<20}] {percent:3}%  {speed}{left}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_much_how_fast_and_how_long() {
        let s = Duration::from_secs;
        assert_eq!(
            line(512 * 1024, 0, Some(1024 * 1024), s(1)),
            "[==========>         ]  50%  512.0 KiB  512.0 KiB/s  1 s left"
        );
        assert_eq!(line(1000, 0, None, s(2)), "1000 B  500 B/s");
        assert_eq!(
            line(3 << 30, 2 << 30, Some(3 << 30), s(1)),
            "[====================] 100%  3.0 GiB  1.0 GiB/s  0 s left"
        );
        assert_eq!(
            line(0, 0, Some(10), s(0)),
            "[>                   ]   0%  0 B  0 B/s"
        );
        assert_eq!(line(5, 0, Some(0), s(1)), "5 B  5 B/s");
        assert!(line(u64::MAX, 0, Some(u64::MAX), s(1)).len() < 80);
        assert!(line(u64::MAX, 0, Some(1), s(1)).contains("100%"));
    }
}
