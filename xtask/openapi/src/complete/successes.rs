//! Descriptions and links of success responses, and the headers that all requests and responses share.

use anyhow::{Context, Result, ensure};
use common_contract::Contract;
use serde_json::{Value, json};

use super::{operations, reference, successes};

/// Adds references to the shared request headers and, in success responses, to the shared response headers.
pub(super) fn add_headers(operation: &mut Value) {
    let shared = ["X-Correlation-Id", "traceparent"].map(|name| reference("parameters", name));
    let own = operation["parameters"].take();
    operation["parameters"] = own.as_array().into_iter().flatten().cloned().chain(shared).collect();
    successes(operation).for_each(add_shared_headers);
}

pub(super) fn add_shared_headers(response: &mut Value) {
    for name in ["X-Correlation-Id", "X-Request-Id"] {
        response["headers"][name] = reference("headers", name);
    }
}

/// Adds the contract's links to the success response. Returns an error if a link names an unknown operation.
pub(super) fn add_links(operation: &mut Value, id: &str, contract: &Contract) -> Result<()> {
    for link in contract.links.iter().filter(|link| link.from == id) {
        let response = successes(operation).next().context("no success response to link from")?;
        let parameters: Value = link.parameters.iter().map(|(name, place)| ((*name).to_owned(), *place)).collect();
        for to in link.to {
            let is_known = contract.operations.iter().any(|operation| operation.id == *to);
            ensure!(is_known, "CONTRACT.links refers to {to}, which is not an operation");
            response["links"][to] = json!({ "operationId": to, "parameters": parameters });
        }
    }
    Ok(())
}

/// Sets the description of each success response to the description of its schema.
pub(super) fn describe(document: &mut Value) {
    let schemas = document["components"]["schemas"].clone();
    for response in operations(document).flat_map(successes) {
        let schema = response["content"]["application/json"]["schema"]["$ref"].as_str();
        let schema = schema.and_then(|reference| reference.rsplit('/').next()).and_then(|name| schemas.get(name));
        let description = schema.map_or("The request succeeded. The response has no body.", |schema| {
            schema["description"].as_str().unwrap_or_default()
        });
        response["description"] = description.into();
    }
}
