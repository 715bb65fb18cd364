//! The site that all servers serve: a scratch directory and the files in it.
//!
//! What lives here: making the files, and taking everything away again.
//! What it may not know: servers.
//! Invariant: nothing is written outside the scratch directory, and it is gone at the end, however the end comes
//! (but for SIGKILL).
//! Read next: `peers.rs`, which serves it.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::{Outcome, pause};

/// One file that a workload asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asset {
    /// Its path in a URL.
    pub(crate) path: &'static str,
    /// Its length, in bytes.
    pub(crate) length: u64,
    /// How it is called in titles.
    pub(crate) title: &'static str,
}

const fn asset(path: &'static str, length: u64, title: &'static str) -> Asset {
    Asset {
        path,
        length,
        title,
    }
}

/// A hundred bytes.
pub(crate) const TINY: Asset = asset("/100b.html", 100, "100 B");
/// What most requests here ask for.
pub(crate) const PAGE: Asset = asset("/1k.html", 1024, "1 KiB");
/// A page of some size.
pub(crate) const LONG_PAGE: Asset = asset("/16k.html", 16 * 1024, "16 KiB");
/// A large file.
pub(crate) const LARGE: Asset = asset("/1m.bin", 1 << 20, "1 MiB");
/// A huge file.
pub(crate) const HUGE: Asset = asset("/1g.bin", 1 << 30, "1 GiB");
/// Another, which is not kept in memory.
pub(crate) const COLD: Asset = asset("/cold.bin", 1 << 30, "1 GiB, cold");
/// The first of [`MANY`] files of the same length.
pub(crate) const ONE_OF_MANY: Asset = asset("/many/00/0000.html", 4096, "4 KiB");
/// A text with a compressed sibling.
pub(crate) const COMPRESSED: Asset = asset("/style.css", 3000, "3,000 B, compressed");
/// How many files of 4 KiB there are, a hundred in a directory.
pub(crate) const MANY: u64 = 10_000;

/// How old files must be before servers see them. A server that keeps copies may distrust a file that was written
/// a moment ago, since it could change once more within one time stamp; these are not to be measured as such.
const AGE: Duration = Duration::from_millis(2500);

/// The scratch directory with the site in it.
#[derive(Debug)]
pub(crate) struct Site {
    scratch: PathBuf,
    changed: Instant,
}

impl Site {
    /// Makes a fresh scratch directory below `parent`, and the small files.
    pub(crate) fn create(parent: &Path) -> Outcome<Self> {
        let scratch = parent.join(format!("idler-bench-{}", std::process::id()));
        fs::create_dir_all(parent)?;
        fs::create_dir(&scratch).map_err(|error| format!("{}: {error}", scratch.display()))?;
        let mut site = Self {
            scratch,
            changed: Instant::now(),
        };
        fs::create_dir(site.root())?;
        for asset in [TINY, PAGE, LONG_PAGE, LARGE, COMPRESSED] {
            site.add(asset)?;
        }
        // No server looks into a sibling: any bytes will do.
        site.add(asset("/style.css.gz", 1000, "the sibling"))?;
        Ok(site)
    }

    /// The directory that servers serve.
    pub(crate) fn root(&self) -> PathBuf {
        self.scratch.join("root")
    }

    /// The directory for everything else: configurations, logs.
    pub(crate) fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// Where an asset's file is.
    pub(crate) fn file(&self, asset: Asset) -> PathBuf {
        self.root().join(asset.path.trim_start_matches('/'))
    }

    /// Adds a file, unless it is there.
    pub(crate) fn add(&mut self, asset: Asset) -> Outcome<()> {
        let file = self.file(asset);
        if !file.exists() {
            write(&file, asset.length, 1)?;
            self.changed = Instant::now();
        }
        Ok(())
    }

    /// Adds the many files, and returns the path of a list of their URL paths, one a line.
    pub(crate) fn add_many(&mut self) -> Outcome<PathBuf> {
        let list = self.many_list();
        if !list.exists() {
            let mut paths = String::new();
            for number in 0..MANY {
                let path = format!("/many/{:02}/{number:04}.html", number / 100);
                let file = self.root().join(path.trim_start_matches('/'));
                if let Some(parent) = file.parent().filter(|_| number % 100 == 0) {
                    fs::create_dir_all(parent)?;
                }
                write(&file, ONE_OF_MANY.length, number + 2)?;
                paths.push_str(&path);
                paths.push('\n');
            }
            fs::write(&list, paths)?;
            self.changed = Instant::now();
        }
        Ok(list)
    }

    /// Where the list of the many files is, once they are there.
    pub(crate) fn many_list(&self) -> PathBuf {
        self.scratch.join("many.txt")
    }

    /// Waits until the youngest file is old enough to be trusted.
    pub(crate) fn ripen(&self) {
        pause(AGE.saturating_sub(self.changed.elapsed()));
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.scratch) {
            eprintln!("{} could not be removed: {error}", self.scratch.display());
        }
    }
}

/// Writes a file of real bytes (no holes) that differ from seed to seed, modified an hour ago, and waits for the disk:
/// what is still to be written would be written during the measurement.
fn write(path: &Path, length: u64, seed: u64) -> Outcome<()> {
    const BLOCK: u64 = 1 << 16;
    let mut out = BufWriter::new(File::create_new(path)?);
    let mut dice = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut block = Vec::new();
    let mut left = length;
    while left > 0 {
        block.clear();
        let size = left.min(BLOCK);
        while (block.len() as u64) < size {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            block.extend(dice.to_be_bytes().map(|byte| b'a' + byte % 26));
        }
        block.truncate(usize::try_from(size)?);
        out.write_all(&block)?;
        left -= size;
    }
    let file = out
        .into_inner()
        .map_err(std::io::IntoInnerError::into_error)?;
    file.set_modified(SystemTime::now() - Duration::from_secs(3600))?;
    if length > BLOCK {
        file.sync_data()?;
    }
    Ok(())
}
