//! What it costs to find the hits of a reply and to exchange them.
//!
//! Bodies are made up in the shape of a GraphQL reply, some 650 bytes a hit: 20 hits (13 KB) and
//! 100 hits (66 KB). Beside our own way stand the floor (copying the body) and the ordinary way
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
