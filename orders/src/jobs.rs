//! What the server does without being asked. It ends with the server: see [`start`].
//!
//! Every server of a deployment does all of it. They need not know of each other: orders that one of them works on are
//! passed over by the others, and a key that is gone need not be deleted.

use std::fmt::Debug;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use db::{Db, idempotency};
use futures::FutureExt;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::app::expire;

/// How long the stock of an expired order may stay taken.
const EXPIRE_EVERY: Duration = Duration::from_secs(5);
/// Expired keys are ignored in any case. They only take up space.
const REAP_EVERY: Duration = Duration::from_secs(300);

/// Starts both jobs, the first run of each at once. Dropping what this gives ends them, wherever they are: a
/// transaction that is open then is rolled back.
pub(crate) fn start(db: &Db) -> JoinSet<()> {
    let mut jobs = JoinSet::new();
    let (expiry, keys) = (db.clone(), db.clone());
    jobs.spawn(repeat("cancel orders whose reservation has passed", EXPIRE_EVERY, move || {
        let db = expiry.clone();
        async move { expire(&db).await }
    }));
    jobs.spawn(repeat("delete expired idempotency keys", REAP_EVERY, move || {
        let db = keys.clone();
        async move { idempotency::reap(&db).await }
    }));
    jobs
}

/// Runs a job again and again, with a pause after each run. A run that fails or panics does not keep the next from
/// its turn: nobody would notice a job that has ended before the stock runs out.
async fn repeat<R, E>(job: &'static str, pause: Duration, run: impl Fn() -> R)
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
    async fn a_run_that_panics_or_fails_keeps_no_later_run_from_its_turn() {
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
            () = repeat("test", Duration::ZERO, run) => {}
            () = third.notified() => {}
        }
        assert!(runs.into_inner() >= 3);
    }
}
