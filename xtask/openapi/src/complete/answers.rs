//! What a good answer is. dropshot calls every one of them a successful operation.

use serde_json::Value;

use super::{members, operations};

/// Describes each good answer by what it shows.
pub(super) fn describe(document: &mut Value) {
    let schemas = document["components"]["schemas"].clone();
    for operation in operations(document) {
        for (_, response) in members(operation, "responses").filter(|(status, _)| status.starts_with('2')) {
            let shown = response["content"]["application/json"]["schema"]["$ref"].as_str();
            let shown = shown.and_then(|reference| reference.rsplit('/').next()).and_then(|name| schemas.get(name));
            let words = shown.map_or("It is done.", |schema| schema["description"].as_str().unwrap_or_default());
            response["description"] = words.into();
        }
    }
}
