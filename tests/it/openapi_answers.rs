//! The sidecar's own answers, one of each kind, are what the documents say: their status is listed,
//! their content type too, and their body fits its schema.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::harness::shopper::milk_shop;
use crate::harness::{
    API_TOKEN, Answer, PEER_TOKEN, Reply, Shop, Shopper, Sidecar, TRUSTING, exchange,
};
use crate::openapi::{documents, operations, validator};

/// Method, path as it is asked, body; then the operation's id and the status.
type Row = (&'static str, &'static str, &'static str, &'static str, u16);

const LONG: &str = "/api/preferences/live?user_id=a%00b";

const ROWS: &[Row] = &[
    ("POST", "/api/interactions/track", ONE, "track", 202),
    ("POST", "/api/interactions/track", SEVERAL, "track", 202),
    ("POST", "/api/interactions/track?debug=1", SEVERAL, "track", 200),
    ("POST", "/api/interactions/track?debug=perhaps", ONE, "track", 400),
    ("POST", "/api/interactions/track", "{}", "track", 400),
    ("POST", "/1/events", INSIGHTS, "insightsEvents", 200),
    ("POST", "/1/events?debug=1", INSIGHTS, "insightsEvents", 200),
    ("POST", "/1/events", "[]", "insightsEvents", 400),
    ("POST", "/1/events", r#"{"events":[{}]}"#, "insightsEvents", 422),
    ("POST", "/ubi_events", UBI, "ubiEvents", 200),
    ("POST", "/ubi_events?debug=1", UBI, "ubiEvents", 200),
    ("POST", "/ubi_events", "", "ubiEvents", 400),
    ("POST", "/ubi_events/_doc", UBI, "ubiDocument", 201),
    ("POST", "/ubi_events/_doc?debug=1", UBI, "ubiDocument", 200),
    ("POST", "/ubi_events/_doc", "{}", "ubiDocument", 400),
    ("POST", "/ubi_events/_doc/", "{}", "ubiDocumentSlash", 400),
    ("PUT", "/ubi_events/_doc/d-1", UBI, "ubiPutDocument", 201),
    ("PUT", "/ubi_events/_doc/d-1", UBI, "ubiPutDocument", 200),
    ("POST", "/ubi_events/_doc/d-1", UBI, "ubiPostDocument", 200),
    ("PUT", "/ubi_events/_create/d-1", UBI, "ubiPutCreate", 409),
    ("POST", "/ubi_events/_create/d-2", UBI, "ubiPostCreate", 201),
    ("POST", "/ubi_events/_bulk", BULK, "ubiPostBulk", 200),
    ("PUT", "/ubi_events/_bulk?debug", BULK, "ubiPutBulk", 200),
    ("POST", "/_bulk", BULK, "postBulk", 200),
    ("PUT", "/_bulk", "nonsense", "putBulk", 400),
    ("POST", "/ubi_queries", "{}", "ubiQueries", 200),
    ("GET", "/api/users/ada/preferences/live", "", "livePreferencesOfUser", 200),
    ("GET", "/api/preferences/live?user_id=ada", "", "livePreferences", 200),
    ("GET", "/api/preferences/live", "", "livePreferences", 400),
    ("GET", LONG, "", "livePreferences", 400),
    ("GET", "/api/users/ada/preferences/live?view=full", "", "livePreferencesOfUser", 200),
    ("GET", "/api/preferences/live?user_id=ada&view=full", "", "livePreferences", 200),
    ("GET", "/api/preferences/live?user_id=ada&view=all", "", "livePreferences", 400),
    ("PUT", "/api/users/ada/preferences/facets/attribute/Spicy", MUTE, "sayTaste", 200),
    ("GET", "/api/users/ada/preferences/live", "", "livePreferencesOfUser", 200),
    ("PUT", "/api/users/ada/preferences/facets/attribute/halal", MUTE, "sayTaste", 403),
    ("PUT", "/api/users/ada/preferences/facets/flavour/spicy", MUTE, "sayTaste", 400),
    ("PUT", "/api/users/ada/preferences/facets/brand/x", r#"{"action":"love"}"#, "sayTaste", 400),
    ("DELETE", "/api/users/ada/preferences/facets/attribute/spicy", "", "clearTaste", 200),
    ("POST", "/api/search/personalized", SEARCH, "searchPersonalized", 200),
    ("POST", "/api/search/personalized", r#"{"query":"gone"}"#, "searchPersonalized", 502),
    ("POST", "/api/search/personalized", r#"{"query":"wrong"}"#, "searchPersonalized", 422),
    ("POST", "/api/search/personalized", r#"{"query":5}"#, "searchPersonalized", 400),
    ("GET", "/api/live?user_id=ada", "", "live", 426),
    ("GET", "/api/live", "", "live", 400),
    ("PUT", "/api/users/ada/consent", r#"{"sensitive":true}"#, "chooseConsent", 200),
    ("PUT", "/api/users/ada/consent", "{}", "chooseConsent", 400),
    ("GET", "/api/users/ada", "", "exportUser", 200),
    ("GET", "/api/users/%01", "", "exportUser", 400),
    ("DELETE", "/api/users/ada", "", "eraseUser", 200),
    ("POST", "/api/joins", JOINS, "join", 202),
    ("POST", "/api/joins", r#"{"searches":[{"trace":"0"}]}"#, "join", 400),
    ("GET", "/openapi.json", "", "document", 200),
];

/// The same, by somebody who proves nothing.
const STRANGERS: &[Row] = &[
    ("POST", "/api/interactions/track", ONE, "track", 401),
    ("POST", "/ubi_events/_doc", UBI_USER, "ubiDocument", 403),
    ("GET", "/api/users/ada/preferences/live", "", "livePreferencesOfUser", 401),
    ("GET", "/api/preferences/live?user_id=ada", "", "livePreferences", 401),
    ("POST", "/api/search/personalized", SEARCH, "searchPersonalized", 401),
    ("GET", "/api/live?user_id=ada", "", "live", 401),
    ("PUT", "/api/users/ada/preferences/facets/attribute/spicy", MUTE, "sayTaste", 401),
    ("GET", "/api/users/ada", "", "exportUser", 401),
    ("DELETE", "/api/users/ada", "", "eraseUser", 401),
    ("PUT", "/api/users/ada/consent", r#"{"sensitive":true}"#, "chooseConsent", 401),
    ("POST", "/api/joins", JOINS, "join", 401),
];

const ADMIN: &[Row] = &[
    ("GET", "/rules", "", "rules", 200),
    ("GET", "/status", "", "status", 200),
    ("GET", "/explain/nonsense", "", "explain", 400),
    ("GET", "/explain/0000000000000000", "", "explain", 404),
    ("POST", "/rules/preview", "ranking: {impact: 80}", "previewRules", 200),
    ("POST", "/rules/preview", "enabled: 3", "previewRules", 422),
    ("POST", "/personalization/off", "", "switchOff", 200),
    ("POST", "/personalization/on", "", "switchOn", 200),
    ("POST", "/routes/none/on", "", "routeOn", 404),
    ("POST", "/routes/leafloaf-search/on", "", "routeOn", 200),
    ("GET", "/spool", "", "spool", 200),
    ("GET", "/spool/dlq", "", "deadLetters", 200),
    ("POST", "/spool/dlq/retry?seq=1,2", "", "retryDeadLetters", 200),
    ("POST", "/spool/dlq/retry?seq=one", "", "retryDeadLetters", 400),
    ("POST", "/spool/dlq/drop", "", "dropDeadLetters", 200),
    ("POST", "/spool/dlq/drop?seq=1&seq=2", "", "dropDeadLetters", 400),
    ("GET", "/openapi.json", "", "document", 200),
];

const OPS: &[Row] = &[
    ("GET", "/livez", "", "livez", 200),
    ("GET", "/startupz", "", "startupz", 200),
    ("GET", "/readyz", "", "readyz", 200),
    ("GET", "/metrics", "", "metrics", 200),
    ("GET", "/version", "", "version", 200),
];

const ONE: &str = r#"{"type":"add_to_cart","user_id":"ada","product_id":"MILK-1","quantity":2}"#;
const SEVERAL: &str = r#"[{"type":"view","user_id":"ada","product_id":"MILK-1",
    "context":{"time_on_page":45}},{"type":"klick","user_id":"ada","product_id":"MILK-1"}]"#;
const INSIGHTS: &str = r#"{"events":[{"eventType":"click","userToken":"ada","objectIDs":["MILK-1"]},
    {"eventType":"?"}]}"#;
const UBI: &str = r#"{"action_name":"click","client_id":"c",
    "event_attributes":{"object":{"object_id":"MILK-1"}}}"#;
const UBI_USER: &str = r#"{"action_name":"click","user_id":"ada",
    "event_attributes":{"object":{"object_id":"MILK-1"}}}"#;
const BULK: &str = "{\"index\":{\"_index\":\"ubi_events\"}}\n{\"action_name\":\"click\"}\n\
                    {\"create\":{\"_index\":\"ubi_queries\",\"_id\":\"q\"}}\n{}\n";
const SEARCH: &str = r#"{"query":"milk","user_id":"ada","limit":5.0}"#;
const MUTE: &str = r#"{"action":"mute"}"#;
const JOINS: &str =
    r#"{"searches":[{"trace":"0af7651916cd43dd8448eb211c80319c","user_id":"ada"}]}"#;

/// Answers that a story of a few requests does not bring about: what is too slow, too large or too
/// many, faults, and ports that nothing reaches.
const UNSEEN: [u16; 9] = [101, 408, 413, 415, 429, 500, 501, 503, 507];

async fn asked(at: SocketAddr, row: &Row, token: Option<&str>) -> Reply {
    let (method, path, body, _, _) = row;
    let bearer = token.map(|token| format!("Bearer {token}"));
    let mut headers = vec![("host", "127.0.0.1")];
    headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
    exchange(at, method, path, &headers, body.as_bytes()).await
}

/// The answer is one of those that the document lists for the operation.
fn fits(document: &Value, row: &Row, reply: &Reply) {
    let (method, path, _, id, status) = row;
    let at = format!("{method} {path}: {} {}", reply.status, reply.text());
    assert_eq!(reply.status, *status, "{at}");
    let operations = operations(document);
    let (_, found, operation) =
        operations.iter().find(|(_, _, one)| one["operationId"] == *id).expect(id);
    assert_eq!(found.to_uppercase(), *method, "{at}");
    let told = &operation["responses"][status.to_string()];
    assert!(told.is_object(), "{at}: its status is not told");
    let Some(content) = told["content"].as_object() else {
        assert!(reply.body.is_empty(), "{at}: a body that is not told");
        return;
    };
    let kind = reply.header("content-type").expect("a content type");
    let (_, media) = content.iter().find(|(told, _)| *told == kind).expect(&at);
    let body = match kind {
        "application/json" => reply.json(),
        _ => reply.text().into(),
    };
    let problem =
        validator(document, &media["schema"]).iter_errors(&body).next().map(|e| e.to_string());
    assert_eq!(problem, None, "{at}");
    if *status >= 400 {
        assert!(reply.outcome().starts_with("error; reason="), "{at}: {}", reply.outcome());
    }
}

fn shop() -> impl Future<Output = Shop> {
    Shop::start(|asked| {
        let has = |word: &[u8]| asked.body.windows(word.len()).any(|found| found == word);
        match () {
            () if has(b"gone") => Answer::reply("404 Not Found", &[], b"{}"),
            () if has(b"wrong") => Answer::reply("422 Unprocessable Content", &[], b"{}"),
            () => Answer::json(
                br#"{"success": true, "order": null, "products": [{"sku": "MILK-1",
                     "product_name": "Whole Milk", "category": "Dairy/Milk", "price": 4.79}]}"#,
            ),
        }
    })
}

#[tokio::test]
async fn each_operation_answers_as_its_document_says() {
    let shop = shop().await;
    let settings = format!("mode: on\nidentity: {{trust_claimed_ids: false}}\n{TRUSTING}");
    let settings = settings.replace("trust: {", "trust: {admin_token_file: api.tokens, ");
    let sidecar = Sidecar::before(shop.address).settings(&settings).start().await;
    let [(_, api), (_, admin)] = documents();
    let mut seen = BTreeSet::new();
    for (document, at, rows, token) in [
        (&api, sidecar.api, ROWS, Some(API_TOKEN)),
        (&api, sidecar.api, STRANGERS, None),
        (&admin, sidecar.admin, ADMIN, Some(API_TOKEN)),
        (&admin, sidecar.ops, OPS, None),
    ] {
        for row in rows {
            let reply = asked(at, row, token).await;
            fits(document, row, &reply);
            seen.insert((std::ptr::eq(document, &api), row.3, row.4));
        }
    }
    for (document, is_api) in [(&api, true), (&admin, false)] {
        for (path, method, operation) in operations(document) {
            let id = operation["operationId"].as_str().unwrap();
            let any = seen.iter().any(|(of_api, seen, _)| *of_api == is_api && *seen == id);
            assert!(any || ["tap", "tailEvents"].contains(&id), "{method} {path} was not asked");
        }
    }
    let told = operations(&api).into_iter().flat_map(|(_, _, operation)| {
        let statuses = operation["responses"].as_object().unwrap().keys();
        statuses.map(|status| (status.parse::<u16>().unwrap(), &operation["operationId"]))
    });
    for (status, id) in told {
        let any = seen.iter().any(|(_, _, seen)| *seen == status);
        assert!(any || UNSEEN.contains(&status), "{id} {status} was not seen");
    }
}

/// `value` fits the schema that the document has by this name.
fn is_a(document: &Value, name: &str, value: &Value) {
    let schema = json!({"$ref": format!("#/components/schemas/{name}")});
    let problem = validator(document, &schema).iter_errors(value).next().map(|e| e.to_string());
    assert_eq!(problem, None, "{value}");
}

#[tokio::test]
async fn an_explanation_and_a_message_of_the_websocket_are_as_their_documents_say() {
    let shop = milk_shop().await;
    let settings = format!("mode: on\n{TRUSTING}");
    let sidecar = Sidecar::before(shop.address).settings(&settings).start().await;
    let [(_, api), (_, admin)] = documents();
    let url = format!("ws://{}/api/live?user_id=ann", sidecar.api);
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.expect("a WebSocket");
    let ann = Shopper::of(&sidecar, "ann");
    ann.likes_oat_milk().await;
    for kind in ["preferences", "learned"] {
        let said = loop {
            let message = socket.next().await.expect("a message").expect("a message");
            if message.is_text() {
                break serde_json::from_str::<Value>(message.to_text().unwrap()).unwrap();
            }
        };
        assert_eq!(said["type"], kind);
        is_a(&api, "LiveMessage", &said);
    }
    let why = [("x-leafrank-token", PEER_TOKEN), ("x-leafrank-explain", "1")];
    let reply = ann.search_with("milk", &why).await;
    let query = reply.outcome().split("query=").nth(1).expect("a query");
    let told = sidecar.admin(&format!("/explain/{query}")).await;
    assert_eq!(told.status, 200);
    assert_ne!(told.json()["lists"][0][0]["parts"], json!([]));
    is_a(&admin, "Told", &told.json());
}
