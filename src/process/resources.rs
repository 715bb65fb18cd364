//! How many descriptors the process may have, how many of them connections may take, and what the
//! kernel knows of its memory.
//!
//! The limit is raised to what the administrator allows. However small it is, some are always left
//! for files, logs and listeners.
//!
//! Descriptors 0, 1 and 2 need no care of ours: before `main`, Rust's runtime opens `/dev/null` on
//! those that were closed, so that no socket can take the place of the log (see the test).

use std::fs::File;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::limits::{DESCRIPTORS_OWN, DESCRIPTORS_RESERVED, SLOTS_MAX};

/// Raises the limit of open descriptors as far as is allowed, and returns what it is then: where
/// that is refused the old one, since fewer connections are no reason not to start.
pub fn raise_limit() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        if let Err(e) = setrlimit(Resource::Nofile, limit) {
            log::debug!("the limit of open descriptors stays as it is: {e}");
        }
    }
    // Asked again, since the kernel has the last word. No limit reads as "more than anyone needs".
    let limit = getrlimit(Resource::Nofile).current;
    limit.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX))
}

/// How many connections fit under a limit of `descriptors`, if the user asked for `asked` of them.
/// [`DESCRIPTORS_RESERVED`] are kept back, but never more than [`DESCRIPTORS_OWN`] and half of
/// the others. At least 1 is returned.
pub fn connections_for(descriptors: usize, asked: Option<usize>) -> usize {
    let others = descriptors.saturating_sub(DESCRIPTORS_OWN);
    let reserved = DESCRIPTORS_RESERVED.min(DESCRIPTORS_OWN + others / 2);
    let most = asked.unwrap_or(usize::MAX).min(SLOTS_MAX);
    descriptors.saturating_sub(reserved).min(most).max(1)
}

/// What this process has. The files of `/proc` are opened before the walls stand, and read again
/// behind them. A look costs one call, however much there is to count.
#[derive(Debug, Default)]
pub struct Usage {
    memory: Option<File>,
    descriptors: Option<File>,
}

impl Usage {
    /// Opens what can be opened: in a sandbox without `/proc` that is nothing.
    pub fn open() -> Self {
        Self {
            memory: File::open("/proc/self/status").ok(),
            descriptors: File::open("/proc/self/fd").ok(),
        }
    }

    /// Bytes of memory that this process really has.
    pub fn resident_bytes(&self) -> Option<u64> {
        // The line stands within the first kilobyte; the rest need not be read.
        let mut page = [0; 2048];
        let len = self.memory.as_ref()?.read_at(&mut page, 0).ok()?;
        let text = str::from_utf8(page.get(..len)?).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kibibytes * 1024)
    }

    /// Open descriptors, as the size of their directory: Linux since 6.2. Before, each would have
    /// to be counted.
    pub fn descriptors(&self) -> Option<u64> {
        let size = self.descriptors.as_ref()?.metadata().ok()?.size();
        (size > 0).then_some(size)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    #[test]
    fn connections_are_the_least_of_limit_slots_and_wish() {
        assert_eq!(connections_for(1024, None), 1024 - DESCRIPTORS_RESERVED);
        assert_eq!(connections_for(1024, Some(10)), 10);
        assert_eq!(
            connections_for(1024, Some(5000)),
            1024 - DESCRIPTORS_RESERVED
        );
        assert_eq!(connections_for(1_073_741_816, None), SLOTS_MAX);
        assert_eq!(connections_for(usize::MAX, None), SLOTS_MAX);
    }

    #[test]
    fn of_a_tiny_limit_idler_takes_what_it_needs_and_connections_half_of_the_rest() {
        assert_eq!(connections_for(64, None), 22);
        assert_eq!(connections_for(24, None), 2);
        assert_eq!(connections_for(9, None), 1);
        assert_eq!(connections_for(1, None), 1);
        assert_eq!(connections_for(0, Some(0)), 1);
    }

    #[test]
    fn the_limit_is_raised_to_the_hard_one() {
        let raised = raise_limit();
        let now = getrlimit(Resource::Nofile);
        assert_eq!(now.current, now.maximum);
        assert_eq!(Some(raised as u64), now.current);
    }

    /// Runs this very test again in a process that was started with 0, 1 and 2 closed.
    #[test]
    fn closed_standard_descriptors_are_filled_at_once() {
        use std::os::fd::AsRawFd as _;
        const REPORT: &str = "IDLER_TEST_CLOSED_STREAMS";
        if let Some(report) = std::env::var_os(REPORT) {
            let first = File::open("/dev/null").unwrap();
            let targets: Vec<_> = (0..3)
                .map(|n| std::fs::read_link(format!("/proc/self/fd/{n}")).unwrap())
                .collect();
            std::fs::write(report, format!("{} {targets:?}", first.as_raw_fd() > 2)).unwrap();
            return;
        }
        let report = std::env::temp_dir().join(format!("idler-streams-{}", std::process::id()));
        let status = std::process::Command::new("/bin/sh")
            .args(["-c", "exec \"$0\" \"$@\" 0<&- 1>&- 2>&-"])
            .arg(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "process::resources::tests::closed_standard_descriptors_are_filled_at_once",
            ])
            .env(REPORT, &report)
            .status()
            .unwrap();
        let seen = std::fs::read_to_string(&report).unwrap();
        std::fs::remove_file(&report).unwrap();
        assert!(status.success());
        assert_eq!(seen, r#"true ["/dev/null", "/dev/null", "/dev/null"]"#);
    }
}
