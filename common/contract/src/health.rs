//! Response bodies of `/health` and `/ready`.

use schemars::JsonSchema;
use serde::Serialize;

/// Result of a liveness check.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Health {
    /// Always `ok`.
    #[schemars(length(max = 20))]
    pub status: String,
}

impl Health {
    /// Returns the body of a successful liveness check.
    pub fn ok() -> Self {
        Self { status: "ok".to_owned() }
    }
}

/// Result of a readiness check.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Readiness {
    /// Always `ready`. A service that is not ready responds with status 503.
    #[schemars(length(max = 20))]
    pub status: String,
}

impl Readiness {
    /// Returns the body of a successful readiness check.
    pub fn ready() -> Self {
        Self { status: "ready".to_owned() }
    }
}
