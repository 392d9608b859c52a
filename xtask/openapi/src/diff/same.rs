//! Whether two values say the same, for what no rule understands: then any difference counts as a break.
//!
//! The rules themselves are in `schema` and `exchange`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Pair;
use super::document::{Object, reference};
use super::finding::Finding;

/// Text for people. It never breaks a client, but for the keys of an error's examples: see `codes`.
const TEXTS: &[&str] =
    &["deprecated", "description", "example", "examples", "externalDocs", "links", "summary", "tags", "title"];

pub(super) fn is_text(key: &str) -> bool {
    TEXTS.contains(&key)
}

/// What differs in the members of an object that are neither text nor known to a rule.
pub(super) fn unknown_members(pair: Pair<'_>, site: &str, known: &[&str], old: &Object, new: &Object) -> Vec<Finding> {
    let differing = keys(old, new).filter(|key| !is_text(key) && !known.contains(key));
    let differing = differing.filter(|key| !same(pair, old.get(*key), new.get(*key)));
    differing.map(|key| Finding::breaks(site, not_understood(key))).collect()
}

pub(super) fn not_understood(key: &str) -> String {
    format!("`{key}` differs, which is not understood")
}

/// Each key of either object once.
pub(super) fn keys<'a>(old: &'a Object, new: &'a Object) -> impl Iterator<Item = &'a str> {
    old.keys().chain(new.keys().filter(|key| !old.contains_key(*key))).map(String::as_str)
}

/// Whether both say the same to the letter, also behind their references.
pub(super) fn same(pair: Pair<'_>, old: Option<&Value>, new: Option<&Value>) -> bool {
    match (old, new) {
        (Some(old), Some(new)) => Walk { pair, seen: BTreeSet::new() }.same(old, new),
        (old, new) => old == new,
    }
}

struct Walk<'a> {
    pair: Pair<'a>,
    seen: BTreeSet<String>,
}

impl Walk<'_> {
    fn same(&mut self, old: &Value, new: &Value) -> bool {
        self.same_members(old, new) && reference(old).is_none_or(|reference| self.same_targets(reference, old, new))
    }

    /// Once for each name, so that a circle of references ends.
    fn same_targets(&mut self, reference: &str, old: &Value, new: &Value) -> bool {
        let pair = self.pair;
        !self.seen.insert(reference.to_owned()) || self.same(pair.old.resolve(old), pair.new.resolve(new))
    }

    fn same_members(&mut self, old: &Value, new: &Value) -> bool {
        match (old, new) {
            (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| self.same(a, b)),
            (Value::Object(a), Value::Object(b)) => keys(a, b).all(|key| {
                let both = a.get(key).zip(b.get(key));
                both.is_some_and(|(a, b)| self.same(a, b))
            }),
            _ => old == new,
        }
    }
}
