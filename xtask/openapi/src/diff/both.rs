//! The old and the new side by side: two documents, or the same part of both.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::document::{Object, is_true};

/// The same thing in both documents.
#[derive(Clone, Copy, Debug)]
pub(super) struct Both<T> {
    pub(super) old: T,
    pub(super) new: T,
}

/// A member of either of two maps.
pub(super) enum Part<V> {
    Kept(Both<V>),
    Gone(V),
    Added(V),
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

impl<'a> Both<&'a Object> {
    pub(super) fn get(self, key: &str) -> Both<Option<&'a Value>> {
        self.map(|object| object.get(key))
    }

    /// Whether the member of this name is `true`.
    pub(super) fn flag(self, key: &str) -> Both<bool> {
        self.get(key).map(is_true)
    }

    /// Each key of either object once.
    pub(super) fn keys(self) -> BTreeSet<&'a str> {
        self.old.keys().chain(self.new.keys()).map(String::as_str).collect()
    }
}

impl<K: Ord, V> Both<BTreeMap<K, V>> {
    /// The members by their keys: first those of the old map, then those that are new.
    pub(super) fn parts(self) -> Vec<(K, Part<V>)> {
        let Self { old, mut new } = self;
        let mut parts = Vec::with_capacity(old.len());
        for (key, old) in old {
            let part = match new.remove(&key) {
                Some(new) => Part::Kept(Both { old, new }),
                None => Part::Gone(old),
            };
            parts.push((key, part));
        }
        parts.extend(new.into_iter().map(|(key, new)| (key, Part::Added(new))));
        parts
    }
}
