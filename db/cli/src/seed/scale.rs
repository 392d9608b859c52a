//! Inserts generated customers, products and orders with all dependent rows, in large batches.
//!
//! The rows satisfy the data invariants: a product's stock is the sum of its ledger, an order's total is the sum of its
//! items, and canceled items are restocked once. They are appended to existing rows. Batches are generated while
//! earlier ones are being inserted.

use chrono::{NaiveDateTime, TimeDelta};
use diesel::dsl::max;
use diesel::prelude::*;
use diesel_async::{AsyncMysqlConnection, RunQueryDsl};
use futures::{StreamExt, TryStreamExt, stream};

use super::generate::{self, Size};
use super::owners::{catalog, customer_rows, product_rows};
use super::rows::OrderRows;
use db::clock::now;
use db::error::DbError;
use db::insert::Insert;
use db::pool::Db;
use db::schema::{customers, orders, products};

/// Number of orders per transaction: about 8,000 rows, including items, events and movements.
const ORDER_BATCH: usize = 1000;

/// Number of customers or products per transaction: about 25,000 rows, including search prefixes.
const OWNER_BATCH: usize = 1000;

/// Maximum number of batches inserted concurrently, each on its own connection.
const CONNECTIONS: usize = 4;

/// First ids of the generated rows (above all existing ids), and the start of their period.
pub(super) struct Base {
    pub(super) customer: i64,
    pub(super) product: i64,
    pub(super) order: i64,
    pub(super) start: NaiveDateTime,
}

/// Rows inserted by one transaction.
struct Batch {
    /// Number of customers, products or orders.
    count: usize,
    inserts: Vec<Insert>,
}

/// Appends orders with new customers and products, at least 10 of each. Calls `progress` with the number of orders,
/// customers or products inserted since the last call, and returns the number of rows in all tables. This function
/// assigns the ids, so there must be no concurrent writes to these tables.
///
/// # Errors
///
/// Returns any [`DbError`]. Batches inserted before the failure remain.
pub async fn seed_orders(db: &Db, size: Size, mut progress: impl FnMut(usize)) -> Result<usize, DbError> {
    let size = size.with_minimum();
    let base = &db.run(base).await?;
    let catalog = &catalog(size, base.product);
    let customers = batches((base.customer..).zip(generate::customers(size)), OWNER_BATCH)
        .map(|batch| Batch { count: batch.len(), inserts: customer_rows(&batch, base) });
    let products = catalog.chunks(OWNER_BATCH);
    let products = products.map(|batch| Batch { count: batch.len(), inserts: product_rows(batch, base) });
    let orders = batches((base.order..).zip(generate::orders(size)), ORDER_BATCH)
        .map(|batch| Batch { count: batch.len(), inserts: OrderRows::of(&batch, base, catalog).into_inserts() });
    // Insert customers and products first, because orders reference them.
    let owners = insert_all(db, customers.chain(products), &mut progress).await?;
    Ok(owners + insert_all(db, orders, &mut progress).await?)
}

async fn base(connection: &mut AsyncMysqlConnection) -> Result<Base, DbError> {
    let customer: Option<i64> = customers::table.select(max(customers::id)).first(connection).await?;
    let product: Option<i64> = products::table.select(max(products::id)).first(connection).await?;
    let order: Option<i64> = orders::table.select(max(orders::id)).first(connection).await?;
    Ok(Base {
        customer: customer.unwrap_or(0) + 1,
        product: product.unwrap_or(0) + 1,
        order: order.unwrap_or(0) + 1,
        start: now(connection).await? - TimeDelta::seconds(generate::START_SECONDS),
    })
}

/// Splits an iterator into batches of `size` items.
fn batches<T>(mut all: impl Iterator<Item = T>, size: usize) -> impl Iterator<Item = Vec<T>> {
    std::iter::from_fn(move || Some(all.by_ref().take(size).collect::<Vec<_>>()).filter(|batch| !batch.is_empty()))
}

/// Inserts the batches, several concurrently, and returns the number of rows.
async fn insert_all(
    db: &Db,
    batches: impl Iterator<Item = Batch>,
    progress: &mut impl FnMut(usize),
) -> Result<usize, DbError> {
    let connections = CONNECTIONS.min(db.status().max);
    let mut inserted = stream::iter(batches).map(|batch| insert(db, batch)).buffer_unordered(connections);
    let mut total = 0;
    while let Some((count, rows)) = inserted.try_next().await? {
        total += rows;
        progress(count);
    }
    Ok(total)
}

/// Inserts a batch in a transaction. Returns the batch's count and the number of rows.
async fn insert(db: &Db, Batch { count, inserts }: Batch) -> Result<(usize, usize), DbError> {
    let run = async |connection: &mut AsyncMysqlConnection| {
        for insert in &inserts {
            insert.run(connection).await?;
        }
        Ok::<_, DbError>(())
    };
    db.transaction(run).await?;
    Ok((count, inserts.iter().map(Insert::rows).sum()))
}
