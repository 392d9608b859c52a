//! What `/health` and `/ready` answer.

use schemars::JsonSchema;
use serde::Serialize;

/// The process answers.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Health {
    /// Always `ok`.
    pub status: String,
}

/// The service can do its work.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Readiness {
    /// Always `ready`; a service that is not ready answers 503.
    pub status: String,
}
