//! Compressed messages of gRPC through the sidecar: gzip is read, what was re-ranked goes out plain
//! and says so; a message in a coding that nobody here knows passes byte for byte.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderName, HeaderValue};
use prost::Message as _;

use crate::harness::http2::{self, Message, collect};
use crate::harness::weaviate::{grpc, proto};
use crate::harness::{Sidecar, personal};
use crate::weaviate_window::widened;

const SEARCH: &str = "/weaviate.v1.Weaviate/Search";

/// Which coding the upstream is to answer in, told as metadata.
const ANSWER_IN: &str = "x-answer-in";

const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// A frame whose flag says that its message is compressed.
fn packed(message: &[u8]) -> Vec<u8> {
    let mut frame = grpc::frame(message);
    frame[0] = 1;
    frame
}

fn gzip(message: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(message).unwrap();
    encoder.finish().unwrap()
}

/// The message of a body of one frame, by its flag plain or in gzip.
fn unpacked(body: &[u8]) -> Vec<u8> {
    let ([flag, length @ ..], rest) = body.split_first_chunk::<5>().expect("a frame");
    assert_eq!(u32::from_be_bytes(*length) as usize, rest.len(), "not one message");
    let mut message = Vec::new();
    match flag {
        0 => message.extend_from_slice(rest),
        1 => assert!(GzDecoder::new(rest).read_to_end(&mut message).is_ok(), "no gzip"),
        flag => panic!("flag {flag}"),
    }
    message
}

/// The first milks, as a Weaviate lists them.
fn milks(count: usize) -> Vec<u8> {
    let text = |text: &str| proto::Value { text: Some(text.into()), ..proto::Value::default() };
    let hit = |(sku, name): &(&str, &str)| proto::SearchResult {
        properties: Some(proto::PropertiesResult {
            target_collection: "Product".into(),
            non_ref_props: Some(proto::Properties {
                fields: [("sku", *sku), ("name", *name)].map(|(k, v)| (k.into(), text(v))).into(),
            }),
        }),
        metadata: Some(proto::MetadataResult::default()),
    };
    let results = personal::MILKS.iter().take(count).map(hit).collect();
    proto::SearchReply { took: 0.5, results, ..proto::SearchReply::default() }.encode_to_vec()
}

/// What the upstream answers with, and its coding where it has one.
fn answer(asked: &Message<http::request::Parts>) -> (Vec<u8>, Option<&'static str>) {
    let listed = || {
        let request = proto::SearchRequest::decode(&unpacked(&asked.body)[..]).unwrap();
        milks(request.limit as usize)
    };
    match asked.head.headers.get(ANSWER_IN).map(|coding| coding.to_str().unwrap()) {
        Some("gzip") => (packed(&gzip(&listed())), Some("gzip")),
        Some("snappy") => (packed(b"no coding that we know"), Some("snappy")),
        _ => (grpc::frame(&listed()), None),
    }
}

/// A Weaviate of six milks, and the calls that it gets, undecoded.
struct Upstream {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Message<http::request::Parts>>>>,
}

impl Upstream {
    async fn start() -> Self {
        let asked = Arc::<Mutex<Vec<Message<http::request::Parts>>>>::default();
        let heard = asked.clone();
        let address = grpc::serve(Arc::new(move |request, mut respond| {
            let heard = heard.clone();
            Box::pin(async move {
                let (head, body) = request.into_parts();
                let (body, trailers) = collect(body).await?;
                let asked = Message { head, body, trailers };
                let (body, coding) = answer(&asked);
                heard.lock().unwrap().push(asked);
                let mut head = grpc::head();
                if let Some(coding) = coding {
                    head.headers_mut().insert(GRPC_ENCODING, HeaderValue::from_static(coding));
                }
                let mut out = respond.send_response(head, false)?;
                grpc::send(&mut out, Bytes::from(body)).await?;
                out.send_trailers(grpc::trailers(&grpc::Said::default()))
            })
        }))
        .await;
        Self { address, asked }
    }

    /// The body of the last call, and what it said of its coding.
    fn last(&self) -> (Vec<u8>, Option<String>) {
        let asked = self.asked.lock().unwrap();
        let last = asked.last().expect("a call");
        (last.body.clone(), coding(&last.head.headers))
    }
}

fn coding(headers: &HeaderMap) -> Option<String> {
    headers.get(GRPC_ENCODING).map(|coding| coding.to_str().unwrap().to_owned())
}

/// Calls with this body, in this coding, and wants an answer in that one.
async fn call(
    sidecar: &Sidecar,
    user: &str,
    (body, said): (&[u8], &str),
    answer_in: &str,
) -> Message<http::response::Parts> {
    let metadata = [
        ("grpc-encoding", said),
        ("grpc-accept-encoding", "identity,gzip,snappy"),
        ("x-user-id", user),
        (ANSWER_IN, answer_in),
    ];
    let channel = http2::connect(sidecar.data).await;
    let reply = http2::ask(&channel, grpc::call(SEARCH, &metadata), body, None).await.unwrap();
    assert_eq!(reply.trailers.as_ref().expect("trailers")["grpc-status"], "0");
    reply
}

fn search(limit: u32) -> Vec<u8> {
    let bm25 = Some(proto::Words { query: "milk".into() });
    let collection = "Product".into();
    proto::SearchRequest { collection, limit, bm25, ..Default::default() }.encode_to_vec()
}

fn outcome(reply: &Message<http::response::Parts>) -> &str {
    let said = reply.head.headers["x-leafrank"].to_str().unwrap();
    said.split("; us").next().unwrap()
}

fn skus(body: &[u8]) -> Vec<String> {
    let reply = proto::SearchReply::decode(&unpacked(body)[..]).unwrap();
    let sku = |hit: proto::SearchResult| {
        let properties = hit.properties.unwrap().non_ref_props.unwrap();
        properties.fields["sku"].text.clone().unwrap()
    };
    reply.results.into_iter().map(sku).collect()
}

/// A sidecar before `upstream`, and a shopper who bought the last milk.
async fn stand(upstream: &Upstream, window: u32) -> Sidecar {
    let sidecar = Sidecar::before(upstream.address).settings(&widened(window)).start().await;
    personal::teach(&sidecar, "u", "m6").await;
    sidecar
}

#[tokio::test]
async fn messages_in_gzip_are_re_ranked_and_answered_plain() {
    let upstream = Upstream::start().await;
    let sidecar = stand(&upstream, 0).await;
    let body = packed(&gzip(&search(6)));
    let reply = call(&sidecar, "u", (&body, "gzip"), "gzip").await;
    assert!(outcome(&reply).starts_with("reranked"), "{}", outcome(&reply));
    assert_eq!((reply.body[0], coding(&reply.head.headers)), (0, None), "plain, and says so");
    assert_eq!(skus(&reply.body), ["m6", "m1", "m2", "m3", "m4", "m5"]);
    assert_eq!(reply.body.len(), grpc::frame(&milks(6)).len());
    assert_eq!(upstream.last(), (body.clone(), Some("gzip".into())), "as the client asked");
    // Nobody is known: compressed as it came.
    let reply = call(&sidecar, "stranger", (&body, "gzip"), "gzip").await;
    assert_eq!(outcome(&reply), "bypass; reason=no_evidence");
    assert_eq!(reply.body, packed(&gzip(&milks(6))));
    assert_eq!(coding(&reply.head.headers).as_deref(), Some("gzip"));
}

#[tokio::test]
async fn a_message_in_gzip_is_widened_as_a_plain_one() {
    let upstream = Upstream::start().await;
    let sidecar = stand(&upstream, 6).await;
    let body = packed(&gzip(&search(2)));
    let reply = call(&sidecar, "u", (&body, "gzip"), "gzip").await;
    assert_eq!(skus(&reply.body), ["m6", "m1"], "{}", outcome(&reply));
    assert_eq!((reply.body[0], coding(&reply.head.headers)), (0, None));
    let (asked, said) = upstream.last();
    let request = proto::SearchRequest::decode(&unpacked(&asked)[..]).unwrap();
    assert_eq!((asked[0], said, request.limit), (0, None, 6), "plain, and says so");
}

#[tokio::test]
async fn a_message_in_an_unknown_coding_passes_byte_for_byte() {
    let upstream = Upstream::start().await;
    let sidecar = stand(&upstream, 0).await;
    let unknown = packed(b"no coding that we know");
    let known = grpc::frame(&search(6));
    let rows = [((&unknown, "snappy"), "snappy"), ((&known, "snappy"), "snappy")];
    for ((body, said), answer_in) in rows {
        let reply = call(&sidecar, "u", (body, said), answer_in).await;
        assert_eq!(outcome(&reply), "bypass; reason=not_protobuf");
        assert_eq!(upstream.last(), (body.clone(), Some("snappy".into())));
        assert_eq!(reply.body, unknown);
        assert_eq!(coding(&reply.head.headers).as_deref(), Some("snappy"));
    }
    // A coding that is named and not used hides nothing.
    let reply = call(&sidecar, "u", (&known, "snappy"), "").await;
    assert!(outcome(&reply).starts_with("reranked"), "{}", outcome(&reply));
    assert_eq!(skus(&reply.body)[0], "m6");
}
