//! The shape of a collection, version 2.1, and the scripts in it.

use serde_json::{Value, json};

use crate::tour::contract::{Answer, Operation, is_variable};
use crate::tour::steps::Step;
use crate::tour::{RUN, TOKEN, Variables, address};

const SCHEMA: &str = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json";

const DESCRIPTION: &str = "Everything that the services are for, in ten requests. Choose the environment, then run the \
                           collection: every request keeps what the next ones need, and checks its answer. It can be run \
                           as often as you like.";

pub(super) fn collection(items: &[Value], variables: &[&str]) -> Value {
    let variables = Vec::from_iter(variables.iter().map(|name| json!({ "key": name, "value": "" })));
    json!({
        "info": { "name": "B2B orders, the tour", "description": DESCRIPTION, "schema": SCHEMA },
        "auth": { "type": "bearer", "bearer": [{ "key": "token", "value": format!("{{{{{TOKEN}}}}}"), "type": "string" }] },
        "item": items,
        "variable": variables,
    })
}

pub(super) fn item(step: &Step, operation: &Operation<'_>, answer: &Answer<'_>, known: &Variables) -> Value {
    let mut events = vec![script("test", &tests(step, answer.status, known))];
    if operation.is_open() {
        // The first step: whoever needs no token is about to get one.
        events.insert(0, script("prerequest", &[new_run()]));
    }
    json!({ "name": step.name, "event": events, "request": request(step, operation, known) })
}

fn script(listen: &str, lines: &[String]) -> Value {
    json!({ "listen": listen, "script": { "type": "text/javascript", "exec": lines } })
}

fn new_run() -> String {
    format!(r#"pm.collectionVariables.set("{RUN}", pm.variables.replaceIn("{{{{$guid}}}}"));"#)
}

fn request(step: &Step, operation: &Operation<'_>, known: &Variables) -> Value {
    let mut headers = Vec::from_iter(step.headers.iter().map(|(key, value)| json!({ "key": key, "value": value })));
    let mut request = json!({
        "method": operation.method(),
        "url": url(step, operation),
        "description": step.note,
    });
    if operation.is_open() {
        request["auth"] = json!({ "type": "noauth" });
    }
    if let Some(body) = &step.body {
        headers.push(json!({ "key": "Content-Type", "value": "application/json" }));
        let options = json!({ "raw": { "language": "json" } });
        request["body"] = json!({ "mode": "raw", "raw": raw(body, known), "options": options });
    }
    request["header"] = headers.into();
    request
}

fn url(step: &Step, operation: &Operation<'_>) -> Value {
    let host = format!("{{{{{}}}}}", address(step.service));
    let parts = operation.path().trim_start_matches('/').split('/');
    let parts = Vec::from_iter(parts.map(|part| part.replace('{', ":").replace('}', "")));
    let query = step.query.iter().map(|(key, value)| format!("{key}={value}"));
    let query = Vec::from_iter(query).join("&");
    let mark = if query.is_empty() { "" } else { "?" };
    let pairs =
        |pairs: &[(&str, &str)]| Vec::from_iter(pairs.iter().map(|(key, value)| json!({ "key": key, "value": value })));
    json!({
        "raw": format!("{host}/{}{mark}{query}", parts.join("/")),
        "host": [host],
        "path": parts,
        "query": pairs(step.query),
        "variable": pairs(step.path),
    })
}

/// A body with its variables. One that is a number has to stand without quotes.
fn raw(body: &Value, known: &Variables) -> String {
    let text = format!("{body:#}");
    let numbers = known.own().into_iter().filter(|name| known.is_number(name));
    numbers.fold(text, |text, name| text.replace(&format!("\"{{{{{name}}}}}\""), &format!("{{{{{name}}}}}")))
}

fn tests(step: &Step, status: u16, known: &Variables) -> Vec<String> {
    let mut lines = vec![
        format!(r#"pm.test("The status is {status}", () => pm.response.to.have.status({status}));"#),
        "const answer = pm.response.json();".to_owned(),
    ];
    for (name, value) in step.answer_headers {
        lines.push(format!(
            r#"pm.test("The header {name} is {value}", () => pm.expect(pm.response.headers.get("{name}")).to.eql("{value}"));"#
        ));
    }
    for (place, value) in &step.answer {
        let shown = value.as_str().map_or_else(|| value.to_string(), |text| text.replace(['{', '}'], ""));
        let expected = expected(value, known);
        lines.push(format!(r#"pm.test("{place} is {shown}", () => pm.expect(answer.{place}).to.eql({expected}));"#));
    }
    for (variable, place) in step.keeps {
        lines.push(format!(r#"pm.collectionVariables.set("{variable}", answer.{place});"#));
    }
    lines
}

/// The value that is expected, as JavaScript.
fn expected(value: &Value, known: &Variables) -> String {
    match value.as_str() {
        Some(text) if text.contains("{{") => {
            let filled = format!("pm.variables.replaceIn({value})");
            let is_number = is_variable(text) && known.is_number(text.trim_matches(['{', '}']));
            if is_number { format!("Number({filled})") } else { filled }
        }
        _ => value.to_string(),
    }
}
