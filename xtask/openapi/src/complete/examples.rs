//! Adds the contract's examples to schemas, properties, parameters, headers and error responses.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};
use common_contract::Contract;
use common_contract::document::EXAMPLES;
use serde_json::{Value, json};

use super::{entries, items, members, operations};

/// Adds the examples to the document. The module `rules` reports missing examples.
pub(super) fn add(document: &mut Value, contract: &Contract) -> Result<()> {
    let mut examples: Value = serde_json::from_str(EXAMPLES).context("common/contract/examples.json")?;
    let own: Value = serde_json::from_str(contract.examples).context("the contract's examples")?;
    for (kind, own) in own.as_object().into_iter().flatten() {
        let all =
            examples[kind.as_str()].as_object_mut().with_context(|| format!("unknown kind of examples: {kind}"))?;
        all.extend(own.as_object().cloned().unwrap_or_default());
    }
    let examples = expanded(&examples, &examples, 0)?;
    for (name, schema) in members(&mut document["components"], "schemas") {
        exemplify(schema, name, &examples["schemas"]);
    }
    for operation in operations(document) {
        items(operation, "parameters").for_each(|parameter| exemplify_parameter(parameter, &examples));
        let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
        for response in members(operation, "responses").map(|(_, response)| response) {
            exemplify_headers(response, &id, &examples);
        }
    }
    let components = &mut document["components"];
    exemplify_headers(components, "", &examples);
    members(components, "parameters").for_each(|(_, parameter)| exemplify_parameter(parameter, &examples));
    errors(document, &examples)?;
    all_used(document, &own)
}

/// Replaces every `{"$ref": "#/schemas/Order", …}` with that example, merged with the object's other members.
fn expanded(value: &Value, examples: &Value, depth: usize) -> Result<Value> {
    // No example is nested this deeply, so the references must be circular.
    ensure!(depth < 32, "the contract's examples.json has circular references");
    let expanded = |value: &Value| expanded(value, examples, depth + 1);
    match value {
        Value::Array(items) => items.iter().map(expanded).collect(),
        Value::Object(members) => {
            let Some(reference) = openapi_document::reference(value) else {
                return members.iter().map(|(name, value)| Ok((name.clone(), expanded(value)?))).collect();
            };
            let target = examples.pointer(reference.trim_start_matches('#'));
            let mut target = expanded(target.with_context(|| format!("example {reference} does not exist"))?)?;
            let mut beside = members.clone();
            beside.shift_remove("$ref");
            merge(&mut target, &expanded(&beside.into())?);
            Ok(target)
        }
        _ => Ok(value.clone()),
    }
}

/// Adds examples to a schema and its properties. `Schema.property` names that of a property that the schema's omits.
fn exemplify(schema: &mut Value, name: &str, examples: &Value) {
    let Some(example) = examples.get(name) else { return };
    for (property, schema) in members(schema, "properties").filter(|(_, schema)| schema.get("$ref").is_none()) {
        let own = examples.get(format!("{name}.{property}"));
        if let Some(value) = example.get(property).or(own) {
            schema["example"] = value.clone();
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

/// Adds the examples for headers. An example named `operation_id.Header` takes precedence.
fn exemplify_headers(parent: &mut Value, operation: &str, examples: &Value) {
    for (name, header) in members(parent, "headers").filter(|(_, header)| header.get("$ref").is_none()) {
        let (examples, special) = (&examples["headers"], format!("{operation}.{name}"));
        if let Some(example) = examples.get(special).or_else(|| examples.get(name)) {
            header["example"] = example.clone();
        }
    }
}

/// Adds an example for each error code: the example of the error body, merged with the example of the code.
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

/// Applies a JSON Merge Patch (RFC 7396).
fn merge(target: &mut Value, patch: &Value) {
    let (Some(target), Some(patch)) = (target.as_object_mut(), patch.as_object()) else { return };
    for (name, value) in patch {
        match value {
            Value::Null => drop(target.shift_remove(name)),
            Value::Object(_) => {
                merge(target.entry(name).or_insert_with(|| json!({})), value);
            }
            _ => drop(target.insert(name.clone(), value.clone())),
        }
    }
}

/// Returns an error if an example in the contract does not occur in the document.
fn all_used(document: &Value, own: &Value) -> Result<()> {
    let components = &document["components"];
    let codes: BTreeSet<_> = entries(&components["responses"])
        .flat_map(|(_, response)| entries(&response["content"]["application/json"]["examples"]))
        .map(|(code, _)| code)
        .collect();
    let unknown = entries(&own["schemas"])
        .filter(|(name, _)| components["schemas"].get(name.split('.').next().unwrap_or(name)).is_none())
        .chain(entries(&own["errors"]).filter(|(code, _)| !codes.contains(code)))
        .map(|(name, _)| name.as_str());
    match unknown.collect::<Vec<_>>() {
        none if none.is_empty() => Ok(()),
        unknown => bail!("the contract's examples.json has examples that do not occur in the document: {unknown:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_resolved_and_merged() {
        let examples = json!({ "schemas": {
            "Page": { "data": [{ "$ref": "#/schemas/Summary" }], "next_cursor": null },
            "Summary": { "$ref": "#/schemas/Thing", "parts": null, "name": "B" },
            "Thing": { "id": 1, "name": "A", "parts": [2] },
        } });
        let schemas = &expanded(&examples, &examples, 0).unwrap()["schemas"];
        assert_eq!(schemas["Summary"], json!({ "id": 1, "name": "B" }));
        assert_eq!(schemas["Page"], json!({ "data": [schemas["Summary"]], "next_cursor": null }));
    }

    #[test]
    fn dangling_and_circular_references_are_rejected() {
        let error = |examples: &Value| expanded(examples, examples, 0).unwrap_err().to_string();
        assert_eq!(error(&json!({ "a": { "$ref": "#/b" } })), "example #/b does not exist");
        assert!(error(&json!({ "a": { "$ref": "#/a" } })).contains("circular references"));
    }
}
