//! Who gets in, asked of every operation of a document.

use openapi_document::{Document, Operation};
use reqwest::{Client, Method};

/// Calls every operation without credentials, with ones that nobody issued, and with a genuine token of each kind that
/// the operation does not take. Gives one line for each wrong answer, so an empty list is what a test expects.
///
/// # Errors
///
/// Where the document cannot be read or the server cannot be reached.
pub async fn credentials_that_get_in(
    document: &str,
    base_url: &str,
    operator_token: &str,
    service_token: &str,
) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let document = Document::parse(document)?;
    let mut wrong = Vec::new();
    if document.operations().next().is_none() {
        wrong.push("the document has no operations".to_owned());
    }
    for operation in document.operations() {
        let takes = |scheme: &str| operation.schemes().any(|taken| taken == scheme);
        let open = operation.schemes().next().is_none();
        let attempts = [
            (None, open, 401),
            (Some("Bearer nobody-issued-this"), open, 401),
            (Some("Basic YWRtaW46YWRtaW4="), open, 401),
            (Some(&*format!("Bearer {operator_token}x")), open, 401),
            (Some(&*format!("Bearer {service_token}x")), open, 401),
            (Some(&*format!("Bearer {operator_token}")), open || takes("operatorJwt"), 403),
            (Some(&*format!("Bearer {service_token}")), open || takes("serviceToken"), 403),
        ];
        for (credentials, welcome, refusal) in attempts {
            let status = call(base_url, operation, credentials).await?;
            let refused = status == 401 || status == 403;
            let mistaken = refused == welcome && !login(operation) || refused && !welcome && status != refusal;
            if mistaken || status >= 500 {
                let kind = credentials.map_or("nothing", |value| value.split(' ').next().unwrap_or_default());
                wrong.push(format!("{} answered {status} to {kind}", operation.id()));
            }
        }
    }
    Ok(wrong)
}

/// Getting a token answers 401 to a wrong password, whoever asks.
fn login(operation: Operation<'_>) -> bool {
    operation.path.starts_with("/auth/")
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
