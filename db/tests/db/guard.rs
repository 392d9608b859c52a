//! Connection pool and guard: no response reaches the wrong caller, and dead connections are closed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use db::{Connection, DatabaseSettings, Db, DbError, TransactionError};
use db_testing::TestDatabase;
use diesel_async::SimpleAsyncConnection;
use futures::future::join_all;
use tokio::net::TcpListener;
use tokio::sync::Barrier;
use tokio::time::{Instant, timeout};

use crate::support::{ROWS, execute, number, number_on};

fn with_connections(database: &TestDatabase, count: usize) -> Db {
    let mut settings = database.settings().clone();
    settings.max_connections = count;
    Db::connect(&settings)
}

#[tokio::test]
async fn response_of_a_dropped_query_does_not_reach_the_next_caller() {
    let database = TestDatabase::create().await;
    let db = with_connections(&database, 1);
    for microseconds in (0..400).step_by(8) {
        let dropped = db.run(async |connection| number_on(connection, "SELECT 7").await);
        let _ = timeout(Duration::from_micros(microseconds), dropped).await;
        assert_eq!(number(&db, "SELECT 8").await, 8);
        assert_eq!(number(&db, "SELECT 9").await, 9);
    }
}

#[tokio::test]
async fn dropped_transaction_is_rolled_back() {
    let database = TestDatabase::create().await;
    let db = with_connections(&database, 1);
    execute(&db, ROWS).await.unwrap();
    for microseconds in (0..2000).step_by(40) {
        let dropped = db.transaction::<(), DbError>(async |connection| {
            connection.batch_execute("UPDATE products SET stock = 1 WHERE id = 1").await?;
            std::future::pending().await
        });
        let _ = timeout(Duration::from_micros(microseconds), dropped).await;
        // Fails with a lock timeout if the connection of the dropped transaction stays open.
        execute(&db, "UPDATE products SET stock = stock + 1 WHERE id = 1").await.unwrap();
    }
    assert_eq!(number(&db, "SELECT stock FROM products WHERE id = 1").await, 150);
}

#[tokio::test]
async fn connections_lost_while_idle_are_replaced() {
    let database = TestDatabase::create().await;
    let db = with_connections(&database, 16);
    execute(&db, ROWS).await.unwrap();
    let read = async || number(&db, "SELECT 25").await;
    let write = async || {
        let update = "UPDATE products SET stock = stock - 1 WHERE id = 1";
        db.transaction::<_, DbError>(async |connection| Ok(connection.batch_execute(update).await?)).await.unwrap();
    };
    kill_all_connections(&database, &db).await;
    for _ in 0..25 {
        assert_eq!(read().await, 25);
    }
    for _ in 0..5 {
        write().await;
    }
    kill_all_connections(&database, &db).await;
    for _ in 0..5 {
        write().await;
    }
    kill_all_connections(&database, &db).await;
    tokio::join!(join_all((0..40).map(|_| read())), join_all((0..40).map(|_| write())));
    assert_eq!(number(&db, "SELECT stock FROM products WHERE id = 1").await, 100 - 50);
}

/// Opens all connections of the pool and kills them, as a server restart would.
async fn kill_all_connections(database: &TestDatabase, db: &Db) {
    let barrier = Barrier::new(db.status().max);
    let open = (0..db.status().max).map(|_| {
        db.run(async |connection| {
            let id = number_on(connection, "SELECT CONNECTION_ID()").await?;
            barrier.wait().await;
            Ok(id)
        })
    });
    let ids = join_all(open).await;
    assert_eq!(db.status().idle, db.status().max);
    let mut killer = database.connection().await;
    for id in ids {
        let kill = format!("KILL {}", id.unwrap());
        killer.batch_execute(&kill).await.unwrap();
        // Wait until the session is gone.
        while killer.batch_execute(&kill).await.is_ok() {}
    }
}

#[tokio::test]
async fn read_fails_after_losing_its_connection_twice() {
    let database = TestDatabase::create().await;
    let db = with_connections(&database, 2);
    let attempts = AtomicUsize::new(0);
    let read = db.run(async |connection| {
        attempts.fetch_add(1, Ordering::Relaxed);
        let id = number_on(connection, "SELECT CONNECTION_ID()").await?;
        execute(database.db(), &format!("KILL {id}")).await?;
        number_on(connection, "SELECT SLEEP(5)").await
    });
    assert!(matches!(read.await, Err(DbError::Unavailable { .. })));
    assert_eq!(attempts.into_inner(), 2);
}

#[tokio::test]
async fn connection_is_reused_after_a_statement_error() {
    let database = TestDatabase::create().await;
    let db = with_connections(&database, 1);
    let id = number(&db, "SELECT CONNECTION_ID()").await;
    execute(&db, "SELECT no_such_column FROM products").await.unwrap_err();
    let refused = db.transaction::<(), DbError>(async |connection| {
        Ok(connection.batch_execute("SELECT no_such_column FROM products").await?)
    });
    refused.await.unwrap_err();
    assert_eq!(number(&db, "SELECT CONNECTION_ID()").await, id);
    assert_eq!(db.status().open, 1);
}

#[tokio::test]
async fn connection_with_an_open_transaction_is_not_reused() {
    let database = TestDatabase::create().await;
    let db = with_connections(&database, 1);
    let id = number(&db, "SELECT CONNECTION_ID()").await;
    db.run(async |connection| {
        use diesel_async::{AsyncConnection, TransactionManager};
        <Connection as AsyncConnection>::TransactionManager::begin_transaction(connection).await?;
        Ok(())
    })
    .await
    .unwrap();
    assert_ne!(number(&db, "SELECT CONNECTION_ID()").await, id);
}

#[tokio::test]
async fn slow_operation_times_out() {
    let database = TestDatabase::create().await;
    let db = with_connections(&database, 1);
    let started = Instant::now();
    let error = execute(&db, "DO SLEEP(15)").await.unwrap_err();
    assert!(matches!(error, DbError::Timeout), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(12));
    assert_eq!(number(&db, "SELECT 5").await, 5);
}

#[tokio::test]
async fn caller_deadline_limits_waits_for_connections_and_responses() {
    let database = TestDatabase::create().await;
    let db = with_connections(&database, 1);
    let soon = || db.until(std::time::Instant::now() + Duration::from_millis(200));
    let busy = tokio::spawn({
        let db = db.clone();
        async move { execute(&db, "DO SLEEP(2)").await }
    });
    while db.status().open == 0 {
        tokio::task::yield_now().await;
    }
    assert!(matches!(execute(&soon(), "DO 1").await, Err(DbError::Timeout)));
    let begun = soon().transaction::<(), DbError>(async |_| Ok(())).await;
    assert!(matches!(begun, Err(DbError::Timeout)), "{begun:?}");
    assert!(!busy.is_finished(), "the deadline must expire while waiting for the connection");
    busy.await.unwrap().unwrap();
    let slow = async |connection: &mut Connection| Ok(connection.batch_execute("DO SLEEP(20)").await?);
    assert!(matches!(soon().run(slow).await, Err(DbError::Timeout)));
    assert!(matches!(soon().transaction::<(), DbError>(slow).await, Err(DbError::Timeout)));
    assert_eq!(number(&db, "SELECT 5").await, 5, "callers without a deadline are not affected");
}

#[tokio::test]
async fn wait_for_a_connection_is_limited_to_five_seconds() {
    let database = TestDatabase::create().await;
    let db = with_connections(&database, 1);
    let busy = tokio::spawn({
        let db = db.clone();
        async move { execute(&db, "DO SLEEP(6)").await }
    });
    while db.status().open == 0 {
        tokio::task::yield_now().await;
    }
    let error = execute(&db, "DO 1").await.unwrap_err();
    assert!(error.to_string().contains("no connection became free within 5 seconds"), "{error}");
    busy.await.unwrap().unwrap();
}

#[tokio::test]
async fn down_server_is_unavailable_and_silent_server_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let db = Db::connect(&DatabaseSettings::from_url(&format!("mysql://root@127.0.0.1:{port}/x")).unwrap());
    let started = Instant::now();
    assert!(matches!(db.check_writable().await, Err(DbError::Timeout)));
    assert!(started.elapsed() < Duration::from_millis(900));
    drop(listener);
    assert!(matches!(db.check_writable().await, Err(DbError::Unavailable { .. })));
}

#[tokio::test]
async fn sessions_have_the_required_settings() {
    let database = TestDatabase::create().await;
    let db = database.db();
    db.check_writable().await.unwrap();
    assert_eq!(number(db, "SELECT @@innodb_lock_wait_timeout").await, 1);
    assert_eq!(number(db, "SELECT @@time_zone = '+00:00'").await, 1);
    assert_eq!(
        number(db, "SELECT @@character_set_client = 'utf8mb4' AND @@character_set_results = 'utf8mb4'").await,
        1
    );
    assert_eq!(number(db, "SELECT @@sql_mode LIKE '%STRICT_TRANS_TABLES%'").await, 1);
    let mut session = database.connection().await;
    session.batch_execute("START TRANSACTION").await.unwrap();
    assert_eq!(number_on(&mut session, "SELECT COUNT(*) FROM products").await.unwrap(), 0);
    execute(db, ROWS).await.unwrap();
    assert_eq!(number_on(&mut session, "SELECT COUNT(*) FROM products").await.unwrap(), 3, "READ COMMITTED");
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_that_borrow_can_be_spawned() {
    #[derive(Debug)]
    enum AppError {
        Db(DbError),
        Empty,
    }
    impl From<DbError> for AppError {
        fn from(error: DbError) -> Self {
            Self::Db(error)
        }
    }
    impl TransactionError for AppError {
        fn as_db(&self) -> Option<&DbError> {
            match self {
                Self::Db(error) => Some(error),
                Self::Empty => None,
            }
        }
    }
    async fn count(connection: &mut Connection, name: &str, ids: &[i64]) -> Result<usize, AppError> {
        db::clock::now(connection).await?;
        if name.is_empty() { Err(AppError::Empty) } else { Ok(ids.len()) }
    }
    let database = TestDatabase::create().await;
    let db = database.db().clone();
    let task = tokio::spawn(async move {
        let (name, ids) = (String::from("x"), vec![1, 2]);
        let read = db.run(async |connection| Ok(count(connection, &name, &ids).await.is_ok())).await?;
        let written = db.transaction(async |connection| count(connection, &name, &ids).await).await?;
        assert!(matches!(
            db.transaction(async |connection| count(connection, "", &ids).await).await,
            Err(AppError::Empty)
        ));
        Ok::<_, AppError>((read, written))
    });
    assert_eq!(task.await.unwrap().unwrap(), (true, 2));
}
