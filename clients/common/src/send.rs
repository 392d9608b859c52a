//! The head of the answer to the call that the current task is waiting for.
//!
//! A generated client drops the status of an error whose body it cannot read. The hook here notes it down first, per
//! task, so that calls of one client that run side by side do not see each other's.

use std::cell::Cell;
use std::time::Duration;

use reqwest::Response;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// What is known of an answer before its body is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
}

tokio::task_local! {
    static HEAD: Cell<Option<Head>>;
}

/// Waits for the call and gives the head of its answer, if one came, beside its outcome.
pub(crate) async fn observe<T>(call: impl Future<Output = T>) -> (T, Option<Head>) {
    HEAD.scope(Cell::new(None), async {
        let outcome = call.await;
        (outcome, HEAD.with(Cell::get))
    })
    .await
}

/// The hook through which every generated client shows its answers.
pub fn note(_: &crate::Outbound, answer: &reqwest::Result<Response>) {
    let Ok(answer) = answer else { return };
    let head = Head { status: answer.status().as_u16(), retry_after: retry_after(answer.headers()) };
    // It fails where the call was not made through `send`: then nobody asks for the head.
    let _ = HEAD.try_with(|slot| slot.set(Some(head)));
}

/// The delay in seconds; the form with a date is not used between services.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}
