//! What one operation exchanges with its callers: parameters, request body and responses.
//!
//! Which two operations belong together, and who may call them, is found by `operations`. A status is told by itself
//! (`404`), by its range (`4XX`) or by `default`; the closest of them counts. The codes of errors are compared by `codes`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::both::{Both, Part};
use super::document::{Document, Object, Operation, is_true, items, members, object};
use super::finding::{Comparison, Direction};
use super::schema;

/// The answers of an operation by status.
pub(super) type Answers<'a> = BTreeMap<&'a str, &'a Object>;

impl Comparison<'_> {
    pub(super) fn exchange(&mut self, operations: Both<Operation<'_>>) {
        for (site, part) in self.documents.zip(operations).map(parameters).parts() {
            match part {
                Part::Kept(parameters) => self.parameter(&site, parameters),
                Part::Gone(_) => self.breaks(site, "the parameter is gone"),
                Part::Added(new) if is_true(new.get("required")) => {
                    self.breaks(site, "the required parameter is new: clients do not send it");
                }
                Part::Added(_) => self.ok(site, "the optional parameter is new"),
            }
        }
        let bodies = operations.map(|operation| operation.value.get("requestBody"));
        self.request_body(self.documents.zip(bodies).map(|(document, body)| Some(object(document.resolve(body?)))));
        self.responses(operations.map(|operation| operation.value.get("responses")));
    }

    fn parameter(&mut self, site: &str, parameters: Both<&Object>) {
        let required =
            ["the parameter is not required any more", "the parameter is required now: some clients do not send it"];
        self.flag(site, parameters.flag("required"), true, required);
        let empty = ["the value must not be empty any more", "the value may be empty now"];
        self.flag(site, parameters.flag("allowEmptyValue"), false, empty);
        self.value(site, Direction::Sent, parameters);
        self.unknown_members(site, &["allowEmptyValue", "in", "name", "required", "schema", "style"], parameters);
    }

    fn request_body(&mut self, bodies: Both<Option<&Object>>) {
        const SITE: &str = "requestBody";
        let bodies = match (bodies.old, bodies.new) {
            (None, None) => return,
            (None, Some(new)) if is_true(new.get("required")) => return self.breaks(SITE, "a body is required now"),
            (None, Some(_)) => return self.ok(SITE, "a body may be sent now"),
            (Some(_), None) => return self.breaks(SITE, "the body that clients send is not read any more"),
            (Some(old), Some(new)) => Both { old, new },
        };
        let required = ["the body is not required any more", "the body is required now"];
        self.flag(SITE, bodies.flag("required"), true, required);
        self.contents(SITE, Direction::Sent, bodies);
        self.unknown_members(SITE, &["content", "required"], bodies);
    }

    fn responses(&mut self, responses: Both<Option<&Value>>) {
        let is_extension = |key: &str| key.starts_with("x-");
        let answers = self.documents.zip(responses).map(|(document, responses)| {
            let statuses = members(responses).filter(|(status, _)| !is_extension(status));
            statuses.map(|(status, answer)| (status, object(document.resolve(answer)))).collect::<Answers<'_>>()
        });
        let (before, now) = (&answers.old, &answers.new);
        for (status, old) in before.iter().filter(|(status, _)| !now.contains_key(*status)) {
            self.left_out(status, before, now);
            if let Some(new) = covering(status, now) {
                self.answer(status, Both { old, new });
            }
        }
        for (status, new) in now {
            match covering(status, before) {
                Some(old) => self.answer(status, Both { old, new }),
                // A client takes an error that it does not know for the first of its class (RFC 9110, 15).
                None if is_error(status) => self.ok(site(status), "the error is new"),
                None => self.breaks(site(status), "the status is new: clients may get what they do not know"),
            }
        }
        let apart = now.keys().filter(|status| !before.contains_key(*status) && covering(status, before).is_some());
        for status in apart.filter(|status| now.contains_key(&*range(status)) || now.contains_key("default")) {
            self.ok(site(status), "told by itself now");
        }
        self.codes(before, now);
        let extensions = responses.map(|responses| {
            let extensions = members(responses).filter(|(key, _)| is_extension(key));
            extensions.map(|(key, value)| (key.to_owned(), value.clone())).collect::<Object>()
        });
        self.unknown_members("responses", &[], Both { old: &extensions.old, new: &extensions.new });
    }

    /// What becomes of a status that the new document does not tell as the old one did.
    fn left_out(&mut self, status: &str, before: &Answers<'_>, now: &Answers<'_>) {
        let told: Vec<_> = now.keys().copied().filter(|other| is_of(other, status, before)).collect();
        if !told.is_empty() {
            self.ok(site(status), format!("told as {} now", told.join(", ")));
        } else if covering(status, now).is_some() {
            self.ok(site(status), "not told by itself any more");
        } else if is_error(status) {
            self.ok(site(status), "the error is not answered any more");
        } else {
            self.breaks(site(status), "the answer that clients wait for is gone");
        }
    }

    fn answer(&mut self, status: &str, answers: Both<&Object>) {
        let site = site(status);
        self.contents(&site, Direction::Received, answers);
        for (name, part) in self.documents.zip(answers).map(headers).parts() {
            let site = format!("{site}/headers/{name}");
            match part {
                Part::Kept(headers) => {
                    let required = ["the header may be absent now", "the header is always there now"];
                    self.flag(&site, headers.flag("required"), false, required);
                    self.value(&site, Direction::Received, headers);
                    self.unknown_members(&site, &["required", "schema", "style"], headers);
                }
                Part::Gone(_) => self.breaks(site, "the header is gone"),
                Part::Added(_) => self.ok(site, "the header is new"),
            }
        }
        self.unknown_members(&site, &["content", "headers"], answers);
    }

    /// How the value of a parameter or header is written, and its schema.
    fn value(&mut self, site: &str, direction: Direction, values: Both<&Object>) {
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
    }

    /// The media types of a body, and the schema of each.
    fn contents(&mut self, site: &str, direction: Direction, bodies: Both<&Object>) {
        let contents = bodies.get("content").map(|content| members(content).collect::<BTreeMap<_, _>>());
        // A client that asked for nothing special may get what it does not read; without a body it did not read any.
        let surprises = direction == Direction::Received && !contents.old.is_empty();
        for (media_type, part) in contents.parts() {
            match part {
                Part::Kept(contents) => {
                    let contents = contents.map(object);
                    self.schemas(site, direction, contents.get("schema"));
                    self.unknown_members(site, &["schema"], contents);
                }
                Part::Gone(_) => self.breaks(site, format!("the body is not {media_type} any more")),
                Part::Added(_) if surprises => {
                    let reason = "clients may get what they do not know";
                    self.breaks(site, format!("the body may be {media_type} now: {reason}"));
                }
                Part::Added(_) => self.ok(site, format!("the body may be {media_type} now")),
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
