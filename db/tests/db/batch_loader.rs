//! Rows that are requested at the same time: each request gets its row, and few statements are sent.

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
async fn each_request_gets_its_row_and_most_share_a_statement() {
    let database = TestDatabase::create().await;
    let db = database.db();
    execute(db, ROWS).await.unwrap();
    let loader = BatchLoader::new(db.clone(), |connection, ids| names(connection, ids).boxed());
    let asked = join_all((0..300).map(|n| loader.load_one(n % 4)));
    for (n, row) in asked.await.into_iter().enumerate() {
        let expected = [None, Some("A"), Some("B"), Some("C")][n % 4];
        assert_eq!(row.unwrap().as_deref(), expected);
    }
    // Alone each of them would have taken a connection, of which there are 16.
    assert!(db.status().open < 8, "{} connections served 300 questions", db.status().open);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failed_statement_each_request_sends_its_own() {
    async fn only_alone(connection: &mut Connection, ids: Vec<i64>) -> Result<Vec<(i64, String)>, DbError> {
        if ids.len() > 1 { Err(DbError::Timeout) } else { names(connection, ids).await }
    }
    let database = TestDatabase::create().await;
    let db = database.db();
    execute(db, ROWS).await.unwrap();
    let loader = BatchLoader::new(db.clone(), |connection, ids| only_alone(connection, ids).boxed());
    let asked = join_all((1..=3).cycle().take(60).map(|id| loader.load_one(id))).await;
    assert!(asked.into_iter().all(|row| row.unwrap().is_some()));
}
