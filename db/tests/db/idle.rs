//! Idle connections: the server ends them, and with them abandoned transactions; no caller notices.

use std::time::{Duration, Instant};

use db::{Db, DbError};
use db_testing::TestDatabase;
use diesel_async::SimpleAsyncConnection;
use tokio::time::sleep;

use crate::support::{ROWS, execute, number, other_sessions};

/// Maximum time until the server has ended an idle connection.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// A comment that only MariaDB reads: MySQL has no timeout for idle transactions.
const SHORT_TIMEOUTS: &str = "SET wait_timeout = 1 /*M!, idle_transaction_timeout = 1 */";

#[tokio::test]
async fn abandoned_transaction_ends_within_two_minutes() {
    let database = TestDatabase::create().await;
    assert_eq!(number(database.db(), "SELECT @@wait_timeout").await, 120);
    if number(database.db(), "SELECT VERSION() LIKE '%MariaDB%'").await == 1 {
        assert_eq!(number(database.db(), "SELECT @@idle_transaction_timeout").await, 60);
    }
}

#[tokio::test]
async fn silent_client_loses_its_locks() {
    let database = TestDatabase::create().await;
    execute(database.db(), ROWS).await.unwrap();
    let mut silent = database.connection().await;
    silent.batch_execute(SHORT_TIMEOUTS).await.unwrap();
    silent.batch_execute("BEGIN; UPDATE products SET stock = 1 WHERE id = 1").await.unwrap();
    let update = || execute(database.db(), "UPDATE products SET stock = stock + 5 WHERE id = 1");
    let started = Instant::now();
    while let Err(error) = update().await {
        assert!(matches!(error, DbError::LockTimeout) && started.elapsed() < MAX_WAIT, "{error:?}");
    }
    assert_eq!(number(database.db(), "SELECT stock FROM products WHERE id = 1").await, 105);
    silent.batch_execute("COMMIT").await.unwrap_err();
}

#[tokio::test]
async fn connection_that_the_server_closed_while_idle_fails_no_caller() {
    let database = TestDatabase::create().await;
    execute(database.db(), ROWS).await.unwrap();
    let mut settings = database.settings().clone();
    settings.max_connections = 1;
    let db = Db::connect(&settings);
    for is_transaction in [false, true] {
        execute(&db, SHORT_TIMEOUTS).await.unwrap();
        let id = number(&db, "SELECT CONNECTION_ID()").await;
        wait_until_closed(&database, id).await;
        let update = "UPDATE products SET stock = stock - 1 WHERE id = 1";
        if is_transaction {
            db.transaction::<_, DbError>(async |connection| Ok(connection.batch_execute(update).await?)).await.unwrap();
        } else {
            execute(&db, update).await.unwrap();
        }
    }
    assert_eq!(number(&db, "SELECT stock FROM products WHERE id = 1").await, 98);
}

async fn wait_until_closed(database: &TestDatabase, id: i64) {
    let mut observer = database.connection().await;
    let started = Instant::now();
    while other_sessions(&mut observer).await.contains(&id) {
        assert!(started.elapsed() < MAX_WAIT, "connection {id} is still open");
        sleep(Duration::from_millis(20)).await;
    }
}
