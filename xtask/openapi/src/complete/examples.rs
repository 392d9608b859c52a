//! Puts the contract's examples where readers and tools look for them: at every schema, property, parameter, header and
//! error.

use anyhow::{Context, Result};
use serde_json::Value;
use service_api::Contract;
use service_api::document::EXAMPLES;

use super::{Object, items, members, operations};

/// Adds every example for which the document has a place. What has none stays without: `rules` tells.
pub(super) fn add(document: &mut Value, contract: &Contract) -> Result<()> {
    let mut examples: Value = serde_json::from_str(EXAMPLES).context("service/api/examples.json")?;
    let own: Value = serde_json::from_str(contract.examples).context("the contract's examples")?;
    for (kind, own) in own.as_object().into_iter().flatten() {
        let all = examples[kind.as_str()].as_object_mut().with_context(|| format!("no examples are called {kind}"))?;
        all.extend(own.as_object().cloned().unwrap_or_default());
    }
    for (name, schema) in members(&mut document["components"], "schemas") {
        exemplify(schema, examples["schemas"].get(name));
    }
    for operation in operations(document) {
        items(operation, "parameters").for_each(|parameter| exemplify_parameter(parameter, &examples));
        for response in members(operation, "responses").map(|(_, response)| response) {
            exemplify_headers(response, &examples);
        }
    }
    let components = &mut document["components"];
    exemplify_headers(components, &examples);
    members(components, "parameters").for_each(|(_, parameter)| exemplify_parameter(parameter, &examples));
    errors(document, &examples)
}

/// The whole, and each of its properties.
fn exemplify(schema: &mut Value, example: Option<&Value>) {
    let Some(example) = example else { return };
    for (name, property) in members(schema, "properties") {
        if let Some(value) = example.get(name)
            && property.get("$ref").is_none()
        {
            property["example"] = value.clone();
        }
    }
    schema["example"] = example.clone();
}

fn exemplify_parameter(parameter: &mut Value, examples: &Value) {
    let example = parameter["name"].as_str().and_then(|name| examples["parameters"].get(name));
    if let Some(example) = example {
        parameter["example"] = example.clone();
    }
}

fn exemplify_headers(around: &mut Value, examples: &Value) {
    for (name, header) in members(around, "headers").filter(|(_, header)| header.get("$ref").is_none()) {
        if let Some(example) = examples["headers"].get(name) {
            header["example"] = example.clone();
        }
    }
}

/// The example of each error code: the one of the error body, but for what the code makes different.
fn errors(document: &mut Value, examples: &Value) -> Result<()> {
    for (_, response) in members(&mut document["components"], "responses") {
        let content = &mut response["content"]["application/json"];
        let shape = content["schema"]["$ref"].as_str().and_then(|reference| reference.rsplit('/').next());
        let body =
            shape.and_then(|shape| examples["schemas"].get(shape)).context("no example of the error body")?.clone();
        for (code, example) in members(content, "examples") {
            let mut value = body.clone();
            let (reason, name) =
                if value["error"].is_object() { (&mut value["error"], "code") } else { (&mut value, "error_code") };
            reason[name] = code.as_str().into();
            reason["message"] = example["summary"].clone();
            merge(&mut value, &examples["errors"][code.as_str()]);
            example["value"] = value;
        }
    }
    Ok(())
}

/// JSON Merge Patch (RFC 7396): what is null goes, what is an object is merged, all else is replaced.
fn merge(target: &mut Value, patch: &Value) {
    let (Some(target), Some(patch)) = (target.as_object_mut(), patch.as_object()) else { return };
    for (name, value) in patch {
        match value {
            Value::Null => drop(target.shift_remove(name)),
            Value::Object(_) => merge(target.entry(name).or_insert_with(|| Object::new().into()), value),
            _ => drop(target.insert(name.clone(), value.clone())),
        }
    }
}
