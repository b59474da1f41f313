//! What was learned outlives the process: SIGTERM, kill -9, a full disk's torn file.

use std::path::Path;
use std::time::Duration;

use crate::harness::shopper::{eventually, milk_shop, shelf};
use crate::harness::sidecar::Builder;
use crate::harness::{Shop, Shopper, Sidecar};

const WRITTEN: &str = "leafrank_snapshots_total{outcome=\"written\"}";

fn keeping(shop: &Shop, state: &Path, seconds: u32) -> Builder {
    let settings =
        format!("mode: on\ndata_dir: {}\nstore: {{snapshot_seconds: {seconds}}}", state.display());
    Sidecar::before(shop.address).settings(&settings)
}

async fn end(mut sidecar: Sidecar) {
    sidecar.terminate();
    assert_eq!(sidecar.ended(Duration::from_secs(20)).await, Some(0));
}

#[tokio::test]
async fn the_first_search_after_a_restart_is_ranked_by_what_was_learned_before() {
    let (shop, state) = (milk_shop().await, tempfile::tempdir().unwrap());
    let sidecar = keeping(&shop, state.path(), 3_600).start().await;
    let shopper = Shopper::of(&sidecar, "ann@example.com");
    shopper.likes_oat_milk().await;
    let before = shopper.search("milk").await;
    assert_eq!(before.skus()[0], "M5");
    end(sidecar).await;
    let kept = std::fs::read(state.path().join("profiles.snapshot")).unwrap();
    assert!(!kept.windows(3).any(|window| window == b"ann"), "no name is kept");

    let sidecar = keeping(&shop, state.path(), 3_600).start().await;
    assert!(sidecar.metric("leafrank_profiles").await >= 1.0);
    let shopper = Shopper::of(&sidecar, "ann@example.com");
    let after = shopper.search("milk").await;
    assert!(after.outcome().starts_with("reranked"), "{}", after.outcome());
    assert_eq!(after.skus(), before.skus());
    let stranger = Shopper::of(&sidecar, "somebody-else").search("milk").await;
    assert_eq!(stranger.skus(), shelf());
    let etag = |reply: &crate::harness::Reply| reply.header("etag").map(str::to_owned);
    assert!(etag(&after).is_none() || etag(&after) != etag(&before));
}

#[tokio::test]
async fn kill_9_forgets_nothing_that_a_snapshot_has() {
    let (shop, state) = (milk_shop().await, tempfile::tempdir().unwrap());
    let sidecar = keeping(&shop, state.path(), 1).start().await;
    Shopper::of(&sidecar, "ann").likes_oat_milk().await;
    let before = sidecar.metric(WRITTEN).await;
    // The second snapshot from now on began after the click; none is written without a change.
    eventually("two snapshots are written", || async {
        Shopper::of(&sidecar, "ben").signals("click", "M5").await;
        sidecar.metric(WRITTEN).await >= before + 2.0
    })
    .await;
    let stamp = sidecar.metric("leafrank_snapshot_timestamp_seconds").await;
    assert!(stamp > 1.7e9, "{stamp}");
    drop(sidecar);

    let sidecar = keeping(&shop, state.path(), 3_600).start().await;
    let after = Shopper::of(&sidecar, "ann").search("milk").await;
    assert!(after.outcome().starts_with("reranked"), "{}", after.outcome());
    assert_eq!(after.skus()[0], "M5");
}

#[tokio::test]
async fn a_torn_file_is_set_aside_with_a_clear_line_and_stops_nothing() {
    let (shop, state) = (milk_shop().await, tempfile::tempdir().unwrap());
    let sidecar = keeping(&shop, state.path(), 3_600).start().await;
    Shopper::of(&sidecar, "ann").likes_oat_milk().await;
    end(sidecar).await;
    let path = state.path().join("profiles.snapshot");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 3]).unwrap();

    let sidecar = keeping(&shop, state.path(), 3_600).start().await;
    let shopper = Shopper::of(&sidecar, "ann");
    assert_eq!(shopper.search("milk").await.outcome(), "bypass; reason=no_evidence");
    let log = sidecar.log();
    let line = log.lines().find(|line| line.contains("the kept profiles cannot be used")).unwrap();
    assert!(line.contains("ends in the middle") && line.contains("unreadable"), "{line}");
    assert_eq!(
        std::fs::read(path.with_extension("snapshot.unreadable")).unwrap().len(),
        whole.len() - 3
    );
    shopper.signals("click", "M5").await;
    assert_eq!(shopper.search("milk").await.skus()[0], "M5");
    end(sidecar).await;

    let sidecar = keeping(&shop, state.path(), 3_600).start().await;
    assert_eq!(Shopper::of(&sidecar, "ann").search("milk").await.skus()[0], "M5");
}

#[tokio::test]
async fn a_disk_that_takes_no_file_is_told_of_once_and_stops_nothing() {
    let shop = milk_shop().await;
    let sidecar = keeping(&shop, Path::new("/proc/leafrank-cannot-be"), 1).start().await;
    let shopper = Shopper::of(&sidecar, "ann");
    shopper.likes_oat_milk().await;
    let failed = "leafrank_snapshots_total{outcome=\"failed\"}";
    eventually("two snapshots failed", || async { sidecar.metric(failed).await >= 2.0 }).await;
    assert_eq!(sidecar.log().matches("profiles cannot be kept on disk").count(), 1);
    assert_eq!(shopper.search("milk").await.skus()[0], "M5");
}
