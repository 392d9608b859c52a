//! Retries, rollbacks and ambiguous commits.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use db::{Connection, DatabaseSettings, Db, DbError};
use db_testing::TestDatabase;
use diesel_async::SimpleAsyncConnection;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;
use tokio::time::Instant;
use url::Url;

use crate::support::{ROWS, execute, number};

async fn decrement(connection: &mut Connection, product: i64) -> Result<(), DbError> {
    let sql = format!("UPDATE products SET stock = stock - 1 WHERE id = {product}");
    Ok(connection.batch_execute(&sql).await?)
}

#[tokio::test]
async fn deadlocked_transactions_both_succeed() {
    let database = TestDatabase::create().await;
    let db = database.db();
    execute(db, ROWS).await.unwrap();
    let barrier = Barrier::new(2);
    let attempts = AtomicUsize::new(0);
    let run = async |first: i64, second: i64| {
        db.transaction::<_, DbError>(async |connection| {
            let attempt = attempts.fetch_add(1, Ordering::Relaxed);
            decrement(connection, first).await?;
            if attempt < 2 {
                barrier.wait().await;
            }
            decrement(connection, second).await
        })
        .await
    };
    let (one, two) = tokio::join!(run(1, 2), run(2, 1));
    one.unwrap();
    two.unwrap();
    assert_eq!(attempts.into_inner(), 3, "exactly one retry");
    assert_eq!(number(db, "SELECT MIN(stock) * 1000 + MAX(stock) FROM products WHERE id < 3").await, 98_098);
}

#[tokio::test]
async fn lock_timeout_rolls_back_before_the_retry() {
    let database = TestDatabase::create().await;
    let db = database.db();
    execute(db, ROWS).await.unwrap();
    let mut holder = database.connection().await;
    holder.batch_execute("START TRANSACTION; UPDATE products SET stock = 50 WHERE id = 2").await.unwrap();
    let holder = tokio::sync::Mutex::new(holder);
    let attempts = AtomicUsize::new(0);
    db.transaction::<_, DbError>(async |connection| {
        if attempts.fetch_add(1, Ordering::Relaxed) == 1 {
            holder.lock().await.batch_execute("ROLLBACK").await?;
        }
        decrement(connection, 1).await?;
        decrement(connection, 2).await
    })
    .await
    .unwrap();
    assert_eq!(attempts.into_inner(), 2);
    assert_eq!(number(db, "SELECT MIN(stock) * 1000 + MAX(stock) FROM products WHERE id < 3").await, 99_099);
}

#[tokio::test]
async fn permanent_deadlock_is_reported_after_six_attempts() {
    let database = TestDatabase::create().await;
    let attempts = AtomicUsize::new(0);
    let error = database
        .db()
        .transaction::<(), DbError>(async |_| {
            attempts.fetch_add(1, Ordering::Relaxed);
            Err(DbError::Deadlock)
        })
        .await
        .unwrap_err();
    assert!(matches!(error, DbError::Deadlock));
    assert_eq!(attempts.into_inner(), 6);
}

#[tokio::test]
async fn other_errors_roll_back_and_are_not_retried() {
    let database = TestDatabase::create().await;
    let db = database.db();
    execute(db, ROWS).await.unwrap();
    let attempts = AtomicUsize::new(0);
    let error = db
        .transaction::<(), DbError>(async |connection| {
            attempts.fetch_add(1, Ordering::Relaxed);
            decrement(connection, 1).await?;
            Err(DbError::KeyInProgress)
        })
        .await
        .unwrap_err();
    assert!(matches!(error, DbError::KeyInProgress));
    assert_eq!(attempts.into_inner(), 1);
    assert_eq!(number(db, "SELECT stock FROM products WHERE id = 1").await, 100);
}

#[tokio::test]
async fn connection_loss_before_commit_is_unavailable() {
    let database = TestDatabase::create().await;
    let db = database.db();
    execute(db, ROWS).await.unwrap();
    let attempts = AtomicUsize::new(0);
    let error = db
        .transaction::<(), DbError>(async |connection| {
            attempts.fetch_add(1, Ordering::Relaxed);
            decrement(connection, 1).await?;
            let id = crate::support::number_on(connection, "SELECT CONNECTION_ID()").await?;
            execute(db, &format!("KILL {id}")).await?;
            decrement(connection, 2).await
        })
        .await
        .unwrap_err();
    assert!(matches!(error, DbError::Unavailable { .. }), "{error:?}");
    assert_eq!(attempts.into_inner(), 1, "sent work must not be retried");
    assert_eq!(number(db, "SELECT SUM(stock) FROM products").await, 300);
}

#[tokio::test]
async fn transaction_time_limit_includes_the_wait_for_a_connection() {
    let database = TestDatabase::create().await;
    let mut settings = database.settings().clone();
    settings.max_connections = 1;
    let db = Db::connect(&settings);
    let started = Instant::now();
    let busy = execute(&db, "DO SLEEP(4)");
    let pending = async {
        // Wait until the other task has the connection.
        while db.status().open == 0 {
            tokio::task::yield_now().await;
        }
        db.transaction::<(), DbError>(async |_| std::future::pending().await).await
    };
    let (busy, pending) = tokio::join!(busy, pending);
    busy.unwrap();
    assert!(matches!(pending, Err(DbError::Timeout)), "{pending:?}");
    let elapsed = started.elapsed();
    assert!((Duration::from_secs(10)..Duration::from_secs(12)).contains(&elapsed), "{elapsed:?}");
}

#[tokio::test]
async fn unacknowledged_commit_has_unknown_outcome() {
    for forward_commit in [true, false] {
        let database = TestDatabase::create().await;
        execute(database.db(), ROWS).await.unwrap();
        let db = Db::connect(&behind_proxy(&database, forward_commit).await);
        let result = db.transaction::<(), DbError>(async |connection| decrement(connection, 1).await).await;
        assert!(matches!(result, Err(DbError::OutcomeUnknown)), "{result:?}");
        let stock = number(database.db(), "SELECT stock FROM products WHERE id = 1 FOR UPDATE").await;
        assert_eq!(stock, if forward_commit { 99 } else { 100 });
    }
}

/// Starts a proxy that closes the connection at COMMIT, either after forwarding COMMIT and receiving the response, or
/// instead of forwarding it.
async fn behind_proxy(database: &TestDatabase, forward_commit: bool) -> DatabaseSettings {
    let server = Url::parse(database.url()).unwrap();
    let target = (server.host_str().unwrap().to_owned(), server.port().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut url = server.clone();
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
    tokio::spawn(async move {
        let (client, _) = listener.accept().await.unwrap();
        forward(client, TcpStream::connect(target).await.unwrap(), forward_commit).await;
    });
    DatabaseSettings::from_url(url.as_str()).unwrap()
}

async fn forward(mut client: TcpStream, mut server: TcpStream, forward_commit: bool) {
    let (mut up, mut down) = ([0; 4096], [0; 4096]);
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let length = read.unwrap();
                let bytes = &up[..length];
                let commit = bytes.ends_with(b"\x03COMMIT");
                if length == 0 || (commit && !forward_commit) {
                    return;
                }
                server.write_all(bytes).await.unwrap();
                if commit {
                    assert!(server.read(&mut down).await.unwrap() > 0);
                    return;
                }
            }
            read = server.read(&mut down) => {
                let length = read.unwrap();
                client.write_all(&down[..length]).await.unwrap();
            }
        }
    }
}
