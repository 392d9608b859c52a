//! Abandonment of a create whose outcome is unknown to the calling service: its order is canceled, or, if there is
//! none, a late create is refused.

use common_server::Call;
use common_server::auth::ServiceCaller;
use db::Connection;
use db::idempotency::{self, RequestKey};
use db::insert::run_all;
use orders_api::{AbandonOutcome, AbandonRequest, Abandoned, OrderStatus};

use super::cancel::{Canceler, cancel};
use super::create::keyed_request;
use super::idempotent::OrderUpdate;
use super::orders::lock;
use super::{Orders, OrdersError};
use crate::store::orders;

impl Orders {
    /// Cancels the order that the create has created, unless it was confirmed, and prevents a late create from adding
    /// one. A retry changes nothing.
    pub(crate) async fn abandon(
        &self,
        call: &Call,
        service: &ServiceCaller,
        request: &AbandonRequest,
    ) -> Result<Abandoned, OrdersError> {
        let AbandonRequest { create_key, order } = request;
        let principal = service.principal();
        let key = keyed_request(&principal, create_key, order)?.key;
        let by = Canceler { principal: &principal, correlation_id: call.correlation_id() };
        self.db
            .transaction(async |connection| match idempotency::abandon(connection, &key, self.key_retention).await? {
                idempotency::Abandoned::Reused => Err(OrdersError::KeyReused),
                idempotency::Abandoned::Tombstone | idempotency::Abandoned::Completed { .. } => {
                    abandon_order(connection, &key, &by).await
                }
            })
            .await
    }
}

/// Cancels the order of the key, if any. The key's row is locked, so no create with the key is in flight.
async fn abandon_order(
    connection: &mut Connection,
    key: &RequestKey<'_>,
    by: &Canceler<'_>,
) -> Result<Abandoned, OrdersError> {
    let Some((created, hash)) = orders::find_by_create_key(connection, key.principal, key.key).await? else {
        return Ok(Abandoned { outcome: AbandonOutcome::NeverCreated, order: None });
    };
    // The key's row had expired, so its hash was not compared.
    if hash.as_deref() != Some(&key.request_hash) {
        return Err(OrdersError::KeyReused);
    }
    let (order, now) = lock(connection, created.id, None).await?;
    let order = if order.status == OrderStatus::Created {
        let OrderUpdate { order, statements } = cancel(connection, order, now, by).await?;
        run_all(connection, &statements).await?;
        order
    } else {
        orders::with_items(order, created.items)
    };
    let outcome = match order.status {
        OrderStatus::Confirmed => AbandonOutcome::Confirmed,
        OrderStatus::Created | OrderStatus::Canceled => AbandonOutcome::Canceled,
    };
    Ok(Abandoned { outcome, order: Some(order) })
}
