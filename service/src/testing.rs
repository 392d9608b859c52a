//! Checks that the tests of every server make alike, by walking its document.

use reqwest::{Client, Method};
use serde_json::Value;

/// What each operation of a document is sent, and what it has to say.
struct Operation {
    id: String,
    method: Method,
    path: String,
    schemes: Vec<String>,
}

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
    let operations = operations(&serde_json::from_str(document)?);
    let mut wrong = Vec::new();
    if operations.is_empty() {
        wrong.push("the document has no operations".to_owned());
    }
    for operation in operations {
        let takes = |scheme: &str| operation.schemes.iter().any(|taken| taken == scheme);
        let open = operation.schemes.is_empty();
        let attempts = [
            (None, open, 401),
            (Some("Bearer nobody-issued-this"), open, 401),
            (Some("Basic YWRtaW46YWRtaW4="), open, 401),
            (Some(&*format!("Bearer {operator_token}")), open || takes("operatorJwt"), 403),
            (Some(&*format!("Bearer {service_token}")), open || takes("serviceToken"), 403),
        ];
        for (credentials, welcome, refusal) in attempts {
            let status = call(base_url, &operation, credentials).await?;
            let refused = status == 401 || status == 403;
            if refused == welcome && !login(&operation) || refused && !welcome && status != refusal {
                let kind = credentials.map_or("nothing", |value| value.split(' ').next().unwrap_or_default());
                wrong.push(format!("{} answered {status} to {kind}", operation.id));
            }
        }
    }
    Ok(wrong)
}

/// Getting a token answers 401 to a wrong password, whoever asks.
fn login(operation: &Operation) -> bool {
    operation.path.starts_with("/auth/")
}

async fn call(base_url: &str, operation: &Operation, credentials: Option<&str>) -> reqwest::Result<u16> {
    let url = format!("{base_url}{}", operation.path.replace("{id}", "9223372036854775807"));
    let mut request = Client::new().request(operation.method.clone(), url);
    if let Some(credentials) = credentials {
        request = request.header("authorization", credentials);
    }
    Ok(request.send().await?.status().as_u16())
}

fn operations(document: &Value) -> Vec<Operation> {
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            let Ok(method) = method.to_uppercase().parse() else { continue };
            let schemes = operation["security"].as_array().into_iter().flatten();
            operations.push(Operation {
                id: operation["operationId"].as_str().unwrap_or_default().to_owned(),
                method,
                path: path.clone(),
                schemes: schemes.flat_map(|scheme| scheme.as_object()).flat_map(|one| one.keys().cloned()).collect(),
            });
        }
    }
    operations
}
