//! Expiry of reservations: an order that a service did not confirm in time is canceled, and its stock is returned.
//!
//! Until then it is an ordinary CREATED order: a confirm that comes first succeeds, even after the reservation has
//! expired. Orders of user accounts have no reservation and never expire.

use common_contract::OrderId;
use db::insert::run_all;
use db::{Connection, Db, DbError, clock};

use super::OrdersError;
use super::cancel::{Canceler, cancel};
use crate::metrics;
use crate::store::orders;

/// Principal of the cancellations in events and in the ledger.
const PRINCIPAL: &str = "system:expiry";
/// Orders per query.
const PAGE: usize = 50;

/// Cancels every order whose reservation has expired, oldest reservation first. Returns their number.
///
/// Each order is canceled in a separate transaction with the lock order of a cancel: the order, then its products. A
/// locked order is left to the next run, so any number of servers can share the work.
///
/// # Errors
///
/// A failed query or an unavailable database ends the run. The failure of a single order does not: the run continues
/// with the next order, and returns the first such failure at its end.
pub(crate) async fn expire(db: &Db) -> Result<usize, OrdersError> {
    let correlation_id = format!("expiry-{:032x}", rand::random::<u128>());
    let by = Canceler { principal: PRINCIPAL, correlation_id: &correlation_id };
    let (mut canceled, mut failure) = (0, None);
    let mut after = None;
    loop {
        let page = db.run(async |connection| orders::expired(connection, after, PAGE).await).await?;
        for &(_, id) in &page {
            match db.transaction(async |connection| expire_one(connection, id, &by).await).await {
                Ok(true) => {
                    metrics::count_expired_reservation();
                    canceled += 1;
                }
                Ok(false) => {}
                Err(error @ OrdersError::Database(DbError::Unavailable { .. })) => return Err(error),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        if page.len() < PAGE {
            return failure.map_or(Ok(canceled), Err);
        }
        after = page.last().copied();
    }
}

/// Cancels one order if it is still expired and not locked. Returns whether it did.
async fn expire_one(connection: &mut Connection, id: OrderId, by: &Canceler<'_>) -> Result<bool, OrdersError> {
    let Some(order) = orders::lock_expired(connection, id).await? else { return Ok(false) };
    let now = clock::now(connection).await?;
    let canceled = cancel(connection, order, now, by).await?;
    run_all(connection, &canceled.statements).await?;
    Ok(true)
}
