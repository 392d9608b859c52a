//! A schema with its wrappings taken off, so that two ways of writing one thing compare as equal.
//!
//! dropshot wraps a reference in an `allOf` of one to describe it, and writes an enum whose values are described as a
//! `oneOf` of enums. What the schemas then differ in is found by `schema`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::document::{Document, is_true, items, members, reference};
use super::same::is_text;

pub(super) struct Shape<'a> {
    /// The name of the schema in the components, which is a type of generated clients.
    pub(super) name: Option<&'a str>,
    pub(super) nullable: bool,
    pub(super) default: Option<&'a Value>,
    pub(super) values: Option<Vec<&'a Value>>,
    /// The rest of it, without text.
    pub(super) keywords: BTreeMap<&'a str, &'a Value>,
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
            let target = document.resolve(wrapped);
            name = name.or(reference(wrapped).and_then(|reference| reference.rsplit('/').next()));
            inner = target;
        }
        let keywords = keywords(inner);
        match described_values(document, &keywords) {
            Some((kind, values)) => Self {
                name,
                nullable,
                default,
                values: Some(values),
                keywords: BTreeMap::from([("type", kind)]),
                inner,
            },
            None => Self { name, nullable, default, values: values(&keywords), keywords, inner },
        }
    }

    /// Whether the object may have no properties but those that are named.
    pub(super) fn is_closed(&self) -> bool {
        self.keywords.get("additionalProperties") == Some(&&Value::Bool(false))
    }

    pub(super) fn requires(&self, property: &str) -> bool {
        items(self.keywords.get("required").copied()).any(|name| name == property)
    }

    pub(super) fn property(&self, name: &str) -> Option<&'a Value> {
        self.keywords.get("properties")?.get(name)
    }
}

/// The schema inside, where this one is a reference to it, or adds no more than text, `nullable` and `default`.
fn wrapped(schema: &Value) -> Option<&Value> {
    let rest: Vec<_> = members(Some(schema)).filter(|(key, _)| !is_site(key)).collect();
    match rest[..] {
        [("$ref", _)] => Some(schema),
        [("allOf", only)] => match only.as_array()?.as_slice() {
            [inner] => Some(inner),
            _ => None,
        },
        _ => None,
    }
}

/// What belongs to the place where a schema is used, not to the schema.
fn is_site(key: &str) -> bool {
    is_text(key) || key == "nullable" || key == "default"
}

fn keywords(schema: &Value) -> BTreeMap<&str, &Value> {
    members(Some(schema)).filter(|(key, _)| !is_site(key)).collect()
}

fn values<'a>(keywords: &BTreeMap<&str, &'a Value>) -> Option<Vec<&'a Value>> {
    keywords.get("enum").map(|values| items(Some(values)).collect())
}

/// The type and the values of an enum that is written as a `oneOf`, to describe each value.
fn described_values<'a>(
    document: &'a Document,
    keywords: &BTreeMap<&str, &'a Value>,
) -> Option<(&'a Value, Vec<&'a Value>)> {
    let branches = keywords.get("oneOf").filter(|_| keywords.len() == 1)?.as_array()?;
    let mut kinds = Vec::new();
    let mut all = Vec::new();
    for branch in branches {
        let branch = keywords_of_enum(document.resolve(branch))?;
        kinds.push(*branch.get("type")?);
        all.extend(values(&branch)?);
    }
    let kind = *kinds.first()?;
    kinds.iter().all(|other| *other == kind).then_some((kind, all))
}

fn keywords_of_enum(branch: &Value) -> Option<BTreeMap<&str, &Value>> {
    let keywords = members(Some(branch)).filter(|(key, _)| !is_text(key)).collect::<BTreeMap<_, _>>();
    keywords.keys().all(|key| ["type", "enum"].contains(key)).then_some(keywords)
}
