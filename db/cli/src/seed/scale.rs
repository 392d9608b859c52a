//! Inserts generated customers, products and orders, with everything that belongs to them, in large batches.
//!
//! The rows obey every rule that the services keep: a product's stock is the sum of its ledger, an order's total the sum
//! of its items, and what was canceled has been restocked once. They are appended after what the tables hold. While the
//! server inserts some batches, the next are made.

use chrono::{NaiveDateTime, TimeDelta};
use diesel::dsl::max;
use diesel::prelude::*;
use diesel_async::{AsyncMysqlConnection, RunQueryDsl};
use futures::{StreamExt, TryStreamExt, stream};

use super::generate::{self, Size};
use super::owners::{catalog, customer_rows, product_rows};
use super::rows::Rows;
use db::clock::now;
use db::error::DbError;
use db::insert::Insert;
use db::pool::Db;
use db::schema::{customers, orders, products};

/// Orders of one transaction. With their items, events and movements these are about 8,000 rows.
const ORDER_BATCH: usize = 1000;

/// Customers or products of one transaction. With what a search looks through these are about 25,000 rows.
const OWNER_BATCH: usize = 1000;

/// Batches that are inserted at the same time, each on a connection of its own.
const CONNECTIONS: usize = 4;

/// Where the generated rows go: after the ids there are, and in the year before now.
pub(super) struct Base {
    pub(super) customer: i64,
    pub(super) product: i64,
    pub(super) order: i64,
    pub(super) start: NaiveDateTime,
}

/// What one transaction inserts.
struct Batch {
    /// Customers, products or orders.
    owners: usize,
    inserts: Vec<Insert>,
}

/// Appends orders, with customers and products of their own, of which there are at least 10 each. Calls `progress` with
/// how many more orders, customers or products are done, and returns the number of rows of all tables. Nobody else may
/// write to these tables meanwhile: the ids are given out here.
///
/// # Errors
///
/// Any [`DbError`]; the batches that were inserted before one failed stay.
pub async fn seed_orders(db: &Db, size: Size, mut progress: impl FnMut(usize)) -> Result<usize, DbError> {
    let size = size.with_choice();
    let base = &db.run(base).await?;
    let catalog = &catalog(size, base.product);
    let customers = batches((base.customer..).zip(generate::customers(size)), OWNER_BATCH)
        .map(|batch| Batch { owners: batch.len(), inserts: customer_rows(&batch, base) });
    let products = catalog.chunks(OWNER_BATCH);
    let products = products.map(|batch| Batch { owners: batch.len(), inserts: product_rows(batch, base) });
    let orders = batches((base.order..).zip(generate::orders(size)), ORDER_BATCH)
        .map(|batch| Batch { owners: batch.len(), inserts: Rows::of(&batch, base, catalog).into_inserts() });
    // An order can be stored only after its customer and its products.
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

/// What comes, so many at a time.
fn batches<T>(mut all: impl Iterator<Item = T>, size: usize) -> impl Iterator<Item = Vec<T>> {
    std::iter::from_fn(move || Some(all.by_ref().take(size).collect::<Vec<_>>()).filter(|batch| !batch.is_empty()))
}

/// Inserts the batches, several at the same time, and returns the number of their rows.
async fn insert_all(
    db: &Db,
    batches: impl Iterator<Item = Batch>,
    progress: &mut impl FnMut(usize),
) -> Result<usize, DbError> {
    let connections = CONNECTIONS.min(db.status().max);
    let mut inserted = stream::iter(batches).map(|batch| insert(db, batch)).buffer_unordered(connections);
    let mut total = 0;
    while let Some((owners, rows)) = inserted.try_next().await? {
        total += rows;
        progress(owners);
    }
    Ok(total)
}

/// Inserts a batch in a transaction, and returns how many owners and how many rows that were.
async fn insert(db: &Db, Batch { owners, inserts }: Batch) -> Result<(usize, usize), DbError> {
    let run = async |connection: &mut AsyncMysqlConnection| {
        for insert in &inserts {
            insert.run(connection).await?;
        }
        Ok::<_, DbError>(())
    };
    db.transaction(run).await?;
    Ok((owners, inserts.iter().map(Insert::rows).sum()))
}
