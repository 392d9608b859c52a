//! All SQL on the tables of products and orders, one file per table. What may be changed, and when, is decided in
//! `app`; the idempotency keys and the words of the product search are in `db`.

pub(crate) mod events;
pub(crate) mod ledger;
pub(crate) mod orders;
pub(crate) mod products;
mod status;

use db::DbError;

/// A statement that was to change one row changed this many.
fn exactly_one(rows: usize) -> Result<(), DbError> {
    if rows == 1 { Ok(()) } else { Err(diesel::result::Error::NotFound.into()) }
}

/// A number of rows, as LIMIT takes it.
fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}
