//! Mutation test: every change to this project's documents must be detected.
//!
//! A document contains thousands of places to mutate, so its parts are tested separately: each schema, each operation,
//! the rest.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::super::both::Both;
use super::super::document::{Document, Operation};
use super::super::finding::{Finding, is_text};
use super::super::operations::compare;
use super::super::schema;
use super::{Breaks, verdict};

fn documents() -> Vec<(String, Value)> {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets the variable");
    let texts = super::super::documents(&Path::new(&package).join("../..")).expect("the documents");
    let documents = texts.into_iter().map(|(name, text)| (name, serde_json::from_str::<Value>(&text).expect("JSON")));
    documents.filter(|(_, document)| document.get("openapi").is_some()).collect()
}

fn document(value: &Value) -> Document {
    Document::of(value.clone()).expect("a document")
}

/// Returns the pointers to all object members below a pointer, excluding text.
fn places(document: &Value, below: &str) -> Vec<String> {
    let mut places = Vec::new();
    collect(document.pointer(below).expect("a value"), below, is_map(below), &mut places);
    places.retain(|pointer| !has_no_effect(document, pointer));
    places
}

/// Returns whether the keys of the object are names rather than keywords of the specification.
fn is_map(pointer: &str) -> bool {
    const MAPS: &[&str] = &["content", "headers", "paths", "properties", "responses", "schemas", "securitySchemes"];
    MAPS.contains(&pointer.rsplit('/').next().unwrap_or_default())
}

fn collect(value: &Value, pointer: &str, is_map: bool, places: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (key, member) in members.iter().filter(|(key, _)| is_map || !is_text(key)) {
                let pointer = format!("{pointer}/{}", key.replace('/', "~1"));
                collect(member, &pointer, self::is_map(&pointer) && !is_map, places);
                places.push(pointer);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(item, &format!("{pointer}/{index}"), false, places);
            }
        }
        _ => {}
    }
}

/// Returns whether a value is redundant, so that changes to it need not be detected.
fn has_no_effect(document: &Value, pointer: &str) -> bool {
    let key = pointer.rsplit('/').next().unwrap_or_default();
    let value = document.pointer(pointer);
    ["bearerFormat", "style"].contains(&key)
        || key == "security" && value == Some(&json!([]))
        || ["required", "nullable"].contains(&key) && value == Some(&json!(false))
        // URLs and headers cannot represent null.
        || ["/parameters/", "/headers/"].iter().any(|of| pointer.contains(of)) && pointer.ends_with("/schema/nullable")
}

/// Returns the pointers to an operation's error codes, which are keys of examples.
fn codes(document: &Value, operation: &Value) -> Vec<String> {
    let answers = operation["responses"].as_object().expect("responses").values();
    let names = answers.filter_map(|answer| answer["$ref"].as_str()?.strip_prefix('#'));
    let codes = names.flat_map(|response| {
        let examples = format!("{response}/content/application~1json/examples");
        let listed = document.pointer(&examples).and_then(Value::as_object).expect("examples");
        listed.keys().map(move |code| format!("{examples}/{code}"))
    });
    codes.collect()
}

fn parent_and_key<'a>(document: &'a mut Value, pointer: &str) -> (&'a mut Map<String, Value>, String) {
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    let parent = document.pointer_mut(parent).and_then(Value::as_object_mut).expect("an object");
    (parent, key.replace("~1", "/"))
}

fn removed(document: &Value, pointer: &str) -> Value {
    let mut document = document.clone();
    let (parent, key) = parent_and_key(&mut document, pointer);
    parent.shift_remove(&key);
    document
}

fn renamed(document: &Value, pointer: &str) -> Value {
    let mut document = document.clone();
    let (parent, key) = parent_and_key(&mut document, pointer);
    let value = parent.shift_remove(&key).expect("a member");
    parent.insert(format!("{key}Renamed"), value);
    document
}

fn retyped(document: &Value, pointer: &str) -> Value {
    let mut document = document.clone();
    let value = document.pointer_mut(pointer).expect("a value");
    *value = match value {
        Value::String(text) => json!(format!("{text}x")),
        Value::Number(number) => json!(number.as_f64().unwrap_or_default() + 1000.5),
        Value::Bool(flag) => json!(!*flag),
        _ => json!("another type"),
    };
    document
}

/// Mutation of the value at a pointer, and its name.
type Mutation = (&'static str, fn(&Value, &str) -> Value);

const MUTATIONS: &[Mutation] = &[("removed", removed), ("renamed", renamed), ("retyped", retyped)];

/// Returns the mutations that `is_detected` fails to detect.
fn undetected(value: &Value, places: &[String], is_detected: impl Fn(&Document) -> bool) -> Vec<String> {
    let changes = places.iter().flat_map(|place| MUTATIONS.iter().map(move |(how, mutate)| (place, how, mutate)));
    let undetected = changes.filter(|(place, _, mutate)| {
        // A document that cannot be parsed counts as detected.
        Document::of(mutate(value, place)).is_ok_and(|new| !is_detected(&new))
    });
    undetected.map(|(place, how, _)| format!("{place} {how}")).collect()
}

fn found(old: &Document, new: &Document) -> Vec<Finding> {
    compare(Both { old, new }).into_iter().flat_map(|differences| differences.found).collect()
}

/// Returns the document with all schemas emptied.
fn hollow(document: &Value) -> Value {
    let mut document = document.clone();
    let schemas = document["components"]["schemas"].as_object_mut().expect("schemas");
    schemas.values_mut().for_each(|schema| *schema = json!({"type": "object"}));
    document
}

/// Returns the document reduced to this operation.
fn alone(document: &Value, operation: Operation<'_>) -> Value {
    let mut document = document.clone();
    document["paths"] = json!({operation.path: {operation.method: operation.value}});
    document
}

#[test]
fn every_change_of_a_schema_is_detected() {
    let mut tried = 0;
    for (name, value) in documents() {
        for (schema, content) in value["components"]["schemas"].as_object().expect("schemas") {
            let mut value = hollow(&value);
            value["paths"] = json!({});
            value["components"] = json!({"schemas": value["components"]["schemas"]});
            value["components"]["schemas"][schema] = content.clone();
            let old = document(&value);
            let reference = json!({"$ref": format!("#/components/schemas/{schema}")});
            let differ = |new: &Document| {
                !schema::compare(Both { old: &old, new }, Both { old: &reference, new: &reference }).is_empty()
            };
            let places = places(&value, &format!("/components/schemas/{schema}"));
            let undetected = undetected(&value, &places, differ);
            assert!(undetected.is_empty(), "{name}: undetected: {undetected:#?}");
            assert!(!differ(&old), "{name}: {schema} differs from itself");
            tried += places.len();
        }
    }
    assert!(tried > 700, "only {tried} places: the traversal misses some");
}

#[test]
fn every_change_of_an_operation_is_detected() {
    let mut tried = 0;
    for (name, value) in documents() {
        let hollow = hollow(&value);
        for operation in document(&value).operations() {
            let value = alone(&hollow, operation);
            let (old, places) = (document(&value), places(&value, "/paths"));
            let undetected = undetected(&value, &places, |new| !found(&old, new).is_empty());
            assert!(undetected.is_empty(), "{name}: undetected: {undetected:#?}");
            tried += places.len();
        }
    }
    assert!(tried > 500, "only {tried} places: the traversal misses some");
}

#[test]
fn every_removed_error_code_breaks() {
    let mut tried = 0;
    for (name, value) in documents() {
        let hollow = hollow(&value);
        for operation in document(&value).operations() {
            let value = alone(&hollow, operation);
            let old = document(&value);
            for code in codes(&value, operation.value) {
                for mutate in [removed, renamed] {
                    let found = found(&old, &document(&mutate(&value, &code)));
                    assert_eq!(verdict(&found), Breaks, "{name}: removed {code} of {}", operation.id());
                }
                tried += 1;
            }
        }
    }
    assert!(tried > 150, "only {tried} codes: the traversal misses some");
}

#[test]
fn every_change_of_shared_components_is_detected() {
    for (name, value) in documents() {
        let value = hollow(&value);
        let old = document(&value);
        assert_eq!(found(&old, &old), [], "{name} differs from itself");
        let elsewhere = |place: &String| {
            let skipped = ["/paths", "/info", "/components/schemas"];
            !skipped.iter().any(|skipped| place.starts_with(skipped)) && place != "/components"
        };
        let places: Vec<_> = places(&value, "").into_iter().filter(elsewhere).collect();
        let undetected = undetected(&value, &places, |new| !found(&old, new).is_empty());
        assert!(undetected.is_empty(), "{name}: undetected: {undetected:#?}");
        assert!(places.len() > 10, "{name}: only {} places", places.len());
    }
}

#[test]
fn removing_what_generated_clients_use_breaks() {
    for (name, value) in documents() {
        let old = document(&value);
        let breaks = |new: Value| verdict(&found(&old, &document(&new))) == Breaks;
        for operation in old.operations() {
            let place = format!("/paths/{}/{}", operation.path.replace('/', "~1"), operation.method);
            for gone in [place.clone(), format!("{place}/operationId"), format!("{place}/responses")] {
                let mut new = value.clone();
                let (parent, key) = parent_and_key(&mut new, &gone);
                parent.insert(key, if gone.ends_with("Id") { json!("renamed") } else { json!({"responses": {}}) });
                assert!(breaks(new), "{name}: removed {gone}");
            }
        }
        for schema in value["components"]["schemas"].as_object().expect("schemas").keys() {
            let mut new = value.clone();
            new["components"]["schemas"][schema] = json!({"type": "boolean"});
            assert!(breaks(new), "{name}: changed {schema}");
        }
    }
}
