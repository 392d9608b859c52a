//! Rules for schemas, parameters and headers: description, limits, and an example that matches the schema.

use openapi_document::{Document, Strictness};
use serde_json::Value;

use super::{Findings, members};

pub(super) fn check(document: &Document, findings: &mut Findings) {
    let mut rules = Rules { document, findings };
    for (name, schema) in document.components("schemas") {
        rules.component(name, schema);
    }
    for operation in document.operations() {
        let id = operation.id();
        for parameter in operation.parameters().filter(|parameter| parameter["$ref"].is_null()) {
            rules.described(&format!("operation {id}, {}", parameter["name"]), parameter);
        }
        for (status, response) in operation.responses() {
            rules.headers(&format!("operation {id}, {status}"), &response["headers"]);
        }
    }
    for (name, parameter) in document.components("parameters") {
        rules.described(&format!("parameter {name}"), parameter);
    }
    rules.headers("shared headers", &document.value()["components"]["headers"]);
    for (name, response) in document.components("responses") {
        let content = &response["content"]["application/json"];
        for (code, value) in members(&content["examples"]) {
            rules.example(&format!("response {name}, {code}"), &content["schema"], value.get("value"));
        }
    }
}

struct Rules<'r> {
    document: &'r Document,
    findings: &'r mut Findings,
}

impl Rules<'_> {
    fn find(&mut self, place: &str, problem: &str) {
        self.findings.push(format!("{place}: {problem}"));
    }

    /// Checks a named schema.
    fn component(&mut self, name: &str, schema: &Value) {
        self.description(name, schema, "the type");
        self.example(name, schema, schema.get("example"));
        self.limits(name, schema);
        for (property, schema) in members(&schema["properties"]) {
            let place = format!("{name}.{property}");
            if schema["$ref"].is_null() {
                self.description(&place, schema, "the field");
            }
            if schema["$ref"].is_null() && schema.get("example").is_none() {
                self.find(&place, &format!("has no example: add one to {name} in the contract's examples.json"));
            }
            self.limits(&place, schema);
        }
    }

    /// Checks a parameter or a header.
    fn described(&mut self, place: &str, value: &Value) {
        self.description(place, value, "the field");
        self.example(place, &value["schema"], value.get("example"));
        self.limits(place, &value["schema"]);
    }

    fn headers(&mut self, parent: &str, headers: &Value) {
        for (name, header) in members(headers).filter(|(_, header)| header["$ref"].is_null()) {
            self.described(&format!("{parent}, {name}"), header);
        }
    }

    fn description(&mut self, place: &str, value: &Value, what: &str) {
        if value["description"].as_str().is_none_or(str::is_empty) {
            self.find(place, &format!("has no description: document {what}"));
        }
    }

    /// Requires an example that matches the schema and has no undefined properties.
    fn example(&mut self, place: &str, schema: &Value, example: Option<&Value>) {
        let Some(example) = example else {
            return self.find(place, "has no example: add one to the contract's examples.json");
        };
        match self.document.validator(schema, Strictness::Closed) {
            Ok(validator) => {
                for problem in validator.problems(example) {
                    self.find(place, &format!("its example does not match its schema: {problem}"));
                }
            }
            Err(problem) => self.find(place, &format!("its schema is invalid: {problem}")),
        }
    }

    /// Requires a maximum length for strings and arrays.
    fn limits(&mut self, place: &str, schema: &Value) {
        let is_bounded = schema["enum"].is_array() || schema["format"] == "date-time";
        for (kind, limit, checked) in [("string", "maxLength", "a validated type"), ("array", "maxItems", "List")] {
            if schema["type"] == kind && !is_bounded && !schema[limit].is_u64() {
                let attribute = "#[schemars(length(max = …))] in a response";
                self.find(
                    place,
                    &format!("has no {limit}: use {checked} from common-contract in a request, or {attribute}"),
                );
            }
        }
        if schema["items"].is_object() {
            self.limits(&format!("{place}[]"), &schema["items"]);
        }
    }
}
