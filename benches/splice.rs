//! What it costs to find the hits of a reply and to exchange them.
//!
//! Bodies are made up in the shape of a GraphQL reply, some 650 bytes a hit: 20 hits (13 KB) and
//! 100 hits (66 KB); `grpc` has messages of Weaviate with 12 properties a hit, some 420 bytes. Beside our own way stand the floor (copying the body) and the ordinary way
//! (serde_json: raw elements, then a typed parse of each). `cargo bench --bench splice`.

#![expect(clippy::expect_used, reason = "a bench that cannot go on stops")]

use std::borrow::Cow;
use std::collections::HashMap;

use divan::{Bencher, black_box};
use leafrank::wire::{DecodeLimits, HitMap, HitPlan, Json, Pointer, splice};
use serde::Deserialize;
use serde_json::value::RawValue;

const HITS: [usize; 2] = [20, 100];

fn main() {
    divan::main();
}

/// A reply with `hits` hits.
fn body(hits: usize) -> Vec<u8> {
    let category = ["dairy", "snacks", "bakery", "produce", "frozen", "pantry"];
    let brand = ["Hilltop Farm", "Oat & Co", "Three Mills", "Northshore", "Casa Verde"];
    let attribute = ["organic", "vegan", "gluten_free", "local", "low_sugar", "kosher", "raw"];
    let pick = |from: &[&'static str], n: usize| from[n % from.len()];
    let one = |n: usize| {
        format!(
            concat!(
                r#"{{"_additional":{{"certainty":0.{c:04},"distance":0.{d:04},"#,
                r#""id":"{n:08x}-7f2c-4d1a-9c3e-{n:012x}","score":"0.{s:06}"}},"#,
                r#""product_id":"sku-{p:06}","name":"{b} \"Barista\" {k} {a} 64oz","#,
                r#""category":"{k}","brand":"{b}","attributes":["{a}","{a2}","{a3}"],"#,
                r#""price":{n}.{cents:02},"unit":"64 fl oz","in_stock":true,"#,
                r#""supplier":"{b} Specialty Foods","rating":4.{r},"description":"A creamy, "#,
                r#"all-purpose pick for coffee, cereal and baking \u2014 made in small batches, "#,
                r#"{a2} and shipped cold. Ingredients: water, oats, canola oil, calcium carbonate, "#,
                r#"sea salt, vitamins {{A, D2, B12}}.","#,
                r#""image_url":"https://img.shop.example/p/sku-{p:06}/main.jpg"}}"#
            ),
            n = n,
            c = 9_000 - n * 13 % 3_000,
            d = 1_000 + n * 17 % 3_000,
            s = 900_000 - n * 1_733,
            p = n * 7_919 % 1_000_000,
            k = pick(&category, n * 5),
            b = pick(&brand, n * 7),
            a = pick(&attribute, n),
            a2 = pick(&attribute, n * 3 + 1),
            a3 = pick(&attribute, n * 5 + 2),
            cents = n * 37 % 100,
            r = n % 10,
        )
    };
    let all: Vec<String> = (1..=hits).map(one).collect();
    format!(r#"{{"data":{{"Get":{{"Product":[{}]}}}}}}"#, all.join(",")).into_bytes()
}

fn plan() -> HitPlan {
    let at = |text| Pointer::parse(text).expect("a pointer");
    let map = HitMap {
        at: at("/data/Get/*"),
        id: at("/product_id"),
        id_or: None,
        name: Some(at("/name")),
        category: Some(at("/category")),
        brand: Some(at("/brand")),
        attributes: Some(at("/attributes")),
        terms: None,
        price: Some(at("/price")),
        score: Some(at("/_additional/score")),
        stock: Some(at("/in_stock")),
        sponsored: Some(at("/sponsored")),
    };
    HitPlan::new(&map, &[])
}

fn reversed(hits: usize) -> Vec<u32> {
    (0..hits as u32).rev().collect()
}

#[divan::bench(args = HITS)]
fn copy_floor(bencher: Bencher<'_, '_>, hits: usize) {
    let body = body(hits);
    bencher.bench(|| black_box(&body).clone());
}

#[divan::bench(args = HITS)]
fn check_only(bencher: Bencher<'_, '_>, hits: usize) {
    let body = body(hits);
    bencher.bench(|| Json::parse(black_box(&body)).is_ok());
}

#[divan::bench(args = HITS)]
fn decode_only(bencher: Bencher<'_, '_>, hits: usize) {
    let (body, plan, limits) = (body(hits), plan(), DecodeLimits::default());
    bencher.bench(|| plan.decode(black_box(&body), &limits).map(|reply| reply.lists.len()));
}

#[divan::bench(args = HITS)]
fn decode_and_splice(bencher: Bencher<'_, '_>, hits: usize) {
    let (body, plan, limits) = (body(hits), plan(), DecodeLimits::default());
    let order = reversed(hits);
    bencher.bench(|| {
        let reply = plan.decode(black_box(&body), &limits)?;
        splice(&body, &[(&reply.lists[0], &order)])
    });
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    data: Classes<'a>,
}

#[derive(Deserialize)]
struct Classes<'a> {
    #[serde(borrow, rename = "Get")]
    get: HashMap<&'a str, Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct Typed<'a> {
    #[serde(borrow)]
    product_id: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    category: Cow<'a, str>,
    #[serde(borrow)]
    brand: Cow<'a, str>,
    #[serde(borrow)]
    attributes: Vec<Cow<'a, str>>,
    price: f32,
}

/// The ordinary way, with the same result.
#[divan::bench(args = HITS)]
fn serde_json_raw(bencher: Bencher<'_, '_>, hits: usize) {
    let body = body(hits);
    let order = reversed(hits);
    bencher.bench(|| {
        let page: Page<'_> = serde_json::from_slice(black_box(&body)).expect("a page");
        let raw = &page.data.get["Product"];
        for hit in raw {
            let typed: Typed<'_> = serde_json::from_str(hit.get()).expect("a hit");
            black_box((&typed.product_id, &typed.name, &typed.category, &typed.brand));
            black_box((&typed.attributes, typed.price));
        }
        let start = |hit: &RawValue| hit.get().as_ptr() as usize - body.as_ptr() as usize;
        let mut out = Vec::with_capacity(body.len());
        let mut at = 0;
        for (slot, from) in raw.iter().zip(&order) {
            out.extend_from_slice(&body[at..start(slot)]);
            out.extend_from_slice(raw[*from as usize].get().as_bytes());
            at = start(slot) + slot.get().len();
        }
        out.extend_from_slice(&body[at..]);
        out
    });
}

/// Weaviate's gRPC replies, with the members that LeafLoaf's preset names.
mod grpc {
    use divan::{Bencher, black_box};
    use leafrank::wire::weaviate::grpc::{GrpcPlan, framed, request};
    use leafrank::wire::weaviate::protobuf::{put_bytes, put_number};
    use leafrank::wire::{DecodeLimits, HitMap, Pointer, splice};

    use super::{HITS, reversed};

    /// An entry of a hit's properties; `kind` is the number of the value's field.
    fn property(name: &str, kind: u32, value: &[u8], out: &mut Vec<u8>) {
        let (mut inner, mut entry) = (Vec::new(), Vec::new());
        match kind {
            1 => {
                inner.push(1 << 3 | 1);
                inner.extend_from_slice(value);
            }
            3 => put_number(&mut inner, 3, u64::from(value == b"true")),
            _ => put_bytes(&mut inner, kind, value),
        }
        put_bytes(&mut entry, 1, name.as_bytes());
        put_bytes(&mut entry, 2, &inner);
        put_bytes(out, 1, &entry);
    }

    fn hit(n: usize) -> Vec<u8> {
        let (mut words, mut list, mut fields, mut properties) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for word in ["hunnyz", "produce", "fruit", "apples"] {
            put_bytes(&mut words, 1, word.as_bytes());
        }
        put_bytes(&mut list, 8, &words);
        let sku = format!("BALDOR_AP{n:03}RT");
        let price = (n as f64 + 0.25).to_le_bytes();
        let all: [(&str, u32, &[u8]); 12] = [
            ("supplierCategory", 13, b"Fruit/Apples"),
            ("retailPrice", 1, &price),
            ("category", 13, b"Produce"),
            ("searchTerms", 5, &list),
            ("isOrganic", 3, if n.is_multiple_of(3) { b"true" } else { b"false" }),
            ("packSize", 13, b"64-72 CT CTN"),
            ("sku", 13, sku.as_bytes()),
            ("name", 13, b"HUNNYZ APPLES 64-72 CT"),
            ("retailPackSize", 13, b"case"),
            ("supplier", 13, b"Baldor"),
            ("wholesalePrice", 1, &price),
            ("usage", 13, b"Fruit/Apples"),
        ];
        // servers write the properties of each hit in another order
        for place in 0..all.len() {
            let (name, kind, value) = all[(place * 5 + n) % all.len()];
            property(name, kind, value, &mut fields);
        }
        put_bytes(&mut properties, 3, b"Product");
        put_bytes(&mut properties, 11, &fields);
        let (mut metadata, mut result) = (Vec::new(), Vec::new());
        put_bytes(&mut metadata, 1, format!("{n:08x}-cad3-56e9-8c4e-{n:012x}").as_bytes());
        put_bytes(&mut metadata, 20, &(n as u128).to_be_bytes());
        put_bytes(&mut result, 1, &properties);
        put_bytes(&mut result, 2, &metadata);
        result
    }

    fn body(hits: usize) -> Vec<u8> {
        let mut message = b"\x0d\0\0\x80\x3f".to_vec();
        (0..hits).for_each(|n| put_bytes(&mut message, 2, &hit(n)));
        put_bytes(&mut message, 3, b"");
        framed(&message).expect("a small message")
    }

    fn plan() -> GrpcPlan {
        let at = |text| Pointer::parse(text).expect("a pointer");
        GrpcPlan::new(&HitMap {
            id: at("/sku"),
            name: Some(at("/name")),
            category: Some(at("/supplierCategory")),
            brand: Some(at("/supplier")),
            price: Some(at("/retailPrice")),
            terms: Some(at("/searchTerms")),
            stock: Some(at("/isOrganic")),
            ..HitMap::default()
        })
    }

    #[divan::bench(args = HITS)]
    fn copy_floor(bencher: Bencher<'_, '_>, hits: usize) {
        let body = body(hits);
        bencher.bench(|| black_box(&body).clone());
    }

    #[divan::bench(args = HITS)]
    fn decode_only(bencher: Bencher<'_, '_>, hits: usize) {
        let (body, plan, limits) = (body(hits), plan(), DecodeLimits::default());
        bencher.bench(|| plan.decode(black_box(&body), &limits).map(|reply| reply.lists.len()));
    }

    #[divan::bench(args = HITS)]
    fn decode_and_splice(bencher: Bencher<'_, '_>, hits: usize) {
        let (body, plan, limits) = (body(hits), plan(), DecodeLimits::default());
        let order = reversed(hits);
        bencher.bench(|| {
            let reply = plan.decode(black_box(&body), &limits)?;
            splice(&body, &[(&reply.lists[0], &order)])
        });
    }

    #[divan::bench]
    fn request_of_the_shop(bencher: Bencher<'_, '_>) {
        let (mut message, mut names, mut bm25) = (Vec::new(), Vec::new(), Vec::new());
        for name in ["sku", "name", "supplier", "supplierCategory", "retailPrice", "searchTerms"] {
            put_bytes(&mut names, 1, name.as_bytes());
        }
        put_bytes(&mut bm25, 1, b"organic apples");
        put_bytes(&mut message, 1, b"Product");
        put_bytes(&mut message, 20, &names);
        put_bytes(&mut message, 21, b"\x08\x01");
        put_number(&mut message, 30, 45);
        put_bytes(&mut message, 42, &bm25);
        bencher.bench(|| request(black_box(&message)).is_ok());
    }
}
