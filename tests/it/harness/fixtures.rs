//! Recorded traffic beside the project, where it is there.

use std::io::Write;
use std::path::PathBuf;

/// A file or folder under `../shared`, or `None` with the reason printed.
pub fn shared(path: &str) -> Option<PathBuf> {
    let found = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared").join(path);
    if found.exists() {
        return Some(found);
    }
    // Past the test runner's capture: a skipped story must be seen where it passes.
    let _ = writeln!(std::io::stderr(), "skipped: ../shared/{path} is not beside this checkout");
    None
}

/// The lines of a recorded session, as JSON.
pub fn session(path: &str) -> Option<Vec<serde_json::Value>> {
    let text = std::fs::read_to_string(shared(path)?).expect("a recorded session");
    Some(text.lines().map(|line| serde_json::from_str(line).expect("one JSON a line")).collect())
}

/// A LeafLoaf reply with these (sku, name) hits.
pub fn leafloaf(hits: &[(&str, &str)]) -> Vec<u8> {
    let products: Vec<serde_json::Value> = hits
        .iter()
        .map(|(sku, name)| {
            serde_json::json!({
                "product_id": format!("random-{sku}"), "sku": sku, "product_name": name,
                "product_description": "", "price": 3.5, "supplier": "Harvest Lane",
                "category": "Produce", "dietary_info": [], "in_stock": true, "score": null
            })
        })
        .collect();
    serde_json::json!({
        "success": true, "query": "q", "results": null, "products": products,
        "metadata": {"total_count": hits.len()}, "order": null
    })
    .to_string()
    .into_bytes()
}
