//! OpenAPI documents: operations, references, and validation of values against schemas.
//!
//! Used to check documents and to test servers against their documents. Read-only and independent of the services.

mod schema;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

pub use schema::{Strictness, Validator};

/// Methods that an OpenAPI path item may have.
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// Maximum length of a reference chain, so that cycles terminate. Chains in real documents are much shorter.
const MAX_HOPS: usize = 16;

/// Parsed OpenAPI document.
#[derive(Debug, Clone)]
pub struct Document(Value);

/// Operation in a document.
#[derive(Debug, Clone, Copy)]
pub struct Operation<'a> {
    /// Path template, for example `/customers/{id}`.
    pub path: &'a str,
    /// Method in lower case, for example `get`.
    pub method: &'a str,
    /// Path item, shared by all operations on the path.
    pub item: &'a Value,
    /// Operation object.
    pub value: &'a Value,
}

impl From<Value> for Document {
    fn from(value: Value) -> Self {
        Self(value)
    }
}

impl Document {
    /// Parses a document.
    ///
    /// # Errors
    /// If the text is not valid JSON.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text).map(Self)
    }

    /// Returns the document as a JSON value.
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// Returns all operations.
    pub fn operations(&self) -> impl Iterator<Item = Operation<'_>> {
        let paths = self.0["paths"].as_object().into_iter().flatten();
        paths.flat_map(|(path, item)| {
            let item = self.resolve(item);
            let methods = item.as_object().into_iter().flatten();
            let known = methods.filter(|(method, _)| is_method(method));
            known.map(move |(method, value)| Operation { path, method, item, value })
        })
    }

    /// Returns the operation with this `operationId`.
    pub fn operation(&self, id: &str) -> Option<Operation<'_>> {
        self.operations().find(|operation| operation.id() == id)
    }

    /// Follows references to the final value, or to the last reference if a target is missing or there is a cycle.
    pub fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        let next = |value: &&'a Value| self.target(reference(value)?);
        std::iter::successors(Some(value), next).take(MAX_HOPS).last().unwrap_or(value)
    }

    /// Returns the components of one kind, such as `schemas`, `responses`, `parameters` or `headers`.
    pub fn components(&self, kind: &str) -> impl Iterator<Item = (&str, &Value)> {
        self.0["components"][kind].as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
    }

    /// Returns a validator for a schema in this document.
    ///
    /// # Errors
    /// If the schema is invalid.
    pub fn validator(&self, schema: &Value, strictness: Strictness) -> Result<Validator, String> {
        Validator::new(self.0["components"].as_object().unwrap_or(&Map::new()), schema, strictness)
    }

    /// Returns all references in a value, including references in the referenced values.
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

    /// Returns the target of a reference, if it exists.
    pub fn target(&self, reference: &str) -> Option<&Value> {
        self.0.pointer(reference.strip_prefix('#')?)
    }
}

/// Whether a key of a path item is a method, whose value is an operation.
pub fn is_method(key: &str) -> bool {
    METHODS.contains(&key)
}

/// Returns the `$ref` of a value, if it has one.
pub fn reference(value: &Value) -> Option<&str> {
    value.get("$ref").and_then(Value::as_str)
}

impl<'a> Operation<'a> {
    /// Returns the `operationId`, or an empty string if the operation lacks one.
    pub fn id(self) -> &'a str {
        self.value["operationId"].as_str().unwrap_or_default()
    }

    /// Returns the parameters. They may be references.
    pub fn parameters(self) -> impl Iterator<Item = &'a Value> {
        self.value["parameters"].as_array().into_iter().flatten()
    }

    /// Returns the statuses and their responses. The responses may be references.
    pub fn responses(self) -> impl Iterator<Item = (&'a str, &'a Value)> {
        self.value["responses"].as_object().into_iter().flatten().map(|(status, value)| (status.as_str(), value))
    }

    /// Returns the accepted security schemes, any one of which suffices. Empty if the operation is public.
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
    fn resolve_follows_chains_of_references() {
        let document = Document::from(json!({"a": {"$ref": "#/b"}, "b": {"$ref": "#/c"}, "c": {"type": "string"}}));
        assert_eq!(document.resolve(&document.value()["a"]), &json!({"type": "string"}));
    }

    #[test]
    fn resolve_returns_a_reference_for_cycles_and_missing_targets() {
        let document = Document::from(json!({"a": {"$ref": "#/b"}, "b": {"$ref": "#/a"}, "c": {"$ref": "#/d"}}));
        for key in ["a", "c"] {
            assert!(reference(document.resolve(&document.value()[key])).is_some(), "{key}");
        }
    }

    #[test]
    fn references_include_those_of_referenced_values() {
        let document =
            Document::from(json!({"a": [{"$ref": "#/b"}], "b": {"c": {"$ref": "#/d"}}, "d": {"$ref": "#/b"}}));
        let all: Vec<_> = document.references(&document.value()["a"]).into_iter().collect();
        assert_eq!(all, ["#/b", "#/d"]);
    }

    #[test]
    fn operations_of_a_referenced_path_item_are_found() {
        let get = json!({"operationId": "stock_view"});
        let document = Document::from(json!({"paths": {"/a": {"$ref": "#/shared"}}, "shared": {"get": get}}));
        assert_eq!(document.operation("stock_view").map(|found| (found.path, found.method)), Some(("/a", "get")));
    }
}
