//! What callers have to show.

use std::fmt::Write;

use anyhow::Result;
use common_contract::document::REQUIRED_ROLE;
use common_contract::{Role, Security};
use serde_json::{Value, json};

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
            "description": "The token that services share, or one that belongs to a service by its name.",
        },
    });
    object_in(root, "components")?.insert("securitySchemes".to_owned(), schemes);
    Ok(())
}

/// What one operation asks for. A role has no place in OpenAPI: people read it in the description, programs in
/// [`REQUIRED_ROLE`].
pub(super) fn require(operation: &mut Object, security: Security) {
    let requirement = match security {
        Security::Anyone => json!([]),
        Security::Role(_) => json!([{ "operatorJwt": [] }]),
        Security::Service => json!([{ "serviceToken": [] }]),
        Security::RoleOrService(_) => json!([{ "operatorJwt": [] }, { "serviceToken": [] }]),
    };
    operation.insert("security".to_owned(), requirement);
    let Some(role) = security.role() else { return };
    operation.insert(REQUIRED_ROLE.to_owned(), role.as_str().into());
    if let Some(Value::String(description)) = operation.get_mut("description") {
        let service = if matches!(security, Security::RoleOrService(_)) { ", or the token of a service" } else { "" };
        let _ = write!(description, "\n\nNeeds {}{service}.", at_least(role));
    }
}

fn at_least(role: Role) -> String {
    match role {
        Role::Viewer => "an operator of any role".to_owned(),
        Role::Operator => "the role `operator` or a higher one".to_owned(),
        Role::Admin => "the role `admin`".to_owned(),
    }
}
