//! Postman walkthrough: a collection of the main use cases, and an environment with the service addresses.
//!
//! `steps.json` defines the steps by operation ID and parameters. Methods, paths, headers and statuses come from the
//! documents, so changes to them are either adopted or reported as errors. `postman` writes the collection format.

mod postman;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use openapi_document::{Operation, Strictness};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{Document, Readable};

const STEPS: &str = include_str!("walkthrough/steps.json");
/// Credentials in the environment, in addition to the addresses. They are those of the development profile.
const CREDENTIALS: [(&str, &str); 2] = [("username", "admin"), ("password", "admin")];
/// Variable that is unique per run and makes names and keys unique.
const RUN: &str = "run";
const JSON: &str = "application/json";

/// Request and its expected response. In values, `{{name}}` is replaced with the value of a variable.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    name: String,
    note: String,
    /// Name of the document in `specs/`.
    service: String,
    operation: String,
    #[serde(default)]
    path: Map<String, Value>,
    #[serde(default)]
    query: Map<String, Value>,
    #[serde(default)]
    headers: Map<String, Value>,
    body: Option<Value>,
    /// Expected values, by their paths in the response (for example `data[0].id`).
    #[serde(default)]
    response: Map<String, Value>,
    #[serde(default)]
    response_headers: Map<String, Value>,
    /// Variables for later steps, with the paths of their values in the response.
    #[serde(default)]
    stores: BTreeMap<String, String>,
}

type Services = BTreeMap<String, Readable>;

/// Collection variables set so far, and the JSON types of their values.
struct Variables(Vec<(String, String)>);

/// Generates the collection and its environment from the services' documents.
pub(crate) fn documents(services: &[Document]) -> Result<Vec<Document>> {
    let services = readable(services)?;
    let document = |name, value| Document { path: Path::new("specs/postman").join(name), text: format!("{value:#}\n") };
    Ok(vec![
        document("tour.postman_collection.json", collection(&services, &steps()?)?),
        document("local.postman_environment.json", environment(&services)?),
    ])
}

fn steps() -> Result<Vec<Step>> {
    serde_json::from_str(STEPS).context("walkthrough/steps.json")
}

fn readable(services: &[Document]) -> Result<Services> {
    let readable = |document: &Document| {
        let name = document.path.file_stem().context("document without a name")?.to_string_lossy().into_owned();
        Ok((name, Readable::parse(&document.text)?))
    };
    services.iter().map(readable).collect()
}

fn collection(services: &Services, steps: &[Step]) -> Result<Value> {
    let mut known = Variables(vec![(RUN.to_owned(), "string".to_owned())]);
    let mut items = Vec::new();
    for step in steps {
        items.push(item(services, step, &mut known).with_context(|| format!("walkthrough step '{}'", step.name))?);
    }
    Ok(postman::collection(&items, &known))
}

fn item(services: &Services, step: &Step, known: &mut Variables) -> Result<Value> {
    let document = services.get(&step.service).with_context(|| format!("unknown document {}", step.service))?;
    let operation = document.operation(&step.operation);
    let operation = operation.with_context(|| format!("unknown operation id {}", step.operation))?;
    check_variables(services, step, known)?;
    check_request(document, operation, step, known)?;
    let mut successes = operation.responses().filter(|(status, _)| status.starts_with('2'));
    let (Some((status, response)), None) = (successes.next(), successes.next()) else {
        bail!("expected exactly one success response");
    };
    let response = document.resolve(response);
    for name in step.response_headers.keys() {
        ensure!(response["headers"].get(name).is_some(), "the response has no header {name}");
    }
    for place in step.response.keys() {
        kind(document, response, place)?;
    }
    let item = postman::item(step, operation, status, known);
    for (variable, place) in &step.stores {
        known.0.push((variable.clone(), kind(document, response, place)?));
    }
    Ok(item)
}

/// Returns an error if the step uses a variable that neither the environment nor an earlier step defines.
fn check_variables(services: &Services, step: &Step, known: &Variables) -> Result<()> {
    let Step { path, query, headers, body, response, response_headers, .. } = step;
    let used = json!([path, query, headers, body, response, response_headers]).to_string();
    for name in used.split("{{").skip(1).filter_map(|rest| rest.split("}}").next()) {
        let is_defined =
            CREDENTIALS.iter().any(|(given, _)| *given == name) || services.keys().any(|one| address(one) == name);
        ensure!(is_defined || known.kind(name).is_some(), "the variable {{{{{name}}}}} is undefined");
    }
    Ok(())
}

/// Checks that the step sends all required parameters and a valid body, and no undefined ones.
fn check_request(document: &Readable, operation: Operation<'_>, step: &Step, known: &Variables) -> Result<()> {
    let mut schemes = operation.schemes().peekable();
    let takes_user_accounts = schemes.peek().is_none() || schemes.any(|scheme| scheme == "operatorJwt");
    ensure!(takes_user_accounts, "{} does not accept the token of a user account", step.operation);
    let parameters: Vec<_> = operation.parameters().map(|parameter| document.resolve(parameter)).collect();
    for (place, given) in [("path", &step.path), ("query", &step.query), ("header", &step.headers)] {
        let here = parameters.iter().filter(|parameter| parameter["in"] == place);
        let known: BTreeMap<_, _> = here.map(|one| (one["name"].as_str().unwrap_or_default(), one)).collect();
        for (name, _) in known.iter().filter(|(_, parameter)| parameter["required"] == true) {
            ensure!(given.contains_key(*name), "the required {place} parameter {name} is missing");
        }
        for name in given.keys() {
            ensure!(known.contains_key(&**name), "unknown {place} parameter {name}");
        }
    }
    let schema = document.resolve(&operation.value["requestBody"])["content"][JSON].get("schema");
    match (&step.body, schema) {
        (Some(body), Some(schema)) => {
            let validator = document.validator(schema, Strictness::Closed).map_err(anyhow::Error::msg)?;
            let sample = known.with_numbers(body.to_string(), |_| "1".to_owned());
            let problems = validator.problems(&serde_json::from_str(&sample)?);
            ensure!(problems.is_empty(), "the body does not match its schema: {}", problems.join("; "));
            Ok(())
        }
        (None, None) => Ok(()),
        (Some(_), None) => bail!("{} does not accept a body", step.operation),
        (None, Some(_)) => bail!("{} requires a body", step.operation),
    }
}

/// Returns the JSON type of the value at a path in the response, such as `data[0].id`.
fn kind(document: &Readable, response: &Value, place: &str) -> Result<String> {
    // An `allOf` with a single schema only adds a description.
    let resolve = |schema| {
        let schema = document.resolve(schema);
        schema["allOf"].get(0).map_or(schema, |only| document.resolve(only))
    };
    let mut schema = resolve(&response["content"][JSON]["schema"]);
    for part in place.split(['.', '[']) {
        let next = if part.ends_with(']') { schema.get("items") } else { schema["properties"].get(part) };
        schema = resolve(next.with_context(|| format!("the response has no {place}"))?);
    }
    Ok(schema["type"].as_str().with_context(|| format!("{place} has no type"))?.to_owned())
}

fn environment(services: &Services) -> Result<Value> {
    let mut values = Vec::new();
    for (name, document) in services {
        let server = document.value()["servers"][0]["url"].as_str().context("the document has no server")?;
        values.push(json!({ "key": address(name), "value": server, "type": "default", "enabled": true }));
    }
    for (key, value) in CREDENTIALS {
        let kind = if key == "password" { "secret" } else { "default" };
        values.push(json!({ "key": key, "value": value, "type": kind, "enabled": true }));
    }
    Ok(json!({ "name": "B2B orders, local", "values": values, "_postman_variable_scope": "environment" }))
}

/// Returns the name of the variable that contains the base URL of a service.
fn address(service: &str) -> String {
    format!("{service}Url")
}

impl Variables {
    fn kind(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, kind)| kind.as_str())
    }

    /// Whether a text consists only of one variable whose value is a number.
    fn is_number(&self, text: &str) -> bool {
        let name = text.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
        matches!(name.and_then(|name| self.kind(name)), Some("integer" | "number"))
    }

    /// Replaces each string that consists only of a numeric variable.
    fn with_numbers(&self, json: String, number: impl Fn(&str) -> String) -> String {
        let variables = self.0.iter().map(|(name, _)| format!("{{{{{name}}}}}"));
        let numbers = variables.filter(|variable| self.is_number(variable));
        numbers.fold(json, |json, variable| json.replace(&format!("\"{variable}\""), &number(&variable)))
    }
}

#[cfg(test)]
mod tests;
