//! Idempotency keys and preconditions on the resource version.

use schemars::JsonSchema;
use schemars::r#gen::SchemaGenerator;
use schemars::schema::Schema;
use serde::{Deserialize, Serialize};

use crate::values::text_schema;

/// Idempotency key, unique per caller and operation: 1 to 255 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Maximum length of a key, in characters.
    pub const MAX: usize = 255;

    /// Returns the key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for IdempotencyKey {
    type Error = String;

    fn try_from(key: String) -> Result<Self, Self::Error> {
        let visible = key.bytes().all(|byte| byte.is_ascii_graphic());
        if visible && (1..=Self::MAX).contains(&key.len()) {
            Ok(Self(key))
        } else {
            Err(format!("expected 1 to {} visible ASCII characters", Self::MAX))
        }
    }
}

impl JsonSchema for IdempotencyKey {
    fn is_referenceable() -> bool {
        false
    }

    fn schema_name() -> String {
        "IdempotencyKey".to_owned()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        text_schema(1..=Self::MAX, None, "^[!-~]+$")
    }
}

/// Precondition on the version of the resource to be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IfMatch {
    /// `*`: any existing version.
    Any,
    /// One of these entity tags, including quotes. Weak tags never match (RFC 9110, 13.1.1) and are omitted.
    Tags(Vec<String>),
}

impl IfMatch {
    /// Maximum length of the header, in characters.
    pub const MAX: usize = 1000;

    /// Returns whether a resource at this version may be changed.
    pub fn allows(&self, version: i64) -> bool {
        match self {
            Self::Any => true,
            Self::Tags(tags) => tags.contains(&etag(version)),
        }
    }
}

/// Returns the entity tag of a resource at this version.
pub fn etag(version: i64) -> String {
    format!("\"v{version}\"")
}
