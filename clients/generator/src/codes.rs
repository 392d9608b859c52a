//! The error codes of a service, as constants to match on.

use std::collections::BTreeMap;

use quote::format_ident;
use serde_json::Value;
use syn::{Item, ItemMod, parse_quote};

/// A module with a constant for each code that the error body of the document lists, and what the document says of it.
///
/// The list stays open, so that a client compiled today can read a code that is added tomorrow; that is why these are
/// texts and no enum.
pub(crate) fn module(document: &Value) -> ItemMod {
    let constants = meanings(document).into_iter().map(|(code, meaning)| -> Item {
        let name = format_ident!("{}", code.to_uppercase());
        parse_quote!(#[doc = #meaning] pub const #name: &str = #code;)
    });
    parse_quote! {
        /// The error codes, to match on. More may be added.
        pub mod codes {
            #(#constants)*
        }
    }
}

/// By code, what the lines of the list say of it; a code that is sent under two statuses has two.
fn meanings(document: &Value) -> BTreeMap<&str, String> {
    let schemas = document["components"]["schemas"].as_object().into_iter().flatten();
    let properties = schemas.flat_map(|(_, schema)| schema["properties"].as_object()).flatten();
    let lists = properties.filter(|(_, property)| property["x-extensible-enum"].is_array());
    let mut meanings = BTreeMap::<_, String>::new();
    for line in lists.flat_map(|(_, list)| list["description"].as_str()).flat_map(str::lines) {
        let Some((code, meaning)) = line.strip_prefix("- `").and_then(|line| line.split_once("` ")) else { continue };
        let all = meanings.entry(code).or_default();
        let apart = if all.is_empty() { "" } else { "\n\n" };
        all.push_str(apart);
        all.push_str(meaning);
    }
    meanings
}
