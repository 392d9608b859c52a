//! All SQL on the tables of products and orders. The rules for changes are in `app`; the SQL on idempotency keys and on
//! the index of the product search is in `db`.

pub(crate) mod events;
pub(crate) mod ledger;
pub(crate) mod orders;
pub(crate) mod products;
mod status;

use db::DbError;

/// Returns an error unless exactly one row was changed.
fn exactly_one(rows: usize) -> Result<(), DbError> {
    if rows == 1 { Ok(()) } else { Err(diesel::result::Error::NotFound.into()) }
}

/// Converts a number of rows for LIMIT.
fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}
