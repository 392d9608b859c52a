//! Ending reservations: an order that a service made and did not confirm in time is canceled, and its stock comes back.
//!
//! It stays an ordinary CREATED order until it is canceled here. So a confirm that comes after the reservation has
//! passed, but before this does, still counts: nobody else was promised the stock yet. Orders made by operators have no
//! reservation and never expire.

use common_contract::OrderId;
use db::insert::run_all;
use db::{Connection, Db, DbError, clock};

use super::OrdersError;
use super::cancel::{Canceler, release};
use crate::metrics;
use crate::store::orders;

/// Who cancels, in events and in the ledger.
const PRINCIPAL: &str = "system:expiry";
/// How many orders are looked for at a time.
const BATCH: usize = 50;

/// Cancels every order whose reservation has passed, and says how many those were. The oldest reservation comes first.
///
/// Each order has a transaction of its own, which takes its locks as a cancel does: the order, then its products. An
/// order that somebody else is working on is left to them and to the next run, so any number of servers share the work.
///
/// # Errors
///
/// The first failure. One order's failure keeps no other from being canceled; an unreachable database ends the run.
pub(crate) async fn expire(db: &Db) -> Result<usize, OrdersError> {
    let correlation_id = format!("expiry-{:032x}", rand::random::<u128>());
    let by = Canceler { principal: PRINCIPAL, correlation_id: &correlation_id };
    let (mut canceled, mut failure) = (0, None);
    let mut after = None;
    loop {
        let batch = db.run(async |connection| orders::expired(connection, after, BATCH).await).await?;
        for &(_, id) in &batch {
            match db.transaction(async |connection| expire_one(connection, id, &by).await).await {
                Ok(true) => {
                    metrics::expired();
                    canceled += 1;
                }
                Ok(false) => {}
                Err(error @ OrdersError::Database(DbError::Unavailable { .. })) => return Err(error),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        if batch.len() < BATCH {
            return failure.map_or(Ok(canceled), Err);
        }
        after = batch.last().copied();
    }
}

/// Says whether there was anything left to be done.
async fn expire_one(connection: &mut Connection, id: OrderId, by: &Canceler<'_>) -> Result<bool, OrdersError> {
    let Some(order) = orders::lock_expired(connection, id).await? else { return Ok(false) };
    let now = clock::now(connection).await?;
    let canceled = release(connection, order, now, by).await?;
    run_all(connection, &canceled.statements).await?;
    Ok(true)
}
