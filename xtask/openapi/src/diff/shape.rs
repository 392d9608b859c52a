//! A schema with its wrappings taken off, so that two ways of writing one thing compare as equal.
//!
//! dropshot wraps a reference in an `allOf` of one to describe it, and writes an enum whose values are described as a
//! `oneOf` of enums. What the schemas then differ in is found by `schema`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::document::{Document, is_true, items, members, reference};
use super::finding::is_text;

type Keywords<'a> = BTreeMap<&'a str, &'a Value>;

pub(super) struct Shape<'a> {
    /// The name of the schema in the components, which is a type of generated clients.
    pub(super) name: Option<&'a str>,
    pub(super) nullable: bool,
    pub(super) default: Option<&'a Value>,
    pub(super) values: Option<Vec<&'a Value>>,
    /// The rest of it, without text.
    pub(super) keywords: Keywords<'a>,
    /// The schema that has these keywords; its address tells it from others.
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

    /// Whether the object may have no properties but those that are named.
    pub(super) fn is_closed(&self) -> bool {
        self.keyword("additionalProperties") == Some(&Value::Bool(false))
    }

    pub(super) fn requires(&self, property: &str) -> bool {
        items(self.keyword("required")).any(|name| name == property)
    }

    pub(super) fn property(&self, name: &str) -> Option<&'a Value> {
        self.keyword("properties")?.get(name)
    }

    /// Those with a schema, and those that are required without one.
    pub(super) fn named_properties(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let named = members(self.keyword("properties")).map(|(name, _)| name);
        named.chain(items(self.keyword("required")).filter_map(Value::as_str))
    }
}

/// The schema inside, where this one is a reference to it, or adds no more than text, `nullable` and `default`.
fn wrapped(schema: &Value) -> Option<&Value> {
    let keywords = keywords(schema);
    match (keywords.len(), keywords.first_key_value()?) {
        (1, (&"$ref", _)) => Some(schema),
        (1, (&"allOf", only)) if only.as_array()?.len() == 1 => only.get(0),
        _ => None,
    }
}

/// Without text, and without what belongs to the place where the schema is used.
fn keywords(schema: &Value) -> Keywords<'_> {
    members(Some(schema)).filter(|(key, _)| !is_text(key) && !["nullable", "default"].contains(key)).collect()
}

/// The type and the values of an enum that is written as a `oneOf`, to describe each value.
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
