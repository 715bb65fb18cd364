//! One way out for log lines: written at once where that is possible, kept a while where it is not,
//! and dropped and counted when too many wait. Never waited for.
//!
//! Whole lines go out, in order; of a line whose beginning was written the rest comes next.
//! Standard output and standard error are shared with the shell, so they are never made
//! non-blocking: the flag belongs to the open file description, and would surprise every other
//! process that has it.

use std::fs::File;
use std::io::{IsTerminal as _, Stderr, Stdout};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::SendFlags;

use crate::limits::{
    LOG_FAREWELL_POLLS_MAX, LOG_KEPT_BYTES, LOG_PENDING_BYTES_MAX, LOG_RETRY_FIRST, LOG_RETRY_MAX,
    LOG_WRITES_PER_FLUSH_MAX, PIPE_BYTES_MAX,
};

/// A descriptor that takes lines, and the lines it has not taken yet.
#[derive(Debug)]
pub(crate) struct LogSink {
    target: LogTarget,
    mode: WriteMode,
    /// Lines not yet written.
    pub(crate) pending: Vec<u8>,
    /// They begin with the rest of a line whose beginning was written.
    within_line: bool,
    /// Lines that were dropped so far.
    pub(crate) dropped: u64,
    /// How soon to try again while something is pending.
    retry_after: Duration,
}

/// Whose descriptor it is.
#[derive(Debug)]
pub(crate) enum LogTarget {
    /// Standard output, shared with others.
    Stdout(Stdout),
    /// Standard error, shared with others.
    Stderr(Stderr),
    /// A file that we opened.
    File(File),
}

/// How to write without waiting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum WriteMode {
    /// A file on a disk, or a device like `/dev/null`: as good as immediate; `poll` would say
    /// nothing.
    Direct,
    /// A socket can be told for each call that it must not wait.
    Socket,
    Pipe(NonBlocking),
    Terminal(NonBlocking),
}

/// What keeps a write to a pipe or a terminal from waiting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum NonBlocking {
    /// The kernel: we have a description of our own, non-blocking.
    Kernel,
    /// We ask `poll` before each write, and write little. That is enough for a pipe that no other
    /// process writes to: if it is writable, a page is free. A terminal promises only the next
    /// byte.
    Ours,
}

/// What came of writing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Flushed {
    /// Nothing is left to write.
    All,
    /// The reader does not keep up; the rest is kept.
    Blocked,
    /// The descriptor does not take it for another reason; what can be kept is kept.
    Failed(Errno),
}

impl LogSink {
    pub(crate) fn new(target: LogTarget) -> Self {
        let (target, mode) = target.prepare();
        Self {
            target,
            mode,
            pending: Vec::new(),
            within_line: false,
            dropped: 0,
            retry_after: LOG_RETRY_FIRST,
        }
    }

    /// Queues a line, to which `write` appends everything but its end. If the queue is full,
    /// writing is tried; if it stays full, the line is dropped and counted, and false is returned.
    ///
    /// The queue is bounded by [`LOG_PENDING_BYTES_MAX`].
    pub(crate) fn line(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let before = self.pending.len();
        write(&mut self.pending);
        self.pending.push(b'\n');
        if self.pending.len() <= LOG_PENDING_BYTES_MAX {
            return true;
        }
        // The new line is set aside while the older ones are given a chance to leave.
        let line = self.pending.split_off(before);
        self.flush();
        let fits = self.pending.len() + line.len() <= LOG_PENDING_BYTES_MAX;
        if fits {
            self.pending.extend_from_slice(&line);
        } else {
            self.dropped += 1;
        }
        fits
    }

    /// Writes what can be written without waiting.
    pub(crate) fn flush(&mut self) -> Flushed {
        let before = self.pending.len();
        let flushed = self.write_some();
        self.retry_after = if self.pending.len() < before {
            LOG_RETRY_FIRST
        } else {
            (self.retry_after * 2).min(LOG_RETRY_MAX)
        };
        flushed
    }

    /// After what time another [`flush`](Self::flush) is worth its while; `None` if nothing waits.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        (!self.pending.is_empty()).then_some(self.retry_after)
    }

    /// Writes what is left, waiting a little for a slow reader: for the end of the program, when no
    /// client waits any more. What is left then is dropped.
    ///
    /// Bounded by [`LOG_FAREWELL_POLLS_MAX`] waits of 10 ms.
    pub(crate) fn finish(&mut self) {
        for _ in 0..LOG_FAREWELL_POLLS_MAX {
            if self.flush() != Flushed::Blocked {
                break;
            }
            let _ = is_writable(self.target.as_fd(), 10);
        }
        self.give_up();
    }

    /// Writes to another descriptor from now on. Whole lines that the old one has not taken go to
    /// the new one; the rest of a line that was begun is dropped.
    pub(crate) fn redirect(&mut self, target: LogTarget) {
        self.flush();
        if self.within_line {
            let end = self.pending.iter().position(|b| *b == b'\n');
            let rest = end.map_or(self.pending.len(), |at| at + 1);
            self.pending.drain(..rest);
            self.within_line = false;
            self.dropped += 1;
        }
        (self.target, self.mode) = target.prepare();
    }

    /// Bounded by [`LOG_WRITES_PER_FLUSH_MAX`] calls.
    fn write_some(&mut self) -> Flushed {
        let mut written = 0;
        let mut writes = 0;
        let flushed = loop {
            let rest = &self.pending[written..];
            if rest.is_empty() {
                break Flushed::All;
            }
            if writes == LOG_WRITES_PER_FLUSH_MAX {
                break Flushed::Blocked;
            }
            writes += 1;
            match self.mode.write(self.target.as_fd(), rest) {
                Ok(n) => written += n,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break Flushed::Blocked,
                Err(e) => break Flushed::Failed(e),
            }
        };
        if written > 0 {
            self.within_line = self.pending.get(written - 1) != Some(&b'\n');
            self.pending.drain(..written);
        }
        // The reader is gone for good: what is kept will never be read.
        let lost = [Errno::PIPE, Errno::CONNRESET, Errno::IO, Errno::BADF];
        if lost.iter().any(|e| flushed == Flushed::Failed(*e)) {
            self.give_up();
        }
        if self.pending.is_empty() {
            // What one bad minute needed is not kept for ever.
            self.pending.shrink_to(LOG_KEPT_BYTES);
        }
        flushed
    }

    /// Drops everything that waits, and counts it.
    fn give_up(&mut self) {
        let lines = self.pending.iter().filter(|b| **b == b'\n').count();
        self.dropped += lines as u64;
        self.pending.clear();
        self.within_line = false;
    }
}

impl AsFd for LogTarget {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Stdout(stream) => stream.as_fd(),
            Self::Stderr(stream) => stream.as_fd(),
            Self::File(file) => file.as_fd(),
        }
    }
}

impl LogTarget {
    /// Finds out how to write to it without waiting.
    ///
    /// A pipe or a terminal that is shared is opened anew by its number: the same pipe, the same
    /// terminal, but a description that is ours alone, so it can be non-blocking. That fails where
    /// `/proc` is missing, or the terminal belongs to another user.
    fn prepare(self) -> (Self, WriteMode) {
        let fd = self.as_fd();
        let kind = rustix::fs::fstat(fd).map(|stat| FileType::from_raw_mode(stat.st_mode));
        let mode = match kind {
            Ok(FileType::Socket) => return (self, WriteMode::Socket),
            Ok(FileType::Fifo) => WriteMode::Pipe,
            Ok(FileType::CharacterDevice) if fd.is_terminal() => WriteMode::Terminal,
            _ => return (self, WriteMode::Direct),
        };
        if matches!(rustix::fs::fcntl_getfl(fd), Ok(flags) if flags.contains(OFlags::NONBLOCK)) {
            return (self, mode(NonBlocking::Kernel));
        }
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
        match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(own) => (Self::File(File::from(own)), mode(NonBlocking::Kernel)),
            Err(_) => (self, mode(NonBlocking::Ours)),
        }
    }
}

impl WriteMode {
    /// Writes some of `pending`, or says AGAIN.
    fn write(self, fd: BorrowedFd<'_>, pending: &[u8]) -> Result<usize, Errno> {
        use NonBlocking::{Kernel, Ours};
        let piece = match self {
            Self::Socket => {
                let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                return rustix::net::send(fd, pending, flags);
            }
            Self::Direct | Self::Terminal(Kernel) => pending,
            Self::Terminal(Ours) => &pending[..pending.len().min(1)],
            Self::Pipe(_) => pipe_piece(pending),
        };
        let asks = matches!(self, Self::Pipe(Ours) | Self::Terminal(Ours));
        if asks && !is_writable(fd, 0)? {
            return Err(Errno::AGAIN);
        }
        rustix::io::write(fd, piece)
    }
}

/// How much one write to a pipe may carry: whole lines where they fit, since up to `PIPE_BUF` bytes
/// are never mixed with what other processes write to it.
fn pipe_piece(pending: &[u8]) -> &[u8] {
    let Some(piece) = pending.get(..PIPE_BYTES_MAX) else {
        return pending;
    };
    let end = piece.iter().rposition(|b| *b == b'\n');
    end.map_or(piece, |at| &piece[..=at])
}

/// Asks whether a write would be taken (or fail) at once, for up to `wait_millis`.
fn is_writable(fd: BorrowedFd<'_>, wait_millis: i64) -> Result<bool, Errno> {
    let mut asked = [PollFd::from_borrowed_fd(fd, PollFlags::OUT)];
    let wait = Timespec {
        tv_sec: 0,
        tv_nsec: wait_millis * 1_000_000,
    };
    Ok(rustix::event::poll(&mut asked, Some(&wait))? > 0)
}

#[cfg(test)]
mod tests;
