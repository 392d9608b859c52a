//! Rows to start with: the fixed ones of `db/seed.sql`, and as many generated orders as asked for.
//!
//! The fixed rows are here; what generated customers, products and orders look like is in `generate`, which rows they
//! are in `owners` and `rows`, and how these are inserted in `scale`.

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

/// Who made the generated rows.
const PRINCIPAL: &str = "seed";

const SEED: &str = include_str!("../../seed.sql");

/// Customers or products that are looked at in one transaction, and whose prefixes are stored where they have none.
const OWNER_BATCH: i64 = 1000;

/// A customer or a product: its id, both its texts that are searched, and whether their prefixes are stored.
type Owner = (i64, String, String, bool);

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

/// Stores the prefixes of those of the next live customers that have none, and returns the id of the last of them all.
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

/// Stores the prefixes of those of the next products that have none, and returns the id of the last of them all.
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
    // A service may have stored some of them in the meantime.
    let insert = prefix_rows(target, texts).ending_with(" ON DUPLICATE KEY UPDATE prefix = VALUES(prefix)");
    insert.run(connection).await
}
