//! Pages cut from wider windows: the upstream is asked for more, the caller gets what was asked for,
//! and the pages of one search fit together whatever is learned meanwhile.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use prost::Message as _;
use serde_json::{Value, json};

use crate::harness::weaviate::{Front, Small, grpc, proto};
use crate::harness::{Answer, Reply, Shop, Sidecar, exchange, fixtures, personal};

const SEARCH: &str = "/weaviate.v1.Weaviate/Search";
const WINDOW: u32 = 45;

/// Weaviate's routes with a window, else as in the preset.
pub fn widened(window: u32) -> String {
    let hits = "id: /sku, id_or: /id, name: /name, category: /supplierCategory, \
                terms: /searchTerms, price: /retailPrice";
    format!(
        "mode: \"on\"\nholdout: 0\nidentity: {{trust_claimed_ids: true}}\npresets: [weaviate]\n\
         limits: {{hold_ms: 20000, rank_us: 1000000}}\nroutes:\n\
         - {{name: weaviate-grpc, method: POST, path: {SEARCH}, read: true,\n\
         \x20  search: {{wire: grpc, window_size: {window}, hits: {{{hits}}}}}}}\n\
         - {{name: weaviate-graphql, method: POST, path: /v1/graphql, read: true,\n\
         \x20  search: {{wire: graphql, window_size: {window}, hits: {{{hits}}}}}}}"
    )
}

/// A page of a search over gRPC: its objects' skus, and what was said of it.
async fn page(front: &Front, user: &str, limit: u32, offset: u32) -> (Vec<String>, String) {
    let named = ["sku", "name", "supplierCategory", "searchTerms"].map(str::to_owned);
    let request = proto::SearchRequest {
        collection: "Product".into(),
        limit,
        offset,
        near_text: Some(proto::Concepts { query: vec!["organic greens".into()] }),
        properties: Some(proto::PropertiesRequest {
            non_ref_properties: named.into(),
            ..proto::PropertiesRequest::default()
        }),
        metadata: Some(proto::MetadataRequest { uuid: true, ..proto::MetadataRequest::default() }),
        uses_123_api: true,
        uses_125_api: true,
        uses_127_api: true,
        ..proto::SearchRequest::default()
    };
    let channel = front.channel().await;
    let metadata = [("x-user-id", user)];
    let (said, head) = grpc::unary(&channel, SEARCH, &metadata, &request.encode_to_vec()).await;
    assert_eq!((said.status, said.why.as_str()), (0, ""));
    let reply = proto::SearchReply::decode(&said.message.unwrap()[..]).unwrap();
    let skus = reply.results.into_iter().map(|hit| {
        let properties = hit.properties.unwrap().non_ref_props.unwrap();
        properties.fields["sku"].text.clone().unwrap()
    });
    let said = head.get("x-leafrank").map_or("", |value| value.to_str().unwrap());
    (skus.collect(), said.split("; us").next().unwrap_or_default().to_owned())
}

/// The leading hits of the search as the upstream has them.
async fn natural(front: &Front, count: u32) -> Vec<String> {
    page(front, "anonymous", count, 0).await.0
}

#[tokio::test]
async fn pages_of_one_search_hold_each_hit_once_whatever_is_learned_meanwhile() {
    let Some(small) = Small::start().await else { return };
    let front = Front::before(small.http, small.grpc, &widened(WINDOW)).await;
    let first = natural(&front, WINDOW).await;
    for limit in [10, 15, 7] {
        let user = format!("pages-{limit}");
        personal::teach(&front.grpc, &user, &first[30]).await;
        let mut pages = Vec::new();
        let reach = WINDOW - WINDOW % limit;
        for offset in (0..WINDOW).step_by(limit as usize) {
            let (page, said) = page(&front, &user, limit, offset).await;
            let wanted = if offset < reach { "reranked" } else { "bypass; reason=past_window" };
            assert!(said.starts_with(wanted), "{limit} from {offset}: {said}");
            pages.extend(page);
            // what is bought now would stand on the next page, or on the one before
            for sku in [&first[(offset as usize + 13) % 45], &first[40]] {
                personal::teach(&front.grpc, &user, sku).await;
            }
        }
        pages.truncate(WINDOW as usize);
        let once: BTreeSet<_> = pages.iter().collect();
        assert_eq!(once.len(), pages.len(), "{limit}: a hit came twice");
        assert_eq!(once, first.iter().collect(), "{limit}: a hit is missing");
        assert_eq!(
            pages[0],
            first[30],
            "what was bought came from page {} to the first",
            30 / limit
        );
    }
}

/// Lets `user` buy one hit after the other, each elsewhere in the list, without end.
async fn goes_on_buying(api: SocketAddr, user: &str, first: &[String], bought: &AtomicUsize) {
    for number in (0..first.len()).map(|n| n * 7 % first.len()).cycle() {
        personal::teach_at(api, user, &first[number]).await;
        bought.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_asked_for_at_once_fit_together_while_their_shopper_goes_on_buying() {
    let Some(small) = Small::start().await else { return };
    let front = Front::before(small.http, small.grpc, &widened(WINDOW)).await;
    let first = natural(&front, WINDOW).await;
    let mut learned = false;
    for limit in [9, 5, 15, 3] {
        let (user, bought) = (format!("at-once-{limit}"), AtomicUsize::new(0));
        personal::teach(&front.grpc, &user, &first[44]).await;
        let (one, said) = page(&front, &user, limit, 0).await;
        assert!(said.starts_with("reranked"), "{said}");
        // The others again and again, all at once, until much was bought meanwhile.
        let reading = async {
            let mut rounds = 0;
            while bought.load(Ordering::Relaxed) < 30 {
                let offsets = (limit..WINDOW).step_by(limit as usize);
                let others =
                    join_all(offsets.map(|offset| page(&front, &user, limit, offset))).await;
                let others = others.into_iter().flat_map(|(page, _)| page);
                let pages: Vec<_> = one.iter().cloned().chain(others).collect();
                let once: BTreeSet<_> = pages.iter().collect();
                assert_eq!((pages.len(), once), (first.len(), first.iter().collect()), "{limit}");
                rounds += 1;
                assert!(rounds < 1000, "nothing is learned");
            }
        };
        let buying = goes_on_buying(front.grpc.api, &user, &first, &bought);
        tokio::select! {
            () = reading => {}
            () = buying => unreachable!("it goes on"),
        }
        learned |= page(&front, &user, limit, 0).await.0 != one;
    }
    assert!(learned, "what was bought would have stood elsewhere");
}

#[tokio::test]
async fn the_upstream_is_asked_for_the_window_and_the_caller_gets_the_page() {
    let Some(small) = Small::start().await else { return };
    let front = Front::before(small.http, small.grpc, &widened(WINDOW)).await;
    let first = natural(&front, WINDOW).await;
    let asked = |number: usize| {
        let calls = small.noticed.calls.lock().unwrap();
        let request = proto::SearchRequest::decode(&calls[number].message[..]).unwrap();
        (request.limit, request.offset)
    };
    assert_eq!(asked(0), (WINDOW, 0));
    personal::teach(&front.grpc, "u", &first[44]).await;
    let (skus, said) = page(&front, "u", 5, 10).await;
    assert_eq!((skus.len(), asked(1)), (5, (WINDOW, 0)), "{said}");
    // nobody of whom something is known asks: nobody is asked for more
    assert_eq!(page(&front, "stranger", 5, 10).await.0, first[10..15]);
    assert_eq!(asked(2), (5, 10));
}

#[tokio::test]
async fn a_search_that_began_in_the_upstreams_order_goes_on_in_it() {
    let Some(small) = Small::start().await else { return };
    let front = Front::before(small.http, small.grpc, &widened(WINDOW)).await;
    let first = natural(&front, WINDOW).await;
    let (one, said) = page(&front, "late", 10, 0).await;
    assert_eq!((one, said.as_str()), (first[..10].to_vec(), "bypass; reason=no_evidence"));
    personal::teach(&front.grpc, "late", &first[30]).await;
    let (two, said) = page(&front, "late", 10, 10).await;
    assert_eq!((two, said.as_str()), (first[10..20].to_vec(), "bypass; reason=frozen"));
    let (anew, said) = page(&front, "late", 10, 0).await;
    assert!(said.starts_with("reranked") && anew[0] == first[30], "{said}: {anew:?}");
}

#[tokio::test]
async fn each_list_of_a_document_is_cut_to_its_own_page() {
    let Some(small) = Small::start().await else { return };
    let front = Front::before(small.http, small.grpc, &widened(30)).await;
    let ask = async |user: &str, (limit, offset): (u32, u32)| -> (Value, Reply) {
        let query = format!(
            "{{ Get {{ greens: Product(limit: {limit}, offset: {offset}, \
             nearText: {{concepts: [\"organic greens\"]}}) {{ sku name }} \
             all: Product(limit: 4) {{ sku }} }} }}"
        );
        let body = json!({ "query": query }).to_string();
        let headers = [("content-type", "application/json"), ("x-user-id", user)];
        let reply =
            exchange(front.http.data, "POST", "/v1/graphql", &headers, body.as_bytes()).await;
        (reply.json()["data"]["Get"].clone(), reply)
    };
    let skus = |list: &Value| -> Vec<String> {
        let hits = list.as_array().unwrap().iter();
        hits.map(|hit| hit["sku"].as_str().unwrap().to_owned()).collect()
    };
    let (plain, _) = ask("anonymous", (30, 0)).await;
    let first = skus(&plain["greens"]);
    personal::teach(&front.http, "u", &first[14]).await;
    let mut seen = Vec::new();
    for offset in [0, 6, 12, 18, 24] {
        let (lists, reply) = ask("u", (6, offset)).await;
        assert!(reply.outcome().starts_with("reranked"), "{}", reply.outcome());
        let length: usize = reply.header("content-length").unwrap().parse().unwrap();
        assert_eq!(length, reply.body.len());
        assert_eq!(lists["all"], plain["all"], "nothing ranks that list");
        assert_eq!(lists["greens"].as_array().unwrap().len(), 6);
        seen.extend(skus(&lists["greens"]));
    }
    let now = seen.iter().position(|sku| *sku == first[14]).unwrap();
    assert!(now < 12, "what was bought came from the third page to an earlier one, not to {now}");
    assert_eq!(seen.iter().collect::<BTreeSet<_>>(), first.iter().collect());
}

#[tokio::test]
async fn a_property_that_ranking_needs_is_asked_for_and_taken_out_again() {
    let Some(small) = Small::start().await else { return };
    let settings = widened(0).replace("window_size: 0", "ask_also: [sku, searchTerms]");
    let front = Front::before(small.http, small.grpc, &settings).await;
    let channel = front.channel().await;
    let asked = |names: &[&str]| proto::SearchRequest {
        collection: "Product".into(),
        limit: 12,
        bm25: Some(proto::Words { query: "spinach".into() }),
        properties: Some(proto::PropertiesRequest {
            non_ref_properties: names.iter().map(|name| (*name).to_owned()).collect(),
            ..proto::PropertiesRequest::default()
        }),
        uses_123_api: true,
        ..proto::SearchRequest::default()
    };
    let call = async |user: &str, names: &[&str]| {
        let metadata = [("x-user-id", user)];
        let request = asked(names).encode_to_vec();
        let (said, head) = grpc::unary(&channel, SEARCH, &metadata, &request).await;
        let message = said.message.expect("a message");
        let reply = proto::SearchReply::decode(&message[..]).unwrap();
        (message.len(), reply.results, head["x-leafrank"].to_str().unwrap().to_owned())
    };
    let key = |hit: &proto::SearchResult| {
        let properties = hit.properties.clone().unwrap().non_ref_props.unwrap();
        properties.fields["sku"].text.clone().unwrap()
    };
    let (_, known, _) = call("anonymous", &["sku", "name"]).await;
    let last = key(known.last().unwrap());
    personal::teach(&front.grpc, "u", &last).await;
    personal::teach(&front.http, "u", &last).await;

    let (bytes, plain, said) = call("anonymous", &["name"]).await;
    assert_eq!(said, "bypass; reason=no_subject");
    let (moved_bytes, moved, said) = call("u", &["name"]).await;
    assert!(said.starts_with("reranked"), "{said}");
    let asked_for = {
        let calls = small.noticed.calls.lock().unwrap();
        let request = proto::SearchRequest::decode(&calls.last().unwrap().message[..]).unwrap();
        request.properties.unwrap().non_ref_properties
    };
    assert_eq!(asked_for, ["name", "sku", "searchTerms"]);
    assert_eq!((moved_bytes, moved.len()), (bytes, plain.len()));
    assert_eq!(moved[0], *plain.last().unwrap(), "what was bought, without its key");
    assert!(moved.iter().all(|hit| plain.contains(hit)));

    let ask = async |user: &str| {
        let query = "{Get{Product(limit:12,bm25:{query:\"spinach\"}){name}}}";
        let body = json!({ "query": query }).to_string();
        let headers = [("content-type", "application/json"), ("x-user-id", user)];
        exchange(front.http.data, "POST", "/v1/graphql", &headers, body.as_bytes()).await
    };
    let (plain, moved) = (ask("anonymous").await, ask("u").await);
    assert!(moved.outcome().starts_with("reranked"), "{}", moved.outcome());
    assert_eq!(moved.body.len(), plain.body.len());
    let hits = |reply: &Reply| reply.json()["data"]["Get"]["Product"].as_array().unwrap().clone();
    assert_eq!(hits(&moved)[0], *hits(&plain).last().unwrap());
    assert!(hits(&moved).iter().all(|hit| hits(&plain).contains(hit)));
}

/// A shop of fifteen milks that answers with as many as it is asked for; the first is not as it
/// should be where more than five are wanted, if it `stumbles`.
async fn milks(stumbles: bool) -> Shop {
    let names: Vec<(String, String)> =
        (0..15).map(|n| (format!("sku-{n}"), format!("Milk of kind {n}"))).collect();
    Shop::start(move |asked| {
        let body: Value = serde_json::from_slice(&asked.body).unwrap();
        let limit = body["limit"].as_u64().unwrap().min(15) as usize;
        if stumbles && limit > 5 {
            return Answer::reply("500 Internal Server Error", &[], b"too many");
        }
        let hits: Vec<_> = names[..limit].iter().map(|(s, n)| (s.as_str(), n.as_str())).collect();
        Answer::json(&fixtures::leafloaf(&hits))
    })
    .await
}

const LEAFLOAF: &str = "mode: \"on\"\nholdout: 0\nlimits: {hold_ms: 20000, rank_us: 1000000}\nroutes:\n\
     - {name: leafloaf-search, method: POST, path: /api/v1/search, read: true,\n   \
     search: {query: [\"body:/query\"], window_size: 15, limit: /limit,\n   \
     hits: {at: /products, id: /sku, name: /product_name}}}";

async fn five(sidecar: &Sidecar, user: &str) -> Reply {
    let body = json!({"query": "milk", "user_id": user, "limit": 5}).to_string();
    let headers = [("content-type", "application/json")];
    exchange(sidecar.data, "POST", "/api/v1/search", &headers, body.as_bytes()).await
}

#[tokio::test]
async fn a_shop_of_json_is_asked_for_all_it_answers() {
    let shop = milks(false).await;
    let sidecar = Sidecar::before(shop.address).settings(LEAFLOAF).start().await;
    personal::teach(&sidecar, "u", "sku-12").await;
    let reply = five(&sidecar, "u").await;
    assert_eq!(reply.skus(), ["sku-12", "sku-0", "sku-1", "sku-2", "sku-3"]);
    assert_eq!(reply.json()["metadata"]["total_count"], 15, "the shop's own count, of the window");
    let asked: Value = serde_json::from_slice(&shop.asked().last().unwrap().body).unwrap();
    assert_eq!(asked, json!({"query": "milk", "user_id": "u", "limit": 15}));
    assert_eq!(five(&sidecar, "stranger").await.skus()[0], "sku-0");
}

#[tokio::test]
async fn a_window_that_the_shop_does_not_answer_costs_the_page_nothing() {
    let shop = milks(true).await;
    let sidecar = Sidecar::before(shop.address).settings(LEAFLOAF).start().await;
    personal::teach(&sidecar, "u", "sku-4").await;
    let reply = five(&sidecar, "u").await;
    assert_eq!((reply.status, reply.skus().len()), (200, 5));
    assert_eq!(reply.outcome(), "bypass; reason=status");
    let limits = shop
        .asked()
        .into_iter()
        .map(|asked| serde_json::from_slice::<Value>(&asked.body).unwrap()["limit"].clone());
    assert_eq!(limits.collect::<Vec<_>>(), [json!(15), json!(5)]);
}
