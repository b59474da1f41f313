//! Rules with some numbers changed.
//!
//! In: the rules' text and values by number. Out: rules as serving would compile them from the edited
//! file, and a key that names the setting in a checkpoint.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use super::numbers::{Kind, Number, Value, written};
use crate::replay::{Conditions, Protocol};
use crate::rules::Rules;
use crate::rules::knowledge::Knowledge;
use crate::types::problem::Problem;
use crate::yaml::{Problems, tree};

/// The numbers that differ from the file, by place among the fitted ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Setting(BTreeMap<usize, Value>);

impl Setting {
    /// The value of one number.
    pub(super) fn value(&self, number: usize, numbers: &[Number]) -> Value {
        let file = || numbers.get(number).and_then(|number| number.now);
        self.0.get(&number).copied().unwrap_or_else(file)
    }

    /// The same with one number changed.
    pub(super) fn with(&self, number: usize, value: Value, numbers: &[Number]) -> Self {
        let mut changed = self.clone();
        match numbers.get(number).is_some_and(|known| known.now == value) {
            true => changed.0.remove(&number),
            false => changed.0.insert(number, value),
        };
        changed
    }

    /// Every number that differs.
    pub(super) fn changes(&self) -> impl Iterator<Item = (usize, Value)> + '_ {
        self.0.iter().map(|(number, value)| (*number, *value))
    }

    /// The same setting has the same key.
    pub(super) fn key(&self, numbers: &[Number]) -> String {
        self.told(numbers, |_| true)
    }

    /// Settings of one such key can be measured from one recording.
    pub(super) fn learning_key(&self, numbers: &[Number]) -> String {
        self.told(numbers, |kind| kind == Kind::Learns)
    }

    fn told(&self, numbers: &[Number], which: impl Fn(Kind) -> bool) -> String {
        let mut key = String::new();
        for (number, value) in self.changes() {
            if let Some(number) = numbers.get(number).filter(|number| which(number.kind)) {
                let _ = write!(key, "{}={} ", number.path, written(value));
            }
        }
        key.trim_end().to_owned()
    }
}

/// The rules as they are written, and how the log is read.
pub struct Base {
    /// Their file's name in problems.
    pub file: String,
    /// Their text.
    pub text: String,
    /// What is known beside them.
    pub knowledge: Arc<Knowledge>,
    /// How the log is scored.
    pub protocol: Protocol,
    /// How it is walked through, before the protocol has its say.
    pub conditions: Conditions,
}

impl Base {
    /// The rules of a setting, and how the log is walked through.
    pub(super) fn rules(
        &self,
        setting: &Setting,
        numbers: &[Number],
    ) -> Result<(Rules, Conditions), Vec<Problem>> {
        let mut edits = Vec::new();
        for (number, value) in setting.changes() {
            let Some(number) = numbers.get(number) else { continue };
            let keys: Vec<&str> = number.path.split('.').collect();
            let text = format!(
                "{}: {}{}",
                keys.join(": {"),
                written(value),
                "}".repeat(keys.len().saturating_sub(1))
            );
            edits.push(tree::parse("fitted", &text, &mut Problems::default()));
        }
        let edits: Vec<_> = edits.iter().collect();
        let knowledge = self.knowledge.clone();
        let mut rules = Rules::compile_under(&self.file, &self.text, &edits, knowledge)?;
        let mut conditions = self.conditions.clone();
        self.protocol.adapt(&mut rules, &mut conditions);
        Ok((rules, conditions))
    }
}
