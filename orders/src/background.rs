//! What the server does without being asked. It ends with the server: see [`start`].
//!
//! Every server of a deployment does all of it. They need not know of each other, because rows that one of them works
//! on are passed over by the others.

use std::time::Duration;

use db::{Db, idempotency};
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
    jobs.spawn(expire_orders(db.clone()));
    jobs.spawn(reap_keys(db.clone()));
    jobs
}

async fn expire_orders(db: Db) {
    loop {
        match expire(&db).await {
            Ok(0) => {}
            Ok(canceled) => tracing::info!(canceled, "canceled orders whose reservation had passed"),
            Err(error) => tracing::warn!(?error, "could not cancel all orders whose reservation has passed"),
        }
        sleep(EXPIRE_EVERY).await;
    }
}

async fn reap_keys(db: Db) {
    loop {
        match idempotency::reap(&db).await {
            Ok(0) => {}
            Ok(deleted) => tracing::info!(deleted, "deleted expired idempotency keys"),
            Err(error) => tracing::warn!(?error, "could not delete all expired idempotency keys"),
        }
        sleep(REAP_EVERY).await;
    }
}
