//! Adds to a document what dropshot does not emit, from the `CONTRACT` beside the trait: where the service listens, what
//! each operation asks of its caller, how it fails, the headers that go with every call, and an example of everything.
//!
//! Nothing here judges: that a document is complete is for `rules` to say.

mod answers;
mod callers;
mod errors;
mod examples;
mod schemas;

use anyhow::{Context, Result, ensure};
use common_contract::{Contract, Operation};
use serde_json::{Value, json};

/// The headers and the kinds of credentials that every document has.
const COMPONENTS: &str = include_str!("components.json");

/// Completes the document in place. Fails where the contract and the trait name different operations.
pub(crate) fn complete(document: &mut Value, contract: &Contract) -> Result<()> {
    document["servers"] = json!([{ "url": contract.local_url, "description": "As `cargo xtask up` runs it" }]);
    let shared: Value = serde_json::from_str(COMPONENTS).context("complete/components.json")?;
    for (kind, components) in entries(&shared) {
        document["components"][kind] = components.clone();
    }
    let mut failures = errors::Failures::new();
    each_operation(document, contract, |operation, described| {
        callers::require(operation, described.security);
        errors::document(operation, described, &mut failures)?;
        answers::add_headers(operation);
        answers::add_links(operation, described.id, contract)
    })?;
    errors::define(&mut document["components"], contract, failures)?;
    answers::describe(document);
    schemas::flatten_enums(document);
    schemas::drop_nulls(document);
    examples::add(document, contract)
}

/// Visits each operation with what the contract says of it.
fn each_operation(
    document: &mut Value,
    contract: &Contract,
    mut visit: impl FnMut(&mut Value, &Operation) -> Result<()>,
) -> Result<()> {
    let mut described = 0;
    for operation in operations(document) {
        let id = operation["operationId"].as_str().context("an operation without an id")?.to_owned();
        let known = contract.operations.iter().find(|known| known.id == id).with_context(|| {
            format!("operation {id} is missing in CONTRACT.operations: say who may call it and how it fails")
        })?;
        visit(operation, known).with_context(|| format!("operation {id}"))?;
        described += 1;
    }
    let named = contract.operations.len();
    ensure!(described == named, "CONTRACT.operations names {named} operations, the trait has {described}");
    Ok(())
}

/// Every operation.
fn operations(document: &mut Value) -> impl Iterator<Item = &mut Value> {
    let paths = members(document, "paths").filter_map(|(_, path)| path.as_object_mut());
    paths.flat_map(|path| path.values_mut())
}

/// Every good answer of an operation.
fn successes(operation: &mut Value) -> impl Iterator<Item = &mut Value> {
    members(operation, "responses").filter(|(status, _)| status.starts_with('2')).map(|(_, response)| response)
}

/// What the object of this name in `value` has, where there is one.
fn members<'a>(value: &'a mut Value, name: &str) -> impl Iterator<Item = (&'a String, &'a mut Value)> {
    value.get_mut(name).and_then(Value::as_object_mut).into_iter().flatten()
}

/// What the array of this name in `value` has, where there is one.
fn items<'a>(value: &'a mut Value, name: &str) -> impl Iterator<Item = &'a mut Value> {
    value.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten()
}

fn entries(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().into_iter().flatten()
}

fn reference(kind: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{kind}/{name}") })
}
