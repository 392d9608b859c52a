//! What `/health` and `/ready` answer.

use schemars::JsonSchema;
use serde::Serialize;

/// The process answers.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Health {
    /// Always `ok`.
    #[schemars(length(max = 20))]
    pub status: String,
}

impl Health {
    /// What a process says that answers.
    pub fn ok() -> Self {
        Self { status: "ok".to_owned() }
    }
}

/// The service can do its work.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Readiness {
    /// Always `ready`; a service that is not ready answers 503.
    #[schemars(length(max = 20))]
    pub status: String,
}

impl Readiness {
    /// What a service says that can work.
    pub fn ready() -> Self {
        Self { status: "ready".to_owned() }
    }
}
