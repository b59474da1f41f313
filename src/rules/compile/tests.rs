//! Rules: the plan's weights key for key, and every fault told in one run.

use super::*;

fn compile(text: &str) -> Result<Rules, Vec<Problem>> {
    Rules::compile("rules.yaml", text, Knowledge::shipped())
}

fn problems(text: &str) -> Vec<String> {
    match compile(text) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn the_shipped_rules_hold_the_plans_weights_key_for_key() {
    let rules = compile(SHIPPED_TEXT).unwrap();
    for (path, weight) in [
        ("purchase.first_time", 0.8),
        ("purchase.repeat", 1.0),
        ("purchase.bulk_purchase", 1.2),
        ("purchase.subscription", 1.5),
        ("cart.add_to_cart", 0.5),
        ("cart.quantity_increase", 0.6),
        ("cart.save_for_later", 0.4),
        ("cart.remove_from_cart", -0.4),
        ("browse.click_product", 0.2),
        ("browse.view_details", 0.15),
        ("browse.time_on_product.10_seconds", 0.1),
        ("browse.time_on_product.30_seconds", 0.25),
        ("browse.time_on_product.60_seconds", 0.3),
        ("negative.displayed_but_scrolled", -0.05),
        ("negative.viewed_never_bought", -0.2),
        ("negative.returned", -0.8),
    ] {
        let kind = SignalKind::ALL.iter().find(|kind| kind.path() == path).expect(path);
        assert_eq!(rules.signal_weights[kind.index()], weight, "{path}");
    }
}

/// Each weight's key in the file is the kind's own path: no two are mixed up.
#[test]
fn each_weight_is_read_from_its_own_key() {
    for kind in SignalKind::ALL {
        let keys: Vec<&str> = kind.path().split('.').collect();
        let text =
            format!("signal_weights: {{{}: 7}}{}", keys.join(": {"), "}".repeat(keys.len() - 1));
        let rules = compile(&text).unwrap();
        let shipped = Rules::shipped();
        for other in SignalKind::ALL {
            let right = if other == kind { 7.0 } else { shipped.signal_weights[other.index()] };
            assert_eq!(rules.signal_weights[other.index()], right, "{text}: {}", other.path());
        }
    }
}

#[test]
fn an_empty_file_means_the_shipped_rules() {
    let (mut empty, shipped) = (compile("").unwrap(), Rules::shipped());
    assert_ne!(empty.version, shipped.version);
    empty.version = Arc::clone(&shipped.version);
    assert_eq!(format!("{empty:?}"), format!("{shipped:?}"));
    assert!(shipped.enabled && !Rules::none().enabled);
    assert_eq!(shipped.version.len(), 8);
    assert_eq!(shipped.ranking.impact, 1.0);
    assert_eq!(shipped.half_life.item_slow_seconds, 365.0 * 86_400.0);
    assert_eq!(shipped.half_life.axis_seconds[Axis::Attribute.index()], 180.0 * 86_400.0);
}

#[test]
fn the_commented_examples_in_the_shipped_file_are_right() {
    let start = SHIPPED_TEXT.find("# merchandising:").unwrap();
    let examples = SHIPPED_TEXT[start..].lines().filter_map(|line| line.strip_prefix("# "));
    let rules = compile(&examples.collect::<Vec<_>>().join("\n")).unwrap().merchandising;
    let facet = |axis, value| FacetKey::of(axis, value);
    let actions: Vec<Action> = rules.iter().map(|rule| rule.action).collect();
    assert_eq!(
        actions,
        [
            Action::Boost(0.2),
            Action::Pin(0),
            Action::Boost(-0.2),
            Action::Hide { allow_removal: true },
            Action::Demote,
        ]
    );
    assert_eq!(rules[0].when.from, Some(Timestamp::from_seconds(1_780_272_000)));
    assert_eq!(rules[0].when.queries, [knowledge::words("lemonade"), knowledge::words("iced tea")]);
    assert_eq!(rules[0].select.facets, [facet(Axis::Category, "drinks/lemonade")]);
    assert_eq!(rules[2].select.facets, [facet(Axis::Brand, "old mill")]);
    assert_eq!(rules[2].select.without, [facet(Axis::Attribute, "organic")]);
    assert_eq!(rules[4].when.shopper, Some((facet(Axis::Attribute, "vegan"), 0.5)));
}

#[test]
fn all_faults_of_a_rules_file_are_told_in_one_run() {
    let text = "\
signal_weights:
  purchase: {first_tme: 0.8, repeat: 99}
ranking: {preference: hierarchicel, impact: 101}
merchandising:
  - id: a
    if: {query: ['  '], from: 2026-06-01, until: 2026-01-01T00:00:00Z}
    then: {boost: 0.2, pin: 1}
  - id: a
    if: {from: 2026-06-01T00:00:00Z, until: 2026-01-01T00:00:00Z}
    select: {price_tier: [premum], product: ['']}
    then: {pin: 0}
  - then: {demote: false}
  - id: d
    if: {shopper: {brand: x, category: y, affinity_min: 0.1}}
    then: {}
";
    assert_eq!(
        problems(text),
        [
            "rules.yaml:2:14: signal_weights.purchase.first_tme: unknown key; expected one of \
             bulk_purchase, first_time, repeat, subscription — did you mean \"first_time\"?",
            "rules.yaml:2:38: signal_weights.purchase.repeat: found 99; \
             expected a number from -10 to 10",
            "rules.yaml:3:23: ranking.preference: found text \"hierarchicel\"; \
             expected one of table, hierarchical, trees — did you mean \"hierarchical\"?",
            "rules.yaml:3:45: ranking.impact: found 101; expected a number from 0 to 100",
            "rules.yaml:6:18: merchandising[0].if.query[0]: found \"  \"; \
             expected at least one word",
            "rules.yaml:6:31: merchandising[0].if.from: found \"2026-06-01\"; \
             expected an RFC 3339 time such as 2026-12-01T00:00:00Z",
            "rules.yaml:7:11: merchandising[0].then: found 2 keys; \
             expected exactly one of boost, bury, demote, hide, pin",
            "rules.yaml:8:9: merchandising[1].id: \"a\" a second time; expected another id",
            "rules.yaml:9:45: merchandising[1].if.until: not after from; expected a later time",
            "rules.yaml:10:27: merchandising[1].select.price_tier[0]: found \"premum\"; \
             expected one of budget, standard, premium — did you mean \"premium\"?",
            "rules.yaml:10:46: merchandising[1].select.product[0]: found \"\"; \
             expected a product key of 1 to 256 bytes",
            "rules.yaml:11:17: merchandising[1].then.pin: found 0; \
             expected a whole number from 1 to 1000, or null",
            "rules.yaml:12:5: merchandising[2].id: missing key; expected text, not empty",
            "rules.yaml:12:20: merchandising[2].then.demote: found false; \
             expected true, or no such rule",
            "rules.yaml:14:19: merchandising[3].if.shopper: not one taste; \
             expected one of category, brand, attribute, price_tier",
            "rules.yaml:15:11: merchandising[3].then: found 0 keys; \
             expected exactly one of boost, bury, demote, hide, pin",
        ]
    );
}

#[test]
fn facet_values_are_compared_in_their_normal_form() {
    let rules = compile(
        "merchandising: [{id: a, select: {category: [' Dairy/OAT  Milk '], without: {brand: [B]}}, \
         then: {hide: {}}}]",
    )
    .unwrap();
    let rule = &rules.merchandising[0];
    assert_eq!(rule.select.facets, [FacetKey::of(Axis::Category, "dairy/oat milk")]);
    assert_eq!(rule.select.without, [FacetKey::of(Axis::Brand, "b")]);
    assert_eq!(rule.action, Action::Hide { allow_removal: false });
}

#[test]
fn any_text_gives_rules_or_problems_and_never_a_panic() {
    bolero::check!().with_iterations(1_000).for_each(|bytes: &[u8]| {
        let _ = compile(&String::from_utf8_lossy(bytes));
    });
}

/// Any number within the limits compiles to finite numbers.
#[test]
fn numbers_within_their_limits_stay_finite() {
    proptest::proptest!(|(weight in -10.0f64..=10.0, days in 0.01f64..=36_500.0, impact in 0.0f64..=100.0)| {
        let rules = compile(&format!(
            "signal_weights: {{cart: {{add_to_cart: {weight}}}}}\nhalf_life: {{brand_days: {days}}}\n\
             ranking: {{impact: {impact}}}\n"
        )).unwrap();
        assert!(rules.signal_weights.iter().all(|weight| weight.is_finite()));
        assert!(rules.half_life.axis_seconds.iter().all(|s| s.is_finite() && *s > 0.0));
        assert!((0.0..=1.0).contains(&rules.ranking.impact));
    });
}
