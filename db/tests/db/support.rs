//! Shared query helpers and test data.

use db::{Connection, Db, DbError};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

/// Runs a query that returns one row with one integer column.
pub(crate) async fn number_on(connection: &mut Connection, sql: &str) -> Result<i64, DbError> {
    let sql = format!("SELECT CAST(({sql}) AS SIGNED) AS n");
    let row: Number = diesel::sql_query(sql).get_result(connection).await?;
    Ok(row.n)
}

/// Like [`number_on`], on a pooled connection.
pub(crate) async fn number(db: &Db, sql: &str) -> i64 {
    db.run(async |connection| number_on(connection, sql).await).await.unwrap()
}

/// Executes statements on a pooled connection.
pub(crate) async fn execute(db: &Db, sql: &str) -> Result<(), DbError> {
    db.run(async |connection| Ok(connection.batch_execute(sql).await?)).await
}

#[derive(QueryableByName)]
struct Session {
    #[diesel(sql_type = BigInt, column_name = "Id")]
    id: i64,
    #[diesel(sql_type = Nullable<Text>, column_name = "db")]
    database: Option<String>,
}

/// Returns the ids of all other sessions on the database of this connection.
pub(crate) async fn other_sessions(connection: &mut Connection) -> Vec<i64> {
    let own = number_on(connection, "SELECT CONNECTION_ID()").await.unwrap();
    let sessions: Vec<Session> = diesel::sql_query("SHOW PROCESSLIST").load(connection).await.unwrap();
    let database = sessions.iter().find(|session| session.id == own).and_then(|session| session.database.clone());
    sessions
        .into_iter()
        .filter(|session| session.id != own && session.database == database)
        .map(|session| session.id)
        .collect()
}

/// A customer with id 1 and products with ids 1 to 3, each with a stock of 100.
pub(crate) const ROWS: &str = "\
    INSERT INTO customers (id, name, email, email_key) VALUES (1, 'ACME', 'ops@acme.com', 'ops@acme.com'); \
    INSERT INTO products (id, sku, name, price_cents, stock) VALUES (1, 'a', 'A', 1, 100), (2, 'b', 'B', 1, 100), (3, 'c', 'C', 1, 100)";
