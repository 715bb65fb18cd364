//! The page cache: which bytes of a file are in memory, and having the others fetched.
//!
//! A disk has no readiness: epoll cannot say when it has answered, and a read waits for it, with
//! every connection of the loop. So nothing here waits; the caller sleeps and asks again. Where the
//! file system cannot say what is in memory, everything counts as that.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use rustix::fs::{Advice, fadvise};
use rustix::io::{Errno, ReadWriteFlags, preadv2};

use crate::limits::{DISK_FETCH_BYTES, DISK_REQUEST_BYTES};

/// Reads what is in memory. `None` if the file system cannot tell (before Linux 4.14 none could).
fn read_in_memory(file: &File, into: &mut [u8], at: u64) -> Option<rustix::io::Result<usize>> {
    let mut into = [IoSliceMut::new(into)];
    match preadv2(file, &mut into, at, ReadWriteFlags::NOWAIT) {
        Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS) => None,
        done => Some(done),
    }
}

/// What is known of the bytes of a file just before those that are asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Before {
    /// Nothing: these are the first.
    Unknown,
    /// They were in memory.
    Hot,
    /// They, or others before them, were on the disk.
    Cold,
}

/// Whether the first `count` of the `left` bytes of `file` from `at` on are in memory. If not, they
/// are being fetched when this returns.
///
/// Tries the first and the last byte, or the last alone: a hot file is mostly so as a whole, and
/// asking must cost next to nothing there. Where it was cold `before`, more bytes are tried, and
/// those that will be wanted later are fetched while these are sent.
pub fn is_in_memory(file: &File, at: u64, count: usize, left: usize, before: Before) -> bool {
    let last = count.saturating_sub(1);
    let cold = before == Before::Cold;
    let (first, step) = match before {
        Before::Unknown => (0, last),
        Before::Hot => (last, 1),
        Before::Cold => (0, DISK_REQUEST_BYTES),
    };
    let is_there = |offset: usize| {
        read_in_memory(file, &mut [0], at + offset as u64) != Some(Err(Errno::AGAIN))
    };
    let mut tried = (first..last).step_by(step.max(1)).chain([last]);
    if let Some(missing) = tried.find(|offset| !is_there(*offset)) {
        // What comes after these has been asked for already, if it is cold.
        let end = if cold {
            count
        } else {
            left.min(DISK_FETCH_BYTES)
        };
        fetch(file, at, missing..end);
        return false;
    }
    let later = left.min(DISK_FETCH_BYTES + count);
    if cold && later > DISK_FETCH_BYTES && !is_there(later - 1) {
        fetch(file, at, DISK_FETCH_BYTES..later);
    }
    true
}

/// What came of [`read_whole`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Came {
    /// All that was asked for.
    Whole,
    /// The file is shorter.
    Short,
    /// Nothing that counts: it is on a disk, which has been asked for it.
    Later,
}

/// Fills `into` from the beginning of `file`, if it is in memory.
///
/// # Errors
/// If it cannot be read.
pub fn read_whole(file: &File, into: &mut [u8]) -> io::Result<Came> {
    let mut done = 0;
    while done < into.len() {
        match read_in_memory(file, &mut into[done..], done as u64) {
            Some(Ok(n)) if n > 0 => done += n,
            Some(Err(Errno::INTR)) => {}
            Some(Err(Errno::AGAIN)) => {
                fetch(file, 0, 0..into.len());
                return Ok(Came::Later);
            }
            Some(Err(e)) => return Err(e.into()),
            // The end, or a kernel that says 0 where it means "not yet" (before 5.9, preadv2(2)).
            Some(Ok(_)) | None => {
                return match file.read_exact_at(&mut into[done..], done as u64) {
                    Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(Came::Short),
                    other => other.map(|()| Came::Whole),
                };
            }
        }
    }
    Ok(Came::Whole)
}

/// Has bytes fetched, counted from `at`, without waiting; a later read finds out what cannot be
/// fetched. In pieces: of each request the kernel silently leaves out what exceeds both its
/// read-ahead and the largest transfer of the disk.
fn fetch(file: &File, at: u64, bytes: Range<usize>) {
    let end = bytes.end;
    for offset in bytes.step_by(DISK_REQUEST_BYTES) {
        let piece = NonZeroU64::new(DISK_REQUEST_BYTES.min(end - offset) as u64);
        let _ = fadvise(file, at + offset as u64, piece, Advice::WillNeed);
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use super::*;

    #[test]
    fn where_the_file_system_cannot_tell_everything_counts_as_in_memory() {
        let file = File::open("/proc/self/cmdline").unwrap();
        assert!(
            read_in_memory(&file, &mut [0], 0).is_none(),
            "procfs has learnt to tell: use another file system here"
        );
        assert!(is_in_memory(&file, 0, 1 << 20, 1 << 22, Before::Cold));
        let mut first = [0];
        assert_eq!(read_whole(&file, &mut first).unwrap(), Came::Whole);
        assert_ne!(first, [0]);
        let mut more = vec![0; 1 << 20];
        assert_eq!(read_whole(&file, &mut more).unwrap(), Came::Short);
    }

    #[test]
    fn what_was_just_written_is_in_memory() {
        let path = std::env::temp_dir().join(format!("idler-disk-{}", std::process::id()));
        std::fs::write(&path, vec![7; 300_000]).unwrap();
        let file = File::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        for before in [Before::Unknown, Before::Hot, Before::Cold] {
            assert!(is_in_memory(&file, 0, 300_000, 1 << 22, before));
            assert!(is_in_memory(&file, 299_999, 1, 1, before));
            assert!(
                is_in_memory(&file, 300_000, 10, 10, before),
                "beyond the end there is nothing to wait for"
            );
        }
        let mut all = vec![0; 300_000];
        assert_eq!(read_whole(&file, &mut all).unwrap(), Came::Whole);
        assert_eq!(all, vec![7; 300_000]);
        let mut more = vec![0; 300_001];
        assert_eq!(read_whole(&file, &mut more).unwrap(), Came::Short);
    }
}
