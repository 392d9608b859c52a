//! Order confirmation, which is applied exactly once.

use chrono::NaiveDateTime;
use common_contract::{IdempotencyKey, IfMatch, OrderId};
use common_server::Call;
use common_server::auth::{Caller, Operator};
use db::Connection;
use orders_api::{OrderItem, OrderStatus, OrderSummary};

use super::idempotent::{KeyedRequest, OrderResponse, OrderUpdate, Transition};
use super::orders::lock;
use super::{Orders, OrdersError};
use crate::store::events::{self, Event};
use crate::store::orders;

/// Scope of the operation's idempotency keys.
const SCOPE: &str = "order.confirm";

impl Orders {
    /// Confirms an order. An order that is already confirmed is returned unchanged.
    pub(crate) async fn confirm(
        &self,
        call: &Call,
        caller: &Caller<Operator>,
        id: OrderId,
        key: &IdempotencyKey,
        if_match: Option<&IfMatch>,
    ) -> Result<OrderResponse, OrdersError> {
        let principal = caller.principal();
        let request = KeyedRequest::new(SCOPE, &principal, key, &id)?;
        let confirmation = Confirmation { id, if_match, principal: &principal, correlation_id: call.correlation_id() };
        self.apply(Some(&request), &confirmation).await
    }
}

struct Confirmation<'c> {
    id: OrderId,
    if_match: Option<&'c IfMatch>,
    principal: &'c str,
    correlation_id: &'c str,
}

impl Transition for Confirmation<'_> {
    async fn apply(&self, connection: &mut Connection) -> Result<OrderUpdate, OrdersError> {
        let (order, now) = lock(connection, self.id, self.if_match).await?;
        let items = orders::items(connection, self.id).await?;
        match order.status {
            OrderStatus::Created => Ok(self.confirm(order, items, now)),
            OrderStatus::Confirmed => Ok(OrderUpdate::unchanged(orders::with_items(order, items))),
            OrderStatus::Canceled => Err(OrdersError::OrderCanceled),
        }
    }
}

impl Confirmation<'_> {
    fn confirm(&self, order: OrderSummary, items: Vec<OrderItem>, at: NaiveDateTime) -> OrderUpdate {
        let Self { id, principal, correlation_id, .. } = *self;
        let (from, to) = (Some(order.status), OrderStatus::Confirmed);
        let event = events::append([Event { order_id: id, from, to, principal, correlation_id, at }]);
        let confirmed =
            OrderSummary { status: to, confirmed_at: Some(at.and_utc()), version: order.version + 1, ..order };
        OrderUpdate {
            order: orders::with_items(confirmed, items),
            statements: vec![orders::set_confirmed(id, at), event.to_string()],
        }
    }
}
