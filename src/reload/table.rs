//! The rules in force, and what is known of how they came to be.
//!
//! Written by the reload thread alone; read by every request (the rules) and by metrics and admin
//! (the status), neither of which ever waits.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::rules::Rules;
use crate::types::clock::Timestamp;
use crate::types::problem::Problem;

/// Where the rules in force came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RulesSource {
    /// The rules file.
    File,
    /// The rules built in.
    Shipped,
    /// The copy of the last rules that could be used.
    LastGoodCopy,
    /// Nowhere: nothing is ranked.
    None,
}

/// Why the rules in force are not those that were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Degraded {
    /// The file could not be used at start; the last good copy serves.
    LastGoodCopy,
    /// Neither the file nor a copy could be used at start; nothing is ranked.
    NoRules,
}

impl Degraded {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::LastGoodCopy, Self::NoRules];

    /// The label in `leafrank_degraded{reason}`.
    pub fn reason(self) -> &'static str {
        match self {
            Self::LastGoodCopy => "rules_last_good_copy",
            Self::NoRules => "no_rules",
        }
    }
}

/// What is known of the rules in force.
#[derive(Clone, Debug, PartialEq)]
pub struct ReloadStatus {
    /// Counts up with every swap; 1 at start.
    pub generation: u64,
    /// When the rules in force were swapped in.
    pub loaded_at: Timestamp,
    /// [`Rules::version`] of the rules in force.
    pub version: Arc<str>,
    /// [`Rules::model_version`] of them.
    pub model: Option<Arc<str>>,
    /// Where they came from.
    pub source: RulesSource,
    /// Why the files as they are now are not in force; `None` when they are.
    pub last_error: Option<Arc<[Problem]>>,
    /// Set while rules serve that nobody asked for.
    pub degraded: Option<Degraded>,
    /// Edits refused since start.
    pub rejected_total: u64,
}

type Hook = Box<dyn Fn(&ReloadStatus) + Send + Sync>;

/// The rules in force.
pub struct RulesTable {
    current: ArcSwap<Rules>,
    status: ArcSwap<ReloadStatus>,
    hooks: Mutex<Vec<Hook>>,
}

impl fmt::Debug for RulesTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RulesTable").field("status", &self.status()).finish_non_exhaustive()
    }
}

impl RulesTable {
    pub(super) fn new(rules: Arc<Rules>, status: ReloadStatus) -> Self {
        Self {
            current: ArcSwap::new(rules),
            status: ArcSwap::from_pointee(status),
            hooks: Mutex::new(Vec::new()),
        }
    }

    /// A table that nobody reloads.
    pub fn fixed(rules: Rules) -> Arc<Self> {
        let status = ReloadStatus {
            generation: 1,
            loaded_at: Timestamp::default(),
            version: Arc::clone(&rules.version),
            model: rules.model_version.clone(),
            source: RulesSource::Shipped,
            last_error: None,
            degraded: None,
            rejected_total: 0,
        };
        Arc::new(Self::new(Arc::new(rules), status))
    }

    /// The rules in force: take them once a request, so that one request sees one table.
    pub fn load(&self) -> Arc<Rules> {
        self.current.load_full()
    }

    /// True when there are no rules at all: nothing is ranked.
    pub fn has_none(&self) -> bool {
        self.status().degraded == Some(Degraded::NoRules)
    }

    /// What is known of them.
    pub fn status(&self) -> Arc<ReloadStatus> {
        self.status.load_full()
    }

    /// Calls `hook` on the reload thread after every swap and every refused edit.
    pub fn on_change(&self, hook: impl Fn(&ReloadStatus) + Send + Sync + 'static) {
        self.hooks.lock().push(Box::new(hook));
    }

    pub(super) fn swap(&self, rules: Arc<Rules>) {
        self.current.store(rules);
    }

    pub(super) fn publish(&self, status: ReloadStatus) {
        let status = Arc::new(status);
        self.status.store(Arc::clone(&status));
        for hook in self.hooks.lock().iter() {
            hook(&status);
        }
    }
}
