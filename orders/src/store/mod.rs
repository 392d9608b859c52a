//! SQL for the product and order tables. The business rules are in `app`; the SQL for idempotency keys and for the
//! product search index is in the `db` crate.

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

/// Converts a row count to the type of a LIMIT.
fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}
