//! Orders to try the server with.

use std::fmt::Write;

/// How many items make an order of about 1 KiB.
pub const SMALL: usize = 8;

/// How many items make an order of about 100 KiB.
pub const LARGE: usize = 800;

const CATEGORIES: [&str; 7] = [
    "Furniture",
    "Lighting",
    "Kitchen & Table",
    "Garden",
    "Textiles",
    "Office",
    "Storage",
];
const NAMES: [&str; 5] = [
    "Oak desk, 140 cm",
    "Floor lamp",
    "Stoneware bowl",
    "Linen curtain, grey",
    "Shelf (wall)",
];
const TAGS: [&str; 4] = ["new", "fragile", "two parcels", "gift"];

/// The JSON of an order: the same for the same number of items. Every fourth item has a note, and
/// every second of those has escapes.
pub fn order(items: usize) -> Vec<u8> {
    let mut json = format!(r#"{{"customer":"customer-{items:05}","items":["#);
    for index in 0..items {
        let comma = if index == 0 { "" } else { "," };
        let category = CATEGORIES[index * 5 % CATEGORIES.len()];
        let name = NAMES[index * 3 % NAMES.len()];
        let (quantity, cents) = (1 + index % 4, 995 + index * 7919 % 90_000);
        write!(
            json,
            r#"{comma}{{"sku":"SKU-{index:04}","name":"{name}","category":"{category}","#
        )
        .expect("a String takes all");
        write!(json, r#""quantity":{quantity},"unit_cents":{cents},"#).expect("as above");
        match index % 8 {
            0 => json.push_str(r#""note":"ring twice, please","#),
            4 => json.push_str(r#""note":"\"side\" door\nnot the gate","#),
            _ => {}
        }
        let tags = &TAGS[index % 3..][..index % 3];
        write!(json, r#""tags":{tags:?}}}"#).expect("as above");
    }
    json.push_str("]}");
    json.into_bytes()
}
