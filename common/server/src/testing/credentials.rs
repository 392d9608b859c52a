//! Access control test for every operation in an OpenAPI document.

use common_contract::Role;
use common_contract::document::REQUIRED_ROLE;
use openapi_document::{Document, Operation};
use reqwest::{Client, Method};

use crate::auth::Tokens;

/// Calls every operation without credentials, with forged credentials, with a user token for each role and with a
/// service token.
///
/// Returns one line for each response that contradicts the document. Tests expect no lines.
///
/// # Errors
///
/// Returns an error if the document cannot be parsed or the server cannot be reached.
pub async fn access_violations(
    document: &str,
    base_url: &str,
    tokens: &Tokens,
    service_token: &str,
) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let document = Document::parse(document)?;
    let mut violations = Vec::new();
    if document.operations().next().is_none() {
        violations.push("the document has no operations".to_owned());
    }
    let users = Role::ALL.map(|role| (role, tokens.issue("ann", role)));
    for operation in document.operations() {
        let is_public = operation.schemes().next().is_none();
        let is_for_services = operation.schemes().any(|scheme| scheme == "serviceToken");
        let mut attempts = vec![
            ("no credentials".to_owned(), None, is_public, 401),
            ("a forged token".to_owned(), Some("Bearer forged-token".to_owned()), is_public, 401),
            ("a password".to_owned(), Some("Basic YWRtaW46YWRtaW4=".to_owned()), is_public, 401),
            ("an extended service token".to_owned(), Some(format!("Bearer {service_token}x")), is_public, 401),
            ("a service token".to_owned(), Some(format!("Bearer {service_token}")), is_public || is_for_services, 403),
        ];
        for (role, token) in &users {
            let token = token.as_ref().map_err(|failure| failure.message.clone())?;
            let is_allowed = is_public || is_allowed_to(operation, *role)?;
            attempts.push((format!("the role {role}"), Some(format!("Bearer {token}")), is_allowed, 403));
            attempts.push((
                format!("an extended token of the role {role}"),
                Some(format!("Bearer {token}x")),
                is_public,
                401,
            ));
        }
        for (caller, credentials, is_allowed, refusal) in attempts {
            let status = call(base_url, operation, credentials.as_deref()).await?;
            let is_refused = status == 401 || status == 403;
            let is_wrong =
                is_refused == is_allowed && !is_login(operation) || is_refused && !is_allowed && status != refusal;
            if is_wrong || status >= 500 {
                violations.push(format!("{} returned {status} for {caller}", operation.id()));
            }
        }
    }
    Ok(violations)
}

/// Returns whether the document permits user accounts with this role. Each operation for user accounts specifies the
/// required role.
fn is_allowed_to(operation: Operation<'_>, role: Role) -> Result<bool, String> {
    if operation.schemes().all(|scheme| scheme != "operatorJwt") {
        return Ok(false);
    }
    let required = operation.value[REQUIRED_ROLE].as_str();
    let required = Role::ALL.into_iter().find(|known| Some(known.as_str()) == required);
    required.map(|required| role >= required).ok_or_else(|| format!("{} requires no known role", operation.id()))
}

/// Returns whether the operation is a login, which returns 401 for a wrong password regardless of the credentials sent.
fn is_login(operation: Operation<'_>) -> bool {
    operation.path.starts_with("/auth/") && operation.schemes().next().is_none()
}

async fn call(base_url: &str, operation: Operation<'_>, credentials: Option<&str>) -> reqwest::Result<u16> {
    // Documents contain only standard methods, so the default never applies.
    let method = operation.method.to_uppercase().parse().unwrap_or(Method::GET);
    let url = format!("{base_url}{}", operation.path.replace("{id}", "9223372036854775807"));
    let mut request = Client::new().request(method, url);
    if let Some(credentials) = credentials {
        request = request.header("authorization", credentials);
    }
    Ok(request.send().await?.status().as_u16())
}
