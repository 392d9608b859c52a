//! Lists of words. schemars makes a choice of single words of an enum whose variants are described; most tools read a
//! plain list better. The descriptions move to the list's own.

use std::fmt::Write;

use serde_json::Value;

use super::members;

/// Makes every choice of single words a list of words.
pub(super) fn flatten(document: &mut Value) {
    for (_, schema) in members(&mut document["components"], "schemas") {
        if let Some(words) = words(schema) {
            let mut description = schema["description"].as_str().unwrap_or_default().to_owned();
            description.push('\n');
            for (word, meaning) in &words {
                // Writing to a String cannot fail.
                let _ = write!(description, "\n- `{word}`: {meaning}");
            }
            let words: Vec<_> = words.into_iter().map(|(word, _)| word).collect();
            *schema = serde_json::json!({ "description": description, "type": "string", "enum": words });
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
