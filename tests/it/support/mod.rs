//! What the tests stand on: the built program, a client that sends exactly what it is told, temporary
//! sites, and a look into `/proc`.
//!
//! It may not know how idler works, only what a user sees of it. Invariant: everything that waits has a
//! deadline, and nothing sleeps in the hope that something has happened.
//! Read next: `idler.rs`, then `http.rs`.

pub(crate) mod cases;
pub(crate) mod conversation;
pub(crate) mod daemon;
pub(crate) mod http;
pub(crate) mod idler;
pub(crate) mod load;
pub(crate) mod proc;
pub(crate) mod program;
pub(crate) mod reply;
pub(crate) mod site;

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub(crate) use http::{Client, Reply};
pub(crate) use idler::{Idler, Running};
pub(crate) use site::Site;

/// How long anything may take that should take no time. Generous: the machine may be busy with other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Between two looks at something that cannot be waited for in the kernel (a log file, `/proc`).
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Looks until there is something to see, and returns it.
///
/// # Panics
/// If there is nothing within `patience`; `what` says what was waited for.
pub(crate) fn wait_until<T>(
    what: &str,
    patience: Duration,
    mut look: impl FnMut() -> Option<T>,
) -> T {
    let begin = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(
            begin.elapsed() < patience,
            "waited {patience:?} in vain for {what}"
        );
        std::thread::park_timeout(LOOK_AGAIN);
    }
}

/// Looks for as long as `period`, and fails as soon as `look` finds fault.
///
/// For what must *not* happen: such a test takes as long as it says.
pub(crate) fn watch_for(period: Duration, mut look: impl FnMut()) {
    let begin = Instant::now();
    while begin.elapsed() < period {
        look();
        std::thread::park_timeout(LOOK_AGAIN.min(period));
    }
    look();
}

/// Lets one test at a time measure, or take most of the descriptors of this process.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    // That another test failed while it was alone is no reason to fail.
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file or folder of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The site that comes with the repository.
pub(crate) fn fixture_site() -> PathBuf {
    repository("fixtures/site")
}
