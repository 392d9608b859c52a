//! The differences between two schemas, and what each does to the set of values that the schema describes.
//!
//! Who sends the values is not known here. Keywords with a value of their own are compared by `limits`; what leads to
//! other schemas is compared here.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::Value;

use super::Pair;
use super::document::{Object, items, members, reference};
use super::finding::{Change, Effect, SCHEMAS};
use super::limits;
use super::same::{not_understood, same};
use super::shape::Shape;

pub(super) fn compare(pair: Pair<'_>, old: &Value, new: &Value) -> Vec<Change> {
    let mut walk = Walk { pair, seen: BTreeSet::new(), changes: Vec::new() };
    walk.schema("", old, new);
    walk.changes
}

struct Walk<'a> {
    pair: Pair<'a>,
    /// The schemas that were compared with each other, by their addresses: references may go round in a circle.
    seen: BTreeSet<(usize, usize)>,
    changes: Vec<Change>,
}

impl Walk<'_> {
    fn schema(&mut self, place: &str, old: &Value, new: &Value) {
        let pair = self.pair;
        let (old, new) = (Shape::of(pair.old, anything(old)), Shape::of(pair.new, anything(new)));
        self.site(place, &old, &new);
        if self.seen.insert((address(old.inner), address(new.inner))) {
            let named = new.name.map(|name| format!("{SCHEMAS}{name}"));
            self.keywords(named.as_deref().unwrap_or(place), &old, &new);
        }
    }

    /// What belongs to the place where a schema is used: its name, and whether there has to be a value.
    fn site(&mut self, place: &str, old: &Shape<'_>, new: &Shape<'_>) {
        match (old.name, new.name) {
            (Some(before), Some(now)) if before != now => {
                self.tell(place, Effect::Replaces, format!("the schema {before} is called {now} now"));
            }
            (Some(before), None) => {
                self.tell(place, Effect::Replaces, format!("the schema {before} has no name any more"));
            }
            _ => {}
        }
        match (old.nullable, new.nullable) {
            (false, true) => self.tell(place, Effect::Widens, "null is valid now"),
            (true, false) => self.tell(place, Effect::Narrows, "null is not valid any more"),
            _ => {}
        }
        match (old.default, new.default) {
            (Some(before), Some(now)) if before != now => {
                self.tell(place, Effect::Replaces, format!("the default is {now}, was {before}"));
            }
            (Some(before), None) => self.tell(place, Effect::Replaces, format!("the default {before} is gone")),
            (None, Some(now)) => self.tell(place, Effect::Keeps, format!("the default {now} is told")),
            _ => {}
        }
    }

    fn keywords(&mut self, place: &str, old: &Shape<'_>, new: &Shape<'_>) {
        let kind = limits::kind(old.keywords.get("type").copied(), new.keywords.get("type").copied());
        let replaced = kind.as_ref().is_some_and(|(effect, _)| *effect == Effect::Replaces);
        if let Some((effect, what)) = kind {
            self.tell(place, effect, what);
        }
        // What else differs follows from another type.
        if !replaced {
            self.values(place, old, new);
            self.properties(place, old, new);
            self.other_keywords(place, old, new);
        }
    }

    fn values(&mut self, place: &str, old: &Shape<'_>, new: &Shape<'_>) {
        match (&old.values, &new.values) {
            (Some(before), Some(now)) => {
                for value in before.iter().filter(|value| !now.contains(value)) {
                    self.tell(place, Effect::Narrows, format!("the value {value} is gone"));
                }
                for value in now.iter().filter(|value| !before.contains(value)) {
                    self.tell(place, Effect::Widens, format!("the value {value} is new"));
                }
            }
            (None, Some(_)) => self.tell(place, Effect::Narrows, "only the listed values are valid now"),
            (Some(_), None) => self.tell(place, Effect::Widens, "the list of its values is gone"),
            (None, None) => {}
        }
    }

    fn properties(&mut self, place: &str, old: &Shape<'_>, new: &Shape<'_>) {
        for name in named_properties(old, new) {
            let place = join(place, &format!("properties/{name}"));
            let (was_required, is_required) = (old.requires(name), new.requires(name));
            match (old.property(name), new.property(name)) {
                (Some(before), Some(now)) => {
                    self.requirement(&place, was_required, is_required);
                    self.schema(&place, before, now);
                }
                (Some(_), None) => self.tell(&place, Effect::Replaces, "the property is gone"),
                (None, Some(_)) => self.new_property(&place, old.is_closed(), is_required && !was_required),
                (None, None) => self.requirement(&place, was_required, is_required),
            }
        }
    }

    fn requirement(&mut self, place: &str, before: bool, now: bool) {
        match (before, now) {
            (false, true) => self.tell(place, Effect::Narrows, "the property is required now"),
            (true, false) => self.tell(place, Effect::Widens, "the property is not required any more"),
            _ => {}
        }
    }

    /// Where the object was closed, whoever reads it refuses what is not named.
    fn new_property(&mut self, place: &str, was_closed: bool, required: bool) {
        let effect = match (was_closed, required) {
            (false, false) => Effect::Keeps,
            (false, true) => Effect::Narrows,
            (true, false) => Effect::Widens,
            (true, true) => Effect::Replaces,
        };
        let kind = if required { "required" } else { "optional" };
        self.tell(place, effect, format!("the {kind} property is new"));
    }

    fn other_keywords(&mut self, place: &str, old: &Shape<'_>, new: &Shape<'_>) {
        let keys: BTreeSet<_> = old.keywords.keys().chain(new.keywords.keys()).copied().collect();
        for key in keys {
            let (before, now) = (old.keywords.get(key).copied(), new.keywords.get(key).copied());
            match key {
                "type" | "enum" | "properties" | "required" => {}
                "items" => self.anything_where_absent(&join(place, key), before, now),
                "additionalProperties" => self.additional(&join(place, key), before, now),
                "allOf" => self.parts(&join(place, key), before, now, Effect::Narrows),
                "anyOf" | "oneOf" if before.is_some() && now.is_some() => {
                    self.parts(&join(place, key), before, now, Effect::Widens);
                }
                _ => self.limit(&join(place, key), key, before, now),
            }
        }
    }

    fn limit(&mut self, place: &str, key: &str, before: Option<&Value>, now: Option<&Value>) {
        match limits::compare(key, before, now) {
            Some(found) => found.into_iter().for_each(|(effect, what)| self.tell(place, effect, what)),
            None if same(self.pair, before, now) => {}
            None => self.tell(place, Effect::Replaces, not_understood(key)),
        }
    }

    fn anything_where_absent(&mut self, place: &str, before: Option<&Value>, now: Option<&Value>) {
        self.schema(place, before.unwrap_or(&Value::Bool(true)), now.unwrap_or(&Value::Bool(true)));
    }

    fn additional(&mut self, place: &str, before: Option<&Value>, now: Option<&Value>) {
        let (was_closed, is_closed) = (before == Some(&Value::Bool(false)), now == Some(&Value::Bool(false)));
        match (was_closed, is_closed) {
            (true, true) => {}
            (false, true) => self.tell(place, Effect::Narrows, "other properties are refused now"),
            (true, false) => self.tell(place, Effect::Widens, "other properties are possible now"),
            (false, false) => self.anything_where_absent(place, before, now),
        }
    }

    /// The members of an `allOf`, `anyOf` or `oneOf`; `more` is what one more of them does.
    fn parts(&mut self, place: &str, before: Option<&Value>, now: Option<&Value>, more: Effect) {
        let less = if more == Effect::Widens { Effect::Narrows } else { Effect::Widens };
        let (before, now) = (keyed(before), keyed(now));
        for (key, old) in &before {
            match now.iter().find(|(other, _)| other == key) {
                Some((_, new)) => self.schema(&join(place, key), old, new),
                None => self.tell(&join(place, key), less, "this part is gone"),
            }
        }
        for (key, _) in now.iter().filter(|(key, _)| !before.iter().any(|(other, _)| other == key)) {
            self.tell(&join(place, key), more, "this part is new");
        }
    }

    fn tell(&mut self, place: &str, effect: Effect, what: impl Into<String>) {
        self.changes.push(Change { place: place.to_owned(), effect, what: what.into() });
    }
}

/// `true` is the schema of everything, as an object without keywords is.
fn anything(schema: &Value) -> &Value {
    static ANYTHING: LazyLock<Value> = LazyLock::new(|| Value::Object(Object::new()));
    if *schema == Value::Bool(true) { &ANYTHING } else { schema }
}

fn address(value: &Value) -> usize {
    std::ptr::from_ref(value).addr()
}

fn join(place: &str, key: &str) -> String {
    if place.is_empty() { key.to_owned() } else { format!("{place}/{key}") }
}

fn named_properties<'a>(old: &Shape<'a>, new: &Shape<'a>) -> BTreeSet<&'a str> {
    let of = |shape: &Shape<'a>| {
        let named = members(shape.keywords.get("properties").copied()).map(|(name, _)| name);
        let required = items(shape.keywords.get("required").copied()).filter_map(Value::as_str);
        named.chain(required).collect::<Vec<_>>()
    };
    of(old).into_iter().chain(of(new)).collect()
}

/// Parts with a name are found by it, the others by their order.
fn keyed(parts: Option<&Value>) -> Vec<(String, &Value)> {
    let mut unnamed = 0;
    let keyed = items(parts).map(|part| {
        let name = reference(part).map(|reference| reference.rsplit('/').next().unwrap_or(reference).to_owned());
        let key = name.unwrap_or_else(|| {
            unnamed += 1;
            unnamed.to_string()
        });
        (key, part)
    });
    keyed.collect()
}
