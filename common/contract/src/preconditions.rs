//! Idempotency keys and version preconditions.

use schemars::JsonSchema;
use schemars::r#gen::SchemaGenerator;
use schemars::schema::Schema;
use serde::{Deserialize, Serialize};

use crate::values::text_schema;

/// Names one piece of work of one caller, so that asking twice does it once: 1 to 255 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The most characters a key may have.
    pub const MAX: usize = 255;

    /// The key itself.
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
        text_schema(Self::MAX, None, "^[!-~]+$")
    }
}

/// Which versions of the resource the caller accepts to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IfMatch {
    /// `*`: any that exists.
    Any,
    /// One of these entity tags, quotes included. Weak ones never match (RFC 9110, 13.1.1) and are left out.
    Tags(Vec<String>),
}

impl IfMatch {
    /// Maximum length of the header, in characters.
    pub const MAX: usize = 1000;

    /// Whether a resource at this version may be changed.
    pub fn allows(&self, version: i64) -> bool {
        match self {
            Self::Any => true,
            Self::Tags(tags) => tags.contains(&etag(version)),
        }
    }
}

/// The entity tag of a resource at this version.
pub fn etag(version: i64) -> String {
    format!("\"v{version}\"")
}
