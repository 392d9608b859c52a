//! Rows to start with: the fixed ones of `db/seed.sql`, and as many generated orders as asked for.
//!
//! The fixed rows and the search prefixes are here, what generated orders look like is in `generate`, and their inserts
//! are in `scale`.

mod generate;
mod rows;
mod scale;

use diesel::dsl::{exists, not};
use diesel::prelude::*;
use diesel_async::{AsyncMysqlConnection, RunQueryDsl, SimpleAsyncConnection};

pub use scale::seed_orders;

use crate::error::DbError;
use crate::insert::Insert;
use crate::pool::Db;
use crate::schema::{customer_prefixes, customers, product_prefixes, products};
use crate::search::prefixes;

/// Who made the generated rows.
const PRINCIPAL: &str = "seed";

const SEED: &str = include_str!("../../seed.sql");

/// Customers or products whose prefixes are stored in one transaction.
const OWNER_BATCH: i64 = 200;

const CUSTOMER_PREFIXES: &str = "customer_prefixes (customer_id, prefix)";
const PRODUCT_PREFIXES: &str = "product_prefixes (product_id, prefix)";

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

/// `owners` are ids with the two texts that a search looks through.
async fn insert_prefixes(
    connection: &mut AsyncMysqlConnection,
    target: &str,
    owners: &[(i64, String, String)],
) -> Result<(), DbError> {
    // A service may have stored some of them in the meantime.
    let mut insert = Insert::into(target).ending_with(" ON DUPLICATE KEY UPDATE prefix = VALUES(prefix)");
    for (id, first, second) in owners {
        for prefix in prefixes(&[first, second]) {
            insert.row(&[(*id).into(), prefix.as_str().into()]);
        }
    }
    insert.run(connection).await
}
