//! Whether a value is as a schema says. OpenAPI 3.0 has a dialect of its own; here it is made JSON Schema.

use serde_json::{Map, Value, json};

/// Whether an object may have more properties than its schema names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    /// Where the schema does not forbid it, as a client has to take it.
    Open,
    /// Never, as a server is to be held to it: what it sends is documented.
    Closed,
}

/// Judges values by one schema.
#[derive(Debug)]
pub struct Validator(jsonschema::Validator);

impl Validator {
    pub(crate) fn new(components: &Map<String, Value>, schema: &Value, strictness: Strictness) -> Result<Self, String> {
        let mut root = json!({ "allOf": [schema], "components": { "schemas": components.get("schemas") } });
        translate(&mut root, strictness);
        let options = jsonschema::options().with_draft(jsonschema::Draft::Draft7).should_validate_formats(true);
        options.build(&root).map(Self).map_err(|error| error.to_string())
    }

    /// What is wrong with the value, one line each, with its place. Empty where all is well.
    pub fn problems(&self, value: &Value) -> Vec<String> {
        let problem = |error: jsonschema::ValidationError<'_>| match error.instance_path().as_str() {
            "" => error.to_string(),
            place => format!("{place}: {error}"),
        };
        self.0.iter_errors(value).map(problem).collect()
    }
}

/// In place, at any depth: `nullable` becomes a choice, and a closed object names all that it may have.
fn translate(schema: &mut Value, strictness: Strictness) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(|item| translate(item, strictness)),
        Value::Object(object) => {
            // A value, no schema.
            object.remove("example");
            for (keyword, value) in object.iter_mut() {
                match (keyword.as_str(), value) {
                    // A property may be called like a keyword.
                    ("properties" | "schemas", Value::Object(named)) => {
                        named.values_mut().for_each(|schema| translate(schema, strictness));
                    }
                    ("enum", _) => {}
                    (_, value) => translate(value, strictness),
                }
            }
            if strictness == Strictness::Closed && object.contains_key("properties") {
                object.entry("additionalProperties").or_insert(Value::Bool(false));
            }
            if object.remove("nullable") == Some(Value::Bool(true)) {
                let rest = Value::Object(std::mem::take(object));
                object.insert("anyOf".to_owned(), json!([rest, { "type": "null" }]));
            }
        }
        _ => {}
    }
}
