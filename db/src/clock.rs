//! What only the server knows: its clock, and the id it gave to a new row.
//!
//! Business rules take the time from here and never from the machine the service runs on, so that all instances agree.

use chrono::NaiveDateTime;
use diesel::dsl::sql;
use diesel::expression::SqlLiteral;
use diesel::sql_types::{Bigint, Datetime};
use diesel_async::{AsyncMysqlConnection, RunQueryDsl};

use crate::cached::CachedStatement;
use crate::error::DbError;

/// The server's time, UTC, in microseconds.
///
/// # Errors
///
/// Any [`DbError`] of a plain read.
pub async fn now(connection: &mut AsyncMysqlConnection) -> Result<NaiveDateTime, DbError> {
    Ok(diesel::select(utc_now()).cached().get_result(connection).await?)
}

/// The server's time as an expression, to compare columns with.
pub fn utc_now() -> SqlLiteral<Datetime> {
    sql("UTC_TIMESTAMP(6)")
}

/// The server's time at which a row is selected, for a statement that locks it: the time of [`utc_now`] is that of the statement's
/// begin, before it waited for the lock. Not to compare columns with, as no index is used for it.
pub fn time_of_row() -> SqlLiteral<Datetime> {
    // The session's time zone is UTC.
    sql("SYSDATE(6)")
}

/// The ids that the last INSERT on this connection gave to its `rows` rows, in their order. Only for `INSERT … VALUES`: of its
/// rows the server knows the number beforehand, and numbers them in one go, in steps that clusters set.
///
/// # Errors
///
/// Any [`DbError`] of a plain read.
pub async fn inserted_ids(
    connection: &mut AsyncMysqlConnection,
    rows: usize,
) -> Result<impl Iterator<Item = i64> + use<>, DbError> {
    let numbering =
        sql::<(Bigint, Bigint)>("CAST(LAST_INSERT_ID() AS SIGNED), CAST(@@SESSION.auto_increment_increment AS SIGNED)");
    let (first, step): (i64, i64) = diesel::select(numbering).cached().get_result(connection).await?;
    Ok((0..rows).scan(first, move |next, _| {
        let id = *next;
        *next += step;
        Some(id)
    }))
}

/// The id that the last INSERT on this connection gave to its (first) row.
///
/// # Errors
///
/// Any [`DbError`] of a plain read.
pub async fn last_insert_id(connection: &mut AsyncMysqlConnection) -> Result<i64, DbError> {
    Ok(diesel::select(sql::<Bigint>("CAST(LAST_INSERT_ID() AS SIGNED)")).cached().get_result(connection).await?)
}
