//! The shipped settings and presets are what they say they are.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::*;
use crate::types::interaction::InteractionKind;
use crate::yaml::{Problems, shape, tree};

const TEXT: &str = include_str!("../../config/leafrank.yaml");

fn parse(file: Option<&str>, text: &str) -> Settings {
    let environment = BTreeMap::new();
    let text = SettingsText { file, text, environment: &environment, flags: &[] };
    Settings::parse(&text).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// Every key that is written in a tree, sections left out.
fn written(tree: &Json, schema: &Json, path: &str, into: &mut BTreeSet<String>) {
    let known = shape::keys(schema);
    let Json::Object(map) = tree else { return };
    for (key, inner) in map {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let section = known.iter().any(|key| key.starts_with(&format!("{path}.")));
        if section {
            written(inner, schema, &path, into);
        } else {
            into.insert(path);
        }
    }
}

#[test]
fn the_shipped_file_holds_every_key_and_no_other() {
    for (text, schema) in [(TEXT, schema()), (crate::rules::SHIPPED_TEXT, crate::rules::schema())] {
        let mut problems = Problems::default();
        let tree = tree::parse("shipped", text, &mut problems).to_json();
        let mut keys = BTreeSet::new();
        written(&tree, &schema, "", &mut keys);
        assert_eq!(keys, shape::keys(&schema).into_iter().collect());
    }
}

#[test]
fn the_shipped_file_says_what_an_empty_one_means() {
    let shipped = parse(Some("config/leafrank.yaml"), TEXT);
    let empty = parse(Some("config/leafrank.yaml"), "");
    for (shipped, empty) in shipped.effective.iter().zip(&empty.effective) {
        assert_eq!((&shipped.key, &shipped.value), (&empty.key, &empty.value));
        assert_eq!((shipped.origin, empty.origin), (Origin::File, Origin::Default));
    }
    assert_eq!(shipped.rules.path.as_deref(), Some("config/personalization_rules.yaml".as_ref()));
    assert!(!shipped.rules.may_be_missing && empty.rules.may_be_missing);
}

#[test]
fn every_line_of_the_shipped_files_is_explained() {
    for text in [TEXT, crate::rules::SHIPPED_TEXT] {
        let mut explained = false;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() {
                explained = false;
            } else if line.starts_with('#') || line.ends_with(':') || line.contains(" # ") {
                explained = true;
            } else {
                assert!(explained, "line {}: {line}", number + 1);
            }
        }
    }
}

fn route<'s>(settings: &'s Settings, name: &str) -> &'s Route {
    settings.routes.iter().find(|route| route.name == name).expect(name)
}

#[test]
fn the_leafloaf_preset_ranks_by_sku_in_the_default_mode_and_only_without_an_order() {
    let settings = parse(None, "");
    let search = route(&settings, "leafloaf-search");
    assert!(search.read && search.learn && search.method == Some(http::Method::POST));
    let RouteKind::Search(search) = &search.kind else { panic!("a search") };
    assert_eq!(search.mode, Mode::Shadow);
    assert_eq!(search.hits.at, Pointer(vec!["products".into()]));
    assert_eq!(search.hits.id, Pointer(vec!["sku".into()]));
    assert_eq!(search.only_if[0].is, Expected::Null);
    assert!(!route(&settings, "leafloaf-order").read);
    let RouteKind::Event(track) = &route(&settings, "leafloaf-track").kind else {
        panic!("an event")
    };
    assert_eq!(track.product, [Source::Body(Pointer(vec!["product".into(), "sku".into()]))]);
    let name = |map: &Option<HitMap>| map.as_ref().and_then(|map| map.name.clone());
    let pointer = |name: &str| Some(Pointer(vec!["product".into(), name.into()]));
    assert_eq!(name(&track.facts), pointer("product_name"));
    assert_eq!(name(&track.facts_or), pointer("name"));
    let RouteKind::Event(click) = &route(&settings, "leafloaf-click").kind else {
        panic!("an event")
    };
    assert_eq!(click.kind, Some(InteractionKind::Click));
}

#[test]
fn the_demo_preset_buys_line_by_line() {
    let settings = parse(None, "presets: [demo, leafloaf]\nmode: on\n");
    let RouteKind::Event(checkout) = &route(&settings, "demo-checkout").kind else {
        panic!("an event")
    };
    assert_eq!(checkout.each, Some(Pointer(vec!["lines".into(), "*".into()])));
    assert_eq!(checkout.kind, Some(InteractionKind::Purchase { subscription: false }));
    assert!(route(&settings, "demo-product").read);
    let RouteKind::Search(search) = &route(&settings, "leafloaf-search").kind else {
        panic!("a search")
    };
    assert_eq!(search.mode, Mode::On);
}

#[test]
fn generated_schemas_are_the_ones_on_disk_and_the_shipped_files_fit_them() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, schema, text) in [
        ("leafrank", schema(), TEXT),
        ("personalization_rules", crate::rules::schema(), crate::rules::SHIPPED_TEXT),
    ] {
        let path = root.join(format!("rules/schema/{name}.schema.json"));
        let generated = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if std::env::var_os("LEAFRANK_BLESS").is_some() {
            std::fs::write(&path, &generated).unwrap();
        }
        let on_disk = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(on_disk == generated, "{}: run again with LEAFRANK_BLESS=1", path.display());
        let mut problems = Problems::default();
        let tree = tree::parse(name, text, &mut problems).to_json();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let errors: Vec<String> = validator.iter_errors(&tree).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}");
        let first = text.lines().next().unwrap_or_default();
        assert_eq!(
            first,
            format!("# yaml-language-server: $schema=../rules/schema/{name}.schema.json")
        );
    }
}

/// `shape` must know every keyword that a schema uses, and every number needs its two limits.
#[test]
fn schemas_use_only_what_the_reader_understands_and_limit_every_number() {
    fn walk(schema: &Json, path: &str) {
        let Json::Object(map) = schema else { return };
        for key in map.keys() {
            let known = [
                "$schema",
                "title",
                "description",
                "default",
                "format",
                "type",
                "properties",
                "additionalProperties",
                "required",
                "minProperties",
                "maxProperties",
                "items",
                "minItems",
                "enum",
                "oneOf",
                "anyOf",
                "const",
                "minimum",
                "maximum",
                "minLength",
            ];
            assert!(known.contains(&key.as_str()), "{path}: {key}");
        }
        let shape = shape::Shape::of(schema);
        if matches!(shape.kind, shape::Kind::Integer | shape::Kind::Number) {
            let limited = map.contains_key("minimum") && map.contains_key("maximum");
            assert!(limited, "{path} has no limits");
        }
        for (key, inner) in map.get("properties").and_then(Json::as_object).into_iter().flatten() {
            assert!(inner.get("description").is_some(), "{path}.{key} is not described");
            walk(inner, &format!("{path}.{key}"));
        }
        for key in ["items", "additionalProperties"] {
            map.get(key).into_iter().for_each(|inner| walk(inner, &format!("{path}[]")));
        }
        for inner in map.get("anyOf").and_then(Json::as_array).into_iter().flatten() {
            walk(inner, path);
        }
    }
    walk(&schema(), "settings");
    walk(&crate::rules::schema(), "rules");
    walk(&crate::cases::schema(), "cases");
}

#[test]
fn no_setting_can_be_mistaken_for_what_kubernetes_sets_beside_a_service() {
    for key in shape::keys(&schema()) {
        assert!(!variable(&key).ends_with("_PORT") && !variable(&key).contains("_SERVICE_"));
    }
}
