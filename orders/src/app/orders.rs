//! The orders, and how they are read.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::NaiveDateTime;
use common_contract::{Failure, IfMatch, OrderId, Page};
use common_server::auth::{Caller, ServiceCaller, Viewer};
use common_server::{CursorKey, Position};
use db::idempotency::Answers;
use db::{Connection, Db};
use orders_api::{Order, OrderEvent, OrderListQuery, OrderLookupQuery, OrderSummary};

use super::{GroupCommit, OrdersError};
use crate::customers::CustomersService;
use crate::store::{events, orders};

const LIST: &str = "orders";

/// A service waits 2 s for an answer. What it is told within this time still reaches it: that nothing was done, say.
const SERVICE_LIMIT: Duration = Duration::from_millis(1600);
/// How much of that the check of a customer may take. The rest is for the database.
const SERVICE_CHECK_LIMIT: Duration = Duration::from_secs(1);
/// How long the check of a customer may take while a person waits: as long as a connection to the database, so that a
/// burst is served late rather than refused.
const OPERATOR_CHECK_LIMIT: Duration = Duration::from_secs(5);

/// The orders. A clone is the same orders.
#[derive(Clone)]
pub(crate) struct Orders {
    pub(crate) db: Db,
    pub(crate) cursors: CursorKey,
    pub(crate) customers: Arc<CustomersService>,
    pub(crate) groups: GroupCommit,
    pub(crate) answers: Answers,
    /// How long the answer to an idempotency key is kept.
    pub(crate) key_retention: Duration,
    /// How long an order made by a service holds its stock without being confirmed.
    pub(crate) reservation: Duration,
}

impl Orders {
    /// The orders for one request of a service: whatever hangs meanwhile, it is answered before it goes away. Only an
    /// answer to COMMIT is waited for longer, because giving up on that one would be a doubt.
    pub(crate) fn for_service(&self) -> Self {
        let deadline = Instant::now() + SERVICE_LIMIT;
        Self { db: self.db.until(deadline), answers: self.answers.until(deadline), ..self.clone() }
    }

    /// The orders for one request of this caller.
    pub(crate) fn serving<P>(&self, caller: &Caller<P>) -> Self {
        match caller {
            Caller::Service(_) => self.for_service(),
            Caller::Person(_) => self.clone(),
        }
    }

    pub(super) fn check_limit<P>(caller: &Caller<P>) -> Duration {
        match caller {
            Caller::Service(_) => SERVICE_CHECK_LIMIT,
            Caller::Person(_) => OPERATOR_CHECK_LIMIT,
        }
    }

    pub(crate) async fn view(&self, _: &Caller<Viewer>, id: OrderId) -> Result<Order, OrdersError> {
        let order = self.db.run(async |connection| orders::find(connection, id).await).await?;
        order.ok_or(OrdersError::OrderNotFound)
    }

    pub(crate) async fn list(&self, _: &Viewer, query: &OrderListQuery) -> Result<Page<OrderSummary>, Failure> {
        let filters = filters(query).map_err(OrdersError::from)?;
        let after = match &query.cursor {
            Some(cursor) => Some(self.cursors.open(LIST, &filters, cursor.as_str())?),
            None => None,
        };
        let limit = query.limit.unwrap_or_default();
        let rows = self.db.run(async |connection| orders::page(connection, query, after, limit.get() + 1).await);
        let rows = rows.await.map_err(OrdersError::from)?;
        Ok(Page::cut(rows, limit, |last| self.cursors.seal(LIST, &filters, position(last))))
    }

    /// All of the order's events on one page.
    pub(crate) async fn events(&self, _: &Viewer, id: OrderId) -> Result<Page<OrderEvent>, OrdersError> {
        let data = self.db.run(async |connection| events::of_order(connection, id).await).await?;
        // Every order has an event of its creation.
        if data.is_empty() {
            Err(OrdersError::OrderNotFound)
        } else {
            Ok(Page { data, next_cursor: None, has_more: false })
        }
    }

    /// The order that this service made under this key.
    pub(crate) async fn lookup(&self, service: &ServiceCaller, query: &OrderLookupQuery) -> Result<Order, OrdersError> {
        let (principal, key) = (service.principal(), query.create_key.as_str());
        let found = self.db.run(async |connection| orders::find_created_under(connection, &principal, key).await);
        found.await?.map(|(order, _)| order).ok_or(OrdersError::OrderNotFound)
    }

    pub(crate) async fn ready(&self) -> Result<(), OrdersError> {
        Ok(self.db.ping().await?)
    }
}

/// Locks an order until the end of the transaction, if it is at a version that the caller accepts. Gives it and the time after
/// that.
pub(super) async fn lock(
    connection: &mut Connection,
    id: OrderId,
    if_match: Option<&IfMatch>,
) -> Result<(OrderSummary, NaiveDateTime), OrdersError> {
    let (order, now) = orders::lock(connection, id).await?.ok_or(OrdersError::OrderNotFound)?;
    match if_match {
        Some(wanted) if !wanted.allows(order.version) => Err(OrdersError::VersionChanged { current: order.version }),
        _ => Ok((order, now)),
    }
}

/// What a cursor of the list is bound to: everything that is asked for but the place and the size of the page.
fn filters(query: &OrderListQuery) -> Result<Vec<u8>, serde_json::Error> {
    let OrderListQuery { status, from, to, customer_id, external_reference, cursor: _, limit: _ } = query;
    serde_json::to_vec(&(status, from, to, customer_id, external_reference))
}

fn position(order: &OrderSummary) -> Position {
    Position { sort: order.terms.created_at.timestamp_micros(), id: order.id.get() }
}
