//! What callers have to show.

use anyhow::Result;
use serde_json::json;
use service_api::Security;

use super::{Object, object_in};

/// The kinds of credentials that there are.
pub(super) fn schemes(root: &mut Object) -> Result<()> {
    let schemes = json!({
        "operatorJwt": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The access_token of POST /auth/token at the Customers API.",
        },
        "serviceToken": {
            "type": "http",
            "scheme": "bearer",
            "description": "The secret that services share, SERVICE_TOKEN.",
        },
    });
    object_in(root, "components")?.insert("securitySchemes".to_owned(), schemes);
    Ok(())
}

/// What one operation asks for.
pub(super) fn require(operation: &mut Object, security: Security) {
    let requirement = match security {
        Security::Anyone => json!([]),
        Security::Operator => json!([{ "operatorJwt": [] }]),
        Security::Service => json!([{ "serviceToken": [] }]),
        Security::OperatorOrService => json!([{ "operatorJwt": [] }, { "serviceToken": [] }]),
    };
    operation.insert("security".to_owned(), requirement);
}
