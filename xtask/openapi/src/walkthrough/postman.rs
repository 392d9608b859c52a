//! Postman collection format, version 2.1, including the scripts of its requests.

use openapi_document::Operation;
use serde_json::{Map, Value, json};

use super::{JSON, RUN, Step, Variables, address};

const SCHEMA: &str = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json";
const DESCRIPTION: &str = "Demonstrates the main use cases of the services in ten requests. Select the environment, \
                           and then run the collection. Each request checks its response and stores the variables \
                           that later requests need. The collection can be run repeatedly.";

pub(super) fn collection(items: &[Value], variables: &Variables) -> Value {
    let variables = Vec::from_iter(variables.0.iter().map(|(name, _)| json!({ "key": name, "value": "" })));
    // The first step sets the token that authenticates all other requests.
    json!({
        "info": { "name": "B2B orders walkthrough", "description": DESCRIPTION, "schema": SCHEMA },
        "auth": { "type": "bearer", "bearer": [{ "key": "token", "value": "{{bearerToken}}", "type": "string" }] },
        "item": items,
        "variable": variables,
    })
}

pub(super) fn item(step: &Step, operation: Operation<'_>, status: &str, known: &Variables) -> Value {
    let is_open = operation.schemes().next().is_none();
    let mut events = vec![script("test", &tests(step, status, known))];
    if is_open {
        // Only the first step needs no token: it logs in and starts a new run.
        let new_run = format!(r#"pm.collectionVariables.set("{RUN}", pm.variables.replaceIn("{{{{$guid}}}}"));"#);
        events.insert(0, script("prerequest", &[new_run]));
    }
    let mut headers = pairs(&step.headers);
    let mut request = json!({
        "method": operation.method.to_uppercase(),
        "url": url(step, operation),
        "description": step.note,
    });
    if is_open {
        request["auth"] = json!({ "type": "noauth" });
    }
    if let Some(body) = &step.body {
        headers.push(json!({ "key": "Content-Type", "value": JSON }));
        // A numeric variable must not be quoted.
        let raw = known.with_numbers(format!("{body:#}"), str::to_owned);
        let options = json!({ "raw": { "language": "json" } });
        request["body"] = json!({ "mode": "raw", "raw": raw, "options": options });
    }
    request["header"] = headers.into();
    json!({ "name": step.name, "event": events, "request": request })
}

fn script(listen: &str, lines: &[String]) -> Value {
    json!({ "listen": listen, "script": { "type": "text/javascript", "exec": lines } })
}

fn pairs(pairs: &Map<String, Value>) -> Vec<Value> {
    pairs.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect()
}

fn url(step: &Step, operation: Operation<'_>) -> Value {
    let host = format!("{{{{{}}}}}", address(&step.service));
    let parts = operation.path.trim_start_matches('/').split('/');
    let parts = Vec::from_iter(parts.map(|part| part.replace('{', ":").replace('}', "")));
    let query = step.query.iter().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()));
    let query = Vec::from_iter(query).join("&");
    let mark = if query.is_empty() { "" } else { "?" };
    json!({
        "raw": format!("{host}/{}{mark}{query}", parts.join("/")),
        "host": [host],
        "path": parts,
        "query": pairs(&step.query),
        "variable": pairs(&step.path),
    })
}

fn tests(step: &Step, status: &str, known: &Variables) -> Vec<String> {
    let mut lines = vec![
        format!(r#"pm.test("The status is {status}", () => pm.response.to.have.status({status}));"#),
        "const body = pm.response.json();".to_owned(),
    ];
    for (name, value) in &step.response_headers {
        let shown = value.as_str().unwrap_or_default();
        lines.push(format!(
            r#"pm.test("The header {name} is {shown}", () => pm.expect(pm.response.headers.get("{name}")).to.eql({value}));"#
        ));
    }
    for (place, value) in &step.response {
        let shown = value.as_str().map_or_else(|| value.to_string(), |text| text.replace(['{', '}'], ""));
        let expected = expected(value, known);
        lines.push(format!(r#"pm.test("{place} is {shown}", () => pm.expect(body.{place}).to.eql({expected}));"#));
    }
    for (variable, place) in &step.stores {
        lines.push(format!(r#"pm.collectionVariables.set("{variable}", body.{place});"#));
    }
    lines
}

/// Returns the expected value as a JavaScript expression.
fn expected(value: &Value, known: &Variables) -> String {
    match value.as_str() {
        Some(text) if text.contains("{{") => {
            let filled = format!("pm.variables.replaceIn({value})");
            if known.is_number(text) { format!("Number({filled})") } else { filled }
        }
        _ => value.to_string(),
    }
}
