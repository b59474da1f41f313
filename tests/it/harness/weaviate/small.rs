//! A small Weaviate over the shared catalogue: gRPC search, GraphQL `Get`, the pages that clients
//! ask for when they connect, and streams that do as told (`streams`).
//!
//! Words are matched and counted, nothing more; hybrid and near-text searches differ from bm25 only
//! in that objects without the words come too, last. What it does not know it names in its error.

use std::net::SocketAddr;
use std::sync::Arc;

use leafrank::demo::graphql::{self, Field};
use prost::Message as _;
use serde_json::{Map, Value, json};

use super::super::shop::{Answer, Asked, Shop};
use super::catalogue::{Catalogue, Found, Wanted};
use super::grpc::{self, Call, Said, UNIMPLEMENTED, UNKNOWN};
use super::proto;
use super::streams::{self, Noticed};

/// What a page has unless the request says more or less.
const LIMIT_DEFAULT: usize = 10;

/// When each object was made, in ms since 1970.
const MADE_MS: i64 = 1_750_000_000_000;

/// A running small Weaviate.
pub struct Small {
    pub http: SocketAddr,
    pub grpc: SocketAddr,
    pub catalogue: Arc<Catalogue>,
    /// What it saw of streams and their ends.
    pub noticed: Arc<Noticed>,
    shop: Shop,
}

impl Small {
    /// Starts it on two free ports; `None` when there is no catalogue.
    pub async fn start() -> Option<Self> {
        let catalogue = Arc::new(Catalogue::read()?);
        let shelves = catalogue.clone();
        let shop = Shop::start(move |asked| page(&shelves, asked)).await;
        let noticed = Arc::<Noticed>::default();
        let (shelves, sees) = (catalogue.clone(), noticed.clone());
        let grpc = grpc::serve(Arc::new(move |request, respond| {
            let (shelves, sees) = (shelves.clone(), sees.clone());
            Box::pin(async move {
                let path = request.uri().path().to_owned();
                if streams::is_one(&path) {
                    return streams::run(&path, request, respond, &sees).await;
                }
                let call = grpc::whole(request).await?;
                let said = called(&shelves, &call);
                sees.calls.lock().unwrap().push(call);
                grpc::answer(respond, said).await
            })
        }))
        .await;
        Some(Self { http: shop.address, grpc, catalogue, noticed, shop })
    }

    /// The HTTP requests that arrived so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.shop.asked()
    }
}

fn called(catalogue: &Catalogue, call: &Call) -> Said {
    match call.path.as_str() {
        // SERVING
        "/grpc.health.v1.Health/Check" => Said::ok(vec![0x08, 0x01]),
        "/weaviate.v1.Weaviate/Search" => match proto::SearchRequest::decode(&call.message[..]) {
            Ok(request) => searched(catalogue, &request),
            Err(error) => Said::error(UNKNOWN, error.to_string()),
        },
        other => Said::error(UNIMPLEMENTED, format!("the small Weaviate has no {other}")),
    }
}

fn searched(catalogue: &Catalogue, request: &proto::SearchRequest) -> Said {
    if request.collection != "Product" {
        let why = format!("could not find class {} in schema", request.collection);
        return Said::error(UNKNOWN, why);
    }
    let near = request.near_text.as_ref().map(|near| near.query.join(" "));
    let hybrid = request.hybrid.as_ref().map(|hybrid| hybrid.query.clone());
    let bm25 = request.bm25.as_ref().map(|bm25| bm25.query.clone());
    let of_id = request
        .filters
        .as_ref()
        .filter(|filters| filters.target.as_ref().is_some_and(|target| target.property == "_id"));
    let wanted = Wanted {
        limit: if request.limit == 0 { LIMIT_DEFAULT } else { request.limit as usize },
        offset: request.offset as usize,
        after: Some(request.after.clone()),
        id: of_id.and_then(|filters| filters.value_text.clone()),
        all: near.is_some() || hybrid.is_some(),
        words: bm25.or(hybrid).or(near),
    };
    let found = catalogue.search(&wanted);
    let results = found.iter().map(|found| result(request, found)).collect();
    let grouped = Some(String::new());
    let reply = proto::SearchReply { took: 0.001, results, generative_grouped_result: grouped };
    Said::ok(reply.encode_to_vec())
}

fn result(request: &proto::SearchRequest, (object, score): &Found<'_>) -> proto::SearchResult {
    // Told nothing, a Weaviate gives all properties.
    let named = request.properties.as_ref().filter(|p| !p.return_all_nonref_properties);
    let is_wanted =
        |name: &String| named.is_none_or(|named| named.non_ref_properties.contains(name));
    let properties = object.properties.iter().filter(|(name, _)| is_wanted(name));
    let fields = properties.map(|(name, json)| (name.clone(), value(json))).collect();
    let asked = request.metadata.clone().unwrap_or_default();
    let digits: String = object.id.chars().filter(|c| *c != '-').collect();
    let bytes = (0..32).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap());
    proto::SearchResult {
        properties: Some(proto::PropertiesResult {
            target_collection: "Product".into(),
            non_ref_props: Some(proto::Properties { fields }),
        }),
        metadata: Some(proto::MetadataResult {
            id: object.id.clone(),
            creation_time: if asked.creation_time { MADE_MS } else { 0 },
            creation_time_present: asked.creation_time,
            last_update_time: if asked.last_update_time { MADE_MS } else { 0 },
            last_update_time_present: asked.last_update_time,
            score: if asked.score { *score } else { 0.0 },
            score_present: asked.score,
            id_as_bytes: bytes.collect(),
        }),
    }
}

fn value(json: &Value) -> proto::Value {
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    match json {
        Value::Number(number) => proto::Value { number: number.as_f64(), ..Default::default() },
        Value::Bool(bool) => proto::Value { boolean: Some(*bool), ..Default::default() },
        Value::Array(all) => {
            let texts = Some(proto::Texts { values: all.iter().map(text).collect() });
            proto::Value { list: Some(proto::List { texts }), ..Default::default() }
        }
        other => proto::Value { text: Some(text(other)), ..Default::default() },
    }
}

fn page(catalogue: &Catalogue, asked: &Asked) -> Answer {
    let json = |value: Value| Answer::json(format!("{value}\n").as_bytes());
    match (asked.method(), asked.path()) {
        ("GET", "/v1/meta") => json(json!({
            "grpcMaxMessageSize": 104_858_000, "hostname": "http://[::]:8080",
            "modules": {}, "version": "1.40.0"
        })),
        ("GET", "/v1/.well-known/ready" | "/v1/.well-known/live") => {
            Answer::reply("200 OK", &[], b"")
        }
        ("POST", "/v1/graphql") => json(graphql(catalogue, &asked.body)),
        // No OpenID, and nothing else.
        _ => Answer::reply("404 Not Found", &[], b""),
    }
}

fn graphql(catalogue: &Catalogue, body: &[u8]) -> Value {
    let fault = |message: String| json!({"errors": [{"message": message, "path": null}]});
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let fields = match graphql::asked(body["query"].as_str().unwrap_or("")) {
        Ok(asked) => asked.fields,
        Err(error) => return fault(error.to_string()),
    };
    let mut lists = Map::new();
    for field in &fields {
        if field.class != "Product" {
            return fault(format!("Cannot query field \"{}\"", field.class));
        }
        let wanted = Wanted {
            limit: field.limit.unwrap_or(100),
            offset: field.offset,
            after: field.after.clone(),
            id: None,
            all: field.search.as_ref().is_some_and(|search| search.finds_alike),
            words: field.search.as_ref().map(|search| search.query.clone()),
        };
        let found = catalogue.search(&wanted);
        let list = found.iter().map(|found| hit(field, found)).collect();
        lists.insert(field.key.clone(), Value::Array(list));
    }
    json!({"data": {"Get": lists}})
}

fn hit(field: &Field, (object, score): &Found<'_>) -> Value {
    let mut hit = Map::new();
    if !field.additional.is_empty() {
        let additional = field.additional.iter().map(|name| match name.as_str() {
            "id" => (name.clone(), json!(object.id)),
            "score" => (name.clone(), json!(score.to_string())),
            _ => (name.clone(), Value::Null),
        });
        hit.insert("_additional".into(), Value::Object(additional.collect()));
    }
    for name in &field.properties {
        hit.insert(name.clone(), object.properties.get(name).cloned().unwrap_or_default());
    }
    Value::Object(hit)
}
