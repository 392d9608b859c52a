//! Adds to a document what dropshot does not emit, from the `CONTRACT` beside the trait: where the service listens, what
//! each operation asks of its caller, how it fails, the headers that go with every call, and an example of everything.
//!
//! Nothing here judges: that a document is complete is for `rules` to say.

mod answers;
mod errors;
mod examples;
mod schemas;

use anyhow::{Context, Result, ensure};
use common_contract::document::REQUIRED_ROLE;
use common_contract::{Contract, Role, Security};
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
    let (mut failures, mut described) = (errors::Failures::new(), 0);
    for operation in operations(document) {
        let id = operation["operationId"].as_str().context("an operation without an id")?.to_owned();
        let known = contract.operations.iter().find(|known| known.id == id).with_context(|| {
            format!("operation {id} is missing in CONTRACT.operations: say who may call it and how it fails")
        })?;
        require(operation, known.security);
        errors::document(operation, known, &mut failures).with_context(|| format!("operation {id}"))?;
        answers::add_headers(operation);
        answers::add_links(operation, known.id, contract).with_context(|| format!("operation {id}"))?;
        described += 1;
    }
    let named = contract.operations.len();
    ensure!(described == named, "CONTRACT.operations names {named} operations, the trait has {described}");
    errors::define(&mut document["components"], contract, failures)?;
    answers::describe(document);
    schemas::flatten_enums(document);
    schemas::drop_nulls(document);
    examples::add(document, contract)
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

/// What one operation asks for. A role has no place in OpenAPI: people read it in the description, programs in
/// [`REQUIRED_ROLE`].
fn require(operation: &mut Value, security: Security) {
    operation["security"] = match security {
        Security::Anyone => json!([]),
        Security::Role(_) => json!([{ "operatorJwt": [] }]),
        Security::Service => json!([{ "serviceToken": [] }]),
        Security::RoleOrService(_) => json!([{ "operatorJwt": [] }, { "serviceToken": [] }]),
    };
    let Some(role) = security.role() else { return };
    operation[REQUIRED_ROLE] = role.as_str().into();
    let needed = match role {
        Role::Viewer => "an operator of any role",
        Role::Operator => "the role `operator` or a higher one",
        Role::Admin => "the role `admin`",
    };
    let service = if matches!(security, Security::RoleOrService(_)) { ", or the token of a service" } else { "" };
    if let Some(Value::String(description)) = operation.get_mut("description") {
        description.push_str(&format!("\n\nNeeds {needed}{service}."));
    }
}
