//! What a process holds: resident memory, descriptors, threads, and what its snapshot counts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::harness::client::operate;
use crate::harness::get;

/// How much resident memory may differ: the allocator keeps pages that it may need again, and a
/// snapshot that is being written holds some.
const RESIDENT_SHARE: f64 = 0.10;
const RESIDENT_BYTES: f64 = (12 << 20) as f64;
/// Descriptors that may differ: connections to the shop that are kept for the next request.
const FILES: usize = 24;

/// Parts of the catalogue.
const SHARDS: f64 = 16.0;

/// Caps that a run binds on purpose.
#[derive(Clone, Copy)]
pub(super) struct Caps {
    pub(super) profile_bytes: f64,
    pub(super) products: f64,
    pub(super) visits: usize,
    pub(super) doubles: usize,
}

/// A sidecar and where it can be seen.
pub(super) struct Watched {
    pub(super) pid: u32,
    pub(super) place: super::visits::Place,
    pub(super) state: PathBuf,
}

/// One look.
#[derive(Debug)]
pub(super) struct Sample {
    resident: f64,
    files: usize,
    threads: usize,
    connections: f64,
    profile_bytes: f64,
    products: f64,
    /// Bytes of the snapshot by section.
    sections: BTreeMap<String, usize>,
    failed: f64,
}

impl Watched {
    /// Looks when nobody asks anything.
    pub(super) async fn look(&self) -> Sample {
        let text = get(self.place.ops, "/metrics").await.text();
        let sum = |name: &str| -> f64 {
            let lines = text.lines().filter(|line| line.starts_with(name));
            lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
        };
        let failures = ["leafrank_upstream_errors_total", "leafrank_faults_total{"];
        let refused = ["leafrank_refused_total", "leafrank_requests_total{status=\"5xx\"}"];
        Sample {
            resident: self.resident(),
            files: self.entries("fd"),
            threads: self.entries("task"),
            connections: sum("leafrank_connections"),
            profile_bytes: sum("leafrank_profile_bytes"),
            products: sum("leafrank_products"),
            sections: sections(&self.state.join("profiles.snapshot")),
            failed: failures.iter().chain(&refused).map(|name| sum(name)).sum(),
        }
    }

    /// Resident memory, the middle of several looks.
    fn resident(&self) -> f64 {
        let path = format!("/proc/{}/statm", self.pid);
        let look = || {
            std::thread::sleep(Duration::from_millis(20));
            let statm = std::fs::read_to_string(&path).expect("statm");
            statm.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok()).expect("pages")
        };
        let mut looks: Vec<f64> = (0..9).map(|_| look()).collect();
        looks.sort_by(f64::total_cmp);
        looks[looks.len() / 2] * 4_096.0
    }

    fn entries(&self, kind: &str) -> usize {
        std::fs::read_dir(format!("/proc/{}/{kind}", self.pid)).expect("its entries").count()
    }

    /// Does an operator see the rules that were written last?
    pub(super) async fn rules(&self) -> String {
        let token = std::fs::read_to_string(self.state.join("admin.token")).expect("the token");
        operate(self.place.admin, token.trim(), ("GET", "/rules")).await.text()
    }
}

impl Sample {
    /// Panics where the later of two looks shows growth, a cap that was passed, or a failure.
    pub(super) fn is_no_more_than(&self, before: &Self, caps: Caps) {
        let may = before.resident * (1.0 + RESIDENT_SHARE) + RESIDENT_BYTES;
        assert!(self.resident <= may, "resident memory grew: {before:?} to {self:?}");
        assert!(self.files <= before.files + FILES, "descriptors: {before:?} to {self:?}");
        assert!(self.threads <= before.threads + 1, "threads: {before:?} to {self:?}");
        assert!(self.connections <= 4.0, "connections stay: {self:?}");
        // The caps bind, and hold; the catalogue's is rounded up to a number of shards.
        let binds = |counted: f64, cap: f64| counted <= cap && counted > cap * 0.75;
        assert!(binds(self.profile_bytes, caps.profile_bytes), "{self:?}");
        assert!(binds(self.products, caps.products + SHARDS), "{self:?}");
        assert_eq!(self.failed, 0.0, "{self:?}");
        // As much as a visit can hold, and as an event id and a press take.
        let most = [("VISI", caps.visits * 5_120), ("DOUB", caps.doubles * 80)];
        for (section, most) in most {
            let bytes = self.sections.get(section).copied().unwrap_or_default();
            assert!(bytes > 0 && bytes <= most, "{section}: {bytes} of {most}");
        }
        let sum = |sample: &Self| sample.sections.values().sum::<usize>() as f64;
        assert!(sum(self) <= sum(before) * 1.15, "the snapshot grew: {before:?} to {self:?}");
    }

    /// One line.
    pub(super) fn line(&self) -> String {
        let mebibytes = |bytes: f64| bytes / f64::from(1 << 20);
        format!(
            "{:.1} MiB resident, {:.1} MiB of profiles, {} products, {:.1} MiB snapshot, \
             {} descriptors, {} threads, {} connections, {} failures",
            mebibytes(self.resident),
            mebibytes(self.profile_bytes),
            self.products,
            mebibytes(self.sections.values().sum::<usize>() as f64),
            self.files,
            self.threads,
            self.connections,
            self.failed
        )
    }
}

/// The lengths of a snapshot's sections, by their tag.
fn sections(file: &Path) -> BTreeMap<String, usize> {
    let mut sections = BTreeMap::new();
    let Ok(bytes) = std::fs::read(file) else { return sections };
    let mut rest = bytes.get(12..).unwrap_or_default();
    while let Some((head, behind)) = rest.split_first_chunk::<16>() {
        let tag = String::from_utf8_lossy(&head[..4]).into_owned();
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        *sections.entry(tag).or_default() += length;
        rest = behind.get(length..).unwrap_or_default();
    }
    sections
}
