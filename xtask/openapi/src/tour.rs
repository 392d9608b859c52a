//! The tour for Postman: a collection that does what the services are for, and an environment with their addresses.
//!
//! What is done is in `steps.json`, in the words of the documents. Everything about how (method, path, body, headers,
//! statuses) comes from the documents, so that a change there is followed or refused. `postman` knows the shape of a
//! collection.

mod postman;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use openapi_document::{Operation, Strictness};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{Document, Readable};

const STEPS: &str = include_str!("tour/steps.json");
/// Given by the environment beside the addresses. The values are those of the development profile.
const OPERATOR: [(&str, &str); 2] = [("username", "admin"), ("password", "admin")];
/// Differs in every run, and so do the names and keys that are made with it.
const RUN: &str = "run";
const JSON: &str = "application/json";

/// A request, and what its answer has to be. `{{name}}` in a value stands for a variable.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    name: String,
    /// What a reader should notice.
    note: String,
    /// The document, as in `specs/`.
    service: String,
    /// The operation's id there.
    operation: String,
    #[serde(default)]
    path: Map<String, Value>,
    #[serde(default)]
    query: Map<String, Value>,
    #[serde(default)]
    headers: Map<String, Value>,
    body: Option<Value>,
    /// By place in the answer (`data[0].id`), which value is there.
    #[serde(default)]
    answer: Map<String, Value>,
    #[serde(default)]
    answer_headers: Map<String, Value>,
    /// Variables for later steps, and the places in the answer that they come from.
    #[serde(default)]
    keeps: BTreeMap<String, String>,
}

type Services = BTreeMap<String, Readable>;

/// The variables of the collection that have a value by now, with the JSON type of their values.
struct Variables(Vec<(String, String)>);

/// The collection and its environment, made from the documents of the services.
pub(crate) fn documents(services: &[Document]) -> Result<Vec<Document>> {
    let services = readable(services)?;
    let document = |name, value| Document { path: Path::new("specs/postman").join(name), text: format!("{value:#}\n") };
    Ok(vec![
        document("tour.postman_collection.json", collection(&services, &steps()?)?),
        document("local.postman_environment.json", environment(&services)?),
    ])
}

fn steps() -> Result<Vec<Step>> {
    serde_json::from_str(STEPS).context("tour/steps.json")
}

fn readable(services: &[Document]) -> Result<Services> {
    let readable = |document: &Document| {
        let name = document.path.file_stem().context("a document has a name")?.to_string_lossy().into_owned();
        Ok((name, Readable::parse(&document.text)?))
    };
    services.iter().map(readable).collect()
}

fn collection(services: &Services, steps: &[Step]) -> Result<Value> {
    let mut known = Variables(vec![(RUN.to_owned(), "string".to_owned())]);
    let mut items = Vec::new();
    for step in steps {
        items.push(item(services, step, &mut known).with_context(|| format!("the tour's step '{}'", step.name))?);
    }
    Ok(postman::collection(&items, &known))
}

fn item(services: &Services, step: &Step, known: &mut Variables) -> Result<Value> {
    let document = services.get(&step.service).with_context(|| format!("no document {}", step.service))?;
    let operation = document.operation(&step.operation);
    let operation = operation.with_context(|| format!("no operation has the id {}", step.operation))?;
    check_variables(services, step, known)?;
    check_request(document, operation, step, known)?;
    let mut successes = operation.responses().filter(|(status, _)| status.starts_with('2'));
    let (Some((status, answer)), None) = (successes.next(), successes.next()) else {
        bail!("the tour expects one way to succeed");
    };
    let answer = document.resolve(answer);
    for name in step.answer_headers.keys() {
        ensure!(answer["headers"].get(name).is_some(), "the answer has no header {name}");
    }
    for place in step.answer.keys() {
        kind(document, answer, place)?;
    }
    let item = postman::item(step, operation, status, known);
    for (variable, place) in &step.keeps {
        known.0.push((variable.clone(), kind(document, answer, place)?));
    }
    Ok(item)
}

/// Refuses a step that uses what neither the environment gives nor a step before has kept.
fn check_variables(services: &Services, step: &Step, known: &Variables) -> Result<()> {
    let Step { path, query, headers, body, answer, answer_headers, .. } = step;
    let used = json!([path, query, headers, body, answer, answer_headers]).to_string();
    for name in used.split("{{").skip(1).filter_map(|rest| rest.split("}}").next()) {
        let is_given =
            OPERATOR.iter().any(|(given, _)| *given == name) || services.keys().any(|one| address(one) == name);
        ensure!(is_given || known.kind(name).is_some(), "nothing before it gives {{{{{name}}}}} a value");
    }
    Ok(())
}

/// Whether the step sends everything that is required, and nothing else.
fn check_request(document: &Readable, operation: Operation<'_>, step: &Step, known: &Variables) -> Result<()> {
    let mut schemes = operation.schemes().peekable();
    let takes_operators = schemes.peek().is_none() || schemes.any(|scheme| scheme == "operatorJwt");
    ensure!(takes_operators, "{} does not take an operator's token", step.operation);
    let parameters: Vec<_> = operation.parameters().map(|parameter| document.resolve(parameter)).collect();
    for (place, given) in [("path", &step.path), ("query", &step.query), ("header", &step.headers)] {
        let here = parameters.iter().filter(|parameter| parameter["in"] == place);
        let known: BTreeMap<_, _> = here.map(|one| (one["name"].as_str().unwrap_or_default(), one)).collect();
        for (name, _) in known.iter().filter(|(_, parameter)| parameter["required"] == true) {
            ensure!(given.contains_key(*name), "the required {place} parameter {name} is missing");
        }
        for name in given.keys() {
            ensure!(known.contains_key(&**name), "there is no {place} parameter {name}");
        }
    }
    let schema = document.resolve(&operation.value["requestBody"])["content"][JSON].get("schema");
    match (&step.body, schema) {
        (Some(body), Some(schema)) => {
            let validator = document.validator(schema, Strictness::Closed).map_err(anyhow::Error::msg)?;
            let sample = known.with_numbers(body.to_string(), |_| "1".to_owned());
            let problems = validator.problems(&serde_json::from_str(&sample)?);
            ensure!(problems.is_empty(), "the body is not as its schema says: {}", problems.join("; "));
            Ok(())
        }
        (None, None) => Ok(()),
        (Some(_), None) => bail!("{} takes no body", step.operation),
        (None, Some(_)) => bail!("{} needs a body", step.operation),
    }
}

/// The JSON type of what is at a place in the answer, as `data[0].id`.
fn kind(document: &Readable, answer: &Value, place: &str) -> Result<String> {
    // Also behind an `allOf` that only adds a description.
    let resolve = |schema| {
        let schema = document.resolve(schema);
        schema["allOf"].get(0).map_or(schema, |only| document.resolve(only))
    };
    let mut schema = resolve(&answer["content"][JSON]["schema"]);
    for part in place.split(['.', '[']) {
        let next = if part.ends_with(']') { schema.get("items") } else { schema["properties"].get(part) };
        schema = resolve(next.with_context(|| format!("the answer has no {place}"))?);
    }
    Ok(schema["type"].as_str().with_context(|| format!("{place} has no type"))?.to_owned())
}

fn environment(services: &Services) -> Result<Value> {
    let mut values = Vec::new();
    for (name, document) in services {
        let server = document.value()["servers"][0]["url"].as_str().context("the document names no server")?;
        values.push(json!({ "key": address(name), "value": server, "type": "default", "enabled": true }));
    }
    for (key, value) in OPERATOR {
        let kind = if key == "password" { "secret" } else { "default" };
        values.push(json!({ "key": key, "value": value, "type": kind, "enabled": true }));
    }
    Ok(json!({ "name": "B2B orders, local", "values": values, "_postman_variable_scope": "environment" }))
}

/// The variable with the base URL of a service.
fn address(service: &str) -> String {
    format!("{service}Url")
}

impl Variables {
    fn kind(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, kind)| kind.as_str())
    }

    /// Whether a text is one variable and nothing else, and its value a number.
    fn is_number(&self, text: &str) -> bool {
        let name = text.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
        matches!(name.and_then(|name| self.kind(name)), Some("integer" | "number"))
    }

    /// JSON with this in the place of each text that is a variable with a number.
    fn with_numbers(&self, json: String, number: impl Fn(&str) -> String) -> String {
        let variables = self.0.iter().map(|(name, _)| format!("{{{{{name}}}}}"));
        let numbers = variables.filter(|variable| self.is_number(variable));
        numbers.fold(json, |json, variable| json.replace(&format!("\"{variable}\""), &number(&variable)))
    }
}

#[cfg(test)]
mod tests;
