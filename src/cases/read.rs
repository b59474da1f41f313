//! From a text to cases that can be run.
//!
//! In: a text, the rules that it is tried with. Out: cases, each a log of its past and its search, or
//! every problem. Bounded: a case's past has at most [`RECORDS_MAX`] records, a file [`CASES_MAX`]
//! cases.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::judge::{Verdict, judge};
use super::written::{RawCase, RawCases, RawExpect, RawPast, RawProduct, RawTastes, schema};
use crate::replay::trial::{Circumstances, Story, last_list};
use crate::replay::{Conditions, Description, Log, Products};
use crate::rules::Rules;
use crate::rules::knowledge::Knowledge;
use crate::types::clock::Timestamp;
use crate::types::interaction::InteractionKind;
use crate::types::problem::Problem;
use crate::types::product::{Axis, FacetKey, normalise};
use crate::types::profile::{Chosen, Mark};
use crate::yaml::{self, Check, Fault, Node, Path, Problems, Value, printable, tree};

/// Records of one case's past: a storm of clicks fits, and a run stays short.
const RECORDS_MAX: u64 = 20_000;
/// Cases of one file.
const CASES_MAX: usize = 1_000;
/// Noon (UTC) of 1 June 2026.
const NOON: Timestamp = Timestamp(1_780_315_200_000);
/// How long before the search a past begins that says nothing else.
const VISIT_MS: i64 = 600_000;
/// Between two acts.
const ACT_MS: i64 = 10_000;
const DAY_MS: f64 = 86_400_000.0;
/// The name of the shopper that a case is about.
const SHOPPER: &str = "the shopper";
/// As many as a live profile holds by default.
const PROFILE: (usize, usize) = (1024, 512);

/// The rules that cases are tried with.
#[derive(Clone, Debug)]
pub struct Base {
    /// Their name in problems.
    pub file: String,
    /// Their text.
    pub text: String,
    /// What is known of groceries.
    pub knowledge: Arc<Knowledge>,
}

/// One case, ready to run.
pub struct Case {
    /// Its sentence.
    pub name: String,
    /// Where it stands.
    pub line: u32,
    log: Log,
    products: Arc<Products>,
    rules: Arc<Rules>,
    circumstances: Circumstances,
    expect: RawExpect,
}

impl Case {
    /// Runs it; the same each time.
    pub fn run(&self) -> Verdict {
        let conditions = Conditions::live(PROFILE.0, PROFILE.1);
        let (log, circumstances) = (&self.log, &self.circumstances);
        let came = last_list(log, &self.products, &self.rules, conditions, circumstances);
        // A case's log ends with its search; without one nothing would have come.
        judge(
            &self.expect,
            came.unwrap_or_else(|| crate::replay::trial::Trial { shown: Vec::new() }),
        )
    }
}

/// Reads a text of cases; `file` is its name in problems.
///
/// # Errors
/// Every problem in it.
pub fn read(file: &str, text: &str, base: &Base) -> Result<Vec<Case>, Vec<Problem>> {
    let mut problems = Problems::default();
    let tree = tree::parse(file, text, &mut problems);
    let raw: RawCases = yaml::read(&tree, &schema(), &mut problems);
    let mut check = Check { tree: &tree, problems: &mut problems };
    let count = raw.cases.len() + raw.queries.len();
    if !(1..=CASES_MAX).contains(&count) && check.problems.is_empty() {
        let fault = Fault::new(format!("found {count} cases"), format!("1 to {CASES_MAX}"));
        check.fault(&Path::of("cases"), fault);
    }
    let mut shop = Shop { raw: &raw, base, check, rules: None, own: Vec::new() };
    let mut cases = Vec::new();
    for (number, case) in raw.cases.iter().take(CASES_MAX).enumerate() {
        cases.extend(shop.case(case, &Path::of("cases").item(number)));
    }
    for (number, query) in raw.queries.iter().take(CASES_MAX).enumerate() {
        let top = format!("{:?}", query.top).to_lowercase();
        let case = RawCase {
            name: format!("\"{}\" {top} the shop's first hit", query.search),
            search: query.search.clone(),
            list: Some(query.list.clone()),
            expect: RawExpect { top: Some(query.top), ..RawExpect::default() },
            ..RawCase::default()
        };
        cases.extend(shop.case(&case, &Path::of("queries").item(number)));
    }
    let own = shop.own;
    match (problems.is_empty(), own.is_empty()) {
        (true, true) => Ok(cases),
        (false, _) => Err(problems.into_sorted()),
        (true, false) => Err(own),
    }
}

/// What the cases of one text have in common.
struct Shop<'a> {
    raw: &'a RawCases,
    base: &'a Base,
    check: Check<'a>,
    /// With the file's own edits, compiled when they are asked for.
    rules: Option<Arc<Rules>>,
    /// Problems in edits, which the compiler of rules found.
    own: Vec<Problem>,
}

/// A record of a case's past, before it is sorted by time.
enum Told<'a> {
    Did(InteractionKind, &'a str, u32),
    Saw(&'a str, &'a [String]),
}

type Record<'a> = (Timestamp, &'a str, Told<'a>);

impl<'a> Shop<'a> {
    fn case(&mut self, raw: &RawCase, key: &Path) -> Option<Case> {
        let line = self.check.tree.nearest_place(key).line;
        let at = raw.at.as_deref().map_or(Some(NOON), |text| self.time(text, &key.key("at")))?;
        let hits = self.hits(raw, key)?;
        self.expected(raw, &hits, &key.key("expect"));
        let mut records = Vec::new();
        let shared = self.raw;
        self.past(&shared.past, at, &Path::of("past"), &mut records);
        self.past(&raw.past, at, &key.key("past"), &mut records);
        let rules = self.rules(key)?;
        let circumstances = Circumstances {
            out_of_stock: self.places(&raw.out_of_stock, &hits, &key.key("out_of_stock")),
            sponsored: self.places(&raw.sponsored, &hits, &key.key("sponsored")),
            chosen: chosen(raw),
        };
        if !self.check.problems.is_empty() {
            return None;
        }
        records.sort_by_key(|record| record.0);
        let told = log(&self.raw.products, records, (at, &raw.search), &hits);
        let log = match told {
            Ok(log) => log,
            Err(said) => {
                self.check.fault(key, Fault::new(said.found, said.expected));
                return None;
            }
        };
        let products = Arc::new(Products::of(&log, &rules.knowledge));
        let (name, expect) = (raw.name.clone(), raw.expect.clone());
        Some(Case { name, line, log, products, rules, circumstances, expect })
    }

    fn time(&mut self, text: &str, key: &Path) -> Option<Timestamp> {
        let time = text.parse::<jiff::Timestamp>().map_err(|_| {
            let found = format!("found \"{}\"", printable(text));
            Fault::new(found, "an RFC 3339 time such as 2026-12-01T18:00:00Z")
        });
        self.check.take(key, time).map(|time| Timestamp(time.as_millisecond()))
    }

    /// The shop's hits, each a product once.
    fn hits(&mut self, raw: &RawCase, key: &Path) -> Option<Vec<String>> {
        let lists = &self.raw.lists;
        let (hits, key) = match &raw.list {
            None => (raw.hits.clone(), key.key("hits")),
            Some(name) => match lists.get(name) {
                Some(hits) => (hits.clone(), Path::of("lists").key(name)),
                None => {
                    let words: Vec<&str> = lists.keys().map(String::as_str).collect();
                    let found = format!("found \"{}\"", printable(name));
                    let fault = Fault::not_one_of(found, name, &words);
                    self.check.fault(&key.key("list"), fault);
                    return None;
                }
            },
        };
        if hits.is_empty() {
            self.check.fault(&key, Fault::new("no hits", "the shop's hits in the shop's order"));
            return None;
        }
        for (number, hit) in hits.iter().enumerate() {
            self.product(hit, &key.item(number));
            if hits.iter().take(number).any(|before| before == hit) {
                let found = format!("found \"{}\" a second time", printable(hit));
                self.check.fault(&key.item(number), Fault::new(found, "each product once"));
            }
        }
        Some(hits)
    }

    fn product(&mut self, id: &str, key: &Path) {
        let products = &self.raw.products;
        if !products.contains_key(id) {
            let words: Vec<&str> = products.keys().map(String::as_str).collect();
            let found = format!("found \"{}\"", printable(id));
            self.check.fault(key, Fault::not_one_of(found, id, &words));
        }
    }

    fn places(&mut self, ids: &[String], hits: &[String], key: &Path) -> Vec<usize> {
        let words: Vec<&str> = hits.iter().map(String::as_str).collect();
        let mut places = Vec::new();
        for (number, id) in ids.iter().enumerate() {
            match hits.iter().position(|hit| hit == id) {
                Some(place) => places.push(place),
                None => {
                    let found = format!("found \"{}\", which is no hit", printable(id));
                    let fault = Fault::not_one_of(found, id, &words);
                    self.check.fault(&key.item(number), fault);
                }
            }
        }
        places
    }

    /// Something is expected, and of hits of this list.
    fn expected(&mut self, raw: &RawCase, hits: &[String], key: &Path) {
        let expect = &raw.expect;
        if *expect == RawExpect::default() && !self.check.problems.concern(key) {
            let words = "order, first, last, before, unmoved, top, gone, quantity, reason";
            self.check.fault(key, Fault::new("nothing is expected", format!("one of {words}")));
        }
        let first: Vec<String> = expect.first.iter().cloned().collect();
        self.places(&first, hits, &key.key("first"));
        for (name, ids) in
            [("order", &expect.order), ("last", &expect.last), ("gone", &expect.gone)]
        {
            self.places(ids, hits, &key.key(name));
        }
        for (number, chain) in expect.before.iter().enumerate() {
            let key = key.key("before").item(number);
            self.places(chain, hits, &key);
            if chain.len() < 2 {
                let fault = Fault::new("fewer than two products", "each to stand before the next");
                self.check.fault(&key, fault);
            }
        }
        for (name, ids) in [
            ("quantity", expect.quantity.keys().collect::<Vec<_>>()),
            ("reason", expect.reason.keys().collect()),
        ] {
            for id in ids {
                self.places(std::slice::from_ref(id), hits, &key.key(name).key(id));
            }
        }
    }

    /// The rules with the edits of the file and of the case.
    fn rules(&mut self, key: &Path) -> Option<Arc<Rules>> {
        let tree: &'a Node = self.check.tree;
        let edit = |path: &Path| tree.at(path).filter(|node| node.value != Value::Null);
        let (shared, own) = (edit(&Path::of("rules")), edit(&key.key("rules")));
        if !self.check.problems.is_empty() {
            return None;
        }
        if let (Some(rules), None) = (&self.rules, own) {
            return Some(Arc::clone(rules));
        }
        let edits: Vec<&Node> = shared.into_iter().chain(own).collect();
        let Base { file, text, knowledge } = self.base;
        match Rules::compile_under(file, text, &edits, Arc::clone(knowledge)) {
            Ok(rules) => {
                let rules = Arc::new(rules);
                if own.is_none() {
                    self.rules = Some(Arc::clone(&rules));
                }
                Some(rules)
            }
            Err(problems) => {
                if self.own.is_empty() {
                    self.own = problems;
                }
                None
            }
        }
    }

    /// Adds what happened before, each entry as often as it says.
    fn past<'p>(
        &mut self,
        past: &'p [RawPast],
        search: Timestamp,
        key: &Path,
        into: &mut Vec<Record<'p>>,
    ) {
        let mut at = search.0 - VISIT_MS - ACT_MS;
        for (number, raw) in past.iter().enumerate() {
            let key = key.item(number);
            at = raw.days_ago.map_or(at + ACT_MS, |days| search.0 - (days * DAY_MS) as i64);
            let step = if raw.every_days > 0.0 { (raw.every_days * DAY_MS) as i64 } else { 1_000 };
            let ends = at + step * i64::from(raw.times - raw.times.min(1));
            let before = into.len() as u64 + u64::from(raw.times);
            if before > RECORDS_MAX {
                let fault = Fault::new(format!("{before} acts"), format!("at most {RECORDS_MAX}"));
                return self.check.fault(&key, fault);
            }
            if ends > search.0 {
                let fault = Fault::new("it ends after the search", "a larger days_ago");
                self.check.fault(&key, fault);
                continue;
            }
            let who = raw.by.as_deref().unwrap_or(SHOPPER);
            for time in 0..raw.times {
                let Some(told) = self.told(raw, &key) else { break };
                into.push((Timestamp(at + step * i64::from(time)), who, told));
            }
            at = ends;
        }
    }

    fn told<'p>(&mut self, raw: &'p RawPast, key: &Path) -> Option<Told<'p>> {
        match (&raw.did, &raw.product, &raw.search) {
            (Some(did), Some(product), None) if raw.saw.is_empty() => {
                self.product(product, &key.key("product"));
                let kind = InteractionKind::parse(did).ok_or_else(|| {
                    let words: Vec<&str> =
                        InteractionKind::NAMES.iter().map(|(word, _)| *word).collect();
                    Fault::not_one_of(format!("found \"{}\"", printable(did)), did, &words)
                });
                let kind = self.check.take(&key.key("did"), kind)?;
                Some(Told::Did(kind, product, raw.quantity))
            }
            (None, None, Some(search)) => {
                for (number, id) in raw.saw.iter().enumerate() {
                    self.product(id, &key.key("saw").item(number));
                }
                Some(Told::Saw(search, &raw.saw))
            }
            _ => {
                let fault =
                    Fault::new("no act and no list", "did with product, or search with saw");
                self.check.fault(key, fault);
                None
            }
        }
    }
}

/// What the shopper said themselves, sorted by facet; of both the dislike.
fn chosen(raw: &RawCase) -> Vec<Chosen> {
    let facets = |tastes: &RawTastes| {
        let axes = [
            (Axis::Category, &tastes.category),
            (Axis::Brand, &tastes.brand),
            (Axis::Attribute, &tastes.attribute),
        ];
        let of = |(axis, values): (Axis, &Vec<String>)| -> Vec<FacetKey> {
            values.iter().map(|value| FacetKey::of(axis, &normalise(value))).collect()
        };
        axes.into_iter().flat_map(of).collect::<Vec<_>>()
    };
    let mut marks = BTreeMap::new();
    for (tastes, mark) in [(&raw.says.pinned, Mark::Pinned), (&raw.says.muted, Mark::Muted)] {
        marks.extend(facets(tastes).into_iter().map(|facet| (facet, mark)));
    }
    marks.into_iter().map(|(facet, mark)| Chosen { facet, mark }).collect()
}

/// The case as a log.
fn log(
    products: &BTreeMap<String, RawProduct>,
    past: Vec<Record<'_>>,
    (at, query): (Timestamp, &str),
    hits: &[String],
) -> Result<Log, Problem> {
    let mut story = Story::default();
    for (id, raw) in products {
        let path = raw.category.as_deref().unwrap_or_default().split('/');
        let levels = path.map(str::trim).filter(|level| !level.is_empty());
        let description = Description::of(
            raw.name.clone(),
            levels.map(str::to_owned).collect(),
            raw.brand.clone(),
            raw.attributes.clone(),
            raw.price.map(|price| price as f32),
        );
        story.product(id, description)?;
    }
    for (at, who, told) in past {
        match told {
            Told::Did(kind, product, units) => story.did((at, who), kind, product, units as f32)?,
            Told::Saw(query, list) => {
                story.searched((at, who), query, list.iter().map(String::as_str))?;
            }
        }
    }
    story.searched((at, SHOPPER), query, hits.iter().map(String::as_str))?;
    Ok(story.end())
}
