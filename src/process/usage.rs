//! What the kernel knows of this process: its memory and its descriptors.
//!
//! The files of `/proc` are opened before the walls stand, and read again behind them. What the
//! kernel does not tell is left out. A look costs one call, however much there is to count.

use std::fs::File;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

/// See the module.
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
