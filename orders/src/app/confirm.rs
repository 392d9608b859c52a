//! Confirming an order: exactly once.

use db::{Connection, clock};
use orders_api::{Order, OrderStatus};
use service::Call;
use service::auth::{Caller, Operator};
use service_api::{IdempotencyKey, IfMatch, OrderId};

use super::once::{Answered, Change, keyed};
use super::orders::{lock, view};
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
    async fn apply(&self, connection: &mut Connection) -> Result<Order, OrdersError> {
        match lock(connection, self.id, self.if_match).await?.status {
            OrderStatus::Created => self.confirm(connection).await?,
            OrderStatus::Confirmed => {}
            OrderStatus::Canceled => return Err(OrdersError::OrderCanceled),
        }
        view(connection, self.id).await
    }
}

impl Confirm<'_> {
    async fn confirm(&self, connection: &mut Connection) -> Result<(), OrdersError> {
        let Self { id, principal, correlation_id, .. } = *self;
        let at = clock::now(connection).await?;
        orders::set_confirmed(connection, id, at).await?;
        let (from, to) = (Some(OrderStatus::Created), OrderStatus::Confirmed);
        let confirmed = Event { order_id: id, from, to, principal, correlation_id, at };
        Ok(events::appended([confirmed]).run(connection).await?)
    }
}
