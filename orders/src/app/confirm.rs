//! Confirming an order: exactly once.

use chrono::NaiveDateTime;
use common_contract::{IdempotencyKey, IfMatch, OrderId};
use common_server::Call;
use common_server::auth::{Caller, Operator};
use db::Connection;
use orders_api::{OrderItem, OrderStatus, OrderSummary};

use super::idempotent::{Answered, Change, Changed, keyed};
use super::orders::lock;
use super::{Orders, OrdersError};
use crate::store::events::{self, Event};
use crate::store::orders;

/// The operation, as far as idempotency keys are concerned.
const SCOPE: &str = "order.confirm";

impl Orders {
    /// Confirms a created order; one that is confirmed already stays as it is.
    pub(crate) async fn confirm(
        &self,
        call: &Call,
        caller: &Caller<Operator>,
        id: OrderId,
        key: &IdempotencyKey,
        if_match: Option<&IfMatch>,
    ) -> Result<Answered, OrdersError> {
        let principal = caller.principal();
        let keyed = keyed(SCOPE, &principal, key, &id)?;
        let change = Confirm { id, if_match, principal: &principal, correlation_id: call.correlation_id() };
        self.replay_or_once(&keyed, &change).await
    }
}

struct Confirm<'c> {
    id: OrderId,
    if_match: Option<&'c IfMatch>,
    principal: &'c str,
    correlation_id: &'c str,
}

impl Change for Confirm<'_> {
    async fn apply(&self, connection: &mut Connection) -> Result<Changed, OrdersError> {
        let (order, now) = lock(connection, self.id, self.if_match).await?;
        let items = orders::items(connection, self.id).await?;
        match order.status {
            OrderStatus::Created => Ok(self.confirm(order, items, now)),
            OrderStatus::Confirmed => Ok(Changed::nothing(orders::with_items(order, items))),
            OrderStatus::Canceled => Err(OrdersError::OrderCanceled),
        }
    }
}

impl Confirm<'_> {
    fn confirm(&self, order: OrderSummary, items: Vec<OrderItem>, at: NaiveDateTime) -> Changed {
        let Self { id, principal, correlation_id, .. } = *self;
        let (from, to) = (Some(order.status), OrderStatus::Confirmed);
        let event = events::appended([Event { order_id: id, from, to, principal, correlation_id, at }]);
        let confirmed =
            OrderSummary { status: to, confirmed_at: Some(at.and_utc()), version: order.version + 1, ..order };
        Changed {
            order: orders::with_items(confirmed, items),
            statements: vec![orders::confirmed(id, at), event.to_string()],
        }
    }
}
