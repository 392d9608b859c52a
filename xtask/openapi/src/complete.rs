//! Adds to a document what dropshot does not emit: where the service listens, and what each operation asks of its
//! caller. Both come from the `CONTRACT` beside the trait.

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};
use service_api::{Contract, Security};

/// Completes the document in place. Fails where the contract and the trait name different operations.
pub(crate) fn complete(document: &mut Value, contract: &Contract) -> Result<()> {
    let root = document.as_object_mut().context("the document is no object")?;
    let servers = json!([{ "url": contract.local_url, "description": "As `cargo xtask up` runs it" }]);
    root.insert("servers".to_owned(), servers);
    secure_operations(root, contract)?;
    let components = root.entry("components").or_insert_with(|| json!({}));
    components
        .as_object_mut()
        .context("components is no object")?
        .insert("securitySchemes".to_owned(), security_schemes());
    Ok(())
}

fn secure_operations(root: &mut Map<String, Value>, contract: &Contract) -> Result<()> {
    let paths = root.get_mut("paths").and_then(Value::as_object_mut).context("paths is no object")?;
    let mut described = 0;
    for operation in paths.values_mut().filter_map(Value::as_object_mut).flat_map(Map::values_mut) {
        let Some(operation) = operation.as_object_mut() else { continue };
        let id = operation.get("operationId").and_then(Value::as_str).context("an operation without an id")?;
        let Some((_, security)) = contract.security.iter().find(|(name, _)| *name == id) else {
            bail!("operation {id} is missing in CONTRACT.security: say who may call it");
        };
        operation.insert("security".to_owned(), requirement(*security));
        described += 1;
    }
    if described != contract.security.len() {
        bail!("CONTRACT.security names {} operations, the trait has {described}", contract.security.len());
    }
    Ok(())
}

fn requirement(security: Security) -> Value {
    match security {
        Security::Anyone => json!([]),
        Security::Operator => json!([{ "operatorJwt": [] }]),
        Security::Service => json!([{ "serviceToken": [] }]),
        Security::OperatorOrService => json!([{ "operatorJwt": [] }, { "serviceToken": [] }]),
    }
}

fn security_schemes() -> Value {
    json!({
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
    })
}
