//! What callers have to show.

use common_contract::document::REQUIRED_ROLE;
use common_contract::{Role, Security};
use serde_json::{Value, json};

/// What one operation asks for. A role has no place in OpenAPI: people read it in the description, programs in
/// [`REQUIRED_ROLE`].
pub(super) fn require(operation: &mut Value, security: Security) {
    operation["security"] = match security {
        Security::Anyone => json!([]),
        Security::Role(_) => json!([{ "operatorJwt": [] }]),
        Security::Service => json!([{ "serviceToken": [] }]),
        Security::RoleOrService(_) => json!([{ "operatorJwt": [] }, { "serviceToken": [] }]),
    };
    let Some(role) = security.role() else { return };
    operation[REQUIRED_ROLE] = role.as_str().into();
    let needed = match role {
        Role::Viewer => "an operator of any role",
        Role::Operator => "the role `operator` or a higher one",
        Role::Admin => "the role `admin`",
    };
    let service = if matches!(security, Security::RoleOrService(_)) { ", or the token of a service" } else { "" };
    if let Some(Value::String(description)) = operation.get_mut("description") {
        description.push_str(&format!("\n\nNeeds {needed}{service}."));
    }
}
