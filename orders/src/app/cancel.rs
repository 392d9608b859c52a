//! Order cancellation. A cancellation is final and returns the order's stock exactly once.

use chrono::{NaiveDateTime, TimeDelta};
use common_contract::{IdempotencyKey, IfMatch, OrderId};
use common_server::Call;
use common_server::auth::{Caller, Operator};
use db::Connection;
use orders_api::{OrderItem, OrderStatus, OrderSummary};

use super::idempotent::{KeyedRequest, OrderResponse, OrderUpdate, Transition};
use super::orders::lock;
use super::{Orders, OrdersError, reason};
use crate::store::events::{self, Event};
use crate::store::ledger::{self, Entry};
use crate::store::{orders, products};

/// Scope of the operation's idempotency keys.
const SCOPE: &str = "order.cancel";
/// Period after confirmation during which an order can still be canceled (inclusive).
const WINDOW: TimeDelta = TimeDelta::minutes(10);

impl Orders {
    /// Cancels an order. An order that is already canceled is returned unchanged.
    pub(crate) async fn cancel(
        &self,
        call: &Call,
        caller: &Caller<Operator>,
        id: OrderId,
        key: Option<&IdempotencyKey>,
        if_match: Option<&IfMatch>,
    ) -> Result<OrderResponse, OrdersError> {
        let principal = caller.principal();
        let request = key.map(|key| KeyedRequest::new(SCOPE, &principal, key, &id)).transpose()?;
        let by = Canceler { principal: &principal, correlation_id: call.correlation_id() };
        self.apply(request.as_ref(), &Cancellation { id, if_match, by }).await
    }
}

/// Principal that cancels an order, and the correlation ID of its request.
pub(super) struct Canceler<'c> {
    pub(super) principal: &'c str,
    pub(super) correlation_id: &'c str,
}

struct Cancellation<'c> {
    id: OrderId,
    if_match: Option<&'c IfMatch>,
    by: Canceler<'c>,
}

impl Transition for Cancellation<'_> {
    async fn apply(&self, connection: &mut Connection) -> Result<OrderUpdate, OrdersError> {
        let (order, now) = lock(connection, self.id, self.if_match).await?;
        if order.status == OrderStatus::Canceled {
            let items = orders::items(connection, self.id).await?;
            return Ok(OrderUpdate::unchanged(orders::with_items(order, items)));
        }
        check_window(&order, now)?;
        cancel(connection, order, now, &self.by).await
    }
}

/// Checks that the cancellation window of a confirmed order has not passed. An unconfirmed order can be canceled at any
/// time.
fn check_window(order: &OrderSummary, now: NaiveDateTime) -> Result<(), OrdersError> {
    match order.confirmed_at {
        Some(confirmed_at) if now - confirmed_at.naive_utc() > WINDOW => Err(OrdersError::CancelWindowPassed),
        _ => Ok(()),
    }
}

/// Cancels an order whose row is locked and which is not canceled yet, and returns its stock. The caller runs the
/// statements.
pub(super) async fn cancel(
    connection: &mut Connection,
    order: OrderSummary,
    at: NaiveDateTime,
    by: &Canceler<'_>,
) -> Result<OrderUpdate, OrdersError> {
    let Canceler { principal, correlation_id } = *by;
    let (id, from, to) = (order.id, order.status, OrderStatus::Canceled);
    let items = orders::items(connection, id).await?;
    let mut statements = vec![orders::set_canceled(id, from, at)];
    // Every transaction locks products in ascending order, which prevents deadlocks.
    statements.extend(items.iter().map(|item| products::change_stock(item.product_id, item.qty, 1)));
    statements.push(ledger::append(items.iter().map(|item| ledger_entry(item, id, principal))).to_string());
    let event = Event { order_id: id, from: Some(from), to, principal, correlation_id, at };
    statements.push(events::append([event]).to_string());
    let canceled = OrderSummary { status: to, canceled_at: Some(at.and_utc()), version: order.version + 1, ..order };
    Ok(OrderUpdate { order: orders::with_items(canceled, items), statements })
}

fn ledger_entry<'e>(item: &OrderItem, order_id: OrderId, principal: &'e str) -> Entry<'e> {
    Entry {
        product_id: item.product_id,
        delta: item.qty,
        reason: reason::CANCEL,
        reference: None,
        order_id: Some(order_id),
        principal,
    }
}

#[cfg(test)]
mod tests {
    use common_contract::CustomerId;
    use orders_api::{OrderSummary, OrderTerms};

    use super::*;

    fn confirmed(ago: TimeDelta, now: NaiveDateTime) -> OrderSummary {
        OrderSummary {
            id: OrderId::stored(1),
            customer_id: CustomerId::stored(1),
            status: OrderStatus::Confirmed,
            terms: OrderTerms { total_cents: 0, external_reference: None, created_at: now.and_utc() },
            confirmed_at: Some((now - ago).and_utc()),
            canceled_at: None,
            version: 2,
        }
    }

    #[test]
    fn the_cancel_window_includes_its_last_microsecond() {
        let now = chrono::DateTime::UNIX_EPOCH.naive_utc() + TimeDelta::days(20_000);
        assert!(check_window(&confirmed(WINDOW, now), now).is_ok());
        let passed = check_window(&confirmed(WINDOW + TimeDelta::microseconds(1), now), now);
        assert!(matches!(passed, Err(OrdersError::CancelWindowPassed)));
    }
}
