//! Generates constants for the error codes of a service.

use std::collections::BTreeMap;

use quote::format_ident;
use serde_json::Value;
use syn::{Item, ItemMod, parse_quote};

/// Generates a module with a constant for each error code of the document, documented with its meaning.
///
/// The codes are strings and not an enum, so that existing clients can parse codes that are added later.
pub(crate) fn module(document: &Value) -> ItemMod {
    let constants = meanings(document).into_iter().map(|(code, meaning)| -> Item {
        let name = format_ident!("{}", code.to_uppercase());
        parse_quote!(#[doc = #meaning] pub const #name: &str = #code;)
    });
    parse_quote! {
        /// Error codes. Later versions of the service may add codes.
        pub mod codes {
            #(#constants)*
        }
    }
}

/// Returns the meanings by code. A code with two statuses has two meanings.
fn meanings(document: &Value) -> BTreeMap<&str, String> {
    let schemas = document["components"]["schemas"].as_object().into_iter().flatten();
    let properties = schemas.flat_map(|(_, schema)| schema["properties"].as_object()).flatten();
    let lists = properties.filter(|(_, property)| property["x-extensible-enum"].is_array());
    let mut meanings = BTreeMap::<_, String>::new();
    for line in lists.flat_map(|(_, list)| list["description"].as_str()).flat_map(str::lines) {
        let Some((code, meaning)) = line.strip_prefix("- `").and_then(|line| line.split_once("` ")) else { continue };
        let all = meanings.entry(code).or_default();
        let separator = if all.is_empty() { "" } else { "\n\n" };
        all.push_str(separator);
        all.push_str(meaning);
    }
    meanings
}
