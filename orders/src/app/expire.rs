//! Reservation expiry: cancels orders that a service created but that were not confirmed in time, and returns their
//! stock.
//!
//! Until the cancellation, the order keeps its status CREATED and can be confirmed, even after its reservation has
//! expired. Orders that user accounts create have no reservation and never expire.

use common_contract::OrderId;
use db::insert::run_all;
use db::{Connection, Db, DbError, clock};

use super::OrdersError;
use super::cancel::{Canceler, cancel};
use crate::metrics;
use crate::store::orders;

/// Principal recorded for these cancellations in order events and in the ledger.
const PRINCIPAL: &str = "system:expiry";
/// Maximum number of orders per query.
const PAGE: usize = 50;

/// Cancels every order whose reservation has expired, oldest reservation first. Returns the number of canceled orders.
///
/// Each order is canceled in a separate transaction, which locks the order first and then its products, like a
/// requested cancellation. Locked orders are skipped until the next run, so any number of servers can run this job
/// concurrently.
///
/// # Errors
///
/// A failed query or an unavailable database ends the run. If canceling a single order fails, the run continues with
/// the next order and finally returns the first such error.
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

/// Cancels an order whose reservation has expired, unless the order is locked or its status has changed in the
/// meantime. Returns whether the order was canceled.
async fn expire_one(connection: &mut Connection, id: OrderId, by: &Canceler<'_>) -> Result<bool, OrdersError> {
    let Some(order) = orders::lock_expired(connection, id).await? else { return Ok(false) };
    let now = clock::now(connection).await?;
    let canceled = cancel(connection, order, now, by).await?;
    run_all(connection, &canceled.statements).await?;
    Ok(true)
}
