//! Statements that several modules need.

use db::{Db, DbError};
use diesel::QueryableByName;
use diesel::sql_types::BigInt;
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

/// Runs a query whose one row has one column, an integer that fits 64 bits.
pub(crate) async fn number(db: &Db, sql: &str) -> i64 {
    let sql = &format!("SELECT CAST(({sql}) AS SIGNED) AS n");
    let row: Result<Number, DbError> =
        db.run(async |connection| Ok(diesel::sql_query(sql).get_result(connection).await?)).await;
    row.unwrap().n
}

/// Runs statements through the pool.
pub(crate) async fn execute(db: &Db, sql: &str) -> Result<(), DbError> {
    db.run(async |connection| Ok(connection.batch_execute(sql).await?)).await
}
