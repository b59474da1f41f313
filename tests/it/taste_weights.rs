//! An edit of a signal weight reaches what was learned before it.

use crate::harness::shopper::{eventually, milk_shop, shelf};
use crate::harness::{Shopper, Sidecar};

const REWEIGHED: &str = "leafrank_profiles_reweighed_total";

#[tokio::test]
async fn the_next_search_obeys_a_weight_that_was_edited_after_the_purchases() {
    let shop = milk_shop().await;
    let sidecar = Sidecar::before(shop.address).settings("mode: on").rules("{}\n").start().await;
    let [ann, ben] = ["ann", "ben"].map(|name| Shopper::of(&sidecar, name));
    ann.search("milk").await;
    ann.tracks("purchase", "M4").await;
    ann.tracks("click", "M5").await;
    ben.tracks("purchase", "M3").await;
    assert_eq!(ann.search("milk").await.skus()[0], "M4");
    assert_eq!(ben.search("milk").await.skus()[0], "M3");

    let edit = "signal_weights: {purchase: {first_time: 0}, browse: {click_product: 2.0}}\n";
    std::fs::write(sidecar.rules_path(), edit).unwrap();
    eventually("both profiles follow", || async { sidecar.metric(REWEIGHED).await == 2.0 }).await;
    assert_eq!(ann.search("milk").await.skus()[0], "M5", "the click counts, the purchase does not");
    let ben_now = ben.search("milk").await;
    assert_eq!(ben_now.skus(), shelf(), "there is no evidence left: {}", ben_now.outcome());
    assert_eq!(ben_now.outcome(), "bypass; reason=no_evidence");

    std::fs::write(sidecar.rules_path(), "{}\n").unwrap();
    eventually("and back", || async { sidecar.metric(REWEIGHED).await == 4.0 }).await;
    assert_eq!(ann.search("milk").await.skus()[0], "M4");
    assert_eq!(ben.search("milk").await.skus()[0], "M3");
    assert!(sidecar.log().contains("profiles follow an edit of signal weights"));
}

#[tokio::test]
async fn an_edit_of_anything_else_moves_no_profile() {
    let shop = milk_shop().await;
    let sidecar = Sidecar::before(shop.address).settings("mode: on").rules("{}\n").start().await;
    let ann = Shopper::of(&sidecar, "ann");
    ann.search("milk").await;
    ann.tracks("purchase", "M4").await;
    std::fs::write(sidecar.rules_path(), "ranking: {impact: 90}\nhalf_life: {brand_days: 9}\n")
        .unwrap();
    eventually("the edit is live", || async {
        sidecar.metric("leafrank_rules_generation").await == 2.0
    })
    .await;
    // a later edit of a weight is swept after it
    std::fs::write(sidecar.rules_path(), "signal_weights: {purchase: {first_time: 0.7}}\n")
        .unwrap();
    eventually("that one moves it", || async { sidecar.metric(REWEIGHED).await > 0.0 }).await;
    assert_eq!(sidecar.metric(REWEIGHED).await, 1.0);
}
