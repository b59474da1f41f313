//! Resident memory against what there is, in three levels.
//!
//! In: `/proc/self/status`, and the cgroup's limit (v2 and v1). Out: one atomic level that the
//! request path reads. [`Memory::sample`] reads a file and belongs on a thread of its own. Where no
//! limit is known, or the system does not tell, the level stays at plenty.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};

use super::metrics::Metrics;

/// How scarce memory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Below both marks.
    Plenty = 0,
    /// Above the soft mark: nothing is personalised.
    Scarce = 1,
    /// Above the hard mark: new requests are shed.
    Exhausted = 2,
}

/// The marks, and where memory stands.
#[derive(Debug)]
pub struct Memory {
    limit: Option<u64>,
    soft: u64,
    hard: u64,
    level: AtomicU8,
}

impl Memory {
    /// Marks at these percents of `limit`.
    pub fn new(limit: Option<u64>, soft_percent: u64, hard_percent: u64) -> Self {
        let mark = |percent: u64| limit.map_or(u64::MAX, |limit| limit / 100 * percent);
        Self {
            limit,
            soft: mark(soft_percent),
            hard: mark(hard_percent),
            level: AtomicU8::new(Level::Plenty as u8),
        }
    }

    /// How scarce memory was at the last look.
    pub fn level(&self) -> Level {
        match self.level.load(Ordering::Relaxed) {
            0 => Level::Plenty,
            1 => Level::Scarce,
            _ => Level::Exhausted,
        }
    }

    /// Looks, sets the gauges, and says when the level changed.
    pub fn sample(&self, metrics: &Metrics) {
        let Some(resident) = resident() else { return };
        metrics.memory.set(i64::try_from(resident).unwrap_or(i64::MAX));
        metrics.memory_limit.set(i64::try_from(self.limit.unwrap_or(0)).unwrap_or(i64::MAX));
        self.note(resident);
    }

    fn note(&self, resident: u64) {
        let level = match resident {
            bytes if bytes > self.hard => Level::Exhausted,
            bytes if bytes > self.soft => Level::Scarce,
            _ => Level::Plenty,
        };
        self.level.store(level as u8, Ordering::Relaxed);
    }
}

/// The limit that counts: the one that was set, else the system's.
pub fn limit(set_bytes: u64) -> Option<u64> {
    if set_bytes > 0 { Some(set_bytes) } else { cgroup_limit(Path::new("/")) }
}

/// Resident bytes of this process; `None` where the system does not tell.
fn resident() -> Option<u64> {
    // Not statm: its unit is the page, whose size only libc tells.
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// The lowest limit of the cgroup that we are in and of those above it; `root` is `/` except in
/// tests.
fn cgroup_limit(root: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let mut lowest = None;
    for line in text.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (mount, file) = match controllers {
            "" => ("sys/fs/cgroup", "memory.max"),
            names if names.split(',').any(|name| name == "memory") => {
                ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let mount = root.join(mount);
        // Within a container the path may be one of the host's: then the mount itself is ours.
        let mut directory: PathBuf = mount.join(path.trim_start_matches('/'));
        while directory.starts_with(&mount) {
            lowest = lowest.into_iter().chain(limit_in(&directory.join(file))).min();
            if !directory.pop() {
                break;
            }
        }
    }
    lowest
}

/// `None` for "max", and for version 1's number that means the same.
fn limit_in(file: &Path) -> Option<u64> {
    const NO_LIMIT: u64 = 1 << 60;
    let bytes: u64 = std::fs::read_to_string(file).ok()?.trim().parse().ok()?;
    (bytes < NO_LIMIT).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cgroup(cgroup: &str, files: &[(&str, &str)]) -> Option<u64> {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files.iter().chain(&[("proc/self/cgroup", cgroup)]) {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        cgroup_limit(root.path())
    }

    #[test]
    fn the_lowest_limit_above_us_counts_in_version_2() {
        let files = [
            ("sys/fs/cgroup/pod/us/memory.max", "max\n"),
            ("sys/fs/cgroup/pod/memory.max", "268435456\n"),
            ("sys/fs/cgroup/memory.max", "1073741824\n"),
        ];
        assert_eq!(cgroup("0::/pod/us\n", &files), Some(268_435_456));
        assert_eq!(cgroup("0::/\n", &files), Some(1_073_741_824));
        assert_eq!(cgroup("0::/\n", &files[..1]), None);
    }

    #[test]
    fn version_1_is_read_and_its_number_for_no_limit_is_none() {
        let cgroups = "7:cpu:/x\n5:hugetlb,memory:/docker/abc\n0::/\n";
        let at = |bytes: &'static str| [("sys/fs/cgroup/memory/memory.limit_in_bytes", bytes)];
        assert_eq!(cgroup(cgroups, &at("134217728\n")), Some(134_217_728));
        assert_eq!(cgroup(cgroups, &at("9223372036854771712\n")), None);
        assert_eq!(cgroup("", &[]), None);
    }

    #[test]
    fn levels_follow_the_marks_both_ways_and_without_a_limit_there_is_plenty() {
        let memory = Memory::new(Some(1_000), 80, 95);
        let levels = [800, 801, 951, 900, 10].map(|bytes| {
            memory.note(bytes);
            memory.level()
        });
        let expected =
            [Level::Plenty, Level::Scarce, Level::Exhausted, Level::Scarce, Level::Plenty];
        assert_eq!(levels, expected);
        let boundless = Memory::new(None, 80, 95);
        boundless.note(u64::MAX - 1);
        assert_eq!(boundless.level(), Level::Plenty);
    }

    #[test]
    fn what_was_set_wins_and_this_process_is_resident() {
        assert_eq!(limit(7), Some(7));
        assert!(resident().is_some_and(|bytes| bytes > 1024 * 1024));
    }
}
