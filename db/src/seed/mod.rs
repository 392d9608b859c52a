//! Rows to start with: the fixed ones of `db/seed.sql`, and as many generated orders as asked for.
//!
//! The fixed rows are here; what generated customers, products and orders look like is in `generate`, which rows they
//! are in `owners` and `rows`, and how these are inserted in `scale`.

mod generate;
mod owners;
mod rows;
mod scale;

use diesel::dsl::{exists, not};
use diesel::prelude::*;
use diesel_async::{AsyncMysqlConnection, RunQueryDsl, SimpleAsyncConnection};

pub use generate::Size;
pub use scale::seed_orders;

use crate::error::DbError;
use crate::pool::Db;
use crate::schema::{customer_prefixes, customers, product_prefixes, products};
use owners::{CUSTOMER_PREFIXES, PRODUCT_PREFIXES, prefix_rows};

/// Who made the generated rows.
const PRINCIPAL: &str = "seed";

const SEED: &str = include_str!("../../seed.sql");

/// Customers or products whose prefixes are stored in one transaction.
const OWNER_BATCH: i64 = 200;

/// Inserts the rows of `db/seed.sql` that are not there, and the search prefixes of all live customers and of all
/// products that have none. Running it again changes nothing, also after rows were changed or their stock was sold.
///
/// # Errors
///
/// Any [`DbError`]; what was inserted until then stays and is left alone by the next run.
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

/// Stores the prefixes of the next live customers that have none, and returns the id of the last of them.
async fn fill_customer_prefixes(connection: &mut AsyncMysqlConnection, after: i64) -> Result<Option<i64>, DbError> {
    let stored = customer_prefixes::table.filter(customer_prefixes::customer_id.eq(customers::id));
    let missing: Vec<(i64, String, String)> = customers::table
        .filter(customers::id.gt(after).and(customers::deleted_at.is_null()).and(not(exists(stored))))
        .select((customers::id, customers::name, customers::email))
        .order(customers::id)
        .limit(OWNER_BATCH)
        .load(connection)
        .await?;
    insert_prefixes(connection, CUSTOMER_PREFIXES, &missing).await?;
    Ok(missing.last().map(|(id, ..)| *id))
}

/// Stores the prefixes of the next products that have none, and returns the id of the last of them.
async fn fill_product_prefixes(connection: &mut AsyncMysqlConnection, after: i64) -> Result<Option<i64>, DbError> {
    let stored = product_prefixes::table.filter(product_prefixes::product_id.eq(products::id));
    let missing: Vec<(i64, String, String)> = products::table
        .filter(products::id.gt(after).and(not(exists(stored))))
        .select((products::id, products::sku, products::name))
        .order(products::id)
        .limit(OWNER_BATCH)
        .load(connection)
        .await?;
    insert_prefixes(connection, PRODUCT_PREFIXES, &missing).await?;
    Ok(missing.last().map(|(id, ..)| *id))
}

async fn insert_prefixes(
    connection: &mut AsyncMysqlConnection,
    target: &str,
    owners: &[(i64, String, String)],
) -> Result<(), DbError> {
    let texts = owners.iter().map(|(id, first, second)| (*id, [first.as_str(), second]));
    // A service may have stored some of them in the meantime.
    let insert = prefix_rows(target, texts).ending_with(" ON DUPLICATE KEY UPDATE prefix = VALUES(prefix)");
    insert.run(connection).await
}
