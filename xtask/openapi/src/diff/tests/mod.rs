//! Tests of the comparison rules. The command itself is tested in `tests/diff.rs`.

mod everything;
mod exchanges;
mod operations;
mod schemas;

use serde_json::{Value, json};

use super::both::Both;
use super::document::Document;
use super::finding::Finding;
use super::operations::{Differences, compare};

/// Expected result of comparing a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Silent,
    Ok,
    Breaks,
}

use Verdict::{Breaks, Ok as Fine, Silent};

fn verdict<'a>(found: impl IntoIterator<Item = &'a Finding>) -> Verdict {
    let worst = found.into_iter().map(|finding| finding.breaks).max();
    worst.map_or(Silent, |breaks| if breaks { Breaks } else { Fine })
}

fn parsed(document: &Value) -> Document {
    Document::parse(&document.to_string()).unwrap_or_else(|error| panic!("{error:#}: {document:#}"))
}

fn differences(old: &Value, new: &Value) -> Vec<Differences> {
    let (old, new) = (parsed(old), parsed(new));
    compare(Both { old: &old, new: &new })
}

fn found(old: &Value, new: &Value) -> Vec<Finding> {
    differences(old, new).into_iter().flat_map(|differences| differences.found).collect()
}

/// Document with a single operation that exercises all rules.
fn document() -> Value {
    let error = json!({"description": "error", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}});
    json!({
        "openapi": "3.0.3",
        "info": {"title": "Shelves", "version": "1.2.3"},
        "servers": [{"url": "http://127.0.0.1:3001"}],
        "tags": [{"name": "shelves"}],
        "paths": {"/shelves/{id}": {"put": {
            "operationId": "shelf_update",
            "summary": "Change a shelf",
            "tags": ["shelves"],
            "security": [{"operator": []}, {"service": []}],
            "parameters": [
                {"in": "path", "name": "id", "required": true, "schema": {"type": "integer", "minimum": 1}},
                {"in": "query", "name": "limit", "schema": {"type": "integer", "maximum": 100}},
                {"in": "header", "name": "If-Match", "schema": {"type": "string"}},
            ],
            "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Shelf"}}}},
            "responses": {
                "200": {
                    "description": "the changed shelf",
                    "headers": {"ETag": {"required": true, "schema": {"type": "string", "maxLength": 10}}},
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Shelf"}}},
                },
                "4XX": {"$ref": "#/components/responses/Error"},
                "503": {"$ref": "#/components/responses/Error"},
            },
        }}},
        "components": {
            "schemas": {
                "Shelf": {
                    "type": "object",
                    "properties": {"name": {"type": "string"}, "rows": {"type": "integer"}},
                    "required": ["name"],
                },
                "Error": {
                    "type": "object",
                    "properties": {"code": {"type": "string", "x-extensible-enum": ["not_found", "taken"]}},
                    "required": ["code"],
                },
            },
            "responses": {"Error": error},
            "securitySchemes": {
                "operator": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "service": {"type": "http", "scheme": "bearer"},
            },
        },
    })
}

/// Sets the value at a pointer, or removes the value if the new one is null.
fn set(document: &Value, pointer: &str, value: Value) -> Value {
    let mut document = document.clone();
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    let key = key.replace("~1", "/");
    let parent = document.pointer_mut(parent).unwrap_or_else(|| panic!("{pointer} does not exist"));
    match (parent, value) {
        (Value::Object(members), Value::Null) => drop(members.shift_remove(&key).expect("a member to remove")),
        (Value::Object(members), value) => drop(members.insert(key, value)),
        (Value::Array(items), Value::Null) => drop(items.remove(key.parse().expect("an index"))),
        (Value::Array(items), value) if key == "-" => items.push(value),
        (Value::Array(items), value) => items[key.parse::<usize>().expect("an index")] = value,
        (parent, _) => panic!("{pointer} is in {parent}"),
    }
    document
}
