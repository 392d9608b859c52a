//! What one operation exchanges with its callers: parameters, request body and responses.
//!
//! Which two operations belong together, and who may call them, is found by `operations`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Pair;
use super::document::{Document, Object, Operation, is_true, items, object};
use super::finding::{Direction, Finding};
use super::payload::{contents, value};
use super::responses;
use super::same::unknown_members;

pub(super) fn compare(pair: Pair<'_>, old: Operation<'_>, new: Operation<'_>) -> Vec<Finding> {
    let mut found = parameters(pair, old, new);
    found.extend(request_body(pair, old.value.get("requestBody"), new.value.get("requestBody")));
    found.extend(responses::compare(pair, old.value.get("responses"), new.value.get("responses")));
    found
}

fn parameters(pair: Pair<'_>, old: Operation<'_>, new: Operation<'_>) -> Vec<Finding> {
    let (before, now) = (by_site(pair.old, old), by_site(pair.new, new));
    let mut found = Vec::new();
    for (site, old) in &before {
        match now.get(site) {
            Some(new) => found.extend(parameter(pair, site, old, new)),
            None => found.push(Finding::breaks(site, "the parameter is gone")),
        }
    }
    for (site, new) in now.iter().filter(|(site, _)| !before.contains_key(*site)) {
        found.push(match is_true(new.get("required")) {
            true => Finding::breaks(site, "the required parameter is new: clients do not send it"),
            false => Finding::ok(site, "the optional parameter is new"),
        });
    }
    found
}

/// The parameters of an operation, and those of its path that it does not replace.
fn by_site<'a>(document: &'a Document, operation: Operation<'a>) -> BTreeMap<String, &'a Object> {
    let of_path = items(operation.item.get("parameters"));
    let all = of_path.chain(items(operation.value.get("parameters")));
    all.map(|parameter| object(document.resolve(parameter))).map(|parameter| (site(parameter), parameter)).collect()
}

/// Only the names of headers are the same in either letter case.
fn site(parameter: &Object) -> String {
    let text = |key| parameter.get(key).and_then(Value::as_str).unwrap_or_default();
    match text("in") {
        "header" => format!("parameters/header/{}", text("name").to_lowercase()),
        place => format!("parameters/{place}/{}", text("name")),
    }
}

fn parameter(pair: Pair<'_>, site: &str, old: &Object, new: &Object) -> Vec<Finding> {
    let mut found = match (is_true(old.get("required")), is_true(new.get("required"))) {
        (false, true) => vec![Finding::breaks(site, "the parameter is required now: some clients do not send it")],
        (true, false) => vec![Finding::ok(site, "the parameter is not required any more")],
        _ => Vec::new(),
    };
    found.extend(match (is_true(old.get("allowEmptyValue")), is_true(new.get("allowEmptyValue"))) {
        (true, false) => Some(Finding::breaks(site, "the value must not be empty any more")),
        (false, true) => Some(Finding::ok(site, "the value may be empty now")),
        _ => None,
    });
    found.extend(value(pair, site, Direction::Sent, old, new));
    const KNOWN: &[&str] = &["allowEmptyValue", "in", "name", "required", "schema", "style"];
    found.extend(unknown_members(pair, site, KNOWN, old, new));
    found
}

fn request_body(pair: Pair<'_>, old: Option<&Value>, new: Option<&Value>) -> Vec<Finding> {
    const SITE: &str = "requestBody";
    let old = old.map(|body| object(pair.old.resolve(body)));
    let new = new.map(|body| object(pair.new.resolve(body)));
    let required = |body: &Object| is_true(body.get("required"));
    let (old, new) = match (old, new) {
        (None, None) => return Vec::new(),
        (None, Some(new)) if required(new) => return vec![Finding::breaks(SITE, "a body is required now")],
        (None, Some(_)) => return vec![Finding::ok(SITE, "a body may be sent now")],
        (Some(_), None) => return vec![Finding::breaks(SITE, "the body that clients send is not read any more")],
        (Some(old), Some(new)) => (old, new),
    };
    let mut found = match (required(old), required(new)) {
        (false, true) => vec![Finding::breaks(SITE, "the body is required now")],
        (true, false) => vec![Finding::ok(SITE, "the body is not required any more")],
        _ => Vec::new(),
    };
    found.extend(contents(pair, SITE, Direction::Sent, old, new));
    found.extend(unknown_members(pair, SITE, &["content", "required"], old, new));
    found
}
