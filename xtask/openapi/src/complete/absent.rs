//! What may be left out. schemars says of an `Option` that it may be left out or be null. A parameter cannot be null, and
//! an answer leaves out what there is not: null would be a promise that nobody keeps. In a request, null counts as absent,
//! and so does a query parameter without a value.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{items, members, operations};

/// Takes `nullable` from parameters and headers, and from the optional properties of answers. Lets query parameters be
/// empty.
pub(super) fn is_not_null(document: &mut Value) {
    let requests = schemas_used(document, |operation| vec![&operation["requestBody"]]);
    let answers = schemas_used(document, |operation| {
        operation["responses"].as_object().into_iter().flat_map(|all| all.values()).collect()
    });
    let only_answered: Vec<_> = answers.difference(&requests).cloned().collect();
    for name in only_answered {
        document["components"]["schemas"].get_mut(&name).into_iter().for_each(drop_nullable);
    }
    for operation in operations(document) {
        for parameter in items(operation, "parameters") {
            not_nullable(parameter);
            if parameter["in"] == "query" && parameter["required"] != true {
                parameter["allowEmptyValue"] = true.into();
            }
        }
        for (_, response) in members(operation, "responses") {
            members(response, "headers").for_each(|(_, header)| not_nullable(header));
        }
    }
}

/// A parameter or a header.
fn not_nullable(described: &mut Value) {
    described.get_mut("schema").into_iter().for_each(remove_nullable);
}

fn drop_nullable(schema: &mut Value) {
    let required: BTreeSet<_> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    for (name, property) in members(schema, "properties") {
        if !required.contains(name) {
            remove_nullable(property);
        }
    }
}

fn remove_nullable(schema: &mut Value) {
    if let Some(schema) = schema.as_object_mut() {
        schema.shift_remove("nullable");
    }
}

/// The names of the schemas that these parts of the operations use, themselves or by way of others.
fn schemas_used<'a>(document: &'a Value, parts: impl Fn(&'a Value) -> Vec<&'a Value>) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    let operations = document["paths"].as_object().into_iter().flatten().filter_map(|(_, path)| path.as_object());
    for part in operations.flat_map(|path| path.values()).flat_map(parts) {
        collect(document, part, &mut used);
    }
    used
}

fn collect(document: &Value, value: &Value, used: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(document, item, used)),
        Value::Object(object) => {
            if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
                let name = reference.strip_prefix("#/components/schemas/");
                if name.is_none_or(|name| used.insert(name.to_owned())) {
                    let target = document.pointer(reference.trim_start_matches('#'));
                    target.into_iter().for_each(|target| collect(document, target, used));
                }
            }
            object.values().for_each(|item| collect(document, item, used));
        }
        _ => {}
    }
}
