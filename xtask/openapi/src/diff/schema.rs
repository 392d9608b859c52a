//! Comparison of schemas: their differences, and the effect of each difference on the set of valid values.
//!
//! Independent of the direction of the values. `limits` compares keywords that contain no other schemas.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde_json::Value;

use super::both::Both;
use super::document::{Document, Object, items, reference};
use super::finding::{Change, Effect, SCHEMAS, presence, same, unsupported};
use super::limits;
use super::shape::Shape;

pub(super) fn compare(documents: Both<&Document>, schemas: Both<&Value>) -> Vec<Change> {
    let mut walk = Walk { documents, seen: BTreeSet::new(), changes: Vec::new() };
    walk.schema("", schemas);
    walk.changes
}

struct Walk<'a> {
    documents: Both<&'a Document>,
    /// Schema pairs that were already compared, identified by address, because references may be circular.
    seen: BTreeSet<(usize, usize)>,
    changes: Vec<Change>,
}

impl Walk<'_> {
    fn schema(&mut self, place: &str, schemas: Both<&Value>) {
        let shapes = self.documents.zip(schemas).map(|(document, schema)| Shape::of(document, anything(schema)));
        self.site(place, &shapes);
        let [old, new] = [&shapes.old, &shapes.new].map(|shape| std::ptr::from_ref(shape.inner).addr());
        if self.seen.insert((old, new)) {
            let named = shapes.new.name.map(|name| format!("{SCHEMAS}{name}"));
            self.keywords(named.as_deref().unwrap_or(place), &shapes);
        }
    }

    /// Compares the attributes of a schema's use: its name, `nullable`, and the default value.
    fn site(&mut self, place: &str, Both { old, new }: &Both<Shape<'_>>) {
        if let Some(before) = old.name.filter(|before| new.name != Some(*before)) {
            let now = new.name.map_or("no longer has a name".to_owned(), |now| format!("is now {now}"));
            self.add(place, Effect::Replaces, format!("the schema {before} {now}"));
        }
        let nullable = Both { old: old.nullable, new: new.nullable };
        self.flag(place, nullable, Effect::Widens, ["null is no longer valid", "null is now valid"]);
        match (old.default, new.default) {
            (Some(before), Some(now)) if before != now => {
                self.add(place, Effect::Replaces, format!("the default is {now}, was {before}"));
            }
            (Some(before), None) => self.add(place, Effect::Replaces, format!("the default {before} was removed")),
            (None, Some(now)) => self.add(place, Effect::Keeps, format!("the default {now} was added")),
            _ => {}
        }
    }

    fn keywords(&mut self, place: &str, shapes: &Both<Shape<'_>>) {
        let start = self.changes.len();
        self.keyword(place, "type", shapes);
        // Other differences are consequences of the new type.
        if self.changes[start..].iter().any(|(_, (effect, _))| *effect == Effect::Replaces) {
            return;
        }
        self.values(place, shapes);
        self.properties(place, shapes);
        let keys: BTreeSet<_> = shapes.old.keywords.keys().chain(shapes.new.keywords.keys()).copied().collect();
        for key in keys.into_iter().filter(|key| !["type", "enum", "properties", "required"].contains(key)) {
            self.keyword(&join(place, key), key, shapes);
        }
    }

    fn keyword(&mut self, place: &str, key: &str, Both { old, new }: &Both<Shape<'_>>) {
        let values = Both { old: old.keyword(key), new: new.keyword(key) };
        let is_closed = values.map(|value| value == Some(&Value::Bool(false)));
        match key {
            "additionalProperties" if is_closed.old && is_closed.new => {}
            "additionalProperties" if is_closed.differ() => {
                let effects = ["other properties are now allowed", "other properties are now rejected"];
                self.flag(place, is_closed, Effect::Narrows, effects);
            }
            "items" | "additionalProperties" => self.schema(place, values.map(|value| value.unwrap_or(&TRUE))),
            "allOf" => self.parts(place, values, Effect::Narrows),
            "anyOf" | "oneOf" if values.old.is_some() && values.new.is_some() => {
                self.parts(place, values, Effect::Widens);
            }
            _ => match limits::compare(key, values) {
                Some(found) => found.into_iter().for_each(|(effect, what)| self.add(place, effect, what)),
                None if same(self.documents, values) => {}
                None => self.add(place, Effect::Replaces, unsupported(key)),
            },
        }
    }

    fn values(&mut self, place: &str, Both { old, new }: &Both<Shape<'_>>) {
        let (Some(before), Some(now)) = (&old.values, &new.values) else {
            let listed = Both { old: old.values.is_some(), new: new.values.is_some() };
            let effects = ["the list of values was removed", "only the listed values are now valid"];
            return self.flag(place, listed, Effect::Narrows, effects);
        };
        for value in before.iter().filter(|value| !now.contains(value)) {
            self.add(place, Effect::Narrows, format!("the value {value} was removed"));
        }
        for value in now.iter().filter(|value| !before.contains(value)) {
            self.add(place, Effect::Widens, format!("the value {value} was added"));
        }
    }

    fn properties(&mut self, place: &str, Both { old, new }: &Both<Shape<'_>>) {
        let names: BTreeSet<_> = [old, new].into_iter().flat_map(Shape::named_properties).collect();
        for name in names {
            let place = join(place, &format!("properties/{name}"));
            let properties = Both { old: old.property(name), new: new.property(name) };
            let required = Both { old: old.requires(name), new: new.requires(name) };
            // Recipients of a closed object reject unknown properties.
            let described =
                presence("property", properties.map(|property| property.is_some()), required, old.is_closed());
            self.changes.extend(described.map(|described| (place.clone(), described)));
            if let Some(properties) = properties.kept() {
                self.schema(&place, properties);
            }
        }
    }

    /// Compares the schemas in an `allOf`, `anyOf` or `oneOf`. `more` is the effect of adding a schema.
    fn parts(&mut self, place: &str, lists: Both<Option<&Value>>, more: Effect) {
        for (key, parts) in lists.map(keyed).parts() {
            let (place, exists) = (join(place, &key), parts.map(|part| part.is_some()));
            self.flag(&place, exists, more, ["this schema was removed", "this schema was added"]);
            if let Some(schemas) = parts.kept() {
                self.schema(&place, schemas);
            }
        }
    }

    /// Compares a flag. `on` is the effect of setting the flag.
    fn flag(&mut self, place: &str, flag: Both<bool>, on: Effect, what: [&str; 2]) {
        if let Some(effect) = Effect::of_flag(flag, on) {
            self.add(place, effect, what[usize::from(flag.new)]);
        }
    }

    fn add(&mut self, place: &str, effect: Effect, what: impl Into<String>) {
        self.changes.push((place.to_owned(), (effect, what.into())));
    }
}

/// Schema that accepts every value, equivalent to an object without keywords.
static TRUE: Value = Value::Bool(true);

fn anything(schema: &Value) -> &Value {
    static ANYTHING: LazyLock<Value> = LazyLock::new(|| Value::Object(Object::new()));
    if *schema == TRUE { &ANYTHING } else { schema }
}

fn join(place: &str, key: &str) -> String {
    if place.is_empty() { key.to_owned() } else { format!("{place}/{key}") }
}

/// Returns the schemas by name, and unnamed schemas by position.
fn keyed(parts: Option<&Value>) -> BTreeMap<String, &Value> {
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
