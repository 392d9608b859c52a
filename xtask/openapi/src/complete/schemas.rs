//! Rewrites schemas into the form that most tools support best.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use heck::ToShoutySnakeCase;
use openapi_document::Document;
use serde_json::{Value, json};

use super::{items, members, operations, successes};

/// Converts each `oneOf` of single values to an `enum`. schemars emits a `oneOf` for an enum with documented variants;
/// the descriptions of the variants are moved to the description of the schema.
pub(super) fn flatten_enums(document: &mut Value) {
    for (_, schema) in members(&mut document["components"], "schemas") {
        if let Some(values) = described_values(schema) {
            let lines: String = values.iter().map(|(value, meaning)| format!("\n- `{value}`: {meaning}")).collect();
            let description = format!("{}\n{lines}", schema["description"].as_str().unwrap_or_default());
            let values: Vec<_> = values.iter().map(|(value, _)| value).collect();
            *schema = json!({ "description": description, "type": "string", "enum": values });
        }
    }
}

/// Names the constants of enums, with the name of their schema as prefix: `ORDER_STATUS_CREATED`.
pub(super) fn prefix_constants(document: &mut Value, enums: &[&str]) -> Result<()> {
    for name in enums {
        let schema = &mut document["components"]["schemas"][name];
        let values =
            schema["enum"].as_array().with_context(|| format!("CONTRACT.prefixed_enums: {name} is no enum"))?;
        let names =
            values.iter().filter_map(Value::as_str).map(|value| format!("{name} {value}").to_shouty_snake_case());
        schema["x-enum-varnames"] = names.collect();
    }
    Ok(())
}

/// Returns each value and its description if the schema is a `oneOf` of single values.
fn described_values(schema: &Value) -> Option<Vec<(String, String)>> {
    let described = |choice: &Value| {
        let [value] = choice["enum"].as_array()?.as_slice() else { return None };
        Some((value.as_str()?.to_owned(), choice["description"].as_str()?.to_owned()))
    };
    schema["oneOf"].as_array()?.iter().map(described).collect()
}

/// Removes `nullable` from parameters, headers and optional response properties. Allows empty query parameters.
///
/// schemars marks an `Option` as both optional and nullable. However, parameters are never null, and responses omit
/// absent values. In requests, null counts as absent, as does a query parameter without a value.
pub(super) fn drop_nulls(document: &mut Value) {
    let readable = Document::from(document.clone());
    let used = |part: &str| -> BTreeSet<_> {
        readable.operations().flat_map(|operation| readable.references(&operation.value[part])).collect()
    };
    for reference in used("responses").difference(&used("requestBody")) {
        let schema = document.pointer_mut(reference.trim_start_matches('#'));
        schema.into_iter().for_each(drop_nulls_of_properties);
    }
    for operation in operations(document) {
        for parameter in items(operation, "parameters") {
            remove_nullable(parameter.get_mut("schema"));
            if parameter["in"] == "query" && parameter["required"] != true {
                parameter["allowEmptyValue"] = true.into();
            }
        }
        let headers = successes(operation).flat_map(|response| members(response, "headers"));
        headers.for_each(|(_, header)| remove_nullable(header.get_mut("schema")));
    }
}

fn drop_nulls_of_properties(schema: &mut Value) {
    let required = schema["required"].clone();
    let is_required = |name: &String| required.as_array().is_some_and(|all| all.iter().any(|one| one == name));
    let optional = members(schema, "properties").filter(|(name, _)| !is_required(name));
    optional.for_each(|(_, property)| remove_nullable(Some(property)));
}

fn remove_nullable(schema: Option<&mut Value>) {
    schema.and_then(Value::as_object_mut).and_then(|schema| schema.shift_remove("nullable"));
}
