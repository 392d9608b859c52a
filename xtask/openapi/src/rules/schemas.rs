//! Everything that has a schema is described, limited, and shown by an example that is as the schema says.

use openapi_document::{Document, Strictness};
use serde_json::Value;

use super::Findings;

pub(super) fn judge(document: &Document, findings: &mut Findings) {
    for (name, schema) in document.components("schemas") {
        component(document, name, schema, findings);
    }
    for operation in document.operations() {
        let id = operation.id();
        for parameter in operation.parameters().filter(|parameter| parameter["$ref"].is_null()) {
            described(document, &format!("operation {id}, {}", parameter["name"]), parameter, findings);
        }
        for (status, response) in operation.responses() {
            headers(document, &format!("operation {id}, {status}"), &response["headers"], findings);
        }
    }
    for (name, parameter) in document.components("parameters") {
        described(document, &format!("parameter {name}"), parameter, findings);
    }
    headers(document, "every answer", &document.value()["components"]["headers"], findings);
    for (name, response) in document.components("responses") {
        errors(document, name, &response["content"]["application/json"], findings);
    }
}

/// A type of the wire.
fn component(document: &Document, name: &str, schema: &Value, findings: &mut Findings) {
    if schema["description"].as_str().is_none_or(str::is_empty) {
        findings.push(format!("{name}: has no description: document the type"));
    }
    example(document, name, schema, schema.get("example"), findings);
    limits(name, schema, findings);
    for (property, schema) in schema["properties"].as_object().into_iter().flatten() {
        let place = format!("{name}.{property}");
        if schema["$ref"].is_null() && schema["description"].as_str().is_none_or(str::is_empty) {
            findings.push(format!("{place}: has no description: document the field"));
        }
        if schema["$ref"].is_null() && schema.get("example").is_none() {
            findings.push(format!("{place}: has no example: give one to {name} in the contract's examples.json"));
        }
        limits(&place, schema, findings);
    }
}

/// A parameter or a header.
fn described(document: &Document, place: &str, value: &Value, findings: &mut Findings) {
    if value["description"].as_str().is_none_or(str::is_empty) {
        findings.push(format!("{place}: has no description: document the field"));
    }
    example(document, place, &value["schema"], value.get("example"), findings);
    limits(place, &value["schema"], findings);
}

fn headers(document: &Document, around: &str, headers: &Value, findings: &mut Findings) {
    for (name, header) in headers.as_object().into_iter().flatten().filter(|(_, header)| header["$ref"].is_null()) {
        described(document, &format!("{around}, {name}"), header, findings);
    }
}

fn errors(document: &Document, name: &str, content: &Value, findings: &mut Findings) {
    for (code, value) in content["examples"].as_object().into_iter().flatten() {
        example(document, &format!("response {name}, {code}"), &content["schema"], value.get("value"), findings);
    }
}

/// There is an example, and it is as the schema says, with no property that the schema does not know.
fn example(document: &Document, place: &str, schema: &Value, example: Option<&Value>, findings: &mut Findings) {
    let Some(example) = example else {
        return findings.push(format!("{place}: has no example: give one in the contract's examples.json"));
    };
    match document.validator(schema, Strictness::Closed) {
        Ok(validator) => {
            let problems = validator.problems(example).into_iter();
            findings
                .extend(problems.map(|problem| format!("{place}: its example is not as its schema says: {problem}")));
        }
        Err(problem) => findings.push(format!("{place}: its schema is wrong: {problem}")),
    }
}

/// Every text and every list says how long it may be.
fn limits(place: &str, schema: &Value, findings: &mut Findings) {
    let is_words = schema["enum"].is_array() || schema["format"] == "date-time";
    if schema["type"] == "string" && !is_words && !schema["maxLength"].is_u64() {
        findings.push(format!(
            "{place}: has no maxLength: use a checked type of service-api in a request, #[schemars(length(max = …))] in an \
             answer"
        ));
    }
    if schema["type"] == "array" && !schema["maxItems"].is_u64() {
        findings.push(format!(
            "{place}: has no maxItems: use List of service-api in a request, #[schemars(length(max = …))] in an answer"
        ));
    }
    if schema["items"].is_object() {
        limits(&format!("{place}[]"), &schema["items"], findings);
    }
}
