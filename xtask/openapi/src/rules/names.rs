//! Rules for names that break generated clients. The lists are the result of generating, building and running clients
//! with such names by openapi-generator 7.26; those of C#, Dart and Kotlin of reading the generated code.

use std::collections::BTreeMap;

use heck::{ToShoutySnakeCase, ToSnakeCase};
use openapi_document::Document;
use serde_json::Value;

use super::{Findings, members};

/// Prefixes of what a Go client defines for each schema: its constructor, and its optional value.
const GO_PREFIXES: [&str; 2] = ["New", "Nullable"];

/// Names of properties that equal a member of generated classes, or a keyword that is not escaped, and the language.
const PROPERTIES: [(&str, &str); 13] = [
    ("from_json", "Dart"),
    ("hash", "Ruby"),
    ("hash_code", "Dart"),
    ("initialize", "Ruby"),
    ("list_invalid_properties", "Ruby"),
    ("model_name", "PHP"),
    ("no_such_method", "Dart"),
    ("runtime_type", "Dart"),
    ("this", "Go and PHP"),
    ("to_json", "C# and Dart"),
    ("to_map", "Go"),
    ("to_string", "C# and Dart"),
    ("true", "Java"),
];

/// The same for the values of enums, which become constants.
const VALUES: [(&str, &str); 9] = [
    ("begin", "Ruby"),
    ("end", "Ruby"),
    ("entries", "Kotlin"),
    ("hash_code", "Dart"),
    ("index", "Dart"),
    ("no_such_method", "Dart"),
    ("runtime_type", "Dart"),
    ("to_string", "Dart"),
    ("values", "Dart"),
];

pub(super) fn check(document: &Document, findings: &mut Findings) {
    let schemas: BTreeMap<_, _> = document.components("schemas").collect();
    distinct("schemas", schemas.keys().copied(), findings);
    // Constant, and the enum that has it. Go has one namespace for the constants of all enums.
    let mut constants = BTreeMap::new();
    for (&name, schema) in &schemas {
        for prefix in GO_PREFIXES {
            if let Some(other) = name.strip_prefix(prefix).filter(|other| schemas.contains_key(other)) {
                findings.push(format!("{name}: a Go client has this name for a part of {other}: rename the schema"));
            }
        }
        let properties = || members(&schema["properties"]).map(|(property, _)| property.as_str());
        distinct(name, properties(), findings);
        properties().for_each(|property| unreserved(name, property, &PROPERTIES, findings));
        for constant in names(schema) {
            unreserved(name, &constant, &VALUES, findings);
            if let Some(other) = constants.insert(constant.clone(), name) {
                findings.push(format!(
                    "{name}: its constant {constant} is also one of {other}: add {name} to CONTRACT.prefixed_enums"
                ));
            }
        }
    }
}

/// Requires names to differ in more than letter case and separators, which generators change.
fn distinct<'n>(place: &str, names: impl Iterator<Item = &'n str>, findings: &mut Findings) {
    let mut folded = BTreeMap::new();
    for name in names {
        let key: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        if let Some(other) = folded.insert(key.to_ascii_lowercase(), name) {
            findings.push(format!("{place}: {other} and {name} differ only in letter case or separators: rename one"));
        }
    }
}

fn unreserved(place: &str, name: &str, reserved: &[(&str, &str)], findings: &mut Findings) {
    let snake = name.to_snake_case();
    if let Some((_, languages)) = reserved.iter().find(|(word, _)| *word == snake) {
        findings.push(format!("{place}.{name}: clients in {languages} cannot have this name: rename it"));
    }
}

/// Returns the names of the constants of an enum.
fn names(schema: &Value) -> Vec<String> {
    let texts = |key: &str| schema[key].as_array().into_iter().flatten().filter_map(Value::as_str);
    match schema.get("x-enum-varnames") {
        Some(_) => texts("x-enum-varnames").map(str::to_owned).collect(),
        None => texts("enum").map(str::to_shouty_snake_case).collect(),
    }
}
