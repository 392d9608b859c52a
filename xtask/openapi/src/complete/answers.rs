//! Good answers, which dropshot describes all alike: what they show, the headers that go with every call and every answer,
//! and the operations that ask for what they say.

use anyhow::{Context, Result, ensure};
use common_contract::Contract;
use serde_json::{Value, json};

use super::{operations, reference, successes};

/// Lets the operation refer to the headers that every operation takes, and its good answers to those that they carry.
pub(super) fn add_headers(operation: &mut Value) {
    let taken = ["X-Correlation-Id", "traceparent"].map(|name| reference("parameters", name));
    let own = operation["parameters"].take();
    operation["parameters"] = own.as_array().into_iter().flatten().cloned().chain(taken).collect();
    successes(operation).for_each(refer_to_headers);
}

/// Lets an answer refer to the headers of every answer.
pub(super) fn refer_to_headers(response: &mut Value) {
    for name in ["X-Correlation-Id", "X-Request-Id"] {
        response["headers"][name] = reference("headers", name);
    }
}

/// Adds the contract's links to the good answer. Fails where one names an operation that there is not.
pub(super) fn add_links(operation: &mut Value, id: &str, contract: &Contract) -> Result<()> {
    for link in contract.links.iter().filter(|link| link.from == id) {
        let answer = successes(operation).next().context("no good answer to lead from")?;
        let parameters: Value = link.parameters.iter().map(|(name, place)| ((*name).to_owned(), *place)).collect();
        for to in link.to {
            let is_known = contract.operations.iter().any(|operation| operation.id == *to);
            ensure!(is_known, "CONTRACT.links leads to {to}, which is no operation");
            answer["links"][to] = json!({ "operationId": to, "parameters": parameters });
        }
    }
    Ok(())
}

/// Describes each good answer by what it shows.
pub(super) fn describe(document: &mut Value) {
    let schemas = document["components"]["schemas"].clone();
    for response in operations(document).flat_map(successes) {
        let shown = response["content"]["application/json"]["schema"]["$ref"].as_str();
        let shown = shown.and_then(|reference| reference.rsplit('/').next()).and_then(|name| schemas.get(name));
        let words = shown.map_or("It is done.", |schema| schema["description"].as_str().unwrap_or_default());
        response["description"] = words.into();
    }
}
