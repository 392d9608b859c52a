//! Who changed an order, and when: append-only.

use chrono::NaiveDateTime;
use db::schema::order_events;
use db::{Connection, DbError};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use orders_api::{OrderEvent, OrderStatus};
use service_api::OrderId;

use super::status::Status;

/// One event to be recorded.
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

pub(crate) async fn append(connection: &mut Connection, event: &Event<'_>) -> Result<(), DbError> {
    let row = (
        order_events::order_id.eq(event.order_id.get()),
        order_events::from_status.eq(event.from.map(Status)),
        order_events::to_status.eq(Status(event.to)),
        order_events::principal.eq(event.principal),
        order_events::correlation_id.eq(event.correlation_id),
        order_events::created_at.eq(event.at),
    );
    diesel::insert_into(order_events::table).values(row).execute(connection).await?;
    Ok(())
}

/// The order's events, newest first. An order passes through three states at most, so there are no pages.
pub(crate) async fn of_order(connection: &mut Connection, id: OrderId) -> Result<Vec<OrderEvent>, DbError> {
    let ours = order_events::table.filter(order_events::order_id.eq(id.get()));
    let rows: Vec<Row> = ours.order(order_events::id.desc()).select(Row::as_select()).load(connection).await?;
    Ok(rows.into_iter().map(OrderEvent::from).collect())
}
