//! Idempotency keys: each request takes effect at most once and always gets the same response.

use std::time::Duration;

use db::idempotency::{
    Abandoned, Acquisition, Nonce, RequestKey, ResponseToStore, StoredOutcome, StoredResponses, abandon, acquire,
    acquire_all, completion, held_by_others, reap, release,
};
use db::{Connection, Db, DbError};
use db_testing::TestDatabase;
use diesel_async::SimpleAsyncConnection;
use futures::future::join_all;

use crate::support::{ROWS, execute, number};

const RETENTION: Duration = Duration::from_secs(3600);
const CONFIRM: RequestKey<'static> =
    RequestKey { scope: "order_confirm", principal: "operator:ann", key: "k-1", request_hash: [7; 32] };

const OTHER: RequestKey<'static> = RequestKey { request_hash: [8; 32], ..CONFIRM };

fn response_to_store(body: &[u8]) -> ResponseToStore<'_> {
    ResponseToStore { status: 201, body, target_type: "order", target_id: 42 }
}

fn stored_response(body: &[u8]) -> StoredOutcome {
    StoredOutcome::Response { status: 201, body: body.to_vec(), target_id: Some(42), by_this_request: false }
}

/// Acquires the key and, if it was free, decrements the stock and stores a response.
async fn request(db: &Db, key: RequestKey<'_>) -> Result<Acquisition, DbError> {
    request_as(db, key, &rand::random()).await
}

async fn request_as(db: &Db, key: RequestKey<'_>, nonce: &Nonce) -> Result<Acquisition, DbError> {
    db.transaction(async |connection| work(connection, &key, nonce).await).await
}

async fn work(connection: &mut Connection, key: &RequestKey<'_>, nonce: &Nonce) -> Result<Acquisition, DbError> {
    let acquired = acquire(connection, key, nonce, RETENTION).await?;
    if acquired == Acquisition::Acquired {
        connection.batch_execute("UPDATE products SET stock = stock - 1 WHERE id = 1").await?;
        completion([(*key, response_to_store(b"{\"id\":42}"))]).run(connection).await?;
    }
    Ok(acquired)
}

async fn abandon_key(db: &Db, key: RequestKey<'_>) -> Abandoned {
    db.transaction(async |connection| abandon(connection, &key, RETENTION).await).await.unwrap()
}

async fn find(db: &Db, key: RequestKey<'_>) -> Option<StoredOutcome> {
    StoredResponses::new(db.clone()).find(&key, &rand::random()).await.unwrap()
}

async fn prepared() -> TestDatabase {
    let database = TestDatabase::create().await;
    execute(database.db(), ROWS).await.unwrap();
    database
}

async fn stock(db: &Db) -> i64 {
    number(db, "SELECT stock FROM products WHERE id = 1").await
}

#[tokio::test]
async fn second_request_gets_the_stored_response() {
    let database = prepared().await;
    let db = database.db();
    assert_eq!(find(db, CONFIRM).await, None);
    assert_eq!(request(db, CONFIRM).await.unwrap(), Acquisition::Acquired);
    assert_eq!(request(db, CONFIRM).await.unwrap(), Acquisition::Found(stored_response(b"{\"id\":42}")));
    assert_eq!(find(db, CONFIRM).await, Some(stored_response(b"{\"id\":42}")));
    assert_eq!(stock(db).await, 99);
}

#[tokio::test]
async fn same_key_different_request_is_rejected() {
    let database = prepared().await;
    let other = RequestKey { request_hash: [8; 32], ..CONFIRM };
    request(database.db(), CONFIRM).await.unwrap();
    assert_eq!(request(database.db(), other).await.unwrap(), Acquisition::Found(StoredOutcome::Reused));
    assert_eq!(find(database.db(), other).await, Some(StoredOutcome::Reused));
}

#[tokio::test]
async fn keys_are_distinct_by_operation_caller_and_case() {
    let database = prepared().await;
    request(database.db(), CONFIRM).await.unwrap();
    for other in [
        RequestKey { scope: "order_create", ..CONFIRM },
        RequestKey { principal: "operator:bob", ..CONFIRM },
        RequestKey { key: "K-1", ..CONFIRM },
    ] {
        assert_eq!(request(database.db(), other).await.unwrap(), Acquisition::Acquired, "{other:?}");
    }
}

#[tokio::test]
async fn concurrent_requests_take_effect_once() {
    let database = prepared().await;
    let db = database.db();
    let results = join_all((0..64).map(|_| request(db, CONFIRM))).await;
    let outcomes = results.into_iter().collect::<Result<Vec<_>, _>>().unwrap();
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Acquisition::Acquired).count(), 1);
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Acquisition::Acquired)
        || *outcome == Acquisition::Found(stored_response(b"{\"id\":42}"))));
    assert_eq!(stock(db).await, 99);
}

#[tokio::test]
async fn request_recognises_its_own_stored_response() {
    let database = prepared().await;
    let db = database.db();
    let (nonce, other) = ([1; 16], [2; 16]);
    assert_eq!(request_as(db, CONFIRM, &nonce).await.unwrap(), Acquisition::Acquired);
    for (nonce, expected) in [(nonce, true), (other, false)] {
        let stored = StoredResponses::new(db.clone()).find(&CONFIRM, &nonce).await.unwrap();
        let Acquisition::Found(acquired) = request_as(db, CONFIRM, &nonce).await.unwrap() else {
            panic!("executed twice")
        };
        for found in [stored.unwrap(), acquired] {
            assert!(
                matches!(found, StoredOutcome::Response { status: 201, by_this_request, .. } if by_this_request == expected),
                "{found:?}"
            );
        }
    }
    assert_eq!(stock(db).await, 99);
}

#[tokio::test]
async fn failed_request_leaves_its_key_free() {
    let database = prepared().await;
    let db = database.db();
    let failed = db.transaction::<(), DbError>(async |connection| {
        work(connection, &CONFIRM, &rand::random()).await?;
        Err(DbError::Timeout)
    });
    failed.await.unwrap_err();
    assert_eq!(request(db, CONFIRM).await.unwrap(), Acquisition::Acquired);
    assert_eq!(stock(db).await, 99);
}

#[tokio::test]
async fn expired_response_is_ignored_and_replaced() {
    let database = prepared().await;
    let db = database.db();
    request(db, CONFIRM).await.unwrap();
    execute(db, "UPDATE idempotency_keys SET expires_at = UTC_TIMESTAMP(6)").await.unwrap();
    let other = RequestKey { request_hash: [8; 32], ..CONFIRM };
    assert_eq!(find(db, other).await, None);
    let results = join_all((0..16).map(|_| request(db, other))).await;
    assert_eq!(results.iter().filter(|result| matches!(result, Ok(Acquisition::Acquired))).count(), 1, "{results:?}");
    assert_eq!(find(db, CONFIRM).await, Some(StoredOutcome::Reused));
    assert_eq!(stock(db).await, 98);
}

#[tokio::test]
async fn key_held_too_long_is_in_progress() {
    let database = prepared().await;
    let db = database.db();
    let mut holder = database.connection().await;
    holder.batch_execute("START TRANSACTION").await.unwrap();
    assert_eq!(acquire(&mut holder, &CONFIRM, &rand::random(), RETENTION).await.unwrap(), Acquisition::Acquired);
    let started = std::time::Instant::now();
    assert!(matches!(request(db, CONFIRM).await, Err(DbError::KeyInProgress)));
    let waited = started.elapsed();
    assert!(waited > Duration::from_millis(500) && waited < Duration::from_secs(4), "{waited:?}");
    assert_eq!(find(db, CONFIRM).await, None, "a plain read does not wait");
    let abandoned = db.transaction(async |connection| abandon(connection, &CONFIRM, RETENTION).await).await;
    assert!(matches!(abandoned, Err(DbError::KeyInProgress)));
    holder.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(request(db, CONFIRM).await.unwrap(), Acquisition::Acquired);
}

#[tokio::test]
async fn abandoned_key_is_rejected_for_every_request() {
    let database = prepared().await;
    let db = database.db();
    for _ in 0..2 {
        assert_eq!(abandon_key(db, CONFIRM).await, Abandoned::Tombstone);
    }
    for (late, expected) in [(CONFIRM, StoredOutcome::Abandoned), (OTHER, StoredOutcome::Reused)] {
        assert_eq!(request(db, late).await.unwrap(), Acquisition::Found(expected.clone()));
        assert_eq!(find(db, late).await, Some(expected));
    }
    assert_eq!(stock(db).await, 100);
}

#[tokio::test]
async fn abandoning_a_completed_request_returns_its_target() {
    let database = prepared().await;
    let db = database.db();
    request(db, CONFIRM).await.unwrap();
    assert_eq!(abandon_key(db, CONFIRM).await, Abandoned::Completed { target_id: Some(42) });
    assert_eq!(find(db, CONFIRM).await, Some(stored_response(b"{\"id\":42}")));
}

#[tokio::test]
async fn abandoning_does_not_affect_a_different_request_with_the_key() {
    let database = prepared().await;
    let db = database.db();
    request(db, CONFIRM).await.unwrap();
    assert_eq!(abandon_key(db, OTHER).await, Abandoned::Reused);
    assert_eq!(find(db, CONFIRM).await, Some(stored_response(b"{\"id\":42}")));
}

#[tokio::test]
async fn key_abandoned_by_one_request_is_rejected_for_another() {
    let database = prepared().await;
    let db = database.db();
    abandon_key(db, CONFIRM).await;
    assert_eq!(abandon_key(db, OTHER).await, Abandoned::Reused);
    assert_eq!(find(db, CONFIRM).await, Some(StoredOutcome::Abandoned));
}

#[tokio::test]
async fn no_response_is_stored_for_a_key_that_was_not_acquired() {
    let database = prepared().await;
    let completed = database
        .db()
        .transaction(async |connection| completion([(CONFIRM, response_to_store(b"{}"))]).run(connection).await);
    completed.await.unwrap();
    assert_eq!(find(database.db(), CONFIRM).await, None);
}

#[tokio::test]
async fn keys_are_acquired_and_released_in_batches() {
    let database = prepared().await;
    let db = database.db();
    request(db, CONFIRM).await.unwrap();
    let [free, released] = ["k-2", "k-0"].map(|key| RequestKey { key, ..CONFIRM });
    let requests = [free, CONFIRM, released].map(|request| (request, rand::random()));
    let acquired = db.transaction(async |connection| {
        let acquired = acquire_all(connection, &requests, RETENTION).await?;
        completion([(free, response_to_store(b"{}"))]).run(connection).await?;
        release(connection, &[released]).await?;
        Ok::<_, DbError>(acquired)
    });
    assert_eq!(
        acquired.await.unwrap(),
        [Acquisition::Acquired, Acquisition::Found(stored_response(b"{\"id\":42}")), Acquisition::Acquired]
    );
    assert_eq!(find(db, free).await, Some(stored_response(b"{}")));
    assert_eq!(request(db, released).await.unwrap(), Acquisition::Acquired);
}

#[tokio::test]
async fn keys_held_by_other_transactions_are_refused_at_once_and_named() {
    let database = prepared().await;
    let db = database.db();
    let [held, completed, expired, free, stored] =
        ["held", "completed", "expired", "free", "stored"].map(|key| RequestKey { key, ..CONFIRM });
    for key in [expired, stored] {
        request(db, key).await.unwrap();
    }
    execute(db, "UPDATE idempotency_keys SET expires_at = UTC_TIMESTAMP(6) WHERE `key` = 'expired'").await.unwrap();
    let mut holder = database.connection().await;
    holder.batch_execute("START TRANSACTION").await.unwrap();
    for key in [held, completed, expired] {
        acquire(&mut holder, &key, &rand::random(), RETENTION).await.unwrap();
    }
    completion([(completed, response_to_store(b"{}"))]).run(&mut holder).await.unwrap();
    let acquire_keys = async |keys: &[RequestKey<'_>]| {
        let requests = Vec::from_iter(keys.iter().map(|key| (*key, rand::random())));
        // In no transaction, which would be retried.
        db.run(async |connection| acquire_all(connection, &requests, RETENTION).await).await
    };
    for key in [held, completed, expired] {
        let started = std::time::Instant::now();
        let refused = acquire_keys(&[free, key, stored]).await;
        assert!(matches!(refused, Err(DbError::LockTimeout)), "{refused:?}");
        assert!(started.elapsed() < Duration::from_millis(500), "{key:?}");
    }
    assert_eq!(acquire_keys(&[free, stored]).await.unwrap()[0], Acquisition::Acquired);
    let all = [held, completed, expired, free, stored];
    let named = async || db.run(async |connection| held_by_others(connection, &all).await).await.unwrap();
    let expected = [held, completed, expired].map(|key| (key.principal.to_owned(), key.key.to_owned()));
    assert_eq!(named().await, expected);
    holder.batch_execute("COMMIT").await.unwrap();
    assert_eq!(named().await, []);
}

#[tokio::test]
async fn response_bodies_round_trip_unchanged() {
    let database = prepared().await;
    let db = database.db();
    let body = (0..=255).cycle().take(300_000).collect::<Vec<u8>>();
    db.transaction(async |connection| {
        acquire(connection, &CONFIRM, &rand::random(), RETENTION).await?;
        completion([(CONFIRM, response_to_store(&body))]).run(connection).await
    })
    .await
    .unwrap();
    assert_eq!(find(db, CONFIRM).await, Some(stored_response(&body)));
}

#[tokio::test]
async fn reap_deletes_only_expired_rows_in_batches() {
    let database = prepared().await;
    let db = database.db();
    request(db, CONFIRM).await.unwrap();
    let rows: Vec<String> =
        (0..2_500).map(|n| format!("('s', 'p', 'k-{n}', '', '', 'completed', NOW(6), '2026-01-01')")).collect();
    let columns = "scope, principal, `key`, nonce, request_hash, status, created_at, expires_at";
    execute(db, &format!("INSERT INTO idempotency_keys ({columns}) VALUES {}", rows.join(", "))).await.unwrap();
    assert_eq!(reap(db).await.unwrap(), 2_500);
    assert_eq!(reap(db).await.unwrap(), 0);
    assert_eq!(number(db, "SELECT COUNT(*) FROM idempotency_keys").await, 1);
}
