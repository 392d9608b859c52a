//! Orders service: shared resources and read operations.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::NaiveDateTime;
use common_contract::{Failure, IfMatch, OrderId, Page};
use common_server::auth::{Caller, ServiceCaller, Viewer};
use common_server::{CursorKey, OPERATION_LIMIT, Position};
use db::idempotency::StoredResponses;
use db::{Connection, Db, END_LIMIT, RUN_LIMIT};
use orders_api::{Order, OrderEvent, OrderListQuery, OrderLookupQuery, OrderSummary};

use super::{Dispatcher, OrdersError};
use crate::store::{events, orders};
use crate::upstream::customers::CustomersService;

const LIST: &str = "orders";

/// Time limit for a request from a service. Services wait 2 s for a response, so an error that is returned within this
/// limit still reaches them.
const SERVICE_LIMIT: Duration = Duration::from_millis(1600);
/// Part of `SERVICE_LIMIT` that is available to the customer check. The rest is reserved for the database.
const SERVICE_CHECK_LIMIT: Duration = Duration::from_secs(1);
/// Time limit for the customer check of a request from a user account. Equal to the maximum wait for a pooled database
/// connection, so that requests in a burst are delayed rather than rejected.
const USER_CHECK_LIMIT: Duration = Duration::from_secs(5);
/// Time limit of a request from a user account.
const USER_LIMIT: Duration = USER_CHECK_LIMIT.saturating_add(RUN_LIMIT);
const _: () = assert!(USER_LIMIT.saturating_add(END_LIMIT).as_millis() <= OPERATION_LIMIT.as_millis());

/// Orders service. Clones share all resources.
#[derive(Clone)]
pub(crate) struct Orders {
    pub(crate) db: Db,
    pub(crate) cursors: CursorKey,
    pub(crate) customers: Arc<CustomersService>,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) stored_responses: StoredResponses,
    /// Retention period for idempotency keys and their stored responses.
    pub(crate) key_retention: Duration,
    /// Duration of the stock reservation for an unconfirmed order that a service created.
    pub(crate) reservation: Duration,
}

impl Orders {
    /// Returns the orders service for one request with a time limit. Only the wait for the answer to COMMIT may exceed
    /// it, because without that answer the outcome is unknown.
    fn within(&self, limit: Duration) -> Self {
        let deadline = Instant::now() + limit;
        let (db, stored_responses) = (self.db.until(deadline), self.stored_responses.until(deadline));
        Self { db, stored_responses, ..self.clone() }
    }

    /// Returns the orders service for one request from a service.
    pub(crate) fn for_service(&self) -> Self {
        self.within(SERVICE_LIMIT)
    }

    /// Returns the orders service for one request from this caller.
    pub(crate) fn for_caller<P>(&self, caller: &Caller<P>) -> Self {
        match caller {
            Caller::Service(_) => self.for_service(),
            Caller::User(_) => self.within(USER_LIMIT),
        }
    }

    pub(super) fn customer_check_limit<P>(caller: &Caller<P>) -> Duration {
        match caller {
            Caller::Service(_) => SERVICE_CHECK_LIMIT,
            Caller::User(_) => USER_CHECK_LIMIT,
        }
    }

    pub(crate) async fn view(&self, _: &Caller<Viewer>, id: OrderId) -> Result<Order, OrdersError> {
        let order = self.db.run(async |connection| orders::find(connection, id).await).await?;
        order.ok_or(OrdersError::OrderNotFound)
    }

    pub(crate) async fn list(&self, _: &Viewer, query: &OrderListQuery) -> Result<Page<OrderSummary>, Failure> {
        let filters = filters(query).map_err(OrdersError::from)?;
        let after = match &query.cursor {
            Some(cursor) => Some(self.cursors.decode(LIST, &filters, cursor.as_str())?),
            None => None,
        };
        let limit = query.limit.unwrap_or_default();
        let rows = self.db.run(async |connection| orders::page(connection, query, after, limit.get() + 1).await);
        let rows = rows.await.map_err(OrdersError::from)?;
        Ok(Page::cut(rows, limit, |last| self.cursors.encode(LIST, &filters, position(last))))
    }

    /// Returns all events of an order on a single page.
    pub(crate) async fn events(&self, _: &Viewer, id: OrderId) -> Result<Page<OrderEvent>, OrdersError> {
        let data = self.db.run(async |connection| events::of_order(connection, id).await).await?;
        // Every order has at least one event: its creation.
        if data.is_empty() {
            Err(OrdersError::OrderNotFound)
        } else {
            Ok(Page { data, next_cursor: None, has_more: false })
        }
    }

    /// Returns the order that `service` created with the key in the query.
    pub(crate) async fn lookup(&self, service: &ServiceCaller, query: &OrderLookupQuery) -> Result<Order, OrdersError> {
        let (principal, key) = (service.principal(), query.create_key.as_str());
        let found = self.db.run(async |connection| orders::find_by_create_key(connection, &principal, key).await);
        found.await?.map(|(order, _)| order).ok_or(OrdersError::OrderNotFound)
    }

    pub(crate) async fn ready(&self) -> Result<(), OrdersError> {
        Ok(self.db.check_writable().await?)
    }
}

/// Locks an order until the end of the transaction and checks its version against `If-Match`. Returns the order, and
/// the database time after the lock was granted.
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

/// Serializes the filters that a page token is bound to.
fn filters(query: &OrderListQuery) -> Result<Vec<u8>, serde_json::Error> {
    let OrderListQuery { status, from, to, customer_id, external_reference, cursor: _, limit: _ } = query;
    serde_json::to_vec(&(status, from, to, customer_id, external_reference))
}

fn position(order: &OrderSummary) -> Position {
    Position { sort: order.terms.created_at.timestamp_micros(), id: order.id.get() }
}
