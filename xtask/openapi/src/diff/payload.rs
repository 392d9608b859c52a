//! What carries a schema: the value of a parameter or header, and the content of a body.

use serde_json::Value;

use super::Pair;
use super::document::{Object, members, object};
use super::finding::{Direction, Finding};
use super::same::unknown_members;
use super::schema;

/// How the value of a parameter or header is written, and its schema.
pub(super) fn value(pair: Pair<'_>, site: &str, direction: Direction, old: &Object, new: &Object) -> Vec<Finding> {
    let mut found = Vec::new();
    let (before, now) = (style(old), style(new));
    if before != now {
        found.push(Finding::breaks(site, format!("`style` is {now}, was {before}")));
    }
    found.extend(schemas(pair, site, direction, &without_null(old), &without_null(new)));
    found
}

/// What is written into a URL or a header is text, or absent. A null that its schema allows never arrives.
fn without_null(value: &Object) -> Object {
    let mut value = value.clone();
    if let Some(schema) = value.get_mut("schema").and_then(Value::as_object_mut) {
        schema.remove("nullable");
    }
    value
}

/// The style that counts where none is written.
fn style(value: &Object) -> Value {
    let usual = match value.get("in").and_then(Value::as_str) {
        Some("query" | "cookie") => "form",
        _ => "simple",
    };
    value.get("style").cloned().unwrap_or_else(|| usual.into())
}

fn schemas(pair: Pair<'_>, site: &str, direction: Direction, old: &Object, new: &Object) -> Vec<Finding> {
    let (before, now) = (old.get("schema"), new.get("schema"));
    let anything = &Value::Bool(true);
    let changes = schema::compare(pair, before.unwrap_or(anything), now.unwrap_or(anything));
    changes.into_iter().map(|change| Finding::of(site, direction, change)).collect()
}

/// The media types of a body, and the schema of each.
pub(super) fn contents(pair: Pair<'_>, site: &str, direction: Direction, old: &Object, new: &Object) -> Vec<Finding> {
    let (before, now) = (object_at(old, "content"), object_at(new, "content"));
    let mut found = Vec::new();
    for (media_type, old) in members(old.get("content")) {
        let Some(new) = now.get(media_type) else {
            found.push(Finding::breaks(site, format!("the body is not {media_type} any more")));
            continue;
        };
        found.extend(schemas(pair, site, direction, object(old), object(new)));
        found.extend(unknown_members(pair, site, &["schema"], object(old), object(new)));
    }
    for media_type in now.keys().filter(|media_type| !before.contains_key(*media_type)) {
        // A client that asked for nothing special may get what it does not read; without a body it did not read any.
        let surprises = direction == Direction::Received && !before.is_empty();
        found.push(match surprises {
            true => Finding::breaks(
                site,
                format!("the body may be {media_type} now: clients may get what they do not know"),
            ),
            false => Finding::ok(site, format!("the body may be {media_type} now")),
        });
    }
    found
}

fn object_at<'a>(holder: &'a Object, key: &str) -> &'a Object {
    object(holder.get(key).unwrap_or(&Value::Null))
}
