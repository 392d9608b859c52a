//! Validation of values against schemas. Translates the OpenAPI 3.0 schema dialect to JSON Schema.

use serde_json::{Map, Value, json};

/// Whether objects may have properties that their schema does not define.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    /// Allowed unless the schema forbids them, as for clients, which must ignore unknown properties.
    Open,
    /// Forbidden, as for server tests, because a server must document everything that it sends.
    Closed,
}

/// Validates values against a schema.
#[derive(Debug)]
pub struct Validator(jsonschema::Validator);

impl Validator {
    pub(crate) fn new(components: &Map<String, Value>, schema: &Value, strictness: Strictness) -> Result<Self, String> {
        let mut root = json!({ "allOf": [schema], "components": { "schemas": components.get("schemas") } });
        translate(&mut root, strictness);
        let options = jsonschema::options().with_draft(jsonschema::Draft::Draft7).should_validate_formats(true);
        options.build(&root).map(Self).map_err(|error| error.to_string())
    }

    /// Returns one line per violation, with its JSON Pointer. Empty if the value is valid.
    pub fn problems(&self, value: &Value) -> Vec<String> {
        let problem = |error: jsonschema::ValidationError<'_>| match error.instance_path().as_str() {
            "" => error.to_string(),
            pointer => format!("{pointer}: {error}"),
        };
        self.0.iter_errors(value).map(problem).collect()
    }
}

/// Translates in place: `nullable` to `anyOf` with null; for `Closed`, adds `additionalProperties: false`.
fn translate(schema: &mut Value, strictness: Strictness) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(|item| translate(item, strictness)),
        Value::Object(object) => {
            // An example is a value, not a schema, so do not translate it.
            object.remove("example");
            for (keyword, value) in object.iter_mut() {
                match (keyword.as_str(), value) {
                    // The keys of this object are names, which may coincide with keywords.
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
