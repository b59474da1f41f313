//! Shoppers whom nothing names, told apart by a cookie of ours; off unless the settings name it.

use serde_json::json;

use crate::harness::fixtures::leafloaf;
use crate::harness::shopper::{MILKS, milk_shop, shelf};
use crate::harness::{Answer, Reply, Shop, Sidecar, exchange};

const COOKIE: &str = "identity: {cookie: {name: leafrank_visit}}";

async fn running(settings: &str) -> (Shop, Sidecar) {
    let shop = milk_shop().await;
    let settings = format!("mode: on\n{settings}");
    let sidecar = Sidecar::before(shop.address).settings(&settings).start().await;
    (shop, sidecar)
}

async fn search(sidecar: &Sidecar, headers: &[(&str, &str)]) -> Reply {
    let mut all = vec![("content-type", "application/json")];
    all.extend_from_slice(headers);
    exchange(sidecar.data, "POST", "/api/v1/search", &all, br#"{"query":"milk"}"#).await
}

async fn clicks(sidecar: &Sidecar, headers: &[(&str, &str)], sku: &str) -> Reply {
    let mut all = vec![("content-type", "application/json")];
    all.extend_from_slice(headers);
    let event = json!({"signal_type": "click", "product": {"sku": sku}}).to_string();
    let path = "/api/personalization/track";
    exchange(sidecar.data, "POST", path, &all, event.as_bytes()).await
}

/// What a browser would send back.
fn pair(reply: &Reply) -> String {
    let set = reply.header("set-cookie").expect("a cookie");
    set.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_shopper_without_a_name_is_known_again_by_the_cookie_and_taken_over_at_login() {
    let (_shop, sidecar) = running(COOKIE).await;
    let first = search(&sidecar, &[]).await;
    assert_eq!(first.skus(), shelf());
    let set = first.header("set-cookie").unwrap().to_owned();
    for part in ["; Path=/", "; Max-Age=2592000", "; HttpOnly", "; SameSite=Lax"] {
        assert!(set.contains(part), "{set}");
    }
    assert!(!set.contains("Secure"), "{set}");
    assert_eq!(first.header("cache-control"), Some("private"));
    let cookie = pair(&first);
    let back = [("cookie", cookie.as_str())];
    let click = clicks(&sidecar, &back, "M5").await;
    assert_eq!(click.header("set-cookie"), None, "it has one");
    assert_eq!(sidecar.metric("leafrank_clicks_joined_total").await, 1.0);
    assert_eq!(search(&sidecar, &back).await.skus()[0], "M5");
    let other = search(&sidecar, &[]).await;
    assert_eq!(other.skus(), shelf());
    assert_ne!(pair(&other), cookie);

    let login = [back[0], ("x-user-id", "ann")];
    let reply = search(&sidecar, &login).await;
    assert_eq!((reply.skus()[0].as_str(), reply.header("set-cookie")), ("M5", None));
    assert_eq!(search(&sidecar, &[("x-user-id", "ann")]).await.skus()[0], "M5");
    assert_eq!(search(&sidecar, &back).await.skus(), shelf(), "moved, not copied");
}

#[tokio::test]
async fn a_forged_cookie_names_nobody_and_is_counted() {
    let (_shop, sidecar) = running(COOKIE).await;
    let cookie = pair(&search(&sidecar, &[]).await);
    clicks(&sidecar, &[("cookie", &cookie)], "M5").await;
    let (said, tag) = cookie.rsplit_once('.').unwrap();
    let zeros = "0".repeat(tag.len());
    for forged in [format!("{said}.{zeros}"), "leafrank_visit=v1".to_owned()] {
        let reply = search(&sidecar, &[("cookie", &forged)]).await;
        assert_eq!(reply.skus(), shelf(), "{forged}");
        assert_ne!(pair(&reply), cookie, "a new visit begins");
    }
    let counted = async |outcome: &str| {
        sidecar.metric(&format!("leafrank_visit_cookies_total{{outcome=\"{outcome}\"}}")).await
    };
    assert_eq!((counted("forged").await, counted("given").await), (2.0, 3.0));
    assert_eq!(search(&sidecar, &[("cookie", &cookie)]).await.skus()[0], "M5");
}

#[tokio::test]
async fn it_is_set_only_where_it_is_wanted_needed_and_allowed() {
    let (_shop, sidecar) = running("").await;
    assert_eq!(search(&sidecar, &[]).await.header("set-cookie"), None, "off as shipped");
    let (_shop, sidecar) = running(COOKIE).await;
    for headers in [
        [("sec-gpc", "1")],
        [("x-personalization", "0")],
        [("x-user-id", "ann")],
        [("x-session-id", "v1")],
    ] {
        let reply = search(&sidecar, &headers).await;
        assert_eq!(reply.header("set-cookie"), None, "{headers:?}");
    }
    let other = exchange(sidecar.data, "GET", "/any/other/path", &[], b"").await;
    assert_eq!(other.header("set-cookie"), None, "no route");
    let secure = search(&sidecar, &[("x-forwarded-proto", "https")]).await;
    assert!(secure.header("set-cookie").unwrap().ends_with("; Secure"));
}

#[tokio::test]
async fn a_reply_that_a_cache_may_keep_whatever_we_say_gets_no_cookie() {
    let shop = Shop::start(|_| {
        let headers = [("content-type", "application/json"), ("cdn-cache-control", "max-age=600")];
        Answer::reply("200 OK", &headers, &leafloaf(&MILKS))
    })
    .await;
    let settings = format!("mode: on\n{COOKIE}");
    let sidecar = Sidecar::before(shop.address).settings(&settings).start().await;
    assert_eq!(search(&sidecar, &[]).await.header("set-cookie"), None);
}
