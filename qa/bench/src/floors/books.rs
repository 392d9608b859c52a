//! What the bare loops that write work on: a database of their own on the same server, so that what they leave out is not
//! missing in the books of the services. And orders for both, made in large batches.

use anyhow::{Context, Result};
use harness::{Log, Program};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::session;
use super::shop::{PRICE, Shop};
use crate::system::System;

/// The name of the database.
const NAME: &str = "floor";
/// Orders of one statement.
const BATCH: i64 = 1_000;

/// Makes the database, with the customers and products of the shop, and gives its URL.
///
/// # Errors
///
/// Where the program `db` fails, or the database refuses.
pub(crate) async fn open(system: &System) -> Result<String> {
    let original = system.database_url()?;
    let (server, database) = original.rsplit_once('/').context("the URL of the database names none")?;
    let url = format!("{server}/{NAME}");
    let mut migrate = Program::beside_this("db", Log::create(&system.directory, "db-floor")?)?;
    migrate.arguments = vec!["migrate".to_owned(), "up".to_owned()];
    migrate.environment = vec![("DATABASE_URL".to_owned(), url.clone())];
    migrate.run().await?;
    let mut connection = session::open(&url).await?;
    for table in ["customers", "products"] {
        connection.query_drop(format!("INSERT INTO {table} SELECT * FROM {database}.{table}")).await?;
    }
    connection.disconnect().await?;
    Ok(url)
}

/// Adds so many CREATED orders, each of one piece, with everything that the books promise, and gives the id of the first.
/// Nobody else may make orders meanwhile.
///
/// # Errors
///
/// Where the database refuses.
pub(crate) async fn add_orders(url: &str, shop: &Shop, count: i64) -> Result<i64> {
    let mut connection = session::open(url).await?;
    let last: Option<i64> = connection.query_first("SELECT COALESCE(MAX(id), 0) FROM orders").await?;
    let first = last.unwrap_or_default() + 1;
    connection.query_drop("BEGIN").await?;
    for begin in (first..first + count).step_by(usize::try_from(BATCH)?) {
        add_batch(&mut connection, shop, begin..(begin + BATCH).min(first + count)).await?;
    }
    for statement in FOLLOWING {
        connection.exec_drop(statement, (first,)).await?;
    }
    connection.query_drop("COMMIT").await?;
    connection.disconnect().await?;
    Ok(first)
}

/// The orders and their items.
async fn add_batch(connection: &mut Conn, shop: &Shop, ids: std::ops::Range<i64>) -> Result<()> {
    let (customer, product) = (*shop.customers.start(), *shop.products.start());
    let customers = shop.customers.end() - customer + 1;
    let products = shop.products.end() - product + 1;
    let orders: Vec<_> = ids
        .clone()
        .map(|id| format!("({id}, {}, {PRICE}, UTC_TIMESTAMP(6), 'bench')", customer + id % customers))
        .collect();
    let columns = "orders (id, customer_id, total_cents, created_at, create_principal)";
    connection.query_drop(format!("INSERT INTO {columns} VALUES {}", orders.join(", "))).await?;
    let items: Vec<_> = ids.map(|id| format!("SELECT {id} AS id, {} AS product", product + id % products)).collect();
    let columns = "order_items (order_id, product_id, sku, name, qty, unit_price_cents, subtotal_cents)";
    let values = "n.id, p.id, p.sku, p.name, 1, p.price_cents, p.price_cents";
    let items = items.join(" UNION ALL ");
    let insert = format!("INSERT INTO {columns} SELECT {values} FROM ({items}) n JOIN products p ON p.id = n.product");
    Ok(connection.query_drop(insert).await?)
}

/// What follows from the orders from this one on.
const FOLLOWING: [&str; 3] = [
    "INSERT INTO stock_movements (product_id, delta, reason, order_id, principal) \
     SELECT product_id, -qty, 'order', order_id, 'bench' FROM order_items WHERE order_id >= ?",
    "INSERT INTO order_events (order_id, to_status, principal, correlation_id, created_at) \
     SELECT id, 'CREATED', 'bench', 'bench', created_at FROM orders WHERE id >= ?",
    "UPDATE products p JOIN (SELECT product_id, SUM(qty) AS taken FROM order_items WHERE order_id >= ? GROUP BY product_id) t \
     ON t.product_id = p.id SET p.stock = p.stock - t.taken, p.version = p.version + 1",
];
