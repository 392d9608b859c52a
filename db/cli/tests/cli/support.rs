//! Shared query helpers.

use db::{Db, DbError};
use diesel::QueryableByName;
use diesel::sql_types::BigInt;
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

/// Runs a query that returns one row with one integer column.
pub(crate) async fn number(db: &Db, sql: &str) -> i64 {
    let sql = &format!("SELECT CAST(({sql}) AS SIGNED) AS n");
    let row: Result<Number, DbError> =
        db.run(async |connection| Ok(diesel::sql_query(sql).get_result(connection).await?)).await;
    row.unwrap().n
}

/// Executes statements on a pooled connection.
pub(crate) async fn execute(db: &Db, sql: &str) -> Result<(), DbError> {
    db.run(async |connection| Ok(connection.batch_execute(sql).await?)).await
}
