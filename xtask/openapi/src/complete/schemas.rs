//! Schemas, put as most tools read them best.

use std::collections::BTreeSet;

use openapi_document::Document;
use serde_json::{Value, json};

use super::{items, members, operations, successes};

/// Makes every choice of single words a list of words. schemars makes a choice of an enum whose variants are described;
/// the descriptions move to the list's own.
pub(super) fn flatten_enums(document: &mut Value) {
    for (_, schema) in members(&mut document["components"], "schemas") {
        if let Some(words) = words(schema) {
            let lines: String = words.iter().map(|(word, meaning)| format!("\n- `{word}`: {meaning}")).collect();
            let description = format!("{}\n{lines}", schema["description"].as_str().unwrap_or_default());
            let words: Vec<_> = words.iter().map(|(word, _)| word).collect();
            *schema = json!({ "description": description, "type": "string", "enum": words });
        }
    }
}

/// Each word and what it means, where the schema is such a choice.
fn words(schema: &Value) -> Option<Vec<(String, String)>> {
    let word = |choice: &Value| {
        let [word] = choice["enum"].as_array()?.as_slice() else { return None };
        Some((word.as_str()?.to_owned(), choice["description"].as_str()?.to_owned()))
    };
    schema["oneOf"].as_array()?.iter().map(word).collect()
}

/// Takes `nullable` from parameters and headers, and from the optional properties of answers. Lets query parameters be
/// empty.
///
/// schemars says of an `Option` that it may be left out or be null. A parameter cannot be null, and an answer leaves out
/// what there is not: null would be a promise that nobody keeps. In a request, null counts as absent, and so does a query
/// parameter without a value.
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
