//! Generates typed clients from OpenAPI documents, for the build scripts of the clients.
//!
//! This crate defines the style of the clients, their hooks, and the Rust types of schemas. The handwritten code is in
//! the `lib.rs` of each client and in `client-common`.

mod codes;
mod structs;

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use openapiv3::OpenAPI;
use progenitor::{GenerationSettings, Generator, InterfaceStyle, TagStyle, TypeImpl};
use quote::quote;
use schemars::schema::SchemaObject;
use serde_json::{Map, Value};

/// Generates `client.rs` in `OUT_DIR` from the document at `path`, relative to the package of the build script.
///
/// # Errors
///
/// Returns an error if the document cannot be read, or uses an unsupported feature.
pub fn generate(path: &str) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={path}");
    let document = fs::read_to_string(path)?;
    let folder =
        PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set; call this function from a build script")?);
    fs::write(folder.join("client.rs"), client(&document)?)?;
    Ok(())
}

fn client(document: &str) -> Result<String, Box<dyn Error>> {
    let mut document = serde_json::from_str(document)?;
    accept_any_error_status(&mut document);
    let (settings, codes) = (settings(&document)?, codes::module(&document));
    let document: OpenAPI = serde_json::from_value(document)?;
    let client = Generator::new(&settings).generate_tokens(&document)?;
    let mut client = syn::parse2(quote!(#client #codes))?;
    structs::make_extensible(&mut client);
    Ok(prettyplease::unparse(&client))
}

/// Replaces the error responses of each operation with `4XX` and `5XX`, so that existing clients can parse errors with
/// statuses that are added later. All errors of a service have the same schema.
fn accept_any_error_status(document: &mut Value) {
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    let operations = paths.filter_map(|(_, path)| path.as_object_mut()).flatten();
    for responses in operations.filter_map(|(_, operation)| operation.get_mut("responses")?.as_object_mut()) {
        let is_error = |status: &String| status.starts_with(['4', '5']);
        let error = responses.iter().find(|(status, _)| is_error(status)).map(|(_, error)| error.clone());
        responses.retain(|status, _| !is_error(status));
        responses.extend(error.into_iter().flat_map(|error| ["4XX", "5XX"].map(|any| (any.to_owned(), error.clone()))));
    }
}

fn settings(document: &Value) -> Result<GenerationSettings, Box<dyn Error>> {
    let mut settings = GenerationSettings::new();
    settings
        .with_interface(InterfaceStyle::Builder)
        .with_tag(TagStyle::Merged)
        .with_inner_type(quote!(client_common::Outbound))
        .with_pre_hook(quote!(client_common::add_headers))
        .with_post_hook(quote!(client_common::record_head))
        .with_derive("PartialEq");
    for (schema, plain) in plain_types(document) {
        let impls = [TypeImpl::Default, TypeImpl::Display, TypeImpl::FromStr];
        settings.with_conversion(serde_json::from_value::<SchemaObject>(schema)?, plain, impls.into_iter());
    }
    Ok(settings)
}

/// Returns the schemas that map to plain Rust types instead of generated ones: 64-bit integers of any range, and
/// strings that have only a maximum length. The server validates ranges and lengths. Strings with a pattern or a
/// minimum length become types that are validated on construction.
fn plain_types(document: &Value) -> Vec<(Value, &'static str)> {
    match document {
        Value::Object(object) => {
            let this = plain_type(object).map(|plain| (without_annotations(object), plain));
            this.into_iter().chain(object.values().flat_map(plain_types)).collect()
        }
        Value::Array(values) => values.iter().flat_map(plain_types).collect(),
        _ => Vec::new(),
    }
}

fn plain_type(schema: &Map<String, Value>) -> Option<&'static str> {
    let has = |keyword| schema.contains_key(keyword);
    match schema.get("type")?.as_str()? {
        "integer" if schema.get("format")? == "int64" => Some("i64"),
        // There is no Rust type for email addresses; other formats have one.
        "string" if schema.get("format").is_some_and(|format| format != "idn-email") => None,
        "string" if !["enum", "pattern", "minLength"].into_iter().any(has) => Some("::std::string::String"),
        _ => None,
    }
}

/// Returns the schema in the form that the generator compares.
fn without_annotations(schema: &Map<String, Value>) -> Value {
    const ANNOTATIONS: [&str; 5] = ["description", "title", "default", "example", "nullable"];
    let kept = schema.iter().filter(|(keyword, _)| !ANNOTATIONS.contains(&keyword.as_str()));
    kept.map(|(keyword, value)| (keyword.clone(), value.clone())).collect::<Map<_, _>>().into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Generates a client from a document with one schema that has these properties.
    fn client_of(properties: &Value) -> String {
        let document = json!({
            "openapi": "3.0.3",
            "info": { "title": "Things", "version": "1.0.0" },
            "paths": {},
            "components": { "schemas": { "Thing": { "type": "object", "properties": properties } } },
        });
        client(&document.to_string()).unwrap()
    }

    #[test]
    fn integers_of_any_range_are_plain() {
        let client = client_of(&json!({
            "id": { "type": "integer", "format": "int64", "minimum": 1, "description": "The id.", "example": 7 },
            "qty": { "type": "integer", "format": "int64", "minimum": 1, "maximum": 1_000_000, "nullable": true },
            "delta": { "type": "integer", "format": "int64", "minimum": -1_000_000_000, "maximum": 1_000_000_000 },
        }));
        for field in ["id", "qty", "delta"] {
            assert!(client.contains(&format!("pub {field}: ::std::option::Option<i64>")), "{field} of {client}");
        }
    }

    #[test]
    fn strings_of_any_length_are_plain_unless_they_have_a_pattern() {
        let client = client_of(&json!({
            "name": { "type": "string", "maxLength": 200, "example": "ACME", "nullable": true },
            "code": { "type": "string", "maxLength": 64, "x-extensible-enum": ["unavailable"] },
            "sku": { "type": "string", "maxLength": 64, "minLength": 1, "pattern": "^[!-~]+$" },
        }));
        for (field, plain) in
            [("name", "::std::string::String"), ("code", "::std::string::String"), ("sku", "ThingSku")]
        {
            assert!(client.contains(&format!("pub {field}: ::std::option::Option<{plain}>")), "{field} of {client}");
        }
    }

    #[test]
    fn structs_are_non_exhaustive() {
        let client = client_of(&json!({ "code": { "type": "string", "minLength": 1 } }));
        assert!(client.contains("#[non_exhaustive]\n    pub struct Thing {"), "{client}");
        assert_eq!(client.matches("#[non_exhaustive]").count(), 1, "neither builders nor validated strings: {client}");
    }

    #[test]
    fn builders_accept_lists_of_builders() {
        let part = json!({ "type": "object", "properties": { "qty": { "type": "integer", "format": "int64" } } });
        let client = client_of(&json!({ "parts": { "type": "array", "items": part } }));
        let setter = "pub fn parts<T>(\n                mut self,\n                values: impl ::std::iter::IntoIterator<Item = T>,";
        assert!(
            client.contains(setter) && client.contains("T: ::std::convert::TryInto<super::ThingPartsItem>"),
            "{client}"
        );
    }

    #[test]
    fn each_error_code_is_a_documented_constant() {
        let client = client_of(&json!({ "code": {
            "type": "string", "x-extensible-enum": ["not_found", "failed"],
            "description": "A code.\n\n- `not_found` (404): It is not there.\n- `failed` (503): Not now.\n- `failed` (504): Too slow.",
        } }));
        for expected in ["(404): It is not there.", "pub const NOT_FOUND: &str = \"not_found\";", "(504): Too slow."] {
            assert!(client.contains(expected), "{expected} of {client}");
        }
        assert_eq!(client.matches("pub const FAILED").count(), 1);
    }

    #[test]
    fn every_error_status_is_accepted() {
        let error =
            |name: &str| json!({ "content": { "application/json": { "schema": { "$ref": format!("#/{name}") } } } });
        let mut document = json!({ "paths": { "/things": { "get": { "responses": {
            "204": {}, "404": error("a"), "503": error("a"),
        } } } } });
        accept_any_error_status(&mut document);
        let responses = &document["paths"]["/things"]["get"]["responses"];
        assert_eq!(*responses, json!({ "204": {}, "4XX": error("a"), "5XX": error("a") }));
    }
}
