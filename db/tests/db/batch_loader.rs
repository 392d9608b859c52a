//! Batch loader: concurrent requests get their rows with few statements.

use db::{BatchLoader, Connection, DbError};
use db_testing::TestDatabase;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use futures::FutureExt;
use futures::future::join_all;

use crate::support::{ROWS, execute};

async fn names(connection: &mut Connection, ids: Vec<i64>) -> Result<Vec<(i64, String)>, DbError> {
    use db::schema::products::dsl::{id, name, products};
    assert!(ids.len().is_power_of_two(), "{ids:?}");
    Ok(products.filter(id.eq_any(ids)).select((id, name)).load(connection).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_requests_share_statements() {
    let database = TestDatabase::create().await;
    let db = database.db();
    execute(db, ROWS).await.unwrap();
    let loader = BatchLoader::new(db.clone(), |connection, ids| names(connection, ids).boxed());
    let rows = join_all((0..300).map(|n| loader.load_one(n % 4)));
    for (n, row) in rows.await.into_iter().enumerate() {
        let expected = [None, Some("A"), Some("B"), Some("C")][n % 4];
        assert_eq!(row.unwrap().as_deref(), expected);
    }
    // Separate statements would use all 16 connections.
    assert!(db.status().open < 8, "{} connections served 300 requests", db.status().open);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failed_batch_each_request_sends_its_own_statement() {
    async fn fail_batches(connection: &mut Connection, ids: Vec<i64>) -> Result<Vec<(i64, String)>, DbError> {
        if ids.len() > 1 { Err(DbError::Timeout) } else { names(connection, ids).await }
    }
    let database = TestDatabase::create().await;
    let db = database.db();
    execute(db, ROWS).await.unwrap();
    let loader = BatchLoader::new(db.clone(), |connection, ids| fail_batches(connection, ids).boxed());
    let rows = join_all((1..=3).cycle().take(60).map(|id| loader.load_one(id))).await;
    assert!(rows.into_iter().all(|row| row.unwrap().is_some()));
}
