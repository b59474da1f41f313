//! Whose word counts: tokens, signatures, claimed users, operators, another leg of ours.

use ring::hmac;
use serde_json::json;

use crate::harness::fixtures::leafloaf;
use crate::harness::shopper::{MILKS, eventually, milk_shop, shelf};
use crate::harness::{
    API_TOKEN, PEER_TOKEN, Reply, SIGNING_KEY, Shop, Shopper, Sidecar, TRUSTING, exchange, get,
    post,
};

const SEARCH: &str = "/api/v1/search";
const TRACK: &str = "/api/interactions/track";
/// Nobody is believed who only claims to be a user.
const STRICT: &str = "identity: {trust_claimed_ids: false}";

async fn running(settings: &str) -> (Shop, Sidecar) {
    let shop = milk_shop().await;
    let settings = format!("mode: on\n{TRUSTING}\n{settings}");
    let sidecar = Sidecar::before(shop.address).settings(&settings).start().await;
    (shop, sidecar)
}

async fn search(sidecar: &Sidecar, headers: &[(&str, &str)]) -> Reply {
    let mut all = vec![("content-type", "application/json")];
    all.extend_from_slice(headers);
    exchange(sidecar.data, "POST", SEARCH, &all, br#"{"query":"milk"}"#).await
}

async fn track(sidecar: &Sidecar, headers: &[(&str, &str)], event: serde_json::Value) -> Reply {
    let mut all = vec![("content-type", "application/json")];
    all.extend_from_slice(headers);
    exchange(sidecar.api, "POST", TRACK, &all, event.to_string().as_bytes()).await
}

/// `X-Leafrank-Signature` over a search of milk in the name of `user`.
fn signature(user: &str) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let at = now.as_secs();
    let key = hmac::Key::new(hmac::HMAC_SHA256, SIGNING_KEY.as_bytes());
    let text = format!("v1\n{at}\nPOST\n{SEARCH}\n{user}\n\n\n");
    let hex: String = hmac::sign(&key, text.as_bytes()).as_ref().iter().map(hex_of).collect();
    format!("t={at},v1={hex}")
}

fn hex_of(byte: &u8) -> String {
    format!("{byte:02x}")
}

#[tokio::test]
async fn a_peer_with_a_token_or_a_signature_may_name_the_shopper_and_a_stranger_may_not() {
    let (shop, sidecar) = running("").await;
    Shopper::of(&sidecar, "vouched").tracks("purchase", "M5").await;
    Shopper::of(&sidecar, "said").tracks("purchase", "M2").await;
    let said = [("x-user-id", "said"), ("x-leafrank-user", "vouched")];
    let signed = signature("vouched");
    let for_another = signature("another");
    for (proof, first) in [
        (("x-leafrank-token", PEER_TOKEN), "M5"),
        (("x-leafrank-signature", signed.as_str()), "M5"),
        (("x-leafrank-token", "not the right token"), "M2"),
        (("x-leafrank-signature", for_another.as_str()), "M2"),
        (("x-nothing", "1"), "M2"),
    ] {
        let reply = search(&sidecar, &[said[0], said[1], proof]).await;
        assert_eq!(reply.skus()[0], first, "{proof:?}");
    }
    for asked in shop.asked() {
        assert_eq!(asked.header("x-user-id"), Some("said"));
        let ours = asked.headers.iter().find(|(name, _)| name.starts_with("x-leafrank"));
        assert_eq!(ours, None, "what is said to us never reaches the shop");
    }
    for (header, times) in [("user", 3.0), ("token", 1.0), ("signature", 1.0)] {
        let name = format!("leafrank_untrusted_headers_total{{header=\"{header}\"}}");
        assert_eq!(sidecar.metric(&name).await, times, "{header}");
    }
}

#[tokio::test]
async fn an_address_is_a_further_condition() {
    for (address, first) in [("127.0.0.1", "M5"), ("10.9.8.7", "M1")] {
        let shop = milk_shop().await;
        let trust = format!("trust: {{token_file: peer.tokens, addresses: [\"{address}\"]}}");
        let sidecar =
            Sidecar::before(shop.address).settings("mode: on").settings(&trust).start().await;
        Shopper::of(&sidecar, "vouched").tracks("purchase", "M5").await;
        let proof = [("x-leafrank-user", "vouched"), ("x-leafrank-token", PEER_TOKEN)];
        assert_eq!(search(&sidecar, &proof).await.skus()[0], first, "{address}");
    }
}

#[tokio::test]
async fn an_exchanged_token_counts_without_a_restart() {
    let (_shop, sidecar) = running("").await;
    let file = sidecar.directory.path().join("config/peer.tokens");
    std::fs::write(&file, "short").unwrap();
    eventually("the mistake is said", || async {
        sidecar.log().contains("secrets cannot be read")
    })
    .await;
    let asks = |token| {
        let headers = [("x-leafrank-mode", "off"), ("x-leafrank-token", token)];
        let sidecar = &sidecar;
        async move { search(sidecar, &[("x-user-id", "u"), headers[0], headers[1]]).await }
    };
    assert_eq!(asks(PEER_TOKEN).await.outcome(), "bypass; reason=off", "the last good one stays");
    std::fs::write(&file, "the token of next month\n").unwrap();
    eventually("the new one counts", || async {
        asks("the token of next month").await.outcome() == "bypass; reason=off"
    })
    .await;
    assert_eq!(asks(PEER_TOKEN).await.outcome(), "bypass; reason=no_evidence");
}

#[tokio::test]
async fn an_event_that_only_claims_a_user_teaches_its_session_alone() {
    let (_shop, sidecar) = running(STRICT).await;
    let claimed =
        json!({"type": "purchase", "product_id": "M5", "user_id": "ann", "session_id": "s"});
    let reply = track(&sidecar, &[], claimed.clone()).await;
    assert_eq!((reply.status, reply.json()["learned"].clone()), (202, json!(1)));
    assert_eq!(search(&sidecar, &[("x-user-id", "ann")]).await.skus(), shelf());
    assert_eq!(search(&sidecar, &[("x-session-id", "s")]).await.skus()[0], "M5");

    let nobody = json!({"type": "purchase", "product_id": "M4", "user_id": "ann"});
    let reply = track(&sidecar, &[], nobody.clone()).await;
    assert_eq!((reply.status, reply.json()["error"].clone()), (401, json!("user_only_claimed")));
    assert_eq!(reply.outcome(), "error; reason=user_only_claimed");

    let bearer = format!("Bearer {API_TOKEN}");
    for proof in [
        vec![("authorization", bearer.as_str())],
        vec![("x-leafrank-token", PEER_TOKEN), ("x-leafrank-user", "ann")],
    ] {
        assert_eq!(track(&sidecar, &proof, nobody.clone()).await.status, 202, "{proof:?}");
    }
    let other = [("x-leafrank-token", PEER_TOKEN), ("x-leafrank-user", "eve")];
    let event = json!({"type": "purchase", "product_id": "M2", "user_id": "ann", "event_id": "e"});
    assert_eq!(track(&sidecar, &other, event).await.status, 202, "the peer's word wins");
    assert_eq!(search(&sidecar, &[("x-user-id", "eve")]).await.skus()[0], "M2");
    assert_eq!(search(&sidecar, &[("x-user-id", "ann")]).await.skus()[0], "M4");
}

#[tokio::test]
async fn what_is_known_of_a_user_is_told_to_them_and_to_api_clients() {
    let (_shop, sidecar) = running(STRICT).await;
    let bearer = format!("Bearer {API_TOKEN}");
    for path in ["/api/users/ann/preferences/live", "/api/preferences/live?user_id=ann"] {
        for (proof, status) in [
            (vec![], 401),
            (vec![("x-user-id", "ann")], 401),
            (vec![("x-leafrank-user", "ann")], 401),
            (vec![("authorization", "Bearer something else entirely")], 401),
            (vec![("authorization", bearer.as_str())], 200),
            (vec![("x-leafrank-token", PEER_TOKEN), ("x-leafrank-user", "ann")], 200),
            (vec![("x-leafrank-token", PEER_TOKEN), ("x-leafrank-user", "eve")], 401),
            (vec![("x-leafrank-token", PEER_TOKEN)], 401),
        ] {
            let reply = exchange(sidecar.api, "GET", path, &proof, b"").await;
            assert_eq!(reply.status, status, "{path} {proof:?}");
            if status == 401 {
                assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
            }
        }
    }
}

#[tokio::test]
async fn the_same_holds_on_the_data_port_where_it_answers_for_us() {
    let shop = milk_shop().await;
    let sidecar = Sidecar::before(shop.address)
        .listen("own_paths: {paths: [\"/api/users/{id}/preferences/live\"]}")
        .settings(&format!("{TRUSTING}\n{STRICT}"))
        .start()
        .await;
    let path = "/api/users/ann/preferences/live";
    assert_eq!(get(sidecar.data, path).await.status, 401);
    let vouched = [("x-leafrank-token", PEER_TOKEN), ("x-leafrank-user", "ann")];
    assert_eq!(exchange(sidecar.data, "GET", path, &vouched, b"").await.status, 200);
    assert_eq!(shop.asked().len(), 0);
}

#[tokio::test]
async fn claimed_users_count_where_the_preset_says_so_and_the_log_warns() {
    let (_shop, sidecar) = running("").await;
    assert!(sidecar.log().contains("identity.trust_claimed_ids"));
    assert_eq!(Shopper::of(&sidecar, "ann").tracks("purchase", "M5").await.status, 202);
    assert_eq!(get(sidecar.api, "/api/users/ann/preferences/live").await.status, 200);
    let (_shop, strict) = running(STRICT).await;
    assert!(!strict.log().contains("trust_claimed_ids"));
}

#[tokio::test]
async fn with_trusted_only_what_a_client_claims_counts_nowhere() {
    let (_shop, sidecar) = running("identity: {trusted_only: true}").await;
    let vouched = [("x-leafrank-token", PEER_TOKEN), ("x-leafrank-user", "ann")];
    let event = json!({"type": "purchase", "product_id": "M5", "user_id": "ann"});
    assert_eq!(track(&sidecar, &vouched, event).await.status, 202);
    assert_eq!(search(&sidecar, &vouched).await.skus()[0], "M5");
    let claimed = search(&sidecar, &[("x-user-id", "ann")]).await;
    assert_eq!(claimed.outcome(), "bypass; reason=no_subject");
    assert_eq!(claimed.body, leafloaf(&MILKS));
}

#[tokio::test]
async fn what_changes_something_wants_the_operators_token() {
    let (_shop, sidecar) = running("").await;
    let own = sidecar.admin.to_string();
    let bearer = format!("Bearer {}", sidecar.admin_token());
    let token = ("authorization", bearer.as_str());
    let off = |headers: Vec<(&'static str, String)>| {
        let admin = sidecar.admin;
        async move {
            let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
            exchange(admin, "POST", "/personalization/off", &headers, b"").await
        }
    };
    let host = ("host", own.clone());
    for (headers, status, reason) in [
        (vec![host.clone()], 401, "operator_token"),
        (
            vec![host.clone(), ("authorization", "Bearer 0123456789abcdef".into())],
            401,
            "operator_token",
        ),
        (vec![("host", "evil.test".into()), (token.0, token.1.into())], 403, "foreign_origin"),
        (
            vec![host.clone(), (token.0, token.1.into()), ("origin", "http://evil.test".into())],
            403,
            "foreign_origin",
        ),
    ] {
        let reply = off(headers).await;
        assert_eq!((reply.status, reply.outcome()), (status, &*format!("error; reason={reason}")));
    }
    assert_eq!(sidecar.admin("/rules").await.json()["personalization"], "on");
    let own_page = ("origin", format!("http://{own}"));
    assert_eq!(off(vec![host, (token.0, token.1.into()), own_page]).await.status, 200);
    assert_eq!(sidecar.admin("/rules").await.json()["personalization"], "off");
    let reading = exchange(sidecar.admin, "GET", "/rules", &[("host", "localhost")], b"").await;
    assert_eq!(reading.status, 200, "loopback may read");
    let rebound = exchange(sidecar.admin, "GET", "/rules", &[("host", "evil.test")], b"").await;
    assert_eq!(rebound.status, 403);
}

#[tokio::test]
async fn a_request_that_came_by_another_sidecar_is_ranked_once() {
    let shop = milk_shop().await;
    let inner = Sidecar::before(shop.address).settings("mode: on").start().await;
    let outer = Sidecar::before(inner.data).settings("mode: on").start().await;
    for sidecar in [&inner, &outer] {
        Shopper::of(sidecar, "ann").tracks("purchase", "M5").await;
    }
    let reply = Shopper::of(&outer, "ann").search("milk").await;
    assert_eq!(reply.skus()[0], "M5");
    assert!(reply.outcome().starts_with("reranked"), "{}", reply.outcome());
    assert_eq!(inner.bypassed("other_leg").await, 1.0);
    assert_eq!(inner.metric("leafrank_reranked_total").await, 0.0);
    assert_eq!(Shopper::of(&inner, "ann").search("milk").await.skus()[0], "M5");
}

#[tokio::test]
async fn errors_of_our_own_paths_name_us() {
    let (_shop, sidecar) = running("").await;
    for (reply, status, reason) in [
        (get(sidecar.api, "/nothing").await, 404, "no_such_path"),
        (get(sidecar.api, TRACK).await, 405, "method"),
        (
            post(sidecar.api, "/api/joins", &json!({"pad": "x".repeat(70_000)})).await,
            413,
            "body_too_large",
        ),
        (
            post(sidecar.api, TRACK, &json!({"pad": "x".repeat(3_000_000)})).await,
            413,
            "body_too_large",
        ),
        (post(sidecar.api, TRACK, &json!(3)).await, 400, "malformed_event"),
    ] {
        assert_eq!((reply.status, reply.outcome()), (status, &*format!("error; reason={reason}")));
    }
}

#[tokio::test]
async fn secrets_that_cannot_be_used_keep_it_from_starting_and_are_not_shown() {
    let mut sidecar = Sidecar::before("127.0.0.1:9").settings("trust: {token_file: none}").spawn();
    assert_eq!(sidecar.ended(crate::harness::client::PATIENCE).await, Some(78));
    assert!(sidecar.log().contains("trust.token_file"), "{}", sidecar.log());
}

#[tokio::test]
async fn the_signature_of_the_handbook_is_one() {
    let (_shop, sidecar) = running("").await;
    Shopper::of(&sidecar, "ada").tracks("purchase", "M5").await;
    let script = format!(
        r#"t=$(date +%s); text="v1\n$t\nPOST\n{SEARCH}\nada\n\n\n"
        v1=$(printf "$text" | openssl dgst -sha256 -hmac "{SIGNING_KEY}" -r | cut -d' ' -f1)
        printf "t=$t,v1=$v1""#
    );
    let Ok(made) = std::process::Command::new("sh").args(["-c", &script]).output() else {
        return eprintln!("skipped: no shell");
    };
    let signature = String::from_utf8(made.stdout).unwrap();
    if signature.ends_with("v1=") {
        return eprintln!("skipped: no openssl");
    }
    let said = [("x-leafrank-user", "ada"), ("x-leafrank-signature", signature.as_str())];
    assert_eq!(search(&sidecar, &said).await.skus()[0], "M5");
}
