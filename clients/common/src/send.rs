//! Sends one call of a generated client.
//!
//! A generated client discards the status of an error response whose body it cannot parse. The hook in this module
//! therefore records the status first, separately for each task, because concurrent calls may share one client.

use std::cell::Cell;
use std::time::Duration;

use progenitor_client::Error;
use reqwest::Response;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use crate::Fault;

/// Status and `Retry-After` of a response, known before its body is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
}

tokio::task_local! {
    static HEAD: Cell<Option<Head>>;
}

/// Sends one call of a generated client: `client_common::send(client.health_view().send())`.
///
/// # Errors
///
/// Every response other than the documented success is a [`Fault`]. Unlike the error of a generated client, the fault
/// contains the status even if the error body cannot be parsed.
pub async fn send<T, E>(call: impl Future<Output = Result<T, Error<E>>>) -> Result<T, Fault<E>> {
    HEAD.scope(Cell::new(None), async { call.await.map_err(|error| Fault::of(error, HEAD.with(Cell::get))) }).await
}

/// Hook that generated clients use to report the head of a response.
pub fn record_head(_: &crate::Outbound, answer: &reqwest::Result<Response>) {
    let Ok(answer) = answer else { return };
    let head = Head { status: answer.status().as_u16(), retry_after: retry_after(answer.headers()) };
    // Fails outside of `send`, where the head is not needed.
    let _ = HEAD.try_with(|slot| slot.set(Some(head)));
}

/// Returns the value of `Retry-After` in seconds. These services do not use the date format.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}
