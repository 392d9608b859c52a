//! Transactions whose futures are dropped at any point: at BEGIN, while waiting for a row lock, at COMMIT.

use std::time::Duration;

use db::idempotency::{self, Acquisition, RequestKey, ResponseToStore};
use db::{Db, DbError};
use db_testing::TestDatabase;
use diesel_async::SimpleAsyncConnection;
use futures::stream::{self, StreamExt};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::timeout;

use crate::support::{ROWS, execute, number};

const TRANSACTIONS: usize = 300;
const CONNECTIONS: usize = 3;
const HOUR: Duration = Duration::from_secs(3600);

/// Decrements the stock of product 1, once per `n`.
async fn decrement_once(db: &Db, n: usize) -> Result<(), DbError> {
    let key = format!("k{n}");
    let request = RequestKey { scope: "test", principal: "test", key: &key, request_hash: [1; 32] };
    db.transaction(async |connection| match idempotency::acquire(connection, &request, &rand::random(), HOUR).await? {
        Acquisition::Found(_) => Ok(()),
        Acquisition::Acquired => {
            connection.batch_execute("UPDATE products SET stock = stock - 1 WHERE id = 1").await?;
            let response = ResponseToStore { status: 200, body: b"{}", target_type: "unit", target_id: 1 };
            idempotency::completion([(request, response)]).run(connection).await
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_transactions_are_atomic_and_their_connections_are_not_reused() {
    let database = TestDatabase::create().await;
    let mut settings = database.settings().clone();
    settings.max_connections = CONNECTIONS;
    let db = Db::connect(&settings);
    execute(&db, ROWS).await.unwrap();
    execute(&db, "UPDATE products SET stock = 1000 WHERE id = 1").await.unwrap();
    let seed = rand::random();
    eprintln!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let delays: Vec<_> = (0..TRANSACTIONS).map(|_| Duration::from_micros(rng.random_range(0..8000))).collect();
    let dropped = stream::iter(delays.into_iter().enumerate()).map(async |(n, delay)| {
        // Lock the row during every tenth transaction.
        let mut blocker = database.connection().await;
        if n % 10 == 0 {
            blocker.batch_execute("BEGIN; UPDATE products SET stock = stock WHERE id = 1").await.unwrap();
        }
        timeout(delay, decrement_once(&db, n)).await.is_err()
    });
    let dropped =
        dropped.buffer_unordered(CONNECTIONS + 1).filter(|dropped| std::future::ready(*dropped)).count().await;
    assert!(dropped > 0, "no transaction was dropped before its end");
    // An open transaction would block LOCK TABLES.
    let tables = "idempotency_keys WRITE, products WRITE";
    let mut connection = database.connection().await;
    connection.batch_execute(&format!("SET lock_wait_timeout = 5; LOCK TABLES {tables}; UNLOCK TABLES")).await.unwrap();
    let done = number(&db, "SELECT COUNT(*) FROM idempotency_keys WHERE status = 'completed'").await;
    assert_eq!(number(&db, "SELECT COUNT(*) FROM idempotency_keys").await, done);
    assert_eq!(number(&db, "SELECT stock FROM products WHERE id = 1").await, 1000 - done);
    let retries = stream::iter(0..TRANSACTIONS).map(|n| decrement_once(&db, n)).buffer_unordered(CONNECTIONS * 2);
    assert!(retries.all(|result| std::future::ready(result.is_ok())).await);
    assert_eq!(number(&db, "SELECT stock FROM products WHERE id = 1").await, 1000 - 300);
    let status = db.status();
    assert_eq!((status.idle, status.waiting), (status.open, 0), "{status:?}");
    assert!(status.open <= CONNECTIONS, "{status:?}");
}
