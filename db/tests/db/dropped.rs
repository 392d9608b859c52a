//! Transactions whose future is dropped in the middle of anything: at BEGIN, while they wait for a row, at COMMIT.

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

/// Takes a piece of a product, once per number.
async fn take_a_piece(db: &Db, n: usize) -> Result<(), DbError> {
    let key = format!("k{n}");
    let request = RequestKey { scope: "test", principal: "test", key: &key, request_hash: [1; 32] };
    db.transaction(async |connection| match idempotency::acquire(connection, &request, &rand::random(), HOUR).await? {
        Acquisition::Found(_) => Ok(()),
        Acquisition::Acquired => {
            connection.batch_execute("UPDATE products SET stock = stock - 1 WHERE id = 1").await?;
            let response = ResponseToStore { status: 200, body: b"{}", target_type: "piece", target_id: 1 };
            idempotency::completion([(request, response)]).run(connection).await
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_is_dropped_anywhere_happened_or_did_not_and_leaves_its_connection_to_nobody() {
    let database = TestDatabase::create().await;
    let mut settings = database.settings().clone();
    settings.max_connections = CONNECTIONS;
    let db = Db::connect(&settings);
    execute(&db, ROWS).await.unwrap();
    execute(&db, "UPDATE products SET stock = 1000 WHERE id = 1").await.unwrap();
    let seed = rand::random();
    eprintln!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let moments: Vec<_> = (0..TRANSACTIONS).map(|_| Duration::from_micros(rng.random_range(0..8000))).collect();
    let dropped = stream::iter(moments.into_iter().enumerate()).map(async |(n, moment)| {
        // Now and then the row is locked meanwhile.
        let mut in_the_way = database.connection().await;
        if n % 10 == 0 {
            in_the_way.batch_execute("BEGIN; UPDATE products SET stock = stock WHERE id = 1").await.unwrap();
        }
        timeout(moment, take_a_piece(&db, n)).await.is_err()
    });
    let dropped =
        dropped.buffer_unordered(CONNECTIONS + 1).filter(|dropped| std::future::ready(*dropped)).count().await;
    assert!(dropped > 0, "not one was dropped in its middle");
    // An open transaction would keep the tables from being locked.
    let tables = "idempotency_keys WRITE, products WRITE";
    let mut connection = database.connection().await;
    connection.batch_execute(&format!("SET lock_wait_timeout = 5; LOCK TABLES {tables}; UNLOCK TABLES")).await.unwrap();
    let done = number(&db, "SELECT COUNT(*) FROM idempotency_keys WHERE status = 'completed'").await;
    assert_eq!(number(&db, "SELECT COUNT(*) FROM idempotency_keys").await, done);
    assert_eq!(number(&db, "SELECT stock FROM products WHERE id = 1").await, 1000 - done);
    let come_back = stream::iter(0..TRANSACTIONS).map(|n| take_a_piece(&db, n)).buffer_unordered(CONNECTIONS * 2);
    assert!(come_back.all(|result| std::future::ready(result.is_ok())).await);
    assert_eq!(number(&db, "SELECT stock FROM products WHERE id = 1").await, 1000 - 300);
    let status = db.status();
    assert_eq!((status.idle, status.waiting), (status.open, 0), "{status:?}");
    assert!(status.open <= CONNECTIONS, "{status:?}");
}
