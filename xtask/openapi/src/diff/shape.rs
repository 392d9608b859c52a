//! Normalized schemas, so that equivalent notations compare as equal.
//!
//! To add a description to a reference, dropshot wraps the reference in an `allOf` with one schema. It writes an enum
//! with documented values as a `oneOf` of enums. The module `schema` compares the normalized schemas.

use std::collections::BTreeMap;

use serde_json::Value;

use super::document::{Document, is_true, items, members, reference};
use super::finding::is_text;

type Keywords<'a> = BTreeMap<&'a str, &'a Value>;

pub(super) struct Shape<'a> {
    /// Name of the schema in the components. Generated clients use it as the name of a type.
    pub(super) name: Option<&'a str>,
    pub(super) nullable: bool,
    pub(super) default: Option<&'a Value>,
    pub(super) values: Option<Vec<&'a Value>>,
    /// All other keywords, excluding text.
    pub(super) keywords: Keywords<'a>,
    /// Schema object that contains these keywords. Its address identifies it.
    pub(super) inner: &'a Value,
}

impl<'a> Shape<'a> {
    pub(super) fn of(document: &'a Document, schema: &'a Value) -> Self {
        let (mut name, mut nullable, mut default, mut inner) = (None, false, None, schema);
        loop {
            nullable |= is_true(inner.get("nullable"));
            default = default.or(inner.get("default"));
            let Some(wrapped) = wrapped(inner) else { break };
            name = name.or(reference(wrapped).and_then(|reference| reference.rsplit('/').next()));
            inner = document.resolve(wrapped);
        }
        let mut keywords = keywords(inner);
        let mut values = keywords.get("enum").map(|values| items(Some(values)).collect());
        if let Some((kind, described)) = described_values(document, &keywords) {
            (keywords, values) = (BTreeMap::from([("type", kind)]), Some(described));
        }
        Self { name, nullable, default, values, keywords, inner }
    }

    pub(super) fn keyword(&self, key: &str) -> Option<&'a Value> {
        self.keywords.get(key).copied()
    }

    /// Returns whether the object allows only the named properties.
    pub(super) fn is_closed(&self) -> bool {
        self.keyword("additionalProperties") == Some(&Value::Bool(false))
    }

    pub(super) fn requires(&self, property: &str) -> bool {
        items(self.keyword("required")).any(|name| name == property)
    }

    pub(super) fn property(&self, name: &str) -> Option<&'a Value> {
        self.keyword("properties")?.get(name)
    }

    /// Iterates over properties that have a schema and over required properties that have none.
    pub(super) fn named_properties(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let named = members(self.keyword("properties")).map(|(name, _)| name);
        named.chain(items(self.keyword("required")).filter_map(Value::as_str))
    }
}

/// Returns the wrapped schema if this schema is a reference, or adds only text, `nullable` and `default`.
fn wrapped(schema: &Value) -> Option<&Value> {
    let keywords = keywords(schema);
    match (keywords.len(), keywords.first_key_value()?) {
        (1, (&"$ref", _)) => Some(schema),
        (1, (&"allOf", only)) if only.as_array()?.len() == 1 => only.get(0),
        _ => None,
    }
}

/// Returns the keywords, excluding text, `nullable` and `default`.
fn keywords(schema: &Value) -> Keywords<'_> {
    members(Some(schema)).filter(|(key, _)| !is_text(key) && !["nullable", "default"].contains(key)).collect()
}

/// Returns the type and values of an enum written as a `oneOf` with a description for each value.
fn described_values<'a>(document: &'a Document, keywords: &Keywords<'a>) -> Option<(&'a Value, Vec<&'a Value>)> {
    let branches = keywords.get("oneOf").filter(|_| keywords.len() == 1)?.as_array()?;
    let (mut kinds, mut all) = (Vec::new(), Vec::new());
    for branch in branches {
        let branch: Keywords<'_> = members(Some(document.resolve(branch))).filter(|(key, _)| !is_text(key)).collect();
        if branch.keys().any(|key| !["type", "enum"].contains(key)) {
            return None;
        }
        kinds.push(*branch.get("type")?);
        all.extend(items(Some(branch.get("enum")?)));
    }
    let kind = *kinds.first()?;
    kinds.iter().all(|other| *other == kind).then_some((kind, all))
}
