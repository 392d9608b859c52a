//! Products and their stock. Every statement that changes the stock also validates it.

use std::ops::RangeInclusive;

use chrono::NaiveDateTime;
use common_contract::{PriceCents, ProductId, Stock, Text};
use db::clock::{last_insert_id, time_of_row, utc_now};
use db::prefix_index::{Hits, PRODUCTS};
use db::schema::products;
use db::{CachedStatement, Connection, DbError, padded};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use orders_api::{Product, ProductInput, ProductPatch};

use super::{exactly_one, limit};

/// Name of the unique key on the SKU.
pub(crate) const UNIQUE_SKU: &str = "uq_products_sku";

#[derive(Queryable, Selectable)]
#[diesel(table_name = products)]
struct Row {
    id: i64,
    sku: String,
    name: String,
    price_cents: i64,
    stock: i64,
    version: i64,
    created_at: NaiveDateTime,
    updated_at: NaiveDateTime,
}

impl From<Row> for Product {
    fn from(row: Row) -> Self {
        let Row { id, sku, name, price_cents, stock, version, created_at, updated_at } = row;
        Self {
            id: ProductId::stored(id),
            sku,
            name,
            price_cents,
            stock,
            created_at: created_at.and_utc(),
            updated_at: updated_at.and_utc(),
            version,
        }
    }
}

pub(crate) async fn insert(connection: &mut Connection, new: &ProductInput) -> Result<ProductId, DbError> {
    let ProductInput { sku, name, price_cents, stock } = new;
    let row = (
        products::sku.eq(sku.as_str()),
        products::name.eq(name.as_str()),
        products::price_cents.eq(price_cents.get()),
        products::stock.eq(stock.get()),
    );
    diesel::insert_into(products::table).values(row).execute(connection).await?;
    let id = last_insert_id(connection).await?;
    PRODUCTS.insert(connection, id, &[sku.as_str(), name.as_str()]).await?;
    Ok(ProductId::stored(id))
}

pub(crate) async fn find(connection: &mut Connection, id: ProductId) -> Result<Option<Product>, DbError> {
    let row = products::table.find(id.get()).select(Row::as_select()).first(connection).await.optional()?;
    Ok(row.map(Product::from))
}

/// Finds products by ID. The result omits IDs of products that do not exist.
pub(crate) async fn find_all(connection: &mut Connection, ids: Vec<i64>) -> Result<Vec<(i64, Product)>, DbError> {
    let wanted = products::table.filter(products::id.eq_any(ids)).select(Row::as_select());
    let rows: Vec<Row> = wanted.cached().load(connection).await?;
    Ok(rows.into_iter().map(|row| (row.id, row.into())).collect())
}

/// Locks a product's row and returns the product.
pub(crate) async fn lock(connection: &mut Connection, id: ProductId) -> Result<Option<Product>, DbError> {
    let row = products::table.find(id.get()).select(Row::as_select()).for_update().first(connection).await;
    Ok(row.optional()?.map(Product::from))
}

/// Handling of rows that another transaction has locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LockMode {
    Wait,
    /// Omits locked rows from the result, like rows that do not exist.
    SkipLocked,
}

/// Locks the products with these IDs. Returns the products that exist, in ascending order of ID, and the database time
/// after the locks were granted. The rows are also locked in ascending order, because both point lookups and scans read
/// them through the primary key in this order.
pub(crate) async fn lock_all(
    connection: &mut Connection,
    ids: &[ProductId],
    lock_mode: LockMode,
) -> Result<(Vec<Product>, NaiveDateTime), DbError> {
    let ids = padded(ids.iter().copied().map(ProductId::get).collect());
    let wanted = products::table.filter(products::id.eq_any(ids));
    let rows = wanted.order(products::id.asc()).select((Row::as_select(), time_of_row())).for_update();
    let rows: Vec<(Row, NaiveDateTime)> = match lock_mode {
        LockMode::Wait => rows.cached().load(connection).await?,
        LockMode::SkipLocked => rows.skip_locked().cached().load(connection).await?,
    };
    let now = rows.iter().map(|(_, now)| *now).max().unwrap_or_default();
    Ok((rows.into_iter().map(|(row, _)| row.into()).collect(), now))
}

/// Lists up to `rows` products, newest first, with IDs below `before`.
pub(crate) async fn page(connection: &mut Connection, before: i64, rows: usize) -> Result<Vec<Product>, DbError> {
    let newest_first = products::table.filter(products::id.lt(before)).order(products::id.desc());
    let rows: Vec<Row> = newest_first.limit(limit(rows)).select(Row::as_select()).load(connection).await?;
    Ok(rows.into_iter().map(Product::from).collect())
}

/// Searches for up to `rows` products, newest first, with IDs below `before`. Returns the products and the value of
/// `before` for the next page. A product that is deleted between the two statements is missing from the page, but the
/// list continues on the next page.
pub(crate) async fn search(
    connection: &mut Connection,
    search: &str,
    before: i64,
    rows: usize,
) -> Result<(Vec<Product>, Option<i64>), DbError> {
    let Hits { ids, next } = PRODUCTS.find(connection, search, before, rows).await?;
    let found = products::table.filter(products::id.eq_any(ids)).order(products::id.desc());
    let rows: Vec<Row> = found.select(Row::as_select()).load(connection).await?;
    Ok((rows.into_iter().map(Product::from).collect(), next))
}

#[derive(AsChangeset)]
#[diesel(table_name = products)]
struct Changes<'p> {
    name: Option<&'p str>,
    price_cents: Option<i64>,
    stock: Option<i64>,
}

/// Applies the patch to a product. The caller must have locked the product's row and read `seen` from it.
pub(crate) async fn update(connection: &mut Connection, seen: &Product, patch: &ProductPatch) -> Result<(), DbError> {
    let changes = Changes {
        name: patch.name.as_ref().map(Text::as_str),
        price_cents: patch.price_cents.map(PriceCents::get),
        stock: patch.stock.map(Stock::get),
    };
    let as_seen = products::table.find(seen.id.get()).filter(products::stock.eq(seen.stock));
    let changes = (changes, products::version.eq(products::version + 1), products::updated_at.eq(utc_now()));
    exactly_one(diesel::update(as_seen).set(changes).cached().execute(connection).await?)?;
    match &patch.name {
        Some(name) => PRODUCTS.replace(connection, seen.id.get(), &[&seen.sku, name.as_str()]).await,
        None => Ok(()),
    }
}

/// Adds `delta` to the stock if the result is within `limits`. Returns whether the stock was changed: `false` if the
/// result would be outside the limits, or if the product does not exist.
pub(crate) async fn add_stock(
    connection: &mut Connection,
    id: ProductId,
    delta: i64,
    limits: RangeInclusive<i64>,
) -> Result<bool, DbError> {
    let (least, most) = limits.into_inner();
    let fitting = products::table.find(id.get()).filter((products::stock + delta).between(least, most));
    let changes = (
        products::stock.eq(products::stock + delta),
        products::version.eq(products::version + 1),
        products::updated_at.eq(utc_now()),
    );
    Ok(diesel::update(fitting).set(changes).cached().execute(connection).await? == 1)
}

/// Builds the statement that changes the stock by `delta` for a number of orders, each of which increments the version.
/// The row must be locked and have enough stock; otherwise its CHECK constraint fails the statement. There is no upper
/// limit: deliveries may have refilled the stock before a cancel.
pub(crate) fn change_stock(id: ProductId, delta: i64, orders: i64) -> String {
    format!(
        "UPDATE products SET stock = stock + {delta}, version = version + {orders}, updated_at = UTC_TIMESTAMP(6) \
         WHERE id = {id}"
    )
}
