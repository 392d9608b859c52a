//! Adds what dropshot does not emit, using the `CONTRACT` next to the trait: server URL, required credentials, error
//! responses, shared headers, links and examples.
//!
//! The module `rules` checks completeness, not this one.

mod errors;
mod examples;
mod schemas;
mod successes;

use anyhow::{Context, Result, ensure};
use common_contract::document::REQUIRED_ROLE;
use common_contract::{Contract, Role, Security};
use serde_json::{Value, json};

/// Headers and security schemes that every document contains.
const COMPONENTS: &str = include_str!("components.json");

/// Completes the document in place. Returns an error if the contract and the trait define different operations.
pub(crate) fn complete(document: &mut Value, contract: &Contract) -> Result<()> {
    document["servers"] =
        json!([{ "url": contract.local_url, "description": "Local development server, started by `cargo xtask up`" }]);
    let shared: Value = serde_json::from_str(COMPONENTS).context("complete/components.json")?;
    for (kind, components) in entries(&shared) {
        document["components"][kind] = components.clone();
    }
    let (mut failures, mut described) = (errors::Failures::new(), 0);
    for operation in operations(document) {
        let id = operation["operationId"].as_str().context("operation without an id")?.to_owned();
        let known = contract.operations.iter().find(|known| known.id == id).with_context(|| {
            format!("operation {id} is missing in CONTRACT.operations: add its security and its errors")
        })?;
        add_security(operation, known.security);
        errors::document(operation, known, &mut failures).with_context(|| format!("operation {id}"))?;
        successes::add_headers(operation);
        successes::add_links(operation, known.id, contract).with_context(|| format!("operation {id}"))?;
        described += 1;
    }
    let named = contract.operations.len();
    ensure!(described == named, "CONTRACT.operations has {named} operations, but the trait has {described}");
    errors::define(&mut document["components"], contract, failures)?;
    successes::describe(document);
    schemas::flatten_enums(document);
    schemas::prefix_constants(document, contract.prefixed_enums)?;
    schemas::drop_nulls(document);
    examples::add(document, contract)
}

fn operations(document: &mut Value) -> impl Iterator<Item = &mut Value> {
    let paths = members(document, "paths").filter_map(|(_, path)| path.as_object_mut());
    paths.flat_map(|path| path.values_mut())
}

fn successes(operation: &mut Value) -> impl Iterator<Item = &mut Value> {
    members(operation, "responses").filter(|(status, _)| status.starts_with('2')).map(|(_, response)| response)
}

/// Iterates over the members of the object `value[name]`, if it exists.
fn members<'a>(value: &'a mut Value, name: &str) -> impl Iterator<Item = (&'a String, &'a mut Value)> {
    value.get_mut(name).and_then(Value::as_object_mut).into_iter().flatten()
}

/// Iterates over the items of the array `value[name]`, if it exists.
fn items<'a>(value: &'a mut Value, name: &str) -> impl Iterator<Item = &'a mut Value> {
    value.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten()
}

fn entries(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().into_iter().flatten()
}

fn reference(kind: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{kind}/{name}") })
}

/// Documents credentials. OpenAPI has no field for the role, so it is in the description and in [`REQUIRED_ROLE`].
fn add_security(operation: &mut Value, security: Security) {
    operation["security"] = match security {
        Security::Anyone => json!([]),
        Security::Role(_) => json!([{ "operatorJwt": [] }]),
        Security::Service => json!([{ "serviceToken": [] }]),
        Security::RoleOrService(_) => json!([{ "operatorJwt": [] }, { "serviceToken": [] }]),
    };
    let Some(role) = security.role() else { return };
    operation[REQUIRED_ROLE] = role.as_str().into();
    let required = match role {
        Role::Viewer => "any role",
        Role::Operator => "the role `operator` or `admin`",
        Role::Admin => "the role `admin`",
    };
    let service = if matches!(security, Security::RoleOrService(_)) { ", or a service token" } else { "" };
    if let Some(Value::String(description)) = operation.get_mut("description") {
        description.push_str(&format!("\n\nRequires the access token of a user account with {required}{service}."));
    }
}
