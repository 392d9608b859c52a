//! Who gets in, asked of every operation of a document.

use common_contract::Role;
use common_contract::document::REQUIRED_ROLE;
use openapi_document::{Document, Operation};
use reqwest::{Client, Method};

use crate::auth::Tokens;

/// Calls every operation without credentials, with ones that nobody issued, with the token of a person of each role and
/// with that of a service. Gives one line for each wrong answer, so an empty list is what a test expects.
///
/// # Errors
///
/// Where the document cannot be read or the server cannot be reached.
pub async fn credentials_that_get_in(
    document: &str,
    base_url: &str,
    tokens: &Tokens,
    service_token: &str,
) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let document = Document::parse(document)?;
    let mut wrong = Vec::new();
    if document.operations().next().is_none() {
        wrong.push("the document has no operations".to_owned());
    }
    let people = Role::ALL.map(|role| (role, tokens.issue("ann", role)));
    for operation in document.operations() {
        let open = operation.schemes().next().is_none();
        let service = operation.schemes().any(|taken| taken == "serviceToken");
        let mut attempts = vec![
            ("nobody".to_owned(), None, open, 401),
            ("a made up token".to_owned(), Some("Bearer nobody-issued-this".to_owned()), open, 401),
            ("a password".to_owned(), Some("Basic YWRtaW46YWRtaW4=".to_owned()), open, 401),
            ("a longer service token".to_owned(), Some(format!("Bearer {service_token}x")), open, 401),
            ("a service".to_owned(), Some(format!("Bearer {service_token}")), open || service, 403),
        ];
        for (role, token) in &people {
            let token = token.as_ref().map_err(|failure| failure.message.clone())?;
            let welcome = open || takes(operation, *role)?;
            attempts.push((format!("the role {role}"), Some(format!("Bearer {token}")), welcome, 403));
            attempts.push((format!("a longer token of the role {role}"), Some(format!("Bearer {token}x")), open, 401));
        }
        for (who, credentials, welcome, refusal) in attempts {
            let status = call(base_url, operation, credentials.as_deref()).await?;
            let refused = status == 401 || status == 403;
            let mistaken = refused == welcome && !login(operation) || refused && !welcome && status != refusal;
            if mistaken || status >= 500 {
                wrong.push(format!("{} answered {status} to {who}", operation.id()));
            }
        }
    }
    Ok(wrong)
}

/// Whether the document lets people of this role in. Where it names people, it says which role they need.
fn takes(operation: Operation<'_>, role: Role) -> Result<bool, String> {
    if operation.schemes().all(|taken| taken != "operatorJwt") {
        return Ok(false);
    }
    let required = operation.value[REQUIRED_ROLE].as_str();
    let required = Role::ALL.into_iter().find(|known| Some(known.as_str()) == required);
    required.map(|required| role >= required).ok_or_else(|| format!("{} needs no role that there is", operation.id()))
}

/// Getting a token answers 401 to a wrong password, whoever asks.
fn login(operation: Operation<'_>) -> bool {
    operation.path.starts_with("/auth/") && operation.schemes().next().is_none()
}

async fn call(base_url: &str, operation: Operation<'_>, credentials: Option<&str>) -> reqwest::Result<u16> {
    // The document knows no others.
    let method = operation.method.to_uppercase().parse().unwrap_or(Method::GET);
    let url = format!("{base_url}{}", operation.path.replace("{id}", "9223372036854775807"));
    let mut request = Client::new().request(method, url);
    if let Some(credentials) = credentials {
        request = request.header("authorization", credentials);
    }
    Ok(request.send().await?.status().as_u16())
}
