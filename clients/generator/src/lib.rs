//! Writes a typed client from an OpenAPI document, for the build scripts of the clients.
//!
//! Here is what the clients have in common: their style, the hooks through which their requests pass, and which Rust
//! types they speak. What is written by hand around the generated code is in each client's `lib.rs`, and in `client-common`.

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

/// Writes `client.rs` into the folder for build results, from the document at `path`, as the build script sees it.
///
/// # Errors
///
/// Where the document cannot be read, or says something that a client cannot be made of.
pub fn generate(path: &str) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={path}");
    let document = fs::read_to_string(path)?;
    let folder = PathBuf::from(env::var_os("OUT_DIR").ok_or("a build script is given OUT_DIR")?);
    fs::write(folder.join("client.rs"), client(&document)?)?;
    Ok(())
}

fn client(document: &str) -> Result<String, Box<dyn Error>> {
    let mut document = serde_json::from_str(document)?;
    take_any_error(&mut document);
    let (settings, codes) = (settings(&document)?, codes::module(&document));
    let document: OpenAPI = serde_json::from_value(document)?;
    let client = Generator::new(&settings).generate_tokens(&document)?;
    let mut client = syn::parse2(quote!(#client #codes))?;
    structs::evolve(&mut client);
    Ok(prettyplease::unparse(&client))
}

/// Lets every operation fail with every status. A document lists those of today; the code that comes with one of tomorrow
/// has to be read by a client that was built today. All errors of a service have one shape.
fn take_any_error(document: &mut Value) {
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
        .with_pre_hook(quote!(client_common::stamp))
        .with_post_hook(quote!(client_common::note))
        .with_derive("PartialEq");
    for (schema, plain) in plain_types(document) {
        let impls = [TypeImpl::Default, TypeImpl::Display, TypeImpl::FromStr];
        settings.with_conversion(serde_json::from_value::<SchemaObject>(schema)?, plain, impls.into_iter());
    }
    Ok(settings)
}

/// The schemas for which the generator would make types of its own, though a plain one is what people want to use: every
/// 64-bit integer, whatever its range, and every text of which no more is said than how long it may be. The range and
/// the length are for the server to judge. Texts with a pattern or a least length stay types that are checked when made.
fn plain_types(document: &Value) -> Vec<(Value, &'static str)> {
    match document {
        Value::Object(object) => {
            let own = plain_type(object).map(|plain| (without_notes(object), plain));
            own.into_iter().chain(object.values().flat_map(plain_types)).collect()
        }
        Value::Array(values) => values.iter().flat_map(plain_types).collect(),
        _ => Vec::new(),
    }
}

fn plain_type(schema: &Map<String, Value>) -> Option<&'static str> {
    let says = |word| schema.contains_key(word);
    match schema.get("type")?.as_str()? {
        "integer" if schema.get("format")? == "int64" => Some("i64"),
        // The format of an email address says nothing that Rust has a type for.
        "string" if schema.get("format").is_some_and(|format| format != "email") => None,
        "string" if !["enum", "pattern", "minLength"].into_iter().any(says) => Some("::std::string::String"),
        _ => None,
    }
}

/// The schema as the generator compares it.
fn without_notes(schema: &Map<String, Value>) -> Value {
    const NOTES: [&str; 5] = ["description", "title", "default", "example", "nullable"];
    let kept = schema.iter().filter(|(word, _)| !NOTES.contains(&word.as_str()));
    kept.map(|(word, value)| (word.clone(), value.clone())).collect::<Map<_, _>>().into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The client of a service that shows one thing with these properties.
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
    fn whatever_the_range_a_number_is_a_plain_one() {
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
    fn whatever_the_length_a_text_is_a_plain_one_unless_it_has_a_pattern() {
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
    fn structs_are_built_by_builders_alone() {
        let client = client_of(&json!({ "code": { "type": "string", "minLength": 1 } }));
        assert!(client.contains("#[non_exhaustive]\n    pub struct Thing {"), "{client}");
        assert_eq!(client.matches("#[non_exhaustive]").count(), 1, "neither builders nor checked texts: {client}");
    }

    #[test]
    fn builders_take_lists_of_builders() {
        let part = json!({ "type": "object", "properties": { "qty": { "type": "integer", "format": "int64" } } });
        let client = client_of(&json!({ "parts": { "type": "array", "items": part } }));
        let setter = "pub fn parts<T>(\n                mut self,\n                values: impl ::std::iter::IntoIterator<Item = T>,";
        assert!(
            client.contains(setter) && client.contains("T: ::std::convert::TryInto<super::ThingPartsItem>"),
            "{client}"
        );
    }

    #[test]
    fn every_error_code_of_the_document_is_a_constant_that_says_when_it_is_sent() {
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
    fn an_operation_fails_with_every_status_whichever_are_listed() {
        let error =
            |name: &str| json!({ "content": { "application/json": { "schema": { "$ref": format!("#/{name}") } } } });
        let mut document = json!({ "paths": { "/things": { "get": { "responses": {
            "204": {}, "404": error("a"), "503": error("a"),
        } } } } });
        take_any_error(&mut document);
        let responses = &document["paths"]["/things"]["get"]["responses"];
        assert_eq!(*responses, json!({ "204": {}, "4XX": error("a"), "5XX": error("a") }));
    }
}
