//! Background jobs.
//!
//! Every server of a deployment runs all of them, without coordination: an order that is locked by one server is skipped by
//! the others, and deleting a key that is gone has no effect.

use std::fmt::Debug;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use db::{Db, idempotency};
use futures::FutureExt;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::app::expire;

/// Longest time that an expired order keeps its stock.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(5);
/// Expired keys are ignored in any case. They only take up space.
const REAP_INTERVAL: Duration = Duration::from_secs(300);

/// Starts the jobs, the first run of each at once. Dropping the set aborts them; an open transaction is rolled back.
pub(crate) fn start(db: &Db) -> JoinSet<()> {
    let mut jobs = JoinSet::new();
    let (expiry, keys) = (db.clone(), db.clone());
    jobs.spawn(run_periodically("cancel orders whose reservation has passed", EXPIRY_INTERVAL, move || {
        let db = expiry.clone();
        async move { expire(&db).await }
    }));
    jobs.spawn(run_periodically("delete expired idempotency keys", REAP_INTERVAL, move || {
        let db = keys.clone();
        async move { idempotency::reap(&db).await }
    }));
    jobs
}

/// Runs a job forever, with a pause after each run. A run that fails or panics does not end the job, which would go unnoticed
/// until the stock runs out.
async fn run_periodically<R, E>(job: &'static str, pause: Duration, run: impl Fn() -> R)
where
    R: Future<Output = Result<usize, E>>,
    E: Debug,
{
    loop {
        match AssertUnwindSafe(run()).catch_unwind().await {
            Ok(Ok(0)) => {}
            Ok(Ok(rows)) => tracing::info!(job, rows, "done"),
            Ok(Err(error)) => tracing::warn!(job, ?error, "not everything was done"),
            Err(_) => tracing::error!(job, "panicked"),
        }
        sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn a_run_that_panics_or_fails_does_not_end_the_job() {
        let (runs, third) = (AtomicUsize::new(0), Notify::new());
        let run = async || match runs.fetch_add(1, Ordering::Relaxed) {
            0 => panic!("forced by a test"),
            1 => Err("forced by a test"),
            _ => {
                third.notify_one();
                Ok(1)
            }
        };
        tokio::select! {
            () = run_periodically("test", Duration::ZERO, run) => {}
            () = third.notified() => {}
        }
        assert!(runs.into_inner() >= 3);
    }
}
