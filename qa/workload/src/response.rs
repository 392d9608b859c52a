//! Reads the response to a single attempt.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use client_common::Fault;
use customers_client::types as customers;
use orchestrator_client::types as orchestrator;
use orders_client::types as orders;
use reqwest::RequestBuilder;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::contract::{Endpoint, Service};
use crate::outcome::{ErrorBody, Observed, Outcome, Success};
use crate::request::Request;

/// Sends a request and parses the response, which must contain the correlation ID if the orchestrator sent it.
pub(crate) async fn read(
    request: &Request,
    endpoint: &Endpoint,
    correlation_id: &str,
    http: RequestBuilder,
) -> Outcome {
    let response = http.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.bytes().await?.to_vec();
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if !(200..300).contains(&status) {
        let retry_after = header("retry-after").and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
        return Err(Fault::Answered { status, retry_after, body: error_body(endpoint.service, &body) });
    }
    let observed = success(request, &body, correlation_id);
    let mut observed = observed.unwrap_or_else(|error| Observed::Malformed(format!("{error:#}")));
    if let (true, Some(version)) = (endpoint.has_etag, observed.version())
        && header("etag") != Some(&format!("\"v{version}\""))
    {
        observed = Observed::Malformed(format!("the version is {version}, but the ETag is {:?}", header("etag")));
    }
    Ok(Success { status, replayed: header("idempotent-replayed") == Some("true"), observed, body })
}

fn success(request: &Request, body: &[u8], correlation_id: &str) -> Result<Observed> {
    Ok(match request {
        Request::Create(_) | Request::Confirm { .. } | Request::Cancel { .. } | Request::ViewOrder { .. } => {
            Observed::Order(part(parse::<orders::Order>(body)?)?)
        }
        Request::CreateAndConfirm(_) => {
            let orchestrator::Success { correlation_id: named, data, .. } = parse(body)?;
            ensure!(named == correlation_id, "the correlation id is {named}, not {correlation_id}");
            Observed::Order(part(data.order)?)
        }
        Request::CreateProduct { .. }
        | Request::SetPrice { .. }
        | Request::SetStock { .. }
        | Request::ViewProduct { .. } => Observed::Product(part(parse::<orders::Product>(body)?)?),
        Request::AdjustStock(_) => Observed::Movement(part(parse::<orders::StockMovement>(body)?)?),
        Request::CreateCustomer { .. } | Request::UpdateCustomer { .. } | Request::ViewCustomer { .. } => {
            Observed::Customer(part(parse::<customers::Customer>(body)?)?)
        }
        Request::DeleteCustomer { .. } => Observed::Nothing,
        Request::FindOrder { order, .. } => {
            Observed::List(parse::<orders::OrderSummaryPage>(body)?.data.iter().any(|row| row.id == *order))
        }
        Request::FindCustomer { id, .. } => {
            let page = parse::<customers::CustomerPage>(body)?;
            // The search may also match other customers, so the requested customer may be on a later page.
            Observed::List(page.has_more || page.data.iter().any(|row| row.id == *id))
        }
    })
}

fn error_body(service: Service, body: &[u8]) -> Option<ErrorBody> {
    if service == Service::Orchestrator {
        let orchestrator::Failure { error, .. } = parse(body).ok()?;
        return Some(ErrorBody { code: error.code.clone(), failure: Some(Box::new(error)) });
    }
    let code = parse::<orders::Error>(body).ok()?.error_code?;
    Some(ErrorBody { code, failure: None })
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).with_context(|| String::from_utf8_lossy(body).into_owned())
}

/// Returns the fields that the verifier compares, from a response that matches its schema.
fn part<T: DeserializeOwned>(response: impl Serialize) -> Result<T> {
    Ok(serde_json::from_value(serde_json::to_value(response)?)?)
}
