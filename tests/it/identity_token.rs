//! Shoppers who are named by a JSON Web Token: checked, exchanged keys, own paths, cookies.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prost::Message as _;
use ring::signature::KeyPair as _;
use ring::{hmac, rand, signature};
use serde_json::{Value, json};

use crate::harness::shopper::{eventually, milk_shop, shelf};
use crate::harness::weaviate::{Front, Small, grpc, proto};
use crate::harness::{API_TOKEN, Reply, Shop, Sidecar, TRUSTING, exchange};

const SECRET: &str = "the secret that signs the shop's tokens";
const TRACK: &str = "/api/interactions/track";

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn token(header: Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let text = format!("{}.{}", encoded(header.to_string()), encoded(claims.to_string()));
    let tag = sign(text.as_bytes());
    format!("{text}.{}", encoded(tag))
}

fn by_secret(claims: &Value, secret: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    token(json!({"alg": "HS256", "typ": "JWT"}), claims, |text| {
        hmac::sign(&key, text).as_ref().to_vec()
    })
}

fn seconds() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap().as_secs()
}

/// Claims of `user` that end in `seconds` from now.
fn of(user: &str, ends_in: i64) -> Value {
    json!({"realm": {"user": user}, "exp": seconds().saturating_add_signed(ends_in)})
}

async fn search(sidecar: &Sidecar, headers: &[(&str, &str)]) -> Reply {
    let mut all = vec![("content-type", "application/json")];
    all.extend_from_slice(headers);
    exchange(sidecar.data, "POST", "/api/v1/search", &all, br#"{"query":"milk"}"#).await
}

/// `user` buys `sku`, as the shop's backend reports it.
async fn buys(sidecar: &Sidecar, user: &str, sku: &str) {
    let bearer = format!("Bearer {API_TOKEN}");
    let event = json!({"type": "purchase", "user_id": user, "product_id": sku}).to_string();
    let proof = [("authorization", bearer.as_str())];
    let reply = exchange(sidecar.api, "POST", TRACK, &proof, event.as_bytes()).await;
    assert_eq!(reply.status, 202, "{}", reply.text());
}

/// A sidecar that checks tokens by the keys in `file`, whose setting is `key`.
async fn checking(key: &str, file: &std::path::Path, more: &str) -> (Shop, Sidecar) {
    let shop = milk_shop().await;
    let settings = format!(
        "mode: on\n{TRUSTING}\nidentity: {{user: [\"jwt:/realm/user\", \"header:X-User-ID\"], \
         trust_claimed_ids: false, token: {{{key}: {file:?}{more}}}}}"
    );
    let sidecar = Sidecar::before(shop.address).settings(&settings).log("debug").start().await;
    (shop, sidecar)
}

#[tokio::test]
async fn a_good_token_names_the_shopper_and_a_forged_or_old_one_is_no_token() {
    let keys = tempfile::tempdir().unwrap();
    let file = keys.path().join("secrets");
    std::fs::write(&file, format!("# exchanged in May\n{SECRET}\n")).unwrap();
    let (shop, sidecar) = checking("key_file", &file, ", audience: shop").await;
    buys(&sidecar, "ann", "M5").await;
    buys(&sidecar, "bob", "M2").await;
    let for_shop = |mut claims: Value| {
        claims["aud"] = json!("shop");
        claims
    };
    let good = by_secret(&for_shop(of("ann", 60)), SECRET);
    let none = good.replacen(good.split('.').next().unwrap(), &encoded(r#"{"alg":"none"}"#), 1);
    for (token, first, outcome) in [
        (good.clone(), "M5", "good"),
        (
            by_secret(&for_shop(of("ann", 60)), "a secret that somebody else made up"),
            "M2",
            "signature",
        ),
        (by_secret(&for_shop(of("ann", -60)), SECRET), "M2", "expired"),
        (by_secret(&of("ann", 60), SECRET), "M2", "audience"),
        (none, "M2", "algorithm"),
    ] {
        let bearer = format!("Bearer {token}");
        let reply = search(&sidecar, &[("authorization", &bearer), ("x-user-id", "bob")]).await;
        assert_eq!(reply.skus()[0], first, "{outcome}");
        let counted = format!("leafrank_tokens_total{{outcome=\"{outcome}\"}}");
        assert_eq!(sidecar.metric(&counted).await, 1.0, "{outcome}");
        let asked = shop.asked();
        assert_eq!(asked.last().unwrap().header("authorization"), Some(bearer.as_str()));
    }
    let log = sidecar.log();
    let (signed, tag) = good.rsplit_once('.').unwrap();
    for secret in [SECRET, tag, signed] {
        assert!(!log.contains(secret), "it stands in the log");
    }
}

#[tokio::test]
async fn who_has_a_good_token_may_teach_see_and_erase_its_user_and_nobody_else() {
    let keys = tempfile::tempdir().unwrap();
    let file = keys.path().join("secrets");
    std::fs::write(&file, SECRET).unwrap();
    let (_shop, sidecar) = checking("key_file", &file, "").await;
    let bearer = format!("Bearer {}", by_secret(&of("ann", 60), SECRET));
    let ann = [("authorization", bearer.as_str())];
    let event = json!({"type": "purchase", "user_id": "ann", "product_id": "M5"}).to_string();
    assert_eq!(exchange(sidecar.api, "POST", TRACK, &[], event.as_bytes()).await.status, 401);
    assert_eq!(exchange(sidecar.api, "POST", TRACK, &ann, event.as_bytes()).await.status, 202);
    assert_eq!(search(&sidecar, &ann).await.skus()[0], "M5");
    for (method, path, body) in [
        ("GET", "/api/users/USER/preferences/live", ""),
        ("GET", "/api/users/USER", ""),
        ("PUT", "/api/users/USER/consent", r#"{"sensitive":true}"#),
        ("DELETE", "/api/users/USER", ""),
    ] {
        for (user, status) in [("bob", 401), ("ann", 200)] {
            let path = path.replace("USER", user);
            let reply = exchange(sidecar.api, method, &path, &ann, body.as_bytes()).await;
            assert_eq!(reply.status, status, "{method} {path}: {}", reply.text());
        }
    }
    assert_eq!(search(&sidecar, &ann).await.skus(), shelf());
}

/// A key pair, and its public half as a JWK called `kid`.
fn pair(kid: &str) -> (signature::EcdsaKeyPair, Value) {
    let algorithm = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
    let random = rand::SystemRandom::new();
    let pkcs8 = signature::EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    let pair = signature::EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap();
    let point = pair.public_key().as_ref().to_vec();
    let (x, y) = (encoded(&point[1..33]), encoded(&point[33..]));
    (pair, json!({"kty": "EC", "crv": "P-256", "kid": kid, "alg": "ES256", "x": x, "y": y}))
}

#[tokio::test]
async fn exchanged_keys_of_an_identity_provider_count_without_a_restart() {
    let keys = tempfile::tempdir().unwrap();
    let file = keys.path().join("jwks.json");
    let ((may, may_key), (june, june_key)) = (pair("may"), pair("june"));
    std::fs::write(&file, json!({"keys": [may_key]}).to_string()).unwrap();
    let (_shop, sidecar) = checking("jwks_file", &file, "").await;
    buys(&sidecar, "ann", "M5").await;
    let signed = |pair: &signature::EcdsaKeyPair, kid: &str| {
        let random = rand::SystemRandom::new();
        let sign = |text: &[u8]| pair.sign(&random, text).unwrap().as_ref().to_vec();
        format!("Bearer {}", token(json!({"alg": "ES256", "kid": kid}), &of("ann", 600), sign))
    };
    let first =
        async |bearer: &str| search(&sidecar, &[("authorization", bearer)]).await.skus()[0].clone();
    let (old, new) = (signed(&may, "may"), signed(&june, "june"));
    assert_eq!((first(&old).await.as_str(), first(&new).await.as_str()), ("M5", "M1"));
    assert_eq!(sidecar.metric("leafrank_tokens_total{outcome=\"unknown_key\"}").await, 1.0);
    std::fs::write(&file, "{\"keys\":").unwrap();
    eventually("the mistake is said", || async {
        sidecar.log().contains("identity.token.jwks_file")
    })
    .await;
    assert_eq!(first(&old).await, "M5", "the last good ones stay");
    std::fs::write(&file, json!({"keys": [june_key]}).to_string()).unwrap();
    eventually("the new key counts", || async { first(&new).await == "M5" }).await;
    assert_eq!(first(&old).await, "M1");
}

#[tokio::test]
async fn a_token_in_a_cookie_counts_unless_a_page_of_another_site_made_the_browser_send_it() {
    let keys = tempfile::tempdir().unwrap();
    let file = keys.path().join("secrets");
    std::fs::write(&file, SECRET).unwrap();
    let (_shop, sidecar) =
        checking("key_file", &file, ", from: [\"header:Authorization\", \"cookie:auth\"]").await;
    let cookie = format!("theme=dark; auth={}", by_secret(&of("ann", 60), SECRET));
    let event = json!({"type": "purchase", "user_id": "ann", "product_id": "M5"}).to_string();
    let track = async |site: &str| {
        let headers = [("cookie", cookie.as_str()), ("sec-fetch-site", site)];
        exchange(sidecar.api, "POST", TRACK, &headers, event.as_bytes()).await.status
    };
    assert_eq!(track("cross-site").await, 401);
    assert_eq!(track("same-site").await, 202);
    assert_eq!(search(&sidecar, &[("cookie", &cookie)]).await.skus()[0], "M5");
}

#[tokio::test]
async fn where_only_proofs_count_a_token_is_one() {
    let keys = tempfile::tempdir().unwrap();
    let file = keys.path().join("secrets");
    std::fs::write(&file, SECRET).unwrap();
    let shop = milk_shop().await;
    let settings = format!(
        "mode: on\n{TRUSTING}\nidentity: {{user: [\"header:X-User-ID\", \"jwt:/realm/user\"], \
         trusted_only: true, token: {{key_file: {file:?}}}}}"
    );
    let sidecar = Sidecar::before(shop.address).settings(&settings).start().await;
    buys(&sidecar, "ann", "M5").await;
    buys(&sidecar, "bob", "M2").await;
    let bearer = format!("Bearer {}", by_secret(&of("ann", 60), SECRET));
    let both = [("authorization", bearer.as_str()), ("x-user-id", "bob")];
    assert_eq!(search(&sidecar, &both).await.skus()[0], "M5");
    assert_eq!(search(&sidecar, &both[1..]).await.outcome(), "bypass; reason=no_subject");
}

#[tokio::test]
async fn on_a_weaviates_grpc_a_good_token_names_the_shopper_and_a_forged_one_nobody() {
    let Some(small) = Small::start().await else { return };
    let keys = tempfile::tempdir().unwrap();
    let file = keys.path().join("secrets");
    std::fs::write(&file, SECRET).unwrap();
    let settings = format!(
        "presets: [weaviate]\nholdout: 0\nmode: on\n\
         identity: {{user: [\"jwt:/realm/user\"], session: [], token: {{key_file: {file:?}}}}}"
    );
    let front = Front::before(small.http, small.grpc, &settings).await;
    let channel = front.channel().await;
    let request = proto::SearchRequest {
        collection: "Product".into(),
        limit: 12,
        bm25: Some(proto::Words { query: "spinach".into() }),
        ..Default::default()
    };
    for (secret, reason) in
        [(SECRET, "no_evidence"), ("not the shop's secret at all, no", "no_subject")]
    {
        let bearer = format!("Bearer {}", by_secret(&of("ann", 60), secret));
        let metadata = [("authorization", bearer.as_str())];
        let path = "/weaviate.v1.Weaviate/Search";
        let (_, head) = grpc::unary(&channel, path, &metadata, &request.encode_to_vec()).await;
        assert_eq!(head["x-leafrank"], format!("bypass; reason={reason}"));
    }
}
