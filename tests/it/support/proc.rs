//! What the kernel knows of a process.
//!
//! It may not know what the process is. Invariant: numbers carry their unit in the name.
//! Read next: `footprint.rs`.

use std::fs;

/// A process, looked at from outside.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Proc(pub(crate) u32);

impl Proc {
    fn read(self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.0))
            .unwrap_or_else(|e| panic!("/proc/{}/{file}: {e}", self.0))
    }

    /// A field of `/proc/PID/status`, as it stands there.
    pub(crate) fn status(self, name: &str) -> String {
        field(&self.read("status"), name)
            .unwrap_or_else(|| panic!("no {name} in /proc/{}/status", self.0))
    }

    /// Threads of the process.
    pub(crate) fn threads(self) -> u64 {
        first_number(&self.status("Threads"))
    }

    /// Memory in RAM, in bytes.
    pub(crate) fn resident_bytes(self) -> u64 {
        first_number(&self.status("VmRSS")) * 1024
    }

    /// Memory that belongs to nobody else and to no file, in bytes: what the process costs by itself.
    pub(crate) fn anonymous_bytes(self) -> u64 {
        let rollup = self.read("smaps_rollup");
        first_number(&field(&rollup, "Anonymous").expect("smaps_rollup has Anonymous")) * 1024
    }

    /// Time on a processor, in the kernel's ticks (a hundred a second).
    pub(crate) fn cpu_ticks(self) -> u64 {
        let stat = self.read("stat");
        // The second field is the name in parentheses, and may hold anything.
        let (_, rest) = stat.rsplit_once(')').expect("stat has a name");
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // utime and stime are fields 14 and 15 of the line, so 11 and 12 after the name.
        fields[11].parse::<u64>().expect("utime") + fields[12].parse::<u64>().expect("stime")
    }

    /// Open descriptors.
    pub(crate) fn descriptors(self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.0))
            .expect("the descriptors of a child can be listed")
            .count()
    }

    /// How often the process gave up the processor to wait: each wake-up of an idle process shows here.
    pub(crate) fn waits(self) -> u64 {
        first_number(&self.status("voluntary_ctxt_switches"))
    }

    /// The state letter: `S` sleeps, `R` runs, `Z` is dead and not yet waited for.
    pub(crate) fn state(self) -> char {
        self.status("State").chars().next().unwrap_or('?')
    }
}

/// Descriptors that this process, and so a child of it, may have.
pub(crate) fn descriptor_limit() -> u64 {
    rustix::process::getrlimit(rustix::process::Resource::Nofile)
        .current
        .unwrap_or(u64::MAX)
}

fn field(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key == name).then(|| value.trim().to_owned())
    })
}

fn first_number(text: &str) -> u64 {
    text.split_ascii_whitespace()
        .next()
        .and_then(|n| n.parse().ok())
        .unwrap_or_else(|| panic!("no number in {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::Proc;

    #[test]
    fn a_process_can_look_at_itself() {
        let me = Proc(std::process::id());
        assert!(me.threads() >= 1);
        assert!(me.resident_bytes() > 100_000);
        assert!(me.anonymous_bytes() > 10_000);
        assert!(me.descriptors() >= 3);
        assert!(matches!(me.state(), 'R' | 'S'));
    }
}
