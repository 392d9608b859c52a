//! Comparison of an operation's parameters, request body and responses.
//!
//! `operations` matches operations and compares their callers; `codes` compares error codes. A response is defined for
//! a specific status (`404`), for a range (`4XX`), or as `default`; the most specific definition applies.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::both::Both;
use super::document::{Document, Object, Operation, items, members, object};
use super::finding::{Comparison, Direction};
use super::schema;

/// Responses of an operation, by status.
pub(super) type Responses<'a> = BTreeMap<&'a str, &'a Object>;

impl Comparison<'_> {
    pub(super) fn exchange(&mut self, operations: Both<Operation<'_>>) {
        for (site, parts) in self.documents.zip(operations).map(parameters).parts() {
            if let Some(parameters) = self.part((&site, Direction::Sent), "parameter", parts, false) {
                let empty = parameters.flag("allowEmptyValue");
                if empty.differ() {
                    let what = ["the value must no longer be empty", "the value may now be empty"];
                    self.add(empty.old, &*site, what[usize::from(empty.new)]);
                }
                self.value(&site, Direction::Sent, parameters, &["allowEmptyValue", "in", "name"]);
            }
        }
        let bodies = operations.map(|operation| operation.value.get("requestBody"));
        let bodies = self.documents.zip(bodies).map(|(document, body)| Some(object(document.resolve(body?))));
        let site = "requestBody";
        if let Some(bodies) = self.part((site, Direction::Sent), "body", bodies, false) {
            self.contents(site, Direction::Sent, bodies);
            self.unknown_members(site, &["content", "required"], bodies);
        }
        self.responses(operations.map(|operation| operation.value.get("responses")));
    }

    fn responses(&mut self, responses: Both<Option<&Value>>) {
        let is_extension = |key: &str| key.starts_with("x-");
        let Both { old: before, new: now } = self.documents.zip(responses).map(|(document, responses)| {
            let statuses = members(responses).filter(|(status, _)| !is_extension(status));
            statuses.map(|(status, answer)| (status, object(document.resolve(answer)))).collect::<Responses<'_>>()
        });
        for status in before.keys().chain(now.keys()).copied().collect::<BTreeSet<_>>() {
            let answers = Both { old: covering(status, &before), new: covering(status, &now) };
            let listed = Both { old: before.contains_key(status), new: now.contains_key(status) };
            let parts: Vec<_> = now.keys().copied().filter(|other| is_covered_by(other, status, &before)).collect();
            match (answers.old, answers.new) {
                (Some(_), _) if listed.old && !listed.new && !parts.is_empty() => {
                    self.ok(site(status), format!("now listed as {}", parts.join(", ")));
                }
                (Some(_), Some(_)) if listed.old && !listed.new => self.ok(site(status), "no longer listed explicitly"),
                (Some(_), Some(_)) if !listed.old => self.ok(site(status), "now listed explicitly"),
                (Some(_), None) if is_error(status) => self.ok(site(status), "the error is no longer returned"),
                (Some(_), None) => self.breaks(site(status), "the response was removed: clients expect it"),
                // Clients treat an unknown error status as the x00 status of its class (RFC 9110, section 15).
                (None, _) if is_error(status) => self.ok(site(status), "the error was added"),
                (None, _) => self.breaks(site(status), "the status was added: clients may not support it"),
                _ => {}
            }
            if let Some(answers) = answers.kept() {
                self.answer(&site(status), answers);
            }
        }
        self.codes(&before, &now);
        let responses = responses.map(|responses| object(responses.unwrap_or(&Value::Null)));
        let statuses: Vec<_> = responses.members().into_keys().filter(|key| !is_extension(key)).collect();
        self.unknown_members("responses", &statuses, responses);
    }

    fn answer(&mut self, site: &str, answers: Both<&Object>) {
        self.contents(site, Direction::Received, answers);
        for (name, parts) in self.documents.zip(answers).map(headers).parts() {
            let site = format!("{site}/headers/{name}");
            if let Some(headers) = self.part((&site, Direction::Received), "header", parts, false) {
                self.value(&site, Direction::Received, headers, &[]);
            }
        }
        self.unknown_members(site, &["content", "headers"], answers);
    }

    /// Compares the style and schema of a parameter or header.
    fn value(&mut self, site: &str, direction: Direction, values: Both<&Object>, known: &[&str]) {
        let style = values.map(style);
        if style.differ() {
            self.breaks(site, format!("`style` is {}, was {}", style.new, style.old));
        }
        // URLs and headers cannot represent null, so `nullable` has no effect.
        let schemas = values.get("schema").map(|schema| {
            let mut schema = schema.cloned();
            schema.as_mut().and_then(Value::as_object_mut).and_then(|schema| schema.remove("nullable"));
            schema
        });
        self.schemas(site, direction, Both { old: schemas.old.as_ref(), new: schemas.new.as_ref() });
        self.unknown_members(site, &[known, &["required", "schema", "style"][..]].concat(), values);
    }

    /// Compares the media types of a body, and the schema for each media type.
    fn contents(&mut self, site: &str, direction: Direction, bodies: Both<&Object>) {
        let contents = bodies.get("content").map(|content| members(content).collect::<BTreeMap<_, _>>());
        // Clients without an Accept header may receive a new media type. They ignore a body that was not documented.
        let was_closed = !contents.old.is_empty();
        for (media_type, parts) in contents.parts() {
            let parts = parts.map(|content| content.map(object));
            if let Some(contents) = self.part((site, direction), &format!("body as {media_type}"), parts, was_closed) {
                self.schemas(site, direction, contents.get("schema"));
                self.unknown_members(site, &["schema"], contents);
            }
        }
    }

    fn schemas(&mut self, site: &str, direction: Direction, schemas: Both<Option<&Value>>) {
        let anything = json!(true);
        for change in schema::compare(self.documents, schemas.map(|schema| schema.unwrap_or(&anything))) {
            self.change(site, direction, change);
        }
    }
}

/// Returns the parameters of an operation by site, including those of the path that it does not override.
fn parameters<'a>((document, operation): (&'a Document, Operation<'a>)) -> BTreeMap<String, &'a Object> {
    let of_path = items(operation.item.get("parameters"));
    let all = of_path.chain(items(operation.value.get("parameters")));
    all.map(|parameter| {
        let parameter = object(document.resolve(parameter));
        let text = |key| parameter.get(key).and_then(Value::as_str).unwrap_or_default();
        // Only header names are case-insensitive.
        let name = if text("in") == "header" { text("name").to_lowercase() } else { text("name").to_owned() };
        (format!("parameters/{}/{name}", text("in")), parameter)
    })
    .collect()
}

fn headers<'a>((document, answer): (&'a Document, &'a Object)) -> BTreeMap<String, &'a Object> {
    let headers = members(answer.get("headers"));
    headers.map(|(name, header)| (name.to_lowercase(), object(document.resolve(header)))).collect()
}

/// Returns the style, or the default style if none is given.
fn style(value: &Object) -> Value {
    let is_form = matches!(value.get("in").and_then(Value::as_str), Some("query" | "cookie"));
    value.get("style").cloned().unwrap_or_else(|| json!(if is_form { "form" } else { "simple" }))
}

pub(super) fn site(status: &str) -> String {
    format!("responses/{status}")
}

/// Returns the response that applies to a status, or to every status in a range.
pub(super) fn covering<'a>(status: &str, answers: &Responses<'a>) -> Option<&'a Object> {
    [status, &range(status), "default"].iter().find_map(|status| answers.get(status).copied())
}

fn range(status: &str) -> String {
    status.chars().take(1).chain("XX".chars()).collect()
}

pub(super) fn is_error(status: &str) -> bool {
    status.starts_with(['4', '5'])
}

/// Returns whether `wide`, which is a range or `default` in the old document, covered this status.
pub(super) fn is_covered_by(status: &str, wide: &str, before: &Responses<'_>) -> bool {
    let range = range(status);
    let is_in_wide = wide == range || wide == "default" && !before.contains_key(&*range);
    is_in_wide && !before.contains_key(status)
}
