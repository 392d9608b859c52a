//! Abandonment of create requests whose outcome is unknown to the calling service. If the order exists and is not
//! confirmed, it is canceled; if no order exists, a create request that arrives later with the same key is rejected.

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
    /// Cancels the order that the create request created, unless the order is confirmed. If there is no order, prevents
    /// the create request from creating one later. A retry has no further effect.
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

/// Cancels the order that was created with the key, if any. The key's row is locked, so no create request with the key
/// is in flight.
async fn abandon_order(
    connection: &mut Connection,
    key: &RequestKey<'_>,
    by: &Canceler<'_>,
) -> Result<Abandoned, OrdersError> {
    let Some((created, hash)) = orders::find_by_create_key(connection, key.principal, key.key).await? else {
        return Ok(Abandoned { outcome: AbandonOutcome::NeverCreated, order: None });
    };
    // If the key's row had expired, the request hash has not been compared yet.
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
