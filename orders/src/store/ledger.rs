//! Append-only stock ledger.

use chrono::NaiveDateTime;
use common_contract::{OrderId, ProductId};
use db::clock::last_insert_id;
use db::insert::Insert;
use db::schema::stock_movements;
use db::{Connection, DbError};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use orders_api::StockMovement;

use super::limit;

/// A new ledger entry.
pub(crate) struct Entry<'e> {
    pub(crate) product_id: ProductId,
    pub(crate) delta: i64,
    pub(crate) reason: &'e str,
    pub(crate) reference: Option<&'e str>,
    pub(crate) order_id: Option<OrderId>,
    pub(crate) principal: &'e str,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = stock_movements)]
struct Row {
    id: i64,
    product_id: i64,
    delta: i64,
    reason: String,
    reference: Option<String>,
    order_id: Option<i64>,
    principal: String,
    created_at: NaiveDateTime,
}

impl From<Row> for StockMovement {
    fn from(row: Row) -> Self {
        let Row { id, product_id, delta, reason, reference, order_id, principal, created_at } = row;
        Self {
            id,
            product_id: ProductId::stored(product_id),
            delta,
            reason,
            reference,
            order_id: order_id.map(OrderId::stored),
            principal,
            created_at: created_at.and_utc(),
        }
    }
}

/// Builds the statement that appends ledger entries.
pub(crate) fn append<'e>(entries: impl IntoIterator<Item = Entry<'e>>) -> Insert {
    let mut insert = Insert::into("stock_movements (product_id, delta, reason, reference, order_id, principal)");
    for entry in entries {
        insert.row(&[
            entry.product_id.get().into(),
            entry.delta.into(),
            entry.reason.into(),
            entry.reference.into(),
            entry.order_id.map(OrderId::get).into(),
            entry.principal.into(),
        ]);
    }
    insert
}

/// Returns the ledger entry that this connection appended most recently.
pub(crate) async fn last_appended(connection: &mut Connection) -> Result<StockMovement, DbError> {
    let id = last_insert_id(connection).await?;
    let row: Row = stock_movements::table.find(id).select(Row::as_select()).first(connection).await?;
    Ok(row.into())
}

/// Lists up to `rows` ledger entries for a product, newest first, with IDs below `before`.
pub(crate) async fn page(
    connection: &mut Connection,
    product: ProductId,
    before: i64,
    rows: usize,
) -> Result<Vec<StockMovement>, DbError> {
    let of_product = stock_movements::table.filter(stock_movements::product_id.eq(product.get()));
    let newest_first = of_product.filter(stock_movements::id.lt(before)).order(stock_movements::id.desc());
    let rows: Vec<Row> = newest_first.limit(limit(rows)).select(Row::as_select()).load(connection).await?;
    Ok(rows.into_iter().map(StockMovement::from).collect())
}
