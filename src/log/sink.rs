//! Where log lines leave the process: written at once where that is possible, kept a while where it is
//! not, dropped and counted when they become too many. Never waited for.
//!
//! What lives here: the bounded queue of lines, and one write that cannot block, for each kind of
//! descriptor. Standard output and standard error are shared with the shell, so they are never made
//! non-blocking: the flag belongs to the open file description, and everyone who shares it would be
//! surprised.
//! It may not know what the lines say. Invariant: whole lines go out, in order; of a line whose
//! beginning was written the rest comes next. Read next: `access_log.rs`, `logger.rs`.

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
    target: Target,
    way: WriteMode,
    /// Lines not yet written, from `start` on.
    pending: Vec<u8>,
    start: usize,
    /// The bytes at `start` continue a line whose beginning was written.
    within_line: bool,
    dropped: u64,
    /// How soon to try again while not everything is taken.
    patience: Duration,
}

/// Whose descriptor it is.
#[derive(Debug)]
pub(crate) enum Target {
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
    /// A file on a disk, or a device like `/dev/null`: as good as immediate, and `poll` would say nothing.
    Direct,
    /// A socket can be told for each call that it must not wait.
    Socket,
    /// A pipe.
    Pipe(NonBlocking),
    /// A terminal.
    Terminal(NonBlocking),
}

/// Who sees to it that a write to a pipe or a terminal does not wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum NonBlocking {
    /// The kernel: we have a description of our own, non-blocking.
    Kernel,
    /// We: `poll` is asked before each write, and little is written. It holds for pipes nobody else writes to
    /// (if one is writable, a page is free). A terminal promises nothing beyond the next byte.
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
    pub(crate) fn new(target: Target) -> Self {
        let (target, way) = target.prepare();
        Self {
            target,
            way,
            pending: Vec::new(),
            start: 0,
            within_line: false,
            dropped: 0,
            patience: LOG_RETRY_FIRST,
        }
    }

    /// Queues a line, to which `write` appends everything but its end. If the queue is full, writing is
    /// tried; if it stays full, the line is dropped and counted, and false is returned.
    ///
    /// The queue is bounded by [`LOG_PENDING_BYTES_MAX`].
    pub(crate) fn line(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let before = self.pending.len();
        write(&mut self.pending);
        self.pending.push(b'\n');
        if self.waiting() <= LOG_PENDING_BYTES_MAX {
            return true;
        }
        // The new line is set aside while the older ones are given a chance to leave.
        let line = self.pending.split_off(before);
        self.flush();
        if self.waiting() + line.len() <= LOG_PENDING_BYTES_MAX {
            self.pending.extend_from_slice(&line);
            true
        } else {
            self.dropped += 1;
            false
        }
    }

    /// Counts a line that was not even tried.
    pub(crate) fn skip_line(&mut self) {
        self.dropped += 1;
    }

    /// Writes what can be written without waiting.
    ///
    /// Bounded by [`LOG_WRITES_PER_FLUSH_MAX`] calls.
    pub(crate) fn flush(&mut self) -> Flushed {
        let before = self.waiting();
        let flushed = self.write_some();
        self.patience = if self.waiting() < before {
            LOG_RETRY_FIRST
        } else {
            (self.patience * 2).min(LOG_RETRY_MAX)
        };
        flushed
    }

    /// After what time another [`flush`](Self::flush) is worth its while; `None` if nothing waits.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        (self.waiting() > 0).then_some(self.patience)
    }

    fn write_some(&mut self) -> Flushed {
        let mut writes = 0;
        while self.start < self.pending.len() {
            if writes == LOG_WRITES_PER_FLUSH_MAX {
                return Flushed::Blocked;
            }
            writes += 1;
            let piece = self.way.piece(&self.pending[self.start..]);
            match self.way.write(self.target.as_fd(), piece) {
                Ok(n) => self.written(n),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Flushed::Blocked,
                Err(e @ (Errno::PIPE | Errno::CONNRESET | Errno::IO | Errno::BADF)) => {
                    // Nobody is there to read what was kept, now or later.
                    self.give_up();
                    return Flushed::Failed(e);
                }
                Err(e) => return Flushed::Failed(e),
            }
        }
        Flushed::All
    }

    /// Writes what is left, waiting a little for a slow reader: for the end of the program, when nobody
    /// else waits any more. What is left then is dropped.
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

    /// Writes to another descriptor from now on. Whole lines that the old one has not taken go to the new
    /// one; the rest of a line that was begun is dropped.
    pub(crate) fn redirect(&mut self, target: Target) {
        self.flush();
        if self.within_line {
            self.drop_rest_of_line();
        }
        (self.target, self.way) = target.prepare();
    }

    /// Lines that were dropped so far.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Bytes that wait to be written.
    pub(crate) fn waiting(&self) -> usize {
        self.pending.len() - self.start
    }

    /// Accounts for `n` bytes that were taken.
    fn written(&mut self, n: usize) {
        if n == 0 {
            return;
        }
        self.start += n;
        self.within_line = self.pending.get(self.start - 1) != Some(&b'\n');
        if self.start == self.pending.len() {
            self.pending.clear();
            // What one bad minute needed is not kept for ever.
            self.pending.shrink_to(LOG_KEPT_BYTES);
            self.start = 0;
        } else if self.start >= LOG_PENDING_BYTES_MAX / 2 {
            self.pending.drain(..self.start);
            self.start = 0;
        }
    }

    /// Drops the rest of a line whose beginning was written, and counts it.
    fn drop_rest_of_line(&mut self) {
        let rest = &self.pending[self.start..];
        let end = rest.iter().position(|b| *b == b'\n');
        self.start += end.map_or(rest.len(), |at| at + 1);
        self.within_line = false;
        self.dropped += 1;
    }

    /// Drops everything that waits, and counts it.
    fn give_up(&mut self) {
        let lines = self.pending[self.start..]
            .iter()
            .filter(|b| **b == b'\n')
            .count();
        self.dropped += u64::try_from(lines).unwrap_or(u64::MAX);
        self.pending.clear();
        self.start = 0;
        self.within_line = false;
    }
}

impl AsFd for Target {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Stdout(stream) => stream.as_fd(),
            Self::Stderr(stream) => stream.as_fd(),
            Self::File(file) => file.as_fd(),
        }
    }
}

impl Target {
    /// Finds out how to write to it without waiting.
    ///
    /// A pipe or a terminal that is shared is opened anew by its number: the same pipe, the same terminal,
    /// but a description that nobody else has, so it can be non-blocking. That fails where `/proc` is
    /// missing or the terminal belongs to another user.
    fn prepare(self) -> (Self, WriteMode) {
        let fd = self.as_fd();
        let kind = rustix::fs::fstat(fd).map(|stat| FileType::from_raw_mode(stat.st_mode));
        let way = match kind {
            Ok(FileType::Socket) => return (self, WriteMode::Socket),
            Ok(FileType::Fifo) => WriteMode::Pipe,
            Ok(FileType::CharacterDevice) if fd.is_terminal() => WriteMode::Terminal,
            _ => return (self, WriteMode::Direct),
        };
        if matches!(rustix::fs::fcntl_getfl(fd), Ok(flags) if flags.contains(OFlags::NONBLOCK)) {
            return (self, way(NonBlocking::Kernel));
        }
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
        match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(own) => (Self::File(File::from(own)), way(NonBlocking::Kernel)),
            Err(_) => (self, way(NonBlocking::Ours)),
        }
    }
}

impl WriteMode {
    /// How much of `pending` one write may carry. To a pipe that is whole lines where they fit, since up to
    /// `PIPE_BUF` bytes are never mixed with what others write to it.
    fn piece(self, pending: &[u8]) -> &[u8] {
        match self {
            Self::Direct | Self::Socket | Self::Terminal(NonBlocking::Kernel) => pending,
            Self::Terminal(NonBlocking::Ours) => &pending[..pending.len().min(1)],
            Self::Pipe(_) if pending.len() <= PIPE_BYTES_MAX => pending,
            Self::Pipe(_) => {
                let piece = &pending[..PIPE_BYTES_MAX];
                match piece.iter().rposition(|b| *b == b'\n') {
                    Some(at) => &piece[..=at],
                    None => piece,
                }
            }
        }
    }

    /// Writes some of `bytes`, or says AGAIN.
    fn write(self, fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, Errno> {
        match self {
            Self::Socket => rustix::net::send(fd, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL),
            Self::Pipe(NonBlocking::Ours) | Self::Terminal(NonBlocking::Ours)
                if !is_writable(fd, 0)? =>
            {
                Err(Errno::AGAIN)
            }
            Self::Direct | Self::Pipe(_) | Self::Terminal(_) => rustix::io::write(fd, bytes),
        }
    }
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
