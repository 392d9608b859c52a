//! The answers of one operation: statuses, bodies and headers. The codes of its errors are compared by `codes`.
//!
//! A status is told by itself (`404`), by its range (`4XX`) or by `default`; the closest of them counts.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Pair;
use super::codes;
use super::document::{Document, Object, is_true, members, object};
use super::finding::{Direction, Finding};
use super::payload::{contents, value};
use super::same::unknown_members;

/// The answers by status.
pub(super) type Answers<'a> = BTreeMap<&'a str, &'a Object>;

pub(super) fn compare(pair: Pair<'_>, old: Option<&Value>, new: Option<&Value>) -> Vec<Finding> {
    let (before, now) = (answers(pair.old, old), answers(pair.new, new));
    let mut found = Vec::new();
    for (status, old) in before.iter().filter(|(status, _)| !now.contains_key(*status)) {
        found.push(left_out(status, &before, &now));
        let covered = covering(status, &now).into_iter();
        found.extend(covered.flat_map(|new| answer(pair, status, old, new)));
    }
    for (status, new) in &now {
        match covering(status, &before) {
            Some(old) => found.extend(answer(pair, status, old, new)),
            // A client takes an error that it does not know for the first of its class (RFC 9110, 15).
            None if is_error(status) => found.push(Finding::ok(site(status), "the error is new")),
            None => {
                found.push(Finding::breaks(site(status), "the status is new: clients may get what they do not know"));
            }
        }
    }
    let apart = now.keys().filter(|status| !before.contains_key(*status) && covering(status, &before).is_some());
    let apart = apart.filter(|status| now.contains_key(range(status).as_str()) || now.contains_key("default"));
    found.extend(apart.map(|status| Finding::ok(site(status), "told by itself now")));
    found.extend(codes::compare(&before, &now));
    let (old, new) = (extensions(old), extensions(new));
    found.extend(unknown_members(pair, "responses", &[], &old, &new));
    found
}

pub(super) fn site(status: &str) -> String {
    format!("responses/{status}")
}

fn answers<'a>(document: &'a Document, responses: Option<&'a Value>) -> Answers<'a> {
    let statuses = members(responses).filter(|(status, _)| !status.starts_with("x-"));
    statuses.map(|(status, answer)| (status, object(document.resolve(answer)))).collect()
}

fn extensions(responses: Option<&Value>) -> Object {
    let extensions = members(responses).filter(|(key, _)| key.starts_with("x-"));
    extensions.map(|(key, value)| (key.to_owned(), value.clone())).collect()
}

/// What the answers say of a status, or of every status of a range.
pub(super) fn covering<'a>(status: &str, answers: &Answers<'a>) -> Option<&'a Object> {
    let said = [status, &range(status), "default"];
    said.iter().find_map(|status| answers.get(status).copied())
}

fn range(status: &str) -> String {
    status.chars().take(1).chain("XX".chars()).collect()
}

pub(super) fn is_error(status: &str) -> bool {
    status.starts_with(['4', '5'])
}

/// What becomes of a status that the new document does not tell as the old one did.
fn left_out(status: &str, before: &Answers<'_>, now: &Answers<'_>) -> Finding {
    let told: Vec<_> = now.keys().copied().filter(|other| is_of(other, status, before)).collect();
    let site = site(status);
    if !told.is_empty() {
        Finding::ok(site, format!("told as {} now", told.join(", ")))
    } else if covering(status, now).is_some() {
        Finding::ok(site, "not told by itself any more")
    } else if is_error(status) {
        Finding::ok(site, "the error is not answered any more")
    } else {
        Finding::breaks(site, "the answer that clients wait for is gone")
    }
}

/// Whether this status is one of those that the old range or `default` stood for.
pub(super) fn is_of(status: &str, wide: &str, before: &Answers<'_>) -> bool {
    let stood_for = wide == range(status) || wide == "default" && !before.contains_key(range(status).as_str());
    stood_for && !before.contains_key(status)
}

fn answer(pair: Pair<'_>, status: &str, old: &Object, new: &Object) -> Vec<Finding> {
    let site = site(status);
    let mut found = contents(pair, &site, Direction::Received, old, new);
    found.extend(headers(pair, &site, old, new));
    found.extend(unknown_members(pair, &site, &["content", "headers"], old, new));
    found
}

fn headers(pair: Pair<'_>, site: &str, old: &Object, new: &Object) -> Vec<Finding> {
    let (before, now) = (by_name(pair.old, old), by_name(pair.new, new));
    let mut found = Vec::new();
    for (name, old) in &before {
        let site = format!("{site}/headers/{name}");
        match now.get(name) {
            Some(new) => found.extend(header(pair, &site, old, new)),
            None => found.push(Finding::breaks(site, "the header is gone")),
        }
    }
    let added = now.keys().filter(|name| !before.contains_key(*name));
    found.extend(added.map(|name| Finding::ok(format!("{site}/headers/{name}"), "the header is new")));
    found
}

/// The names of headers are the same in either letter case.
fn by_name<'a>(document: &'a Document, answer: &'a Object) -> BTreeMap<String, &'a Object> {
    let headers = members(answer.get("headers"));
    headers.map(|(name, header)| (name.to_lowercase(), object(document.resolve(header)))).collect()
}

fn header(pair: Pair<'_>, site: &str, old: &Object, new: &Object) -> Vec<Finding> {
    let mut found = match (is_true(old.get("required")), is_true(new.get("required"))) {
        (true, false) => vec![Finding::breaks(site, "the header may be absent now")],
        (false, true) => vec![Finding::ok(site, "the header is always there now")],
        _ => Vec::new(),
    };
    found.extend(value(pair, site, Direction::Received, old, new));
    found.extend(unknown_members(pair, site, &["required", "schema", "style"], old, new));
    found
}
