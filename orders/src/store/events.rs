//! Append-only order events.

use chrono::NaiveDateTime;
use common_contract::OrderId;
use db::insert::Insert;
use db::schema::order_events;
use db::{Connection, DbError};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use orders_api::{OrderEvent, OrderStatus};

use super::status::Status;

/// A new order event.
pub(crate) struct Event<'e> {
    pub(crate) order_id: OrderId,
    pub(crate) from: Option<OrderStatus>,
    pub(crate) to: OrderStatus,
    pub(crate) principal: &'e str,
    pub(crate) correlation_id: &'e str,
    pub(crate) at: NaiveDateTime,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = order_events)]
struct Row {
    id: i64,
    from_status: Option<Status>,
    to_status: Status,
    principal: String,
    correlation_id: String,
    created_at: NaiveDateTime,
}

impl From<Row> for OrderEvent {
    fn from(row: Row) -> Self {
        let Row { id, from_status, to_status, principal, correlation_id, created_at } = row;
        Self {
            id,
            from_status: from_status.map(|status| status.0),
            to_status: to_status.0,
            principal,
            correlation_id,
            created_at: created_at.and_utc(),
        }
    }
}

/// Builds the statement that appends order events.
pub(crate) fn append<'e>(events: impl IntoIterator<Item = Event<'e>>) -> Insert {
    let mut insert =
        Insert::into("order_events (order_id, from_status, to_status, principal, correlation_id, created_at)");
    for event in events {
        insert.row(&[
            event.order_id.get().into(),
            event.from.map(|from| Status(from).text()).into(),
            Status(event.to).text().into(),
            event.principal.into(),
            event.correlation_id.into(),
            event.at.into(),
        ]);
    }
    insert
}

/// Lists the events of an order, newest first. An order has at most three events, so the list is not paginated.
pub(crate) async fn of_order(connection: &mut Connection, id: OrderId) -> Result<Vec<OrderEvent>, DbError> {
    let of_order = order_events::table.filter(order_events::order_id.eq(id.get()));
    let rows: Vec<Row> = of_order.order(order_events::id.desc()).select(Row::as_select()).load(connection).await?;
    Ok(rows.into_iter().map(OrderEvent::from).collect())
}
