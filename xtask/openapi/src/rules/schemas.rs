//! Everything that has a schema is described, limited, and shown by an example that is as the schema says.

use openapi_document::{Document, Strictness};
use serde_json::{Map, Value};

use super::Findings;

pub(super) fn judge(document: &Document, findings: &mut Findings) {
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
    rules.headers("every answer", &document.value()["components"]["headers"]);
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

    /// A type of the wire.
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
                self.find(&place, &format!("has no example: give one to {name} in the contract's examples.json"));
            }
            self.limits(&place, schema);
        }
    }

    /// A parameter or a header.
    fn described(&mut self, place: &str, value: &Value) {
        self.description(place, value, "the field");
        self.example(place, &value["schema"], value.get("example"));
        self.limits(place, &value["schema"]);
    }

    fn headers(&mut self, around: &str, headers: &Value) {
        for (name, header) in members(headers).filter(|(_, header)| header["$ref"].is_null()) {
            self.described(&format!("{around}, {name}"), header);
        }
    }

    fn description(&mut self, place: &str, value: &Value, what: &str) {
        if value["description"].as_str().is_none_or(str::is_empty) {
            self.find(place, &format!("has no description: document {what}"));
        }
    }

    /// There is an example, and it is as the schema says, with no property that the schema does not know.
    fn example(&mut self, place: &str, schema: &Value, example: Option<&Value>) {
        let Some(example) = example else {
            return self.find(place, "has no example: give one in the contract's examples.json");
        };
        match self.document.validator(schema, Strictness::Closed) {
            Ok(validator) => {
                for problem in validator.problems(example) {
                    self.find(place, &format!("its example is not as its schema says: {problem}"));
                }
            }
            Err(problem) => self.find(place, &format!("its schema is wrong: {problem}")),
        }
    }

    /// Every text and every list says how long it may be.
    fn limits(&mut self, place: &str, schema: &Value) {
        let is_words = schema["enum"].is_array() || schema["format"] == "date-time";
        for (kind, limit, checked) in [("string", "maxLength", "a checked type"), ("array", "maxItems", "List")] {
            if schema["type"] == kind && !is_words && !schema[limit].is_u64() {
                let answer = "#[schemars(length(max = …))] in an answer";
                self.find(place, &format!("has no {limit}: use {checked} of common-contract in a request, {answer}"));
            }
        }
        if schema["items"].is_object() {
            self.limits(&format!("{place}[]"), &schema["items"]);
        }
    }
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}
