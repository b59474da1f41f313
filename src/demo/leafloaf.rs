//! LeafLoaf's catalogue files as its replies show them.
//!
//! In: a directory with `products.json`, `product_prices.json` and `supplier_products.json`. Out:
//! products. Replies of the real shop show the retail price times 2.5, rounded to a tenth, and
//! names with every word capitalised; its production replies show `Produce/Fruit/Apples`, so that
//! the category here is category and subcategory. Never writes. Limits: [`FILE_BYTES_MAX`] a file.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::catalog::{CatalogError, Product};

/// Largest file read, in bytes.
pub(super) const FILE_BYTES_MAX: u64 = 64 << 20;

/// What LeafLoaf's converter multiplies the retail price by.
const PRICE_FACTOR: f64 = 2.5;

/// Units of the weights that the converter takes out of names.
const UNITS: [&str; 5] = ["LB", "OZ", "PT", "GAL", "KG"];

/// Words of packing that the converter takes out of names.
const PACK_WORDS: [&str; 3] = ["BAG", "BUNCH", "FLAT"];

#[derive(Deserialize)]
struct ProductRow {
    sku: String,
    name: String,
    #[serde(default)]
    brand: String,
    category: String,
    #[serde(default)]
    subcategory: String,
    #[serde(default)]
    is_organic: bool,
    #[serde(default)]
    unit_size: String,
    #[serde(default)]
    search_terms: Vec<String>,
}

#[derive(Deserialize)]
struct PriceRow {
    product_sku: String,
    retail_price: f64,
    end_date: Option<String>,
}

#[derive(Deserialize)]
struct SupplierRow {
    product_sku: String,
}

pub(super) fn read(dir: &Path) -> Result<Vec<Product>, CatalogError> {
    let rows: Vec<ProductRow> = read_json(&dir.join("products.json"))?;
    let prices = current_prices(read_json(&dir.join("product_prices.json"))?);
    let supplied: Vec<SupplierRow> = read_json(&dir.join("supplier_products.json"))?;
    let supplied: HashSet<String> = supplied.into_iter().map(|row| row.product_sku).collect();
    rows.into_iter()
        .map(|row| {
            let fault = |file: &str, reason: &str| CatalogError::Entry {
                place: format!("{}: sku {:?}", dir.join(file).display(), row.sku),
                reason: reason.to_owned(),
            };
            let price = prices.get(&row.sku).copied();
            let price = price.ok_or_else(|| fault("product_prices.json", "no price"))?;
            if !supplied.contains(&row.sku) {
                return Err(fault("supplier_products.json", "no supplier"));
            }
            Ok(product(row, price))
        })
        .collect()
}

fn product(row: ProductRow, retail_price: f64) -> Product {
    let name = capitalised(&without_size(&row.name));
    let category = match row.subcategory.as_str() {
        "" => row.category,
        below => format!("{}/{below}", row.category),
    };
    Product {
        sku: row.sku,
        shelf_name: name.clone(),
        name,
        brand: row.brand,
        category,
        price: tenths(retail_price * PRICE_FACTOR),
        size: row.unit_size,
        attributes: if row.is_organic { vec!["organic".to_owned()] } else { Vec::new() },
        terms: row.search_terms,
    }
}

/// The price without an end date wins over those that ended.
fn current_prices(rows: Vec<PriceRow>) -> HashMap<String, f64> {
    let mut prices: HashMap<String, (bool, f64)> = HashMap::new();
    for row in rows {
        let current = row.end_date.is_none();
        let entry = prices.entry(row.product_sku).or_insert((current, row.retail_price));
        if current && !entry.0 {
            *entry = (current, row.retail_price);
        }
    }
    prices.into_iter().map(|(sku, (_, price))| (sku, price)).collect()
}

/// Rounded as the shop's language does it: to one decimal, a tie to the even digit.
fn tenths(price: f64) -> f64 {
    format!("{price:.1}").parse().unwrap_or(price)
}

/// The name as the shop's converter leaves it: without whole-number weights and pack words.
///
/// A weight such as `2.5 LB` loses only what follows the point, as in recorded replies.
fn without_size(name: &str) -> String {
    let words: Vec<&str> = name.split_whitespace().collect();
    let is_unit = |at: usize| words.get(at).is_some_and(|word| UNITS.contains(word));
    let mut kept: Vec<&str> = Vec::with_capacity(words.len());
    let mut at = 0;
    while at < words.len() {
        let word = words[at];
        let number = word.trim_end_matches(|c: char| c.is_ascii_digit());
        let weighs = number.len() < word.len() && (number.is_empty() || number.ends_with('.'));
        let unit = word.trim_start_matches(|c: char| c.is_ascii_digit());
        let joined = unit.len() < word.len() && UNITS.contains(&unit);
        if weighs && is_unit(at + 1) {
            if !number.is_empty() {
                kept.push(number);
            }
            at += 1;
        } else if !joined && !PACK_WORDS.contains(&word) {
            kept.push(word);
        }
        at += 1;
    }
    kept.join(" ")
}

/// Every run of letters begins with a capital and goes on small: `12X1 Pt`.
fn capitalised(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut inside = false;
    for c in name.chars() {
        if inside {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        inside = c.is_alphabetic();
    }
    out
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, CatalogError> {
    let fault = |source| CatalogError::Read { path: path.to_owned(), source };
    let bytes = std::fs::metadata(path).map_err(fault)?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(CatalogError::TooLarge { path: path.to_owned(), bytes });
    }
    let text = std::fs::read(path).map_err(fault)?;
    serde_json::from_slice(&text)
        .map_err(|source| CatalogError::Json { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_capitalised_as_in_recorded_replies() {
        assert_eq!(capitalised("TOMATO CHERRY MIX 12X1 PT"), "Tomato Cherry Mix 12X1 Pt");
        assert_eq!(capitalised("MAKRUT (KAFFIR) LIMES"), "Makrut (Kaffir) Limes");
    }

    #[test]
    fn names_lose_what_the_converter_takes_out() {
        for (written, shown) in [
            (
                "TOMATO HEIRLOOM CHEROKEE PURPLE 10 LB 1 LYR",
                "TOMATO HEIRLOOM CHEROKEE PURPLE 1 LYR",
            ),
            ("SPINACH TRIPLE WASHED 4X2.5 LB ORG", "SPINACH TRIPLE WASHED 4X2. ORG"),
            ("TOMATO GRAPE 12 X 1 PT ORG", "TOMATO GRAPE 12 X ORG"),
            ("HUNNYZ APPLES 64-72 CT", "HUNNYZ APPLES 64-72 CT"),
            ("TOMATO MEDLEY MIX 12X8 OZ", "TOMATO MEDLEY MIX 12X8 OZ"),
            ("MANDA ROSERED MANDARINS 15 X 2LB", "MANDA ROSERED MANDARINS 15 X"),
        ] {
            assert_eq!(without_size(written), shown);
        }
    }

    #[test]
    fn prices_are_rounded_as_in_recorded_replies() {
        for (retail, shown) in [(96.25, 240.6), (57.5, 143.8), (24.5, 61.2), (112.64, 281.6)] {
            assert_eq!(tenths(retail * PRICE_FACTOR), shown);
        }
    }

    #[test]
    fn a_missing_file_and_a_product_without_price_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = read(dir.path()).unwrap_err().to_string();
        assert!(error.contains("cannot read") && error.contains("products.json"), "{error}");
        let write = |file: &str, text: &str| std::fs::write(dir.path().join(file), text).unwrap();
        write("products.json", r#"[{"sku":"A1","name":"KALE","category":"Produce"}]"#);
        write("product_prices.json", "[]");
        write("supplier_products.json", r#"[{"product_sku":"A1"}]"#);
        let error = read(dir.path()).unwrap_err().to_string();
        assert!(error.ends_with("sku \"A1\": no price"), "{error}");
        write("product_prices.json", "{}");
        assert!(matches!(read(dir.path()), Err(CatalogError::Json { .. })));
    }
}
