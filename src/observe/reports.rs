//! What clients report: learned in batches, or only looked at.
//!
//! In: reports, each of one shopper. Out: for each what became of it. Reports of one shopper are
//! learned together, in their order; shoppers do not wait for each other. A rehearsal runs the same
//! code on copies and says which signals there would be, with their weights and facets; it changes
//! nothing.

use std::sync::Arc;

use indexmap::IndexMap;
use parking_lot::Mutex;

use super::crowd::Actor;
use super::{Observer, Visit, recorded, weight_of};
use crate::identity::Identity;
use crate::preferences::learn;
use crate::rules::Rules;
use crate::signals::{Dedupe, Joined, Shopper, Source, contrast, derive};
use crate::store::consent::Standing;
use crate::types::event;
use crate::types::ids::SubjectKey;
use crate::types::interaction::{Interaction, InteractionKind};
use crate::types::product::{Axis, FacetKey, ProductFacts};
use crate::types::profile::Profile;
use crate::types::signal::{Signal, SignalKind};
use crate::types::voice::{Silent, Voice};

/// What a client reports of one shopper.
#[derive(Clone, Debug)]
pub struct Report {
    /// Who.
    pub identity: Identity,
    /// What they did, in order.
    pub interactions: Vec<Interaction>,
}

/// What became of one act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is in the profile.
    Learned,
    /// It was told before.
    Double,
    /// It was seen in traffic, and this shopper's pages report such acts themselves.
    Reported,
    /// Pages were opened faster than anybody reads them.
    Crawler,
    /// A program told it, or a browser that asks ahead.
    Silent(Silent),
    /// It happened before its shopper had everything forgotten.
    Erased,
    /// Its shopper must not be learned from.
    OptedOut,
}

/// What became of one report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Each of its acts was looked at.
    Heard(Vec<Fate>),
    /// The shopper must not be learned from.
    OptedOut,
    /// It names nobody.
    NoSubject,
}

/// What would become of one report.
#[derive(Clone, Debug)]
pub enum Rehearsal {
    /// Each of its acts, in order.
    Heard(Vec<Act>),
    /// The shopper must not be learned from.
    OptedOut,
    /// It names nobody.
    NoSubject,
}

/// What would become of one act.
#[derive(Clone, Debug)]
pub struct Act {
    /// What was done.
    pub kind: InteractionKind,
    /// Whether it would be learned.
    pub fate: Fate,
    /// Where it happened, when a list explains it.
    pub joined: Option<Joined>,
    /// What it would say, in order.
    pub says: Vec<Said>,
}

/// One signal, spelled out.
#[derive(Clone, Debug)]
pub struct Said {
    /// Its kind.
    pub kind: SignalKind,
    /// Is it about the act's own product, or about one that was passed over?
    pub is_own: bool,
    /// The product's name, as far as it is known.
    pub name: Option<Box<str>>,
    /// What it adds to each sum.
    pub weight: f32,
    /// The facets that it teaches.
    pub facets: Vec<(Axis, Arc<str>)>,
}

/// Reports by shopper, each act with the number of its report.
type Groups = IndexMap<SubjectKey, Group>;

/// What is reported of one shopper.
#[derive(Default)]
struct Group {
    /// The number of each act's report.
    numbers: Vec<usize>,
    interactions: Vec<Interaction>,
    /// Of the first report: one request has one.
    voice: Voice,
}

impl Fate {
    /// Of an act that this standing does not admit.
    pub(super) fn unwanted(standing: Standing) -> Self {
        if standing.personalization { Self::Erased } else { Self::OptedOut }
    }

    /// Its word, in answers and in the metrics.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Learned => "learned",
            Self::Double => "double",
            Self::Reported => "reported",
            Self::Crawler => "crawler",
            Self::Silent(silent) => silent.label(),
            Self::Erased => "erased",
            Self::OptedOut => "opted_out",
        }
    }
}

impl Outcome {
    /// Acts that said something new.
    pub fn learned(&self) -> usize {
        match self {
            Self::Heard(fates) => fates.iter().filter(|fate| **fate == Fate::Learned).count(),
            Self::OptedOut | Self::NoSubject => 0,
        }
    }
}

impl Observer {
    /// Learns reports; says of each what became of it, in order.
    pub fn reports(&self, reports: Vec<Report>) -> Vec<Outcome> {
        let (outcomes, rows) = self.recorded(reports);
        if let Some(log) = &self.log {
            rows.into_iter().for_each(|(_, row)| log.offer(row));
        }
        outcomes
    }

    /// The same, and the rows that tell of what was learned, each with the number of its report: for
    /// whoever waits until they are on the disk.
    pub fn recorded(&self, reports: Vec<Report>) -> (Vec<Outcome>, Vec<(usize, event::Row)>) {
        let names: Vec<_> =
            reports.iter().map(|report| self.named(&report.identity, None)).collect();
        let mut recorded = Vec::new();
        for report in reports.iter().filter(|report| !report.identity.opted_out) {
            self.log_in(&report.identity);
        }
        let (mut outcomes, groups) = grouped(reports);
        for (reason, none) in [("opted_out", Outcome::OptedOut), ("no_subject", Outcome::NoSubject)]
        {
            let acts = outcomes.iter().filter(|(_, outcome)| *outcome == none).map(|(n, _)| n);
            let count = acts.sum();
            if count > 0 {
                self.dropped(reason, count);
            }
        }
        for (shopper, Group { numbers, interactions, voice }) in groups {
            let actor = Actor { shopper, voice };
            let (fates, rows) = self.absorb(actor, &interactions, Source::Track, &self.tracked);
            let mut rows = rows.into_iter();
            for (number, fate) in numbers.into_iter().zip(fates) {
                let row = if fate == Fate::Learned { rows.next().flatten() } else { None };
                let named = names.get(number).and_then(Option::as_ref);
                let row = row.zip(named).map(|(row, (names, _))| recorded::named(row, names));
                recorded.extend(row.map(|row| (number, recorded::about(shopper, row))));
                if let Some((_, Outcome::Heard(all))) = outcomes.get_mut(number) {
                    all.push(fate);
                }
            }
        }
        (outcomes.into_iter().map(|(_, outcome)| outcome).collect(), recorded)
    }

    /// Counts events that cannot be used, and those that say nothing of a product.
    pub fn unused(&self, refused: usize, ignored: usize) {
        for (reason, count) in [("refused", refused), ("ignored", ignored)] {
            if count > 0 {
                self.dropped(reason, count);
            }
        }
    }

    /// Says what would become of each report, and changes nothing.
    pub fn rehearse(&self, reports: Vec<Report>) -> Vec<Rehearsal> {
        let (outcomes, groups) = grouped(reports);
        let mut rehearsals: Vec<Rehearsal> = outcomes
            .iter()
            .map(|(_, outcome)| match outcome {
                Outcome::Heard(_) => Rehearsal::Heard(Vec::new()),
                Outcome::OptedOut => Rehearsal::OptedOut,
                Outcome::NoSubject => Rehearsal::NoSubject,
            })
            .collect();
        for (shopper, Group { numbers, interactions, .. }) in groups {
            let acts = self.rehearsed(shopper, interactions);
            for (number, act) in numbers.into_iter().zip(acts) {
                if let Some(Rehearsal::Heard(all)) = rehearsals.get_mut(number) {
                    all.push(act);
                }
            }
        }
        rehearsals
    }

    fn rehearsed(&self, shopper: SubjectKey, interactions: Vec<Interaction>) -> Vec<Act> {
        let rules = self.rules.load();
        let mut stage = Rehearsed {
            doubles: Dedupe::new(interactions.len().max(1), self.join),
            visit: self.visits.get(&shopper).map(|visit| copy(&visit)).unwrap_or_default(),
            profile: self.store.shoppers.profile(shopper).map(|known| Profile::clone(&known)),
        };
        interactions.iter().map(|act| self.act(shopper, act, &mut stage, &rules)).collect()
    }

    fn act(
        &self,
        shopper: SubjectKey,
        interaction: &Interaction,
        stage: &mut Rehearsed,
        rules: &Rules,
    ) -> Act {
        let now = self.clock.now();
        let kind = interaction.kind;
        let standing = self.store.consents.of(shopper);
        if !standing.admits(interaction.at) {
            return Act { kind, fate: Fate::unwanted(standing), joined: None, says: Vec::new() };
        }
        stage.doubles.learn_from(&self.doubles(shopper).lock(), shopper, interaction);
        stage.visit.told.note(kind, now);
        if stage.doubles.is_double(shopper, interaction, Source::Track) {
            return Act { kind, fate: Fate::Double, joined: None, says: Vec::new() };
        }
        let tells = |kind| stage.visit.told.has(kind, now);
        let (tells_clicks, tells_scrolls) =
            (tells(InteractionKind::Click), tells(InteractionKind::Scroll));
        let (profile, recent) = (stage.profile.as_ref(), &mut stage.visit.recent);
        let mut who = Shopper { profile, recent, tells_clicks, tells_scrolls };
        let mut derived = derive(interaction, &mut who, rules);
        self.silence(shopper, std::slice::from_mut(&mut derived));
        let own = interaction.product.key();
        let profile = stage.profile.get_or_insert_default();
        let mut says = Vec::with_capacity(derived.signals.len());
        let facts_of = |key| self.store.catalog.get(key);
        for (signal, counted) in contrast::counted(&derived, rules, facts_of) {
            learn::apply(profile, &signal, counted.as_deref(), rules, self.caps);
            let mut said = self.said(&signal, counted.as_deref(), signal.product == own, rules);
            // It counts on none of its facets, and has a name all the same.
            said.name = facts_of(signal.product).map(|facts| Box::from(&*facts.name));
            says.push(said);
        }
        Act { kind, fate: Fate::Learned, joined: derived.joined, says }
    }

    fn said(
        &self,
        signal: &Signal,
        facts: Option<&ProductFacts>,
        is_own: bool,
        rules: &Rules,
    ) -> Said {
        let facets = facts.iter().flat_map(|facts| facts.facets.iter());
        let named = |facet: &FacetKey| Some((facet.axis(), self.store.catalog.name(*facet)?));
        Said {
            kind: signal.kind,
            is_own,
            name: facts.map(|facts| Box::from(&*facts.name)),
            weight: weight_of(signal, rules),
            facets: facets.filter_map(named).collect(),
        }
    }
}

/// Copies of what acts change.
struct Rehearsed {
    doubles: Dedupe,
    visit: Visit,
    profile: Option<Profile>,
}

fn copy(visit: &Mutex<Visit>) -> Visit {
    let visit = visit.lock();
    Visit { recent: visit.recent.clone(), told: visit.told, ..Visit::default() }
}

/// Each report's number of acts and the beginning of its outcome, and all acts by shopper.
fn grouped(reports: Vec<Report>) -> (Vec<(usize, Outcome)>, Groups) {
    let mut groups = Groups::new();
    let mut outcomes = Vec::with_capacity(reports.len());
    for (number, Report { identity, interactions }) in reports.into_iter().enumerate() {
        let acts = interactions.len();
        let outcome = match identity.subject() {
            _ if identity.opted_out => Outcome::OptedOut,
            None => Outcome::NoSubject,
            Some(subject) => {
                let of = || Group { voice: identity.voice, ..Group::default() };
                let group = groups.entry(subject.key()).or_insert_with(of);
                group.numbers.resize(group.numbers.len() + acts, number);
                group.interactions.extend(interactions);
                Outcome::Heard(Vec::with_capacity(acts))
            }
        };
        outcomes.push((acts, outcome));
    }
    (outcomes, groups)
}
