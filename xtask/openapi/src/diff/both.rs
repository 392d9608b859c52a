//! Pairs that consist of the old and the new version of a document or part of a document.

use std::collections::BTreeMap;

use serde_json::Value;

use super::document::{Object, is_true};

#[derive(Clone, Copy, Debug)]
pub(super) struct Both<T> {
    pub(super) old: T,
    pub(super) new: T,
}

impl<T> Both<T> {
    pub(super) fn map<U>(self, mut part: impl FnMut(T) -> U) -> Both<U> {
        Both { old: part(self.old), new: part(self.new) }
    }

    pub(super) fn zip<U>(self, other: Both<U>) -> Both<(T, U)> {
        Both { old: (self.old, other.old), new: (self.new, other.new) }
    }
}

impl<T: PartialEq> Both<T> {
    pub(super) fn differ(&self) -> bool {
        self.old != self.new
    }
}

impl<T> Both<Option<T>> {
    /// Returns the pair if both versions exist.
    pub(super) fn kept(self) -> Option<Both<T>> {
        self.old.zip(self.new).map(|(old, new)| Both { old, new })
    }
}

impl<'a> Both<&'a Object> {
    pub(super) fn get(self, key: &str) -> Both<Option<&'a Value>> {
        self.map(|object| object.get(key))
    }

    pub(super) fn flag(self, key: &str) -> Both<bool> {
        self.get(key).map(is_true)
    }

    pub(super) fn members(self) -> BTreeMap<&'a str, Both<Option<&'a Value>>> {
        self.map(|object| object.iter().map(|(key, value)| (key.as_str(), value)).collect::<BTreeMap<_, _>>()).parts()
    }
}

impl<K: Ord, V> Both<BTreeMap<K, V>> {
    /// Pairs the members of both versions by key.
    pub(super) fn parts(self) -> BTreeMap<K, Both<Option<V>>> {
        let mut parts: BTreeMap<_, _> =
            self.old.into_iter().map(|(key, old)| (key, Both { old: Some(old), new: None })).collect();
        for (key, new) in self.new {
            parts.entry(key).or_insert(Both { old: None, new: None }).new = Some(new);
        }
        parts
    }
}
