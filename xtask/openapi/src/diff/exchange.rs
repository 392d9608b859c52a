//! What one operation exchanges with its callers: parameters, request body and responses.
//!
//! Which two operations belong together, and who may call them, is found by `operations`. A status is told by itself
//! (`404`), by its range (`4XX`) or by `default`; the closest of them counts. The codes of errors are compared by `codes`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::both::Both;
use super::document::{Document, Object, Operation, items, members, object};
use super::finding::{Comparison, Direction};
use super::schema;

/// The answers of an operation by status.
pub(super) type Answers<'a> = BTreeMap<&'a str, &'a Object>;

impl Comparison<'_> {
    pub(super) fn exchange(&mut self, operations: Both<Operation<'_>>) {
        for (site, parts) in self.documents.zip(operations).map(parameters).parts() {
            if let Some(parameters) = self.part((&site, Direction::Sent), "parameter", parts, false) {
                let empty = parameters.flag("allowEmptyValue");
                if empty.differ() {
                    let what = ["the value must not be empty any more", "the value may be empty now"];
                    self.tell(empty.old, &*site, what[usize::from(empty.new)]);
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
            statuses.map(|(status, answer)| (status, object(document.resolve(answer)))).collect::<Answers<'_>>()
        });
        for status in before.keys().chain(now.keys()).copied().collect::<BTreeSet<_>>() {
            let answers = Both { old: covering(status, &before), new: covering(status, &now) };
            let told = Both { old: before.contains_key(status), new: now.contains_key(status) };
            let parts: Vec<_> = now.keys().copied().filter(|other| is_of(other, status, &before)).collect();
            match (answers.old, answers.new) {
                (Some(_), _) if told.old && !told.new && !parts.is_empty() => {
                    self.ok(site(status), format!("told as {} now", parts.join(", ")));
                }
                (Some(_), Some(_)) if told.old && !told.new => self.ok(site(status), "not told by itself any more"),
                (Some(_), Some(_)) if !told.old => self.ok(site(status), "told by itself now"),
                (Some(_), None) if is_error(status) => self.ok(site(status), "the error is not answered any more"),
                (Some(_), None) => self.breaks(site(status), "the answer that clients wait for is gone"),
                // A client takes an error that it does not know for the first of its class (RFC 9110, 15).
                (None, _) if is_error(status) => self.ok(site(status), "the error is new"),
                (None, _) => self.breaks(site(status), "the status is new: clients may get what they do not know"),
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

    /// How the value of a parameter or header is written, and its schema.
    fn value(&mut self, site: &str, direction: Direction, values: Both<&Object>, known: &[&str]) {
        let style = values.map(style);
        if style.differ() {
            self.breaks(site, format!("`style` is {}, was {}", style.new, style.old));
        }
        // What is written into a URL or a header is text, or absent: a null that its schema allows never arrives.
        let schemas = values.get("schema").map(|schema| {
            let mut schema = schema.cloned();
            schema.as_mut().and_then(Value::as_object_mut).and_then(|schema| schema.remove("nullable"));
            schema
        });
        self.schemas(site, direction, Both { old: schemas.old.as_ref(), new: schemas.new.as_ref() });
        self.unknown_members(site, &[known, &["required", "schema", "style"][..]].concat(), values);
    }

    /// The media types of a body, and the schema of each.
    fn contents(&mut self, site: &str, direction: Direction, bodies: Both<&Object>) {
        let contents = bodies.get("content").map(|content| members(content).collect::<BTreeMap<_, _>>());
        // A client that asked for nothing special may get what it does not read; without a body it did not read any.
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

/// The parameters of an operation by site, with those of its path that it does not replace.
fn parameters<'a>((document, operation): (&'a Document, Operation<'a>)) -> BTreeMap<String, &'a Object> {
    let of_path = items(operation.item.get("parameters"));
    let all = of_path.chain(items(operation.value.get("parameters")));
    all.map(|parameter| {
        let parameter = object(document.resolve(parameter));
        let text = |key| parameter.get(key).and_then(Value::as_str).unwrap_or_default();
        // Only the names of headers are the same in either letter case.
        let name = if text("in") == "header" { text("name").to_lowercase() } else { text("name").to_owned() };
        (format!("parameters/{}/{name}", text("in")), parameter)
    })
    .collect()
}

/// The headers of an answer. Their names are the same in either letter case.
fn headers<'a>((document, answer): (&'a Document, &'a Object)) -> BTreeMap<String, &'a Object> {
    let headers = members(answer.get("headers"));
    headers.map(|(name, header)| (name.to_lowercase(), object(document.resolve(header)))).collect()
}

/// The style that counts where none is written.
fn style(value: &Object) -> Value {
    let is_form = matches!(value.get("in").and_then(Value::as_str), Some("query" | "cookie"));
    value.get("style").cloned().unwrap_or_else(|| json!(if is_form { "form" } else { "simple" }))
}

pub(super) fn site(status: &str) -> String {
    format!("responses/{status}")
}

/// What the answers say of a status, or of every status of a range.
pub(super) fn covering<'a>(status: &str, answers: &Answers<'a>) -> Option<&'a Object> {
    [status, &range(status), "default"].iter().find_map(|status| answers.get(status).copied())
}

fn range(status: &str) -> String {
    status.chars().take(1).chain("XX".chars()).collect()
}

pub(super) fn is_error(status: &str) -> bool {
    status.starts_with(['4', '5'])
}

/// Whether this status is one of those that the old range or `default` stood for.
pub(super) fn is_of(status: &str, wide: &str, before: &Answers<'_>) -> bool {
    let range = range(status);
    let stood_for = wide == range || wide == "default" && !before.contains_key(&*range);
    stood_for && !before.contains_key(status)
}
