//! Adds to a document what dropshot does not emit, from the `CONTRACT` beside the trait: where the service listens, what
//! each operation asks of its caller, how it fails, the headers that go with every call, and an example of everything.
//!
//! Nothing here judges: that a document is complete is for `rules` to say.

mod absent;
mod answers;
mod enums;
mod errors;
mod examples;
mod headers;
mod links;
mod security;

use anyhow::{Context, Result, bail};
use common_contract::{Contract, Operation};
use serde_json::{Map, Value, json};

/// A part of a document.
type Object = Map<String, Value>;

/// Completes the document in place. Fails where the contract and the trait name different operations.
pub(crate) fn complete(document: &mut Value, contract: &Contract) -> Result<()> {
    let root = document.as_object_mut().context("the document is no object")?;
    let servers = json!([{ "url": contract.local_url, "description": "As `cargo xtask up` runs it" }]);
    root.insert("servers".to_owned(), servers);
    security::schemes(root)?;
    let mut failures = errors::Failures::new();
    each_operation(root, contract, |operation, described| {
        security::require(operation, described.security);
        errors::document(operation, described, &mut failures)?;
        headers::of_every_call(operation)
    })?;
    errors::define(root, contract, failures)?;
    headers::define(root)?;
    links::add(root, contract)?;
    answers::describe(document);
    enums::flatten(document);
    absent::is_not_null(document);
    examples::add(document, contract)
}

/// Visits each operation with what the contract says of it.
fn each_operation(
    root: &mut Object,
    contract: &Contract,
    mut visit: impl FnMut(&mut Object, &Operation) -> Result<()>,
) -> Result<()> {
    let paths = root.get_mut("paths").and_then(Value::as_object_mut).context("paths is no object")?;
    let mut described = 0;
    for operation in paths.values_mut().filter_map(Value::as_object_mut).flat_map(Map::values_mut) {
        let Some(operation) = operation.as_object_mut() else { continue };
        let id = operation.get("operationId").and_then(Value::as_str).context("an operation without an id")?.to_owned();
        let Some(known) = contract.operations.iter().find(|known| known.id == id) else {
            bail!("operation {id} is missing in CONTRACT.operations: say who may call it and how it fails");
        };
        visit(operation, known).with_context(|| format!("operation {id}"))?;
        described += 1;
    }
    if described != contract.operations.len() {
        bail!("CONTRACT.operations names {} operations, the trait has {described}", contract.operations.len());
    }
    Ok(())
}

/// The object of this name in `object`; made where it is missing.
fn object_in<'a>(object: &'a mut Object, name: &str) -> Result<&'a mut Object> {
    let part = object.entry(name).or_insert_with(|| json!({}));
    part.as_object_mut().with_context(|| format!("{name} is no object"))
}

/// Every operation.
fn operations(document: &mut Value) -> impl Iterator<Item = &mut Value> {
    let paths = members(document, "paths").filter_map(|(_, path)| path.as_object_mut());
    paths.flat_map(|path| path.values_mut())
}

/// What the object of this name in `value` has, where there is one.
fn members<'a>(value: &'a mut Value, name: &str) -> impl Iterator<Item = (&'a String, &'a mut Value)> {
    value.get_mut(name).and_then(Value::as_object_mut).into_iter().flatten()
}

/// What the array of this name in `value` has, where there is one.
fn items<'a>(value: &'a mut Value, name: &str) -> impl Iterator<Item = &'a mut Value> {
    value.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten()
}
