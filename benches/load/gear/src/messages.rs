//! Messages of `weaviate.v1`, written by hand: what a client of twelve properties asks, and what a
//! Weaviate answers, some 420 bytes a hit. Field numbers are those of Weaviate's `grpc/proto/v1`.

const PROPERTIES: [&str; 12] = [
    "searchTerms",
    "category",
    "wholesalePrice",
    "name",
    "supplierCategory",
    "supplier",
    "retailPackSize",
    "usage",
    "sku",
    "isOrganic",
    "packSize",
    "retailPrice",
];
const CATEGORIES: [&str; 6] = [
    "Vegetables/Leafy Greens",
    "Vegetables/Salad Mixes",
    "Vegetables/Fresh Cut",
    "Herbs/Tender",
    "Organic/Greens",
    "Frozen/Vegetables",
];
const SUPPLIERS: [&str; 9] = [
    "Hilltop Farm",
    "Oat & Co",
    "Three Mills",
    "Northshore",
    "Casa Verde",
    "Blue Barn",
    "Old Creek",
    "Sunday Greens",
    "Alder Lane",
];
const KINDS: [&str; 7] = ["Curly", "Savoy", "Flat Leaf", "Bunched", "Teen", "Bloomsdale", "Tatsoi"];
/// Orders of properties in replies.
const ORDERS: usize = 12;
const QUERIES: [&str; 4] = ["spinach", "baby spinach", "organic spinach", "organic baby spinach"];

/// A body of one message, uncompressed.
fn framed(message: &[u8]) -> Vec<u8> {
    [&[0][..], &(message.len() as u32).to_be_bytes(), message].concat()
}

fn varint(out: &mut Vec<u8>, mut number: usize) {
    while number > 127 {
        out.push(number as u8 | 128);
        number >>= 7;
    }
    out.push(number as u8);
}

fn bytes(out: &mut Vec<u8>, field: usize, value: &[u8]) {
    varint(out, field << 3 | 2);
    varint(out, value.len());
    out.extend_from_slice(value);
}

fn number(out: &mut Vec<u8>, field: usize, value: usize) {
    varint(out, field << 3);
    varint(out, value);
}

/// A message in a field.
fn within(field: usize, parts: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    bytes(&mut out, field, &parts.concat());
    out
}

fn text(field: usize, value: &str) -> Vec<u8> {
    within(field, &[value.as_bytes().to_vec()])
}

/// A search's body, as one shopper asks it.
pub fn request(shopper: usize, hits: usize) -> Vec<u8> {
    let mut page = Vec::new();
    number(&mut page, 30, hits);
    let mut uuid = Vec::new();
    number(&mut uuid, 1, 1);
    let mut versions = Vec::new();
    (100..103).for_each(|field| number(&mut versions, field, 1));
    let named = PROPERTIES.map(|name| text(1, name));
    let words = text(1, QUERIES[shopper % QUERIES.len()]);
    let parts = [
        text(1, "Product"),
        within(20, &named),
        within(21, &[uuid]),
        page,
        within(42, &[words]),
        versions,
    ];
    framed(&parts.concat())
}

/// Does this request ask for a hundred hits?
pub fn asks_for_many(request: &[u8]) -> bool {
    // Field 30; names and words are ASCII and hold no such byte.
    request.windows(3).any(|three| three == [0xf0, 0x01, 100])
}

/// Bodies that answer: the same hits, their properties in another order each time. Weaviate is
/// written in Go, whose maps have none.
pub fn replies(hits: usize) -> Vec<Vec<u8>> {
    let took = [&[0x0d][..], &0.004_f32.to_le_bytes()].concat();
    let reply = |order: usize| {
        let all: Vec<u8> = (1..=hits).flat_map(|n| hit(n, n * 7 + order * 5)).collect();
        framed(&[took.clone(), all].concat())
    };
    (0..ORDERS).map(reply).collect()
}

fn hit(n: usize, turned: usize) -> Vec<u8> {
    let (kind, supplier) = (KINDS[n * 3 % KINDS.len()], SUPPLIERS[n * 7 % SUPPLIERS.len()]);
    let category = CATEGORIES[n * 5 % CATEGORIES.len()];
    let terms = [kind, "spinach", "greens", "salad", "leafy", "organic"].map(|term| text(1, term));
    let price = |cents: usize| {
        let cents = 200 + cents % 900;
        [&[0x09][..], &(cents as f64 / 100.0).to_le_bytes()].concat()
    };
    let value = |name: &str| match name {
        "searchTerms" => within(5, &[within(8, &terms)]),
        "wholesalePrice" => price(n * 37),
        "retailPrice" => price(n * 53),
        "isOrganic" => vec![0x18, u8::from(n % 2 == 0)],
        "name" => text(13, &format!("Organic Baby Spinach {kind} {} oz, {supplier}", 4 + n % 40)),
        "supplierCategory" | "usage" => text(13, category),
        "supplier" => text(13, supplier),
        "sku" => text(13, &format!("SKU-{n:05}")),
        "packSize" => text(13, &format!("{}CT CASE", 6 + n % 30)),
        "retailPackSize" => text(13, "case"),
        _ => text(13, "Produce"),
    };
    let mut entries = PROPERTIES.map(|name| within(1, &[text(1, name), within(2, &[value(name)])]));
    entries.rotate_left(turned % PROPERTIES.len());
    if turned % 2 == 1 {
        entries.reverse();
    }
    let properties = within(1, &[text(3, "Product"), within(11, &entries)]);
    let (a, b) = ((n * 2_654_435_761) as u32, n * 11_400_714_819 % 0xffff_ffff_ffff);
    let id = format!("{a:08x}-7f2c-4d1a-9c3e-{b:012x}");
    let raw = [&a.to_be_bytes()[..], b"\x7f\x2c\x4d\x1a\x9c\x3e", &b.to_be_bytes()[2..]].concat();
    within(2, &[properties, within(2, &[text(1, &id), within(20, &[raw])])])
}

/// Is `moved` one of these bodies, its hits in another order?
pub fn is_moved_of(natural: &[Vec<u8>], moved: &[u8]) -> bool {
    natural.iter().any(|natural| is_moved(natural, moved))
}

/// Is `moved` a body of the same hits, in another order, and of the same bytes otherwise?
fn is_moved(natural: &[u8], moved: &[u8]) -> bool {
    let (Some(mut was), Some(mut is)) = (records(natural), records(moved)) else { return false };
    let differs = was != is;
    was.sort_unstable();
    is.sort_unstable();
    differs && was == is && natural[..10] == moved[..10]
}

/// The hits of a body, behind its head and `took`.
fn records(body: &[u8]) -> Option<Vec<&[u8]>> {
    let mut rest = body.get(10..)?;
    let mut all = Vec::new();
    while !rest.is_empty() {
        let (mut length, mut at) = (0, 1);
        loop {
            let byte = usize::from(*rest.get(at)?);
            length |= (byte & 127) << (7 * (at - 1));
            at += 1;
            if byte < 128 {
                break;
            }
        }
        let (record, after) = rest.split_at_checked(at + length)?;
        all.push(record);
        rest = after;
    }
    Some(all)
}
