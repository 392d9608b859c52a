//! The differences between two schemas, and what each does to the set of values that the schema describes.
//!
//! Who sends the values is not known here. Keywords with a value of their own are compared by `limits`; what leads to
//! other schemas is compared here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde_json::Value;

use super::both::Both;
use super::document::{Document, Object, items, reference};
use super::finding::{Change, Effect, SCHEMAS, not_understood, presence, same};
use super::limits;
use super::shape::Shape;

pub(super) fn compare(documents: Both<&Document>, schemas: Both<&Value>) -> Vec<Change> {
    let mut walk = Walk { documents, seen: BTreeSet::new(), changes: Vec::new() };
    walk.schema("", schemas);
    walk.changes
}

struct Walk<'a> {
    documents: Both<&'a Document>,
    /// The schemas that were compared with each other, by their addresses: references may go round in a circle.
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

    /// What belongs to the place where a schema is used: its name, and whether there has to be a value.
    fn site(&mut self, place: &str, Both { old, new }: &Both<Shape<'_>>) {
        if let Some(before) = old.name.filter(|before| new.name != Some(*before)) {
            let now = new.name.map_or("has no name any more".to_owned(), |now| format!("is called {now} now"));
            self.tell(place, Effect::Replaces, format!("the schema {before} {now}"));
        }
        let nullable = Both { old: old.nullable, new: new.nullable };
        self.flag(place, nullable, Effect::Widens, ["null is not valid any more", "null is valid now"]);
        match (old.default, new.default) {
            (Some(before), Some(now)) if before != now => {
                self.tell(place, Effect::Replaces, format!("the default is {now}, was {before}"));
            }
            (Some(before), None) => self.tell(place, Effect::Replaces, format!("the default {before} is gone")),
            (None, Some(now)) => self.tell(place, Effect::Keeps, format!("the default {now} is told")),
            _ => {}
        }
    }

    fn keywords(&mut self, place: &str, shapes: &Both<Shape<'_>>) {
        let told = self.changes.len();
        self.keyword(place, "type", shapes);
        // What else differs follows from another type.
        if self.changes[told..].iter().any(|(_, (effect, _))| *effect == Effect::Replaces) {
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
                let effects = ["other properties are possible now", "other properties are refused now"];
                self.flag(place, is_closed, Effect::Narrows, effects);
            }
            "items" | "additionalProperties" => self.schema(place, values.map(|value| value.unwrap_or(&TRUE))),
            "allOf" => self.parts(place, values, Effect::Narrows),
            "anyOf" | "oneOf" if values.old.is_some() && values.new.is_some() => {
                self.parts(place, values, Effect::Widens);
            }
            _ => match limits::compare(key, values) {
                Some(found) => found.into_iter().for_each(|(effect, what)| self.tell(place, effect, what)),
                None if same(self.documents, values) => {}
                None => self.tell(place, Effect::Replaces, not_understood(key)),
            },
        }
    }

    fn values(&mut self, place: &str, Both { old, new }: &Both<Shape<'_>>) {
        let (Some(before), Some(now)) = (&old.values, &new.values) else {
            let listed = Both { old: old.values.is_some(), new: new.values.is_some() };
            let effects = ["the list of its values is gone", "only the listed values are valid now"];
            return self.flag(place, listed, Effect::Narrows, effects);
        };
        for value in before.iter().filter(|value| !now.contains(value)) {
            self.tell(place, Effect::Narrows, format!("the value {value} is gone"));
        }
        for value in now.iter().filter(|value| !before.contains(value)) {
            self.tell(place, Effect::Widens, format!("the value {value} is new"));
        }
    }

    fn properties(&mut self, place: &str, Both { old, new }: &Both<Shape<'_>>) {
        let names: BTreeSet<_> = [old, new].into_iter().flat_map(Shape::named_properties).collect();
        for name in names {
            let place = join(place, &format!("properties/{name}"));
            let properties = Both { old: old.property(name), new: new.property(name) };
            let required = Both { old: old.requires(name), new: new.requires(name) };
            // Where the object was closed, whoever reads it refuses what is not named.
            let told = presence("property", properties.map(|property| property.is_some()), required, old.is_closed());
            self.changes.extend(told.map(|told| (place.clone(), told)));
            if let Some(properties) = properties.kept() {
                self.schema(&place, properties);
            }
        }
    }

    /// The members of an `allOf`, `anyOf` or `oneOf`; `more` is what one more of them does.
    fn parts(&mut self, place: &str, lists: Both<Option<&Value>>, more: Effect) {
        for (key, parts) in lists.map(keyed).parts() {
            let place = join(place, &key);
            self.flag(&place, parts.map(|part| part.is_some()), more, ["this part is gone", "this part is new"]);
            if let Some(schemas) = parts.kept() {
                self.schema(&place, schemas);
            }
        }
    }

    /// A flag that turned off or on; `on` is what it does to the values where it turned on.
    fn flag(&mut self, place: &str, flag: Both<bool>, on: Effect, what: [&str; 2]) {
        if let Some(effect) = Effect::of_flag(flag, on) {
            self.tell(place, effect, what[usize::from(flag.new)]);
        }
    }

    fn tell(&mut self, place: &str, effect: Effect, what: impl Into<String>) {
        self.changes.push((place.to_owned(), (effect, what.into())));
    }
}

/// The schema of everything, as an object without keywords is.
static TRUE: Value = Value::Bool(true);

fn anything(schema: &Value) -> &Value {
    static ANYTHING: LazyLock<Value> = LazyLock::new(|| Value::Object(Object::new()));
    if *schema == TRUE { &ANYTHING } else { schema }
}

fn join(place: &str, key: &str) -> String {
    if place.is_empty() { key.to_owned() } else { format!("{place}/{key}") }
}

/// Parts with a name are found by it, the others by their order.
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
