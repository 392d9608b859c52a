//! The orders service: its resources and its reads.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::NaiveDateTime;
use common_contract::{Failure, IfMatch, OrderId, Page};
use common_server::auth::{Caller, ServiceCaller, Viewer};
use common_server::{CursorKey, Position};
use db::idempotency::StoredResponses;
use db::{Connection, Db};
use orders_api::{Order, OrderEvent, OrderListQuery, OrderLookupQuery, OrderSummary};

use super::{Dispatcher, OrdersError};
use crate::store::{events, orders};
use crate::upstream::customers::CustomersService;

const LIST: &str = "orders";

/// Time limit of a request by a service, which waits 2 s: an error within this limit still reaches it.
const SERVICE_LIMIT: Duration = Duration::from_millis(1600);
/// The part of it for the check of a customer. The rest is for the database.
const SERVICE_CHECK_LIMIT: Duration = Duration::from_secs(1);
/// Time limit of the check for an operator: as long as the wait for a connection to the database, so that a burst is
/// served late rather than refused.
const OPERATOR_CHECK_LIMIT: Duration = Duration::from_secs(5);

/// The orders service. A clone shares everything.
#[derive(Clone)]
pub(crate) struct Orders {
    pub(crate) db: Db,
    pub(crate) cursors: CursorKey,
    pub(crate) customers: Arc<CustomersService>,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) answers: StoredResponses,
    /// How long the response to an idempotency key is stored.
    pub(crate) key_retention: Duration,
    /// How long an order of a service reserves its stock without being confirmed.
    pub(crate) reservation: Duration,
}

impl Orders {
    /// The orders service for one request of a service, within its time limit. Only the answer to COMMIT is waited for
    /// longer, because without it the outcome is unknown.
    pub(crate) fn for_service(&self) -> Self {
        let deadline = Instant::now() + SERVICE_LIMIT;
        Self { db: self.db.until(deadline), answers: self.answers.until(deadline), ..self.clone() }
    }

    /// The orders service for one request of this caller.
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

    /// Lists all events of an order on one page.
    pub(crate) async fn events(&self, _: &Viewer, id: OrderId) -> Result<Page<OrderEvent>, OrdersError> {
        let data = self.db.run(async |connection| events::of_order(connection, id).await).await?;
        // Every order has an event of its creation.
        if data.is_empty() {
            Err(OrdersError::OrderNotFound)
        } else {
            Ok(Page { data, next_cursor: None, has_more: false })
        }
    }

    /// Returns the order that this service created under this key.
    pub(crate) async fn lookup(&self, service: &ServiceCaller, query: &OrderLookupQuery) -> Result<Order, OrdersError> {
        let (principal, key) = (service.principal(), query.create_key.as_str());
        let found = self.db.run(async |connection| orders::find_by_create_key(connection, &principal, key).await);
        found.await?.map(|(order, _)| order).ok_or(OrdersError::OrderNotFound)
    }

    pub(crate) async fn ready(&self) -> Result<(), OrdersError> {
        Ok(self.db.ping().await?)
    }
}

/// Locks an order until the end of the transaction, if the caller accepts its version. Returns it and the time after the lock.
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

/// The filters that a cursor is bound to.
fn filters(query: &OrderListQuery) -> Result<Vec<u8>, serde_json::Error> {
    let OrderListQuery { status, from, to, customer_id, external_reference, cursor: _, limit: _ } = query;
    serde_json::to_vec(&(status, from, to, customer_id, external_reference))
}

fn position(order: &OrderSummary) -> Position {
    Position { sort: order.terms.created_at.timestamp_micros(), id: order.id.get() }
}
