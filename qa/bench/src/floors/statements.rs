//! Statements that several bare loops send: what the orders service sends, for one row each.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row, Value, params};

use super::keys::PRINCIPAL;

const LOCK_PRODUCT: &str = "SELECT `id`, `sku`, `name`, `price_cents`, `stock`, `version`, `created_at`, `updated_at`, \
SYSDATE(6) AS `now` FROM `products` WHERE `id` = :id FOR UPDATE";

const ADD_STOCK: &str = "UPDATE `products` SET `stock` = `stock` + :delta, `version` = `version` + 1, \
`updated_at` = UTC_TIMESTAMP(6) WHERE `id` = :id AND `stock` + :delta BETWEEN 0 AND 9223372036854775807";

const TAKE_STOCK: &str = "UPDATE `products` SET `stock` = `stock` - 1, `version` = `version` + 1, \
`updated_at` = UTC_TIMESTAMP(6) WHERE `id` = :id";

const INSERT_MOVEMENT: &str = "INSERT INTO `stock_movements` \
(`product_id`, `delta`, `reason`, `reference`, `order_id`, `principal`) \
VALUES (:product, :delta, :reason, NULL, :order, :principal)";

const INSERT_EVENT: &str = "INSERT INTO `order_events` \
(`order_id`, `from_status`, `to_status`, `principal`, `correlation_id`, `created_at`) \
VALUES (:order, :from, :to, :principal, :correlation, :at)";

/// A product that is locked.
pub(super) struct Locked {
    pub(super) sku: String,
    pub(super) name: String,
    /// The server's time.
    pub(super) at: Value,
}

/// Locks a product.
pub(super) async fn lock_product(connection: &mut Conn, id: i64) -> mysql_async::Result<Locked> {
    let row: Option<Row> = connection.exec_first(LOCK_PRODUCT, params! { "id" => id }).await?;
    let text = |column: &str| row.as_ref().and_then(|row| row.get(column)).unwrap_or_default();
    Ok(Locked { sku: text("sku"), name: text("name"), at: now(row.as_ref()) })
}

/// The server's time, where a statement asked for it.
pub(super) fn now(row: Option<&Row>) -> Value {
    row.and_then(|row| row.get("now")).unwrap_or(Value::NULL)
}

/// Takes a piece of a product that is locked.
pub(super) async fn take_stock(connection: &mut Conn, id: i64) -> mysql_async::Result<()> {
    connection.exec_drop(TAKE_STOCK, params! { "id" => id }).await
}

/// Gives a piece back.
pub(super) async fn return_stock(connection: &mut Conn, id: i64) -> mysql_async::Result<()> {
    connection.exec_drop(ADD_STOCK, params! { "id" => id, "delta" => 1 }).await
}

/// The id of the last row.
pub(super) async fn last_insert_id(connection: &mut Conn) -> mysql_async::Result<i64> {
    Ok(connection.exec_first("SELECT CAST(LAST_INSERT_ID() AS SIGNED)", ()).await?.unwrap_or_default())
}

/// Enters into the ledger what an order took or gave back.
pub(super) async fn append_to_ledger(
    connection: &mut Conn,
    product: i64,
    delta: i64,
    reason: &str,
    order: i64,
) -> mysql_async::Result<()> {
    let values = params! {
        "product" => product, "delta" => delta, "reason" => reason, "order" => order, "principal" => PRINCIPAL,
    };
    connection.exec_drop(INSERT_MOVEMENT, values).await
}

/// Records what became of an order.
pub(super) async fn append_event(
    connection: &mut Conn,
    order: i64,
    from: Value,
    to: &str,
    at: &Value,
) -> mysql_async::Result<()> {
    let values = params! {
        "order" => order, "from" => from, "to" => to, "principal" => PRINCIPAL,
        "correlation" => format!("{:032x}", rand::random::<u128>()), "at" => at,
    };
    connection.exec_drop(INSERT_EVENT, values).await
}
