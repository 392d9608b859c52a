//! Reading the response to a request that was sent once.

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
use crate::outcome::{Outcome, Refusal, Seen, Success};
use crate::request::Request;

/// Sends it, and reads the whole response. A success of the orchestrator has to name this piece of work.
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
        return Err(Fault::Answered { status, retry_after, body: refusal(endpoint.service, &body) });
    }
    let seen = success(request, &body, correlation_id);
    let mut seen = seen.unwrap_or_else(|error| Seen::Unreadable(format!("{error:#}")));
    if let (true, Some(version)) = (endpoint.has_etag, seen.version())
        && header("etag") != Some(&format!("\"v{version}\""))
    {
        seen = Seen::Unreadable(format!("the version is {version}, but the ETag is {:?}", header("etag")));
    }
    Ok(Success { status, replayed: header("idempotent-replayed") == Some("true"), seen, body })
}

fn success(request: &Request, body: &[u8], correlation_id: &str) -> Result<Seen> {
    Ok(match request {
        Request::Create(_) | Request::Confirm { .. } | Request::Cancel { .. } | Request::ViewOrder { .. } => {
            Seen::Order(part(parse::<orders::Order>(body)?)?)
        }
        Request::CreateAndConfirm(_) => {
            let orchestrator::Success { correlation_id: named, data, .. } = parse(body)?;
            ensure!(named == correlation_id, "the piece of work is {correlation_id}, not {named}");
            Seen::Order(part(data.order)?)
        }
        Request::CreateProduct { .. }
        | Request::SetPrice { .. }
        | Request::SetStock { .. }
        | Request::ViewProduct { .. } => Seen::Product(part(parse::<orders::Product>(body)?)?),
        Request::AdjustStock(_) => Seen::Movement(part(parse::<orders::StockMovement>(body)?)?),
        Request::CreateCustomer { .. } | Request::UpdateCustomer { .. } | Request::ViewCustomer { .. } => {
            Seen::Customer(part(parse::<customers::Customer>(body)?)?)
        }
        Request::DeleteCustomer { .. } => Seen::Nothing,
        Request::FindOrder { order, .. } => {
            Seen::List(parse::<orders::OrderSummaryPage>(body)?.data.iter().any(|row| row.id == *order))
        }
        Request::FindCustomer { id, .. } => {
            let page = parse::<customers::CustomerPage>(body)?;
            // Names of others begin alike: it may be on a later page.
            Seen::List(page.has_more || page.data.iter().any(|row| row.id == *id))
        }
    })
}

fn refusal(service: Service, body: &[u8]) -> Option<Refusal> {
    if service == Service::Orchestrator {
        let orchestrator::Failure { error, .. } = parse(body).ok()?;
        return Some(Refusal { code: error.code.clone(), failure: Some(Box::new(error)) });
    }
    let code = parse::<orders::Error>(body).ok()?.error_code?;
    Some(Refusal { code, failure: None })
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).with_context(|| String::from_utf8_lossy(body).into_owned())
}

/// The fields that the verifier compares, of an answer that has the documented shape.
fn part<T: DeserializeOwned>(answer: impl Serialize) -> Result<T> {
    Ok(serde_json::from_value(serde_json::to_value(answer)?)?)
}
