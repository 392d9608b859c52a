//! Background jobs.
//!
//! Every server in a deployment runs all jobs, without coordination: a server skips orders that another server has
//! locked, and deleting a key that no longer exists has no effect.

use std::fmt::Debug;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use db::{Db, idempotency};
use futures::FutureExt;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::app::expire;

/// Delay between runs of the expiry job. After a reservation expires, its stock remains reserved for up to about this
/// long.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(5);
/// Delay between runs of the key cleanup job. Expired keys are ignored, so until they are deleted they only use
/// storage.
const REAP_INTERVAL: Duration = Duration::from_secs(300);

/// Starts the jobs; the first run of each job starts immediately. Dropping the returned set aborts the jobs, and their
/// open transactions are rolled back.
pub(crate) fn start(db: &Db) -> JoinSet<()> {
    let mut jobs = JoinSet::new();
    let (expiry, keys) = (db.clone(), db.clone());
    jobs.spawn(run_periodically("cancel orders whose reservation has expired", EXPIRY_INTERVAL, move || {
        let db = expiry.clone();
        async move { expire(&db).await }
    }));
    jobs.spawn(run_periodically("delete expired idempotency keys", REAP_INTERVAL, move || {
        let db = keys.clone();
        async move { idempotency::reap(&db).await }
    }));
    jobs
}

/// Runs a job repeatedly, with a delay after each run. The job continues after a run fails or panics: if the expiry job
/// ended, expired reservations would keep their stock without an error.
async fn run_periodically<R, E>(job: &'static str, pause: Duration, run: impl Fn() -> R)
where
    R: Future<Output = Result<usize, E>>,
    E: Debug,
{
    loop {
        match AssertUnwindSafe(run()).catch_unwind().await {
            Ok(Ok(0)) => {}
            Ok(Ok(rows)) => tracing::info!(job, rows, "job finished"),
            Ok(Err(error)) => tracing::warn!(job, ?error, "job failed"),
            Err(_) => tracing::error!(job, "job panicked"),
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
    async fn a_failed_or_panicking_run_does_not_end_the_job() {
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
