//! The headers that go with every call and every answer, whatever the operation.

use anyhow::Result;
use serde_json::{Value, json};

use super::{Object, object_in};

/// Lets the operation refer to the headers that every operation takes, and its good answers to those that they carry.
pub(super) fn of_every_call(operation: &mut Object) -> Result<()> {
    let taken = ["X-Correlation-Id", "traceparent"].map(|name| reference("parameters", name));
    let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
    if let Some(parameters) = parameters.as_array_mut() {
        parameters.extend(taken);
    }
    let good = object_in(operation, "responses")?.iter_mut().filter(|(status, _)| status.starts_with('2'));
    for (_, response) in good {
        if let Some(response) = response.as_object_mut() {
            object_in(response, "headers")?.extend(of_every_answer());
        }
    }
    Ok(())
}

/// The headers of every answer of a handler.
pub(super) fn of_every_answer() -> Object {
    ["X-Correlation-Id", "X-Request-Id"].map(|name| (name.to_owned(), reference("headers", name))).into_iter().collect()
}

/// Defines what the operations and answers refer to.
pub(super) fn define(root: &mut Object) -> Result<()> {
    let components = object_in(root, "components")?;
    components.insert("parameters".to_owned(), parameters());
    components.insert("headers".to_owned(), headers());
    Ok(())
}

fn reference(kind: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{kind}/{name}") })
}

fn parameters() -> Value {
    json!({
        "X-Correlation-Id": {
            "in": "header",
            "name": "X-Correlation-Id",
            "description": "Names the piece of work that the call is part of, in every log and to every service behind. \
                            1 to 128 visible ASCII characters; where there are none such, the service makes one up.",
            "schema": { "type": "string", "maxLength": 128 },
        },
        "traceparent": {
            "in": "header",
            "name": "traceparent",
            "description": "The trace that the call is part of (W3C Trace Context). Passed on to every service behind; \
                            ignored where it is malformed.",
            "schema": { "type": "string", "maxLength": 55 },
        },
    })
}

fn headers() -> Value {
    json!({
        "Retry-After": {
            "description": "After how many seconds the same request may be answered otherwise.",
            "schema": { "type": "integer", "minimum": 1 },
        },
        "WWW-Authenticate": {
            "description": "How to authenticate.",
            "required": true,
            "schema": { "type": "string", "maxLength": 20 },
        },
        "X-Correlation-Id": {
            "description": "The caller's own, or the one that was made up.",
            "required": true,
            "schema": { "type": "string", "maxLength": 128 },
        },
        "X-Request-Id": {
            "description": "Names this very request in the logs.",
            "required": true,
            "schema": { "type": "string", "maxLength": 64 },
        },
    })
}
