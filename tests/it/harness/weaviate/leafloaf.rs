//! A stand-in for LeafLoaf in front of its Weaviate: a shop whose searches are searches of a
//! Weaviate. Each asks first whether that is ready, then over gRPC for more hits than it shows, and
//! answers with the first of them in the order in which they came.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::{get, post};
use axum::{Json, Router};
use prost::Message as _;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;

use super::super::{client, http2};
use super::{grpc, proto, recorded};

const SEARCH: &str = "/weaviate.v1.Weaviate/Search";
/// What LeafLoaf asks for, and what it shows.
const HITS: u32 = 45;
const SHOWN_MAX: usize = 15;
const PROPERTIES: [&str; 12] = [
    "sku",
    "name",
    "category",
    "supplier",
    "retailPrice",
    "wholesalePrice",
    "packSize",
    "retailPackSize",
    "usage",
    "searchTerms",
    "isOrganic",
    "supplierCategory",
];

/// What one search of the shop got from its Weaviate.
#[derive(Clone, Debug)]
pub struct Got {
    pub query: String,
    /// The reply as it came.
    pub message: Vec<u8>,
    pub skus: Vec<String>,
    /// What the sidecar said of it.
    pub outcome: String,
}

/// How the stand-in speaks with its Weaviate.
#[derive(Default)]
pub struct Habits {
    /// It hands on the shopper's `traceparent`.
    pub passes_trace: bool,
    /// So many searches are under way before any asks the Weaviate.
    pub together: Option<Barrier>,
    /// Requests as they were recorded, by what is searched for, given out in turn.
    pub recorded: Mutex<HashMap<String, VecDeque<Vec<u8>>>>,
}

/// A running stand-in; gRPC calls to its address reach the Weaviate behind it.
pub struct StandIn {
    pub address: SocketAddr,
    inner: Arc<Inner>,
}

struct Inner {
    habits: Habits,
    /// Where its Weaviate is said to be: HTTP, gRPC.
    weaviate: OnceLock<[SocketAddr; 2]>,
    got: Mutex<Vec<Got>>,
}

impl StandIn {
    /// Starts it, with the Weaviate whose gRPC port is at `grpc` behind the same address, so that
    /// one sidecar may stand before both.
    pub async fn start(habits: Habits, grpc: SocketAddr) -> Self {
        let inner = Arc::new(Inner { habits, weaviate: OnceLock::new(), got: Mutex::default() });
        let router = Router::new()
            .route("/v1/.well-known/ready", get(async || ()))
            .route("/api/v1/search", post(search))
            .route("/api/v1/order", post(search))
            .with_state(inner.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address: door(http, grpc).await, inner }
    }

    /// Tells it where its Weaviate is: the sidecar, usually.
    pub fn asks(&self, weaviate: SocketAddr) {
        self.asks_at([weaviate, weaviate]);
    }

    /// The same with a port for HTTP and one for gRPC.
    pub fn asks_at(&self, weaviate: [SocketAddr; 2]) {
        self.inner.weaviate.set(weaviate).unwrap();
    }

    /// One of those who must be there before it asks its Weaviate.
    pub async fn together(&self) {
        self.inner.habits.together.as_ref().expect("a barrier").wait().await;
    }

    /// What it got so far.
    pub fn got(&self) -> Vec<Got> {
        self.inner.got.lock().unwrap().clone()
    }

    /// The last that it got.
    pub fn last(&self) -> Got {
        self.got().pop().expect("a search of the Weaviate")
    }
}

async fn search(State(shop): State<Arc<Inner>>, headers: HeaderMap, body: Bytes) -> Json<Value> {
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let Some(query) = asked["query"].as_str() else {
        return Json(json!({"success": false, "products": [], "order": null}));
    };
    let shown = asked["limit"].as_u64().map_or(SHOWN_MAX, |limit| SHOWN_MAX.min(limit as usize));
    if let Some(together) = &shop.habits.together {
        together.wait().await;
    }
    let products =
        ask(&shop, query, headers.get("traceparent").and_then(|v| v.to_str().ok())).await;
    let products: Vec<Value> = products.into_iter().take(shown).collect();
    Json(json!({
        "success": true, "query": query, "results": null, "products": products,
        "metadata": {"total_count": shown}, "order": null
    }))
}

async fn ask(shop: &Inner, query: &str, traceparent: Option<&str>) -> Vec<Value> {
    let [http, calls] = *shop.weaviate.get().expect("a Weaviate");
    assert_eq!(client::get(http, "/v1/.well-known/ready").await.status, 200);
    let recorded =
        shop.habits.recorded.lock().unwrap().get_mut(query).and_then(VecDeque::pop_front);
    let message = recorded.unwrap_or_else(|| request(query).encode_to_vec());
    let metadata: Vec<(&str, &str)> = traceparent
        .filter(|_| shop.habits.passes_trace)
        .map(|t| ("traceparent", t))
        .into_iter()
        .collect();
    let channel = http2::connect(calls).await;
    let (said, head) = grpc::unary(&channel, SEARCH, &metadata, &message).await;
    let message = said.message.unwrap_or_else(|| panic!("{query}: {}", said.why));
    let reply = proto::SearchReply::decode(&message[..]).unwrap();
    let products: Vec<Value> = reply.results.iter().map(product).collect();
    let skus = products.iter().map(|p| p["sku"].as_str().unwrap().to_owned()).collect();
    let outcome = head.get("x-leafrank").map_or("", |value| value.to_str().unwrap()).to_owned();
    shop.got.lock().unwrap().push(Got { query: query.to_owned(), message, skus, outcome });
    products
}

fn request(query: &str) -> proto::SearchRequest {
    let named = PROPERTIES.map(str::to_owned).to_vec();
    proto::SearchRequest {
        collection: "Product".into(),
        limit: HITS,
        properties: Some(proto::PropertiesRequest {
            non_ref_properties: named,
            return_all_nonref_properties: false,
        }),
        metadata: Some(proto::MetadataRequest { uuid: true, ..Default::default() }),
        hybrid: Some(proto::Words { query: query.to_owned() }),
        uses_123_api: true,
        uses_125_api: true,
        uses_127_api: true,
        ..Default::default()
    }
}

fn product(hit: &proto::SearchResult) -> Value {
    let properties = hit.properties.as_ref().and_then(|p| p.non_ref_props.as_ref()).unwrap();
    let text = |name: &str| properties.fields.get(name).and_then(|value| value.text.clone());
    json!({
        "sku": text("sku").expect("a sku"), "product_name": text("name"), "product_description": "",
        "price": properties.fields.get("retailPrice").and_then(|value| value.number),
        "supplier": text("supplier"), "category": text("category"), "dietary_info": [],
        "in_stock": true, "score": null
    })
}

/// The recorded requests of the shop's own hour, by what was searched for.
pub fn recorded_requests() -> Option<HashMap<String, VecDeque<Vec<u8>>>> {
    let mut requests = HashMap::<String, VecDeque<Vec<u8>>>::new();
    for row in recorded::session("shop_session")? {
        if row["rpc"] != SEARCH {
            continue;
        }
        let message = recorded::base64(&row, "request_b64");
        let asked = proto::SearchRequest::decode(&message[..]).unwrap();
        let words = asked.hybrid.or(asked.bm25).expect("words").query;
        requests.entry(words).or_default().push_back(message);
    }
    Some(requests)
}

/// One address for both: HTTP/2 goes to the Weaviate's gRPC port, the rest to the shop.
async fn door(http: SocketAddr, grpc: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut first = [0; 3];
                // Fewer bytes in a first packet are nobody's here.
                let Ok(_) = stream.peek(&mut first).await else { return };
                let to = if &first == b"PRI" { grpc } else { http };
                let mut onward = TcpStream::connect(to).await.expect("connect");
                onward.set_nodelay(true).unwrap();
                stream.set_nodelay(true).unwrap();
                // A side that breaks off ends both.
                drop(tokio::io::copy_bidirectional(&mut stream, &mut onward).await);
            });
        }
    });
    address
}
