//! Sample data: the fixed rows of `db/cli/seed.sql`, and any number of generated orders.
//!
//! This module inserts the fixed rows. `generate` generates customers, products and orders, `owners` and `rows` convert
//! them to table rows, and `scale` inserts those.

mod generate;
mod owners;
mod rows;
mod scale;

use diesel::dsl::exists;
use diesel::prelude::*;
use diesel_async::{AsyncMysqlConnection, RunQueryDsl, SimpleAsyncConnection};

pub use generate::Size;
pub use scale::seed_orders;

use db::error::DbError;
use db::pool::Db;
use db::schema::{customer_prefixes, customers, product_prefixes, products};
use owners::{CUSTOMER_PREFIXES, PRODUCT_PREFIXES, prefix_rows};

/// Principal recorded in the generated rows.
const PRINCIPAL: &str = "seed";

const SEED: &str = include_str!("../../seed.sql");

/// Number of customers or products whose prefixes are checked and filled in per transaction.
const OWNER_BATCH: i64 = 1000;

/// Customer or product: id, its two searchable texts, and whether their prefixes are stored.
type Owner = (i64, String, String, bool);

/// Inserts the missing rows of `db/cli/seed.sql`, and the search prefixes of all live customers and products that have
/// none. Idempotent, even after rows were changed or stock was sold.
///
/// # Errors
///
/// Returns any [`DbError`]. Rows inserted before the failure remain, and the next run leaves them unchanged.
pub async fn seed(db: &Db) -> Result<(), DbError> {
    db.transaction(async |connection| Ok::<_, DbError>(connection.batch_execute(SEED).await?)).await?;
    let mut last = Some(0);
    while let Some(after) = last {
        last = db.transaction(async |connection| fill_customer_prefixes(connection, after).await).await?;
    }
    let mut last = Some(0);
    while let Some(after) = last {
        last = db.transaction(async |connection| fill_product_prefixes(connection, after).await).await?;
    }
    Ok(())
}

/// Inserts missing prefixes for the next batch of live customers. Returns the last id of the batch, or `None` at the
/// end.
async fn fill_customer_prefixes(connection: &mut AsyncMysqlConnection, after: i64) -> Result<Option<i64>, DbError> {
    let stored = customer_prefixes::table.filter(customer_prefixes::customer_id.eq(customers::id));
    let next: Vec<Owner> = customers::table
        .filter(customers::id.gt(after).and(customers::deleted_at.is_null()))
        .select((customers::id, customers::name, customers::email, exists(stored)))
        .order(customers::id)
        .limit(OWNER_BATCH)
        .load(connection)
        .await?;
    insert_prefixes(connection, CUSTOMER_PREFIXES, &next).await?;
    Ok(next.last().map(|(id, ..)| *id))
}

/// Inserts missing prefixes for the next batch of products. Returns the last id of the batch, or `None` at the end.
async fn fill_product_prefixes(connection: &mut AsyncMysqlConnection, after: i64) -> Result<Option<i64>, DbError> {
    let stored = product_prefixes::table.filter(product_prefixes::product_id.eq(products::id));
    let next: Vec<Owner> = products::table
        .filter(products::id.gt(after))
        .select((products::id, products::sku, products::name, exists(stored)))
        .order(products::id)
        .limit(OWNER_BATCH)
        .load(connection)
        .await?;
    insert_prefixes(connection, PRODUCT_PREFIXES, &next).await?;
    Ok(next.last().map(|(id, ..)| *id))
}

async fn insert_prefixes(connection: &mut AsyncMysqlConnection, target: &str, owners: &[Owner]) -> Result<(), DbError> {
    let missing = owners.iter().filter(|(.., is_stored)| !is_stored);
    let texts = missing.map(|(id, first, second, _)| (*id, [first.as_str(), second]));
    // A service may have inserted some of them in the meantime.
    let insert = prefix_rows(target, texts).ending_with(" ON DUPLICATE KEY UPDATE prefix = VALUES(prefix)");
    insert.run(connection).await
}
