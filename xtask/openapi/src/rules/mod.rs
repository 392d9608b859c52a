//! Style rules for documents. Each finding states the location and the fix.
//!
//! `operations` checks operations; `schemas` checks everything that has a schema; `names` and `patterns` check for what
//! breaks clients in some language. The content itself is reviewed by people in the diff of `specs/`.

mod names;
mod operations;
mod patterns;
mod schemas;

use openapi_document::Document;
use serde_json::{Map, Value};

/// Findings, one line each.
type Findings = Vec<String>;

/// Returns all rule violations in the document.
pub(crate) fn violations(document: &Document) -> Findings {
    let mut findings = Findings::new();
    operations::check(document, &mut findings);
    schemas::check(document, &mut findings);
    names::check(document, &mut findings);
    patterns::check(document, &mut findings);
    findings
}

/// Iterates over the members of an object; over nothing if the value is not an object.
fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

#[cfg(test)]
mod tests;
