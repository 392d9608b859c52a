//! The tour for Postman: a collection that does what the services are for, and an environment with their addresses.
//!
//! What is done is in `steps`. Everything about how (method, path, body, headers, statuses) comes from the documents,
//! read by `contract`, so that a change there is followed or refused. `postman` knows the shape of a collection.

mod contract;
mod postman;
mod steps;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::tour::contract::Contract;
use crate::tour::steps::Step;
use crate::{Document, Readable};

/// Given by the environment beside the addresses. The values are those of the development profile.
const OPERATOR: [(&str, &str); 2] = [("username", "admin"), ("password", "admin")];

/// The variable that authenticates every request.
const TOKEN: &str = "bearerToken";
/// Differs in every run, and so do the names and keys that are made with it.
const RUN: &str = "run";

/// The collection and its environment, made from the documents of the services.
pub(crate) fn documents(services: &[Document]) -> Result<Vec<Document>> {
    let contracts = contracts(services)?;
    let collection = collection(&contracts, &steps::steps())?;
    let files =
        [("tour.postman_collection.json", collection), ("local.postman_environment.json", environment(&contracts)?)];
    Ok(files
        .map(|(name, value)| Document { path: Path::new("specs/postman").join(name), text: format!("{value:#}\n") })
        .into())
}

fn contracts(services: &[Document]) -> Result<BTreeMap<String, Contract>> {
    let contract = |document: &Document| {
        let name = document.path.file_stem().context("a document has a name")?.to_string_lossy().into_owned();
        Ok((name, Contract(Readable::parse(&document.text)?)))
    };
    services.iter().map(contract).collect()
}

fn collection(contracts: &BTreeMap<String, Contract>, steps: &[Step]) -> Result<Value> {
    let mut known = Variables::new(contracts);
    let mut items = Vec::new();
    for step in steps {
        items.push(item(contracts, step, &mut known).with_context(|| format!("the tour's step '{}'", step.name))?);
    }
    Ok(postman::collection(&items, &known.own()))
}

fn item(contracts: &BTreeMap<String, Contract>, step: &Step, known: &mut Variables) -> Result<Value> {
    let contract = contracts.get(step.service).with_context(|| format!("no document {}", step.service))?;
    let operation = contract.operation(step.operation)?;
    known.check(step)?;
    operation.check_request(step)?;
    let answer = operation.answer()?;
    for (path, _) in &step.answer {
        answer.kind(path)?;
    }
    for (name, _) in step.answer_headers {
        answer.check_header(name)?;
    }
    let item = postman::item(step, &operation, &answer, known);
    for (variable, path) in step.keeps {
        known.keep(variable, answer.kind(path)?);
    }
    Ok(item)
}

fn environment(contracts: &BTreeMap<String, Contract>) -> Result<Value> {
    let mut values = Vec::new();
    for (name, contract) in contracts {
        values.push(json!({ "key": address(name), "value": contract.server()?, "type": "default", "enabled": true }));
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

/// The variables that have a value by now, with the JSON type of their values.
struct Variables {
    given: Vec<String>,
    kept: Vec<(String, String)>,
}

impl Variables {
    fn new(contracts: &BTreeMap<String, Contract>) -> Self {
        let operator = OPERATOR.iter().map(|(name, _)| (*name).to_owned());
        let given = contracts.keys().map(|name| address(name)).chain(operator).collect();
        Self { given, kept: vec![(RUN.to_owned(), "string".to_owned())] }
    }

    fn keep(&mut self, name: &str, kind: String) {
        self.kept.push((name.to_owned(), kind));
    }

    /// Those that the collection itself has.
    fn own(&self) -> Vec<&str> {
        self.kept.iter().map(|(name, _)| name.as_str()).collect()
    }

    fn is_number(&self, name: &str) -> bool {
        self.kept.iter().any(|(kept, kind)| kept == name && matches!(kind.as_str(), "integer" | "number"))
    }

    /// Refuses a step that uses what no step before has kept.
    fn check(&self, step: &Step) -> Result<()> {
        for name in step.uses() {
            if !self.given.contains(&name) && !self.own().contains(&name.as_str()) {
                bail!("nothing before it gives {{{{{name}}}}} a value");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
