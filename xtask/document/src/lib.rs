//! Reads an OpenAPI document: its operations, its schemas, and whether a value is as a schema says.
//!
//! For whoever judges documents, or servers by their documents. It knows no service and changes nothing.

mod schema;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

pub use schema::{Strictness, Validator};

/// The methods that an OpenAPI path may have.
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// More references in a row than anybody writes: then they go round in a circle.
const MOST_HOPS: usize = 16;

/// A document, read.
#[derive(Debug, Clone)]
pub struct Document(Value);

/// One operation of a document.
#[derive(Debug, Clone, Copy)]
pub struct Operation<'a> {
    /// As in the document: `/customers/{id}`.
    pub path: &'a str,
    /// In lower case: `get`.
    pub method: &'a str,
    /// What the document says of its path, and so of every operation there.
    pub item: &'a Value,
    /// What the document says of it.
    pub value: &'a Value,
}

impl From<Value> for Document {
    fn from(value: Value) -> Self {
        Self(value)
    }
}

impl Document {
    /// Reads a document.
    ///
    /// # Errors
    ///
    /// Where it is no JSON.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text).map(Self)
    }

    /// The document itself.
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// Every operation, by path.
    pub fn operations(&self) -> impl Iterator<Item = Operation<'_>> {
        let paths = self.0["paths"].as_object().into_iter().flatten();
        paths.flat_map(|(path, item)| {
            let item = self.resolve(item);
            let methods = item.as_object().into_iter().flatten();
            let known = methods.filter(|(method, _)| is_method(method));
            known.map(move |(method, value)| Operation { path, method, item, value })
        })
    }

    /// The operation with this id.
    pub fn operation(&self, id: &str) -> Option<Operation<'_>> {
        self.operations().find(|operation| operation.id() == id)
    }

    /// What a value says, or what it refers to; the last reference where that leads nowhere, or round in a circle.
    pub fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        let next = |value: &&'a Value| self.target(reference(value)?);
        std::iter::successors(Some(value), next).take(MOST_HOPS).last().unwrap_or(value)
    }

    /// The parts of one kind: `schemas`, `responses`, `parameters`, `headers`.
    pub fn components(&self, kind: &str) -> impl Iterator<Item = (&str, &Value)> {
        self.0["components"][kind].as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
    }

    /// Judges values by a schema of this document.
    ///
    /// # Errors
    ///
    /// Where the schema itself is wrong.
    pub fn validator(&self, schema: &Value, strictness: Strictness) -> Result<Validator, String> {
        Validator::new(self.0["components"].as_object().unwrap_or(&Map::new()), schema, strictness)
    }

    /// Every reference in a value, and in what it refers to, once.
    pub fn references<'a>(&'a self, value: &'a Value) -> BTreeSet<&'a str> {
        let (mut found, mut open) = (BTreeSet::new(), vec![value]);
        while let Some(value) = open.pop() {
            if let Some(reference) = reference(value).filter(|reference| found.insert(*reference)) {
                open.extend(self.target(reference));
            }
            open.extend(value.as_object().into_iter().flat_map(Map::values));
            open.extend(value.as_array().into_iter().flatten());
        }
        found
    }

    /// What a reference leads to, if anything.
    pub fn target(&self, reference: &str) -> Option<&Value> {
        self.0.pointer(reference.strip_prefix('#')?)
    }
}

/// Whether a key of a path is a method, and what it leads to an operation.
pub fn is_method(key: &str) -> bool {
    METHODS.contains(&key)
}

/// Where a value refers to, if it does.
pub fn reference(value: &Value) -> Option<&str> {
    value.get("$ref").and_then(Value::as_str)
}

impl<'a> Operation<'a> {
    /// Its `operationId`; empty where there is none.
    pub fn id(self) -> &'a str {
        self.value["operationId"].as_str().unwrap_or_default()
    }

    /// Its parameters, which may be references.
    pub fn parameters(self) -> impl Iterator<Item = &'a Value> {
        self.value["parameters"].as_array().into_iter().flatten()
    }

    /// Its answers, by status; they may be references.
    pub fn responses(self) -> impl Iterator<Item = (&'a str, &'a Value)> {
        self.value["responses"].as_object().into_iter().flatten().map(|(status, value)| (status.as_str(), value))
    }

    /// The security schemes of which any one suffices; none where anybody may call.
    pub fn schemes(self) -> impl Iterator<Item = &'a str> {
        let requirements = self.value["security"].as_array().into_iter().flatten();
        requirements.filter_map(Value::as_object).flat_map(Map::keys).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Document, reference};

    #[test]
    fn references_are_followed_to_their_end() {
        let document = Document::from(json!({"a": {"$ref": "#/b"}, "b": {"$ref": "#/c"}, "c": {"type": "string"}}));
        assert_eq!(document.resolve(&document.value()["a"]), &json!({"type": "string"}));
    }

    #[test]
    fn references_without_an_end_stay_references() {
        let document = Document::from(json!({"a": {"$ref": "#/b"}, "b": {"$ref": "#/a"}, "c": {"$ref": "#/d"}}));
        for key in ["a", "c"] {
            assert!(reference(document.resolve(&document.value()[key])).is_some(), "{key}");
        }
    }

    #[test]
    fn references_of_a_value_are_those_behind_it_too() {
        let document =
            Document::from(json!({"a": [{"$ref": "#/b"}], "b": {"c": {"$ref": "#/d"}}, "d": {"$ref": "#/b"}}));
        let all: Vec<_> = document.references(&document.value()["a"]).into_iter().collect();
        assert_eq!(all, ["#/b", "#/d"]);
    }

    #[test]
    fn operations_are_found_behind_the_reference_of_a_path() {
        let get = json!({"operationId": "shelf_view"});
        let document = Document::from(json!({"paths": {"/a": {"$ref": "#/shared"}}, "shared": {"get": get}}));
        assert_eq!(document.operation("shelf_view").map(|found| (found.path, found.method)), Some(("/a", "get")));
    }
}
