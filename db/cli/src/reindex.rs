//! Rebuilds what is derived from names and addresses: search prefixes and email keys.
//!
//! A release may derive them differently from the rows of earlier ones. Each batch of rows is one transaction that
//! locks them, so a service that changes a row at the same time either has its change indexed or replaces the entries
//! afterwards. Readers see the entries of before or after the batch. Rows that are already right are only read.

use db::email_key;
use db::error::DbError;
use db::pool::Db;
use db::prefix_index::{CUSTOMERS, PRODUCTS};
use db::schema::{customers, products};
use diesel::prelude::*;
use diesel_async::{AsyncMysqlConnection, RunQueryDsl};

/// Rows per transaction. Writes to them wait for it.
const BATCH: i64 = 100;

/// Unique index on the email keys.
const UNIQUE_EMAIL: &str = "uq_customers_email_key";

/// Result of reindexing one batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Id of the last row.
    pub last: i64,
    /// Number of rows.
    pub rows: usize,
    /// Number of rows whose prefixes or key were changed.
    pub changed: usize,
    /// Customers that keep an older key, because another customer has the same address in another form.
    pub conflicts: Vec<i64>,
}

/// Reindexes the next customers with ids above `after`, and returns `None` at the end.
///
/// # Errors
///
/// Any [`DbError`]; nothing of the batch is changed.
pub async fn next_customers(db: &Db, after: i64) -> Result<Option<Batch>, DbError> {
    db.transaction(async |connection| customers_batch(connection, after).await).await
}

/// Reindexes the next products with ids above `after`, and returns `None` at the end.
///
/// # Errors
///
/// Any [`DbError`]; nothing of the batch is changed.
pub async fn next_products(db: &Db, after: i64) -> Result<Option<Batch>, DbError> {
    db.transaction(async |connection| products_batch(connection, after).await).await
}

/// Customer: id, name, email address, email key, and whether it is not deleted.
type CustomerRow = (i64, String, String, Option<String>, bool);

async fn customers_batch(connection: &mut AsyncMysqlConnection, after: i64) -> Result<Option<Batch>, DbError> {
    let next = customers::table.filter(customers::id.gt(after)).order(customers::id).limit(BATCH);
    let columns =
        (customers::id, customers::name, customers::email, customers::email_key, customers::deleted_at.is_null());
    let rows: Vec<CustomerRow> = next.select(columns).for_update().load(connection).await?;
    let Some((last, ..)) = rows.last() else { return Ok(None) };
    let mut batch = Batch { last: *last, rows: rows.len(), ..Batch::default() };
    let texts: Vec<_> = rows.iter().map(|(id, name, email, _, is_live)| (*id, texts(name, email, *is_live))).collect();
    let mut changed = CUSTOMERS.rebuild(connection, &texts).await?;
    for (id, _, email, stored_key, is_live) in &rows {
        let key = is_live.then(|| email_key(email)).filter(|key| stored_key.as_ref() != Some(key));
        let Some(key) = key else { continue };
        let update = diesel::update(customers::table.find(id)).set(customers::email_key.eq(key));
        match update.execute(connection).await.map_err(DbError::from) {
            Ok(_) => _ = changed.insert(*id),
            Err(error) if error.is_unique(UNIQUE_EMAIL) => batch.conflicts.push(*id),
            Err(error) => return Err(error),
        }
    }
    batch.changed = changed.len();
    Ok(Some(batch))
}

/// Returns the searchable texts of a customer: none if it is deleted.
fn texts<'t>(name: &'t str, email: &'t str, is_live: bool) -> Vec<&'t str> {
    if is_live { vec![name, email] } else { Vec::new() }
}

async fn products_batch(connection: &mut AsyncMysqlConnection, after: i64) -> Result<Option<Batch>, DbError> {
    let next = products::table.filter(products::id.gt(after)).order(products::id).limit(BATCH);
    let columns = (products::id, products::sku, products::name);
    let rows: Vec<(i64, String, String)> = next.select(columns).for_update().load(connection).await?;
    let Some((last, ..)) = rows.last() else { return Ok(None) };
    let texts: Vec<_> = rows.iter().map(|(id, sku, name)| (*id, vec![sku.as_str(), name])).collect();
    let changed = PRODUCTS.rebuild(connection, &texts).await?;
    Ok(Some(Batch { last: *last, rows: rows.len(), changed: changed.len(), conflicts: Vec::new() }))
}
