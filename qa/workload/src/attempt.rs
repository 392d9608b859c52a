//! Sending a request once, and reading what comes back.

use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;
use std::time::Duration;

use client_common::{Coded, Fault};
use orchestrator_client::types as orchestrator;
use orders_client::ResponseValue;
use orders_client::types as orders;
use reqwest::header::{ETAG, HeaderMap, RETRY_AFTER};
use reqwest::{RequestBuilder, Response};
use serde::de::DeserializeOwned;

use crate::outcome::{Left, Outcome, Refusal, Seen, Told};

/// What came of sending a request once; with the body where its bytes matter.
pub(crate) struct Attempt {
    pub(crate) outcome: Outcome,
    pub(crate) body: Option<Arc<[u8]>>,
}

impl Attempt {
    /// It could not even be sent: there is no token to be had.
    pub(crate) fn not_sent() -> Self {
        Self { outcome: Err(Fault::NotSent), body: None }
    }

    /// Of a call of a generated client, sent by `client_common::send`.
    ///
    /// An error whose body was cut off cannot be told here from one that is not as documented.
    pub(crate) fn of<T, E: Coded>(result: Result<ResponseValue<T>, Fault<E>>, seen: impl FnOnce(T) -> Seen) -> Self {
        let outcome = match result {
            Ok(answer) => {
                let status = answer.status().as_u16();
                Ok(Told { status, replayed: false, digest: 0, seen: seen(answer.into_inner()) })
            }
            Err(fault) => Err(translated(fault)),
        };
        Self { outcome, body: None }
    }
}

fn translated<E: Coded>(fault: Fault<E>) -> Fault<Refusal> {
    match fault {
        Fault::NotSent => Fault::NotSent,
        Fault::TimedOut => Fault::TimedOut,
        Fault::Broken => Fault::Broken,
        Fault::Invalid(problem) => Fault::Invalid(problem),
        Fault::Answered { status, retry_after, body } => {
            let code = body.as_ref().and_then(Coded::code);
            let body = code.map(|code| Refusal { code: code.to_owned(), left: None });
            Fault::Answered { status, retry_after, body }
        }
    }
}

/// Sends an order's create, confirm or cancel, keeping the bytes of the answer.
pub(crate) async fn order(request: RequestBuilder) -> Attempt {
    raw(request, read_order, |body| {
        let code = serde_json::from_slice::<orders::Error>(body).ok()?.error_code?;
        Some(Refusal { code, left: None })
    })
    .await
}

/// Sends a create-and-confirm, keeping the bytes of the answer, which has to name this piece of work.
pub(crate) async fn create_and_confirm(request: RequestBuilder, correlation_id: &str) -> Attempt {
    raw(request, |_, body| read_success(body, correlation_id), read_failure).await
}

fn read_order(headers: &HeaderMap, body: &[u8]) -> Seen {
    let order = match read::<orders::Order>(body) {
        Ok(order) => order,
        Err(problem) => return problem,
    };
    let expected = format!("\"v{}\"", order.version);
    match headers.get(ETAG) {
        Some(tag) if tag.as_bytes() == expected.as_bytes() => order.into(),
        tag => Seen::Unreadable(format!("the version is {}, but the ETag is {tag:?}", order.version)),
    }
}

fn read_success(body: &[u8], correlation_id: &str) -> Seen {
    match read::<orchestrator::Success>(body) {
        Ok(success) if success.correlation_id != correlation_id => {
            let named = success.correlation_id;
            Seen::Unreadable(format!("the piece of work is {correlation_id}, but the answer names {named}"))
        }
        Ok(success) => success.data.order.into(),
        Err(problem) => problem,
    }
}

fn read_failure(body: &[u8]) -> Option<Refusal> {
    let orchestrator::Failure { error, .. } = serde_json::from_slice(body).ok()?;
    let left = Left { order: error.order_id, compensated: error.compensated, safe_to_retry: error.safe_to_retry };
    Some(Refusal { code: error.code, left: Some(left) })
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Seen> {
    let unreadable = |error| Seen::Unreadable(format!("{error} in {}", String::from_utf8_lossy(body)));
    serde_json::from_slice(body).map_err(unreadable)
}

async fn raw(
    request: RequestBuilder,
    read: impl FnOnce(&HeaderMap, &[u8]) -> Seen,
    refusal: impl FnOnce(&[u8]) -> Option<Refusal>,
) -> Attempt {
    match received(request).await {
        Err(error) => Attempt { outcome: Err(fault(&error)), body: None },
        Ok((status @ 200..300, headers, body)) => {
            let replayed = headers.get("idempotent-replayed").is_some_and(|value| value == "true");
            let told = Told { status, replayed, digest: digest(&body), seen: read(&headers, &body) };
            Attempt { outcome: Ok(told), body: Some(body) }
        }
        Ok((status, headers, body)) => {
            let fault = Fault::Answered { status, retry_after: retry_after(&headers), body: refusal(&body) };
            Attempt { outcome: Err(fault), body: None }
        }
    }
}

async fn received(request: RequestBuilder) -> reqwest::Result<(u16, HeaderMap, Arc<[u8]>)> {
    let response: Response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.bytes().await?;
    Ok((status, headers, Arc::from(&*body)))
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

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn digest(body: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(body);
    hasher.finish()
}
