//! Hits that come again.

use super::*;

/// Hits as a shop may write them again: mostly alike, some with a long text, which alone is kept.
fn any_page() -> impl proptest::strategy::Strategy<Value = Vec<String>> {
    use proptest::prelude::*;
    let id = prop::sample::select(vec!["\"A\"", "\"B\"", "\"C\\u0041\"", "7", "null"]);
    let score =
        prop::sample::select(vec!["1", "0.25", "null", "\"3\"", "{}", "1,\"score\":2", "9e9"]);
    let first =
        prop::sample::select(vec!["", "\"price\":2,", "\"product_name\":\"x\",", "\"ad\":true,"]);
    let last =
        prop::sample::select(vec!["", ",\"price\":4.5", ",\"sku\":\"Z\"", ",\"in_stock\":false"]);
    let hit = (first, id, 0..3_usize, score, last).prop_map(|(first, id, text, score, last)| {
        let text = "a long text that says \\u00e9 little ".repeat(text + 2);
        format!(
            "{{{first}\"sku\":{id},\"product_name\":\"{text}\",\"terms\":[\"t\"],\"category\":\"D\",\
             \"score\":{score}{last}}}"
        )
    });
    prop::collection::vec(hit, 1..6)
}

proptest::proptest! {
    #[test]
    fn a_hit_that_is_known_says_what_it_would_say_when_read(
        pages in proptest::collection::vec(any_page(), 1..12),
    ) {
        let map = shop_map();
        let plan = HitPlan::new(&map, &[]);
        let known = KnownHits::new(1 << 20);
        for page in pages {
            let body = format!("{{\"products\":[{}]}}", page.join(","));
            let limits = DecodeLimits::default();
            let read = plan.decode(body.as_bytes(), &limits);
            let told = plan.decode(body.as_bytes(), &DecodeLimits::knowing(&known));
            prop_assert_alike(read, told)?;
        }
    }
}

fn prop_assert_alike(
    read: Result<Reply<'_>, Doubt>,
    told: Result<Reply<'_>, Doubt>,
) -> Result<(), proptest::test_runner::TestCaseError> {
    let (mut read, told) = match (read, told) {
        (Ok(read), Ok(told)) => (read, told),
        (read, told) => {
            proptest::prop_assert_eq!(read, told);
            return Ok(());
        }
    };
    for (list, other) in read.lists.iter_mut().zip(&told.lists) {
        for (hit, other) in list.hits.iter_mut().zip(&other.hits) {
            proptest::prop_assert_eq!(hit.words(), other.words());
            proptest::prop_assert_eq!(hit.digest(), other.digest());
            hit.read = other.read.clone();
            hit.known.clone_from(&other.known);
        }
    }
    proptest::prop_assert_eq!(read, told);
    Ok(())
}

#[test]
fn what_is_remembered_takes_no_more_than_it_may() {
    let plan = HitPlan::new(&shop_map(), &[]);
    let body = |number: usize| {
        let words = vec!["\"w\""; 1_000].join(",");
        format!("{{\"products\":[{{\"sku\":\"{number}\",\"dietary_info\":[{words}]}}]}}")
    };
    // 4 KB of text and 41 KB of words each
    let recognised = |bytes_max: u64, products: usize| {
        let known = KnownHits::new(bytes_max);
        let bodies: Vec<_> = (0..products).map(body).collect();
        let read = |body: &String| {
            let reply = plan.decode(body.as_bytes(), &DecodeLimits::knowing(&known));
            reply.unwrap().lists[0].hits[0].known.is_some()
        };
        assert!(!bodies.iter().any(read), "nothing is known yet");
        bodies.iter().rev().filter(|body| read(body)).count()
    };
    assert_eq!(recognised(0, 10), 0);
    assert_eq!(recognised(1 << 30, 10), 10);
    let few = recognised(1 << 20, 100);
    assert!((1..=24).contains(&few), "{few}");
}

#[test]
fn a_hit_that_comes_again_is_recognised_and_one_that_changed_is_read() {
    let plan = HitPlan::new(&shop_map(), &[]);
    let known = KnownHits::new(1 << 20);
    let body = |price: &str, score: &str| {
        let text = "a long text ".repeat(20);
        let hits = ["A", "B", "C"].map(|sku| {
            format!(
                "{{\"sku\":\"{sku}\",\"product_name\":\"{text}\",\"price\":{price},\"score\":{score}}}"
            )
        });
        format!("{{\"products\":[{}]}}", hits.join(", "))
    };
    let recognised = |price: &str, score: &str| {
        let body = body(price, score);
        let reply = plan.decode(body.as_bytes(), &DecodeLimits::knowing(&known));
        let hits = reply.unwrap().lists.remove(0).hits;
        assert!(hits.iter().all(|hit| hit.price == Some(price.parse().unwrap())));
        assert!(hits.iter().all(|hit| hit.score == Some(score.parse().unwrap())));
        assert!(hits.iter().all(|hit| hit.words().name.is_some()));
        hits.iter().filter(|hit| hit.known.is_some()).count()
    };
    assert_eq!(recognised("4", "0.5"), 0);
    assert_eq!(recognised("4", "0.5"), 3);
    assert_eq!(recognised("4", "0.75"), 3, "a score is no change");
    assert_eq!(recognised("5", "0.75"), 0, "a price is");
    // a list in which more changed than stayed: the next ones are read without looking
    assert!((0..32).all(|_| recognised("5", "0.5") == 0));
    assert_eq!(recognised("5", "0.5"), 3);
}
