//! Inserts generated orders, with everything that belongs to them, in large batches.
//!
//! The rows obey every rule that the services keep: a product's stock is the sum of its ledger, an order's total the sum
//! of its items, and what was canceled has been restocked once. They are appended after what the tables hold. How one
//! order becomes rows is in `rows`.

use chrono::{NaiveDateTime, TimeDelta};
use diesel::dsl::max;
use diesel::prelude::*;
use diesel_async::{AsyncMysqlConnection, RunQueryDsl};

use super::generate::{self, Product, Size};
use super::rows::{MOVEMENTS, Rows};
use super::{CUSTOMER_PREFIXES, PRINCIPAL, PRODUCT_PREFIXES, insert_prefixes};
use crate::clock::now;
use crate::error::DbError;
use crate::insert::{Insert, Value};
use crate::pool::Db;
use crate::schema::{customers, orders, products};

/// Orders of one transaction. With their items, events and movements these are about 8,000 rows.
const ORDER_BATCH: usize = 1000;

/// Customers or products of one transaction.
const OWNER_BATCH: usize = 200;

/// Where the generated rows go: after the ids there are, and in the year before now.
pub(super) struct Base {
    pub(super) customer: i64,
    pub(super) product: i64,
    pub(super) order: i64,
    pub(super) start: NaiveDateTime,
}

/// A product and what the orders did to it.
pub(super) struct Stocked {
    pub(super) id: i64,
    pub(super) sku: String,
    pub(super) product: Product,
    ordered: i64,
    restocked: i64,
}

/// Appends `count` orders, with a tenth as many customers and a twentieth as many products (at least 10 of each), and
/// calls `progress` with how many more orders are done. Nobody else may write to these tables meanwhile: the ids are
/// given out here.
///
/// # Errors
///
/// Any [`DbError`]; the batches before the one that failed stay.
pub async fn seed_orders(db: &Db, count: u32, mut progress: impl FnMut(usize)) -> Result<(), DbError> {
    let size = Size::of(count);
    let base = db.run(base).await?;
    let catalog = catalog(size, base.product);
    insert_customers(db, size, &base).await?;
    for products in catalog.chunks(OWNER_BATCH) {
        db.transaction(async |connection| insert_products(connection, products, &base).await).await?;
    }
    let mut orders = (base.order..).zip(generate::orders(size));
    loop {
        let batch = orders.by_ref().take(ORDER_BATCH).collect::<Vec<_>>();
        if batch.is_empty() {
            return Ok(());
        }
        let rows = Rows::of(&batch, &base, &catalog);
        db.transaction(async |connection| rows.insert(connection).await).await?;
        progress(batch.len());
    }
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

/// All products. The orders are generated once only for this: what they take has to be known before they are inserted.
fn catalog(size: Size, first_id: i64) -> Vec<Stocked> {
    let mut catalog = (first_id..)
        .zip(generate::products(size))
        .map(|(id, product)| Stocked {
            id,
            sku: format!("{}-{id:07}", product.sku_prefix),
            product,
            ordered: 0,
            restocked: 0,
        })
        .collect::<Vec<_>>();
    for order in generate::orders(size) {
        for item in &order.items {
            let stocked = &mut catalog[item.product];
            stocked.ordered += item.qty;
            if order.outcome.is_canceled() {
                stocked.restocked += item.qty;
            }
        }
    }
    catalog
}

async fn insert_customers(db: &Db, size: Size, base: &Base) -> Result<(), DbError> {
    let mut customers = (base.customer..).zip(generate::customers(size)).map(|(id, name)| {
        let email = format!("orders.{id}@example.com");
        (id, name, email)
    });
    loop {
        let batch = customers.by_ref().take(OWNER_BATCH).collect::<Vec<_>>();
        if batch.is_empty() {
            return Ok(());
        }
        db.transaction(async |connection| insert_customer_batch(connection, &batch, base.start).await).await?;
    }
}

async fn insert_customer_batch(
    connection: &mut AsyncMysqlConnection,
    batch: &[(i64, String, String)],
    created_at: NaiveDateTime,
) -> Result<(), DbError> {
    let mut insert = Insert::into("customers (id, name, email, email_key, created_at, updated_at)");
    for (id, name, email) in batch {
        let (name, email) = (name.as_str(), email.as_str());
        insert.row(&[(*id).into(), name.into(), email.into(), email.into(), created_at.into(), created_at.into()]);
    }
    insert.run(connection).await?;
    insert_prefixes(connection, CUSTOMER_PREFIXES, batch).await
}

async fn insert_products(connection: &mut AsyncMysqlConnection, batch: &[Stocked], base: &Base) -> Result<(), DbError> {
    let mut insert = Insert::into("products (id, sku, name, price_cents, stock, created_at, updated_at)");
    let mut ledger = Insert::into(MOVEMENTS);
    for Stocked { id, sku, product, ordered, restocked } in batch {
        insert.row(&[
            (*id).into(),
            sku.as_str().into(),
            product.name.as_str().into(),
            product.price_cents.into(),
            (product.left + restocked).into(),
            base.start.into(),
            base.start.into(),
        ]);
        let first = product.left + ordered;
        let row = [(*id).into(), first.into(), "initial".into(), Value::Null, PRINCIPAL.into(), base.start.into()];
        ledger.row(&row);
    }
    insert.run(connection).await?;
    ledger.run(connection).await?;
    let texts = batch.iter().map(|stocked| (stocked.id, stocked.sku.clone(), stocked.product.name.clone()));
    insert_prefixes(connection, PRODUCT_PREFIXES, &texts.collect::<Vec<_>>()).await
}
