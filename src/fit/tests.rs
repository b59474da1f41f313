//! What was planted in a log must be found in the numbers, and what was not must not.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::preferences::testing::rules_for_tests;
use crate::replay::{Conditions, Reader};

const TYPES: [&str; 3] = ["milk", "bread", "tea"];
const BRANDS: u64 = 6;
const LABELS: u64 = 5;
const PRODUCTS: u64 = 300;
const SHOPPERS: u64 = 40;
const HITS: usize = 10;
const DAY: u64 = 86_400;

/// SplitMix64, to draw a log with.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// What shoppers of a simulation choose by.
#[derive(Clone, Copy)]
struct Truth {
    /// In a hundred choices, so many are of the brand they love, where it is listed.
    brand: u64,
    /// Of the others, so many are of the label they love.
    label: u64,
    /// Days after which they love another brand.
    loyal_days: u64,
    /// Pages that they open before each search, by chance.
    views: u64,
}

/// A log of `searches` by each shopper, four days apart; what no love decides is chance.
fn simulated(truth: Truth, searches: u64, seed: u64) -> Log {
    let mut reader = Reader::default();
    reader.file("simulated.catalog");
    for kind in TYPES {
        for product in 0..PRODUCTS {
            let (brand, label) = (product % BRANDS, product / BRANDS % LABELS);
            let line = format!(
                r#"{{"id":"{kind}-{product}","category":"shop","subcategory":"{kind}","brand":"b{brand}","attributes":["l{label}"],"price":{}}}"#,
                1 + product / 7 % 9
            );
            reader.catalog_line(&line).unwrap();
        }
    }
    reader.file("simulated.log");
    let mut dice = Dice(seed);
    for turn in 0..searches {
        for shopper in 0..SHOPPERS {
            let at = 1_700_000_000 + turn * 4 * DAY + shopper * 1_800;
            searched(&mut reader, truth, (at, turn, shopper), &mut dice);
        }
    }
    reader.finish()
}

fn searched(
    reader: &mut Reader,
    truth: Truth,
    (at, turn, shopper): (u64, u64, u64),
    dice: &mut Dice,
) {
    let event = |at: u64, what: &str, product: &str| {
        format!(
            r#"{{"t":{at},"k":"event","user":"u{shopper}","type":"{what}","product":"{product}"}}"#
        )
    };
    let kind = TYPES[dice.below(3) as usize];
    for view in 0..truth.views {
        let product = format!("{kind}-{}", dice.below(PRODUCTS));
        reader.line(&event(at + view, "view", &product)).unwrap();
    }
    let mut list: Vec<u64> = Vec::new();
    while list.len() < HITS {
        let product = dice.below(PRODUCTS);
        if !list.contains(&product) {
            list.push(product);
        }
    }
    let brand = (shopper + turn * 4 / truth.loyal_days) % BRANDS;
    let label = shopper % LABELS;
    let of = |wanted: &dyn Fn(u64) -> bool| list.iter().copied().find(|product| wanted(*product));
    let by_brand = of(&|product| product % BRANDS == brand);
    let by_label = of(&|product| product / BRANDS % LABELS == label);
    let chosen = by_brand
        .filter(|_| dice.below(100) < truth.brand)
        .or_else(|| by_label.filter(|_| dice.below(100) < truth.label))
        .unwrap_or(list[dice.below(HITS as u64) as usize]);
    let mut hits = String::new();
    for product in &list {
        let _ = write!(hits, "\"{kind}-{product}\",");
    }
    let chosen = format!("{kind}-{chosen}");
    let search = format!(
        r#"{{"t":{},"k":"search","user":"u{shopper}","query":"{kind}","list":[{}],"truth":["{chosen}"]}}"#,
        at + 100,
        hits.trim_end_matches(',')
    );
    reader.line(&search).unwrap();
    reader.line(&event(at + 160, "purchase", &chosen)).unwrap();
}

fn base(text: &str) -> Base {
    Base {
        file: "rules.yaml".to_owned(),
        text: text.to_owned(),
        knowledge: rules_for_tests().knowledge,
        protocol: Protocol::Common,
        conditions: Conditions::live(1024, 512),
    }
}

fn plan(only: &[&str]) -> Plan {
    let only = only.iter().map(|path| (*path).to_owned()).collect();
    Plan { folds: 5, only, draws: Draws { resamples: 300, seed: 1 } }
}

fn fitted(log: &mut Log, text: &str, only: &[&str]) -> Outcome {
    let watch = Watch { is_over: &|| false, at: &|_| {}, measured: &|_, _| {} };
    rules(log, &base(text), &plan(only), BTreeMap::new(), &watch).unwrap()
}

/// What is proposed, or what stands.
fn value(found: &Outcome, path: &str) -> f64 {
    let (number, known) =
        found.numbers.iter().enumerate().find(|(_, number)| number.path == path).unwrap();
    found.proposed.get(&number).copied().unwrap_or(known.now).unwrap()
}

/// Everything alike, so that the truth lies elsewhere.
const ALIKE: &str = "\
facets: {category: 0.1, brand: 0.3, attribute: 0.3, price_tier: 0}
half_life:
  brand_days: 180   # as shipped
signal_weights: {browse: {view_details: 1.0}}
ranking: {weights: {facets: 1.0}}
";

#[test]
fn what_was_planted_moves_the_numbers_its_way_for_certain_and_what_was_not_stays() {
    let truth = Truth { brand: 75, label: 45, loyal_days: 24, views: 2 };
    let mut log = simulated(truth, 26, 7);
    let only = [
        "facets",
        "ranking.weights.price",
        "ranking.weights.context",
        "half_life.category_days",
        "half_life.brand_days",
        "half_life.attribute_days",
        "half_life.price_tier_days",
        "signal_weights.browse.view_details",
        "signal_weights.purchase.subscription",
    ];
    let found = fitted(&mut log, ALIKE, &only);
    let told = format!("{:#?}\n{:#?}\n{:?}", found.changes, found.stays, found.proposed);
    println!("{told}");
    let ratio = value(&found, "facets.brand") / value(&found, "facets.attribute").max(1e-6);
    assert!(ratio > 2.0, "brand matters several times as much: {ratio}\n{told}");
    assert!(value(&found, "signal_weights.browse.view_details") < 0.4, "{told}");
    assert!(value(&found, "half_life.brand_days") < 60.0, "{told}");
    for change in &found.changes {
        let path = found.numbers[change.number].path.as_str();
        assert!(change.gain.mean.low > 0.0 && change.gain.errors > found.errors_min, "{told}");
        let meant = ["facets.brand", "facets.attribute", "facets.category"];
        let learned = path == "signal_weights.browse.view_details" || path.contains("half_life");
        assert!(meant.contains(&path) || learned, "{path}\n{told}");
    }
    assert!(found.gain.mean.low > 0.02, "{told}");
    let stays = |path: &str| {
        let number = found.numbers.iter().position(|number| number.path == path).unwrap();
        found.stays[&number].clone()
    };
    assert_eq!(stays("signal_weights.purchase.subscription"), Stays::NotHeard);
    assert_eq!(stays("ranking.weights.context"), Stays::NoEffect);
    let edited = found.edited.unwrap();
    assert!(edited.contains("   # as shipped\n"), "{edited}");
    assert!(crate::rules::Rules::compile("f", &edited, rules_for_tests().knowledge).is_ok());
}

#[test]
fn where_nothing_was_planted_nothing_is_proposed() {
    let truth = Truth { brand: 0, label: 0, loyal_days: 1_000, views: 1 };
    // rules that follow no taste: there is nothing that less of it could mend
    let quiet = "facets: {category: 0, brand: 0, attribute: 0, price_tier: 0}\n\
                 ranking: {weights: {item: 0, brand_habit: 0, prior: 0}}\n";
    for seed in [3, 4] {
        let mut log = simulated(truth, 15, seed);
        let found = fitted(&mut log, quiet, &["facets", "ranking.weights", "ranking.discovery"]);
        assert!(found.changes.is_empty() && found.proposed.is_empty(), "{:#?}", found.changes);
        assert_eq!((found.edited.clone(), found.gain.mean.mean), (None, 0.0));
    }
}

#[test]
fn a_fit_that_was_stopped_goes_on_to_the_same_end_and_measures_nothing_twice() {
    let truth = Truth { brand: 75, label: 25, loyal_days: 1_000, views: 0 };
    let only = ["facets.brand", "facets.attribute"];
    let mut log = simulated(truth, 8, 5);
    let whole = fitted(&mut log, ALIKE, &only);
    let kept = RefCell::new(BTreeMap::new());
    let asked = AtomicUsize::new(0);
    let run = |log: &mut Log, limit: usize| {
        let before = kept.borrow().clone();
        let count = kept.borrow().len();
        let watch = Watch {
            is_over: &|| asked.load(Ordering::Relaxed) >= limit,
            at: &|_| {},
            measured: &|key, sums| {
                asked.fetch_add(1, Ordering::Relaxed);
                assert!(kept.borrow_mut().insert(key.to_owned(), sums.to_vec()).is_none());
            },
        };
        (rules(log, &base(ALIKE), &plan(&only), before, &watch), count)
    };
    let (part, _) = run(&mut log, 5);
    assert!(!part.unwrap().is_whole);
    let (rest, before) = run(&mut log, usize::MAX);
    let rest = rest.unwrap();
    assert!(before >= 5 && rest.is_whole);
    assert_eq!(format!("{rest:?}"), format!("{whole:?}"));
    assert_eq!(rest.settings, kept.borrow().len());
}

#[test]
fn lists_that_went_out_in_our_order_are_not_fitted_on() {
    let truth = Truth { brand: 75, label: 25, loyal_days: 1_000, views: 0 };
    let mut few = Reader::default();
    few.file("few.log");
    let ours = |number: u64| {
        format!(
            r#"{{"t":{},"k":"search","user":"u{}","query":"q","list":["a","b"],"truth":["a"],"ranked":{}}}"#,
            1_700_000_000 + number,
            number % 30,
            !number.is_multiple_of(3)
        )
    };
    (0..450).for_each(|number| few.line(&ours(number)).unwrap());
    let mut few = few.finish();
    let watch = Watch { is_over: &|| false, at: &|_| {}, measured: &|_, _| {} };
    let refused = rules(&mut few, &base(""), &plan(&[]), BTreeMap::new(), &watch).unwrap_err();
    assert!(matches!(refused, Refusal::TooFew { lists: 150, left_out: 300, .. }), "{refused:?}");
    let mut all = simulated(truth, 6, 5);
    assert_eq!(fitted(&mut all, "", &["facets.price_tier"]).left_out, 0);
}
