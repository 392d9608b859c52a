//! Reading what comes back for a request that was sent once.

use std::sync::Arc;
use std::time::Duration;

use client_common::Fault;
use customers_client::types as customers;
use orchestrator_client::types as orchestrator;
use orders_client::types as orders;
use reqwest::Response;
use reqwest::header::{ETAG, RETRY_AFTER};
use serde::de::DeserializeOwned;

use crate::contract::{Endpoint, Service};
use crate::outcome::{Left, Outcome, ProductSeen, Refusal, Seen, Success};
use crate::request::Request;

/// The outcome of a request, and the body of a success.
pub(crate) type Answer = (Outcome, Option<Arc<[u8]>>);

/// Reads the whole response. A success of the orchestrator has to name this piece of work.
pub(crate) async fn read(
    request: &Request,
    endpoint: &Endpoint,
    correlation_id: &str,
    response: reqwest::Result<Response>,
) -> Answer {
    let (status, headers, body) = match whole(response).await {
        Ok(whole) => whole,
        Err(error) => return (Err(fault(&error)), None),
    };
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if !(200..300).contains(&status) {
        let retry_after = header(RETRY_AFTER.as_str()).and_then(|seconds| seconds.parse().ok());
        let body = refusal(endpoint.service, &body);
        return (Err(Fault::Answered { status, retry_after: retry_after.map(Duration::from_secs), body }), None);
    }
    let mut seen = read_success(request, &body, correlation_id).unwrap_or_else(Seen::Unreadable);
    if let (true, Some(version)) = (endpoint.has_etag, seen.version())
        && header(ETAG.as_str()) != Some(&format!("\"v{version}\""))
    {
        seen = Seen::Unreadable(format!("the version is {version}, but the ETag is {:?}", header(ETAG.as_str())));
    }
    let replayed = header("idempotent-replayed") == Some("true");
    (Ok(Success { status, replayed, seen }), Some(body))
}

async fn whole(response: reqwest::Result<Response>) -> reqwest::Result<(u16, reqwest::header::HeaderMap, Arc<[u8]>)> {
    let response = response?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.bytes().await?;
    Ok((status, headers, Arc::from(&*body)))
}

fn read_success(request: &Request, body: &[u8], correlation_id: &str) -> Result<Seen, String> {
    Ok(match request {
        Request::Create(_) | Request::Confirm { .. } | Request::Cancel { .. } | Request::ViewOrder { .. } => {
            parse::<orders::Order>(body)?.into()
        }
        Request::CreateAndConfirm(_) => {
            let success = parse::<orchestrator::Success>(body)?;
            if success.correlation_id != correlation_id {
                return Err(format!("the piece of work is {correlation_id}, not {}", success.correlation_id));
            }
            success.data.order.into()
        }
        Request::SetPrice { .. } | Request::SetStock { .. } | Request::ViewProduct { .. } => {
            Seen::Product(ProductSeen::from(&parse(body)?))
        }
        Request::AdjustStock { .. } => {
            let orders::StockMovement { product_id: product, delta, reference, .. } = parse(body)?;
            Seen::Movement { product, delta, reference }
        }
        Request::CreateCustomer { .. } | Request::UpdateCustomer { .. } | Request::ViewCustomer { .. } => {
            parse::<customers::Customer>(body)?.into()
        }
        Request::DeleteCustomer { .. } => Seen::Nothing,
        Request::FindOrder { order, .. } => {
            let page = parse::<orders::OrderSummaryPage>(body)?;
            Seen::List { found: page.data.iter().any(|row| row.id == *order) }
        }
        Request::FindCustomer { id, .. } => {
            let page = parse::<customers::CustomerPage>(body)?;
            // Names of others begin alike: it may be on a later page.
            Seen::List { found: page.has_more || page.data.iter().any(|row| row.id == *id) }
        }
    })
}

fn refusal(service: Service, body: &[u8]) -> Option<Refusal> {
    if service == Service::Orchestrator {
        let orchestrator::Failure { error, .. } = parse(body).ok()?;
        let left = Left { order: error.order_id, compensated: error.compensated, safe_to_retry: error.safe_to_retry };
        return Some(Refusal { code: error.code, left: Some(left) });
    }
    let code = parse::<orders::Error>(body).ok()?.error_code?;
    Some(Refusal { code, left: None })
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| format!("{error} in {}", String::from_utf8_lossy(body)))
}

fn fault(error: &reqwest::Error) -> Fault<Refusal> {
    if error.is_builder() {
        Fault::Invalid(error.to_string())
    } else if error.is_connect() {
        Fault::NotSent
    } else if error.is_timeout() {
        Fault::TimedOut
    } else {
        Fault::Broken
    }
}
