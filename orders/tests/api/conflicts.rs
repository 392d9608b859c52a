//! Transactions that meet: what one of them loses is tried again, and its caller hears of it only at the very end.

use diesel_async::SimpleAsyncConnection;
use orders_client::types::OrderStatus;

use crate::harness::{Harness, is_replay, refused_with};
use crate::invariants;

/// What the server says when a transaction has to be run again.
const COLLISIONS: [(u16, &str, &str); 3] = [
    (1213, "40001", "Deadlock found when trying to get lock; try restarting transaction"),
    (1205, "HY000", "Lock wait timeout exceeded; try restarting transaction"),
    (1020, "HY000", "Record has changed since last read in table 'order_events'"),
];

/// Lets this go wrong the first so many times on every connection: variables outlive the transaction.
fn collides(times: u32, (number, state, message): (u16, &str, &str)) -> String {
    format!(
        "CREATE TRIGGER collides BEFORE INSERT ON order_events FOR EACH ROW BEGIN \
         SET @failed = COALESCE(@failed, 0) + 1; IF @failed <= {times} THEN \
         SIGNAL SQLSTATE '{state}' SET MYSQL_ERRNO = {number}, MESSAGE_TEXT = \"{message}\"; END IF; END"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn conflicting_transaction_is_retried_transparently() {
    for collision in COLLISIONS {
        let harness = Harness::start().await;
        let a = harness.product("A", 10).await;
        let id = harness.order(&[(a, 1)]).await.id;
        harness.sql(&collides(2, collision)).await;
        let answer = harness.operator().order_confirm().id(id).x_idempotency_key("k").send().await.unwrap();
        assert_eq!((answer.version, is_replay(&answer)), (2, false), "{collision:?}");
        invariants::check(&harness).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn persistent_conflict_is_unavailable_and_leaves_nothing() {
    for collision in COLLISIONS {
        let harness = Harness::start().await;
        let a = harness.product("A", 10).await;
        let id = harness.order(&[(a, 1)]).await.id;
        harness.sql(&collides(u32::MAX, collision)).await;
        let confirm = || harness.service().order_confirm().id(id).x_idempotency_key("k").send();
        let error = refused_with(confirm().await);
        assert_eq!((error.status().as_u16(), error.error_code.as_deref()), (503, Some("unavailable")), "{collision:?}");
        assert_eq!(error.headers()["retry-after"], "1");
        assert_eq!(harness.number("SELECT COUNT(*) AS n FROM idempotency_keys").await, 0);
        harness.sql("DROP TRIGGER collides").await;
        assert!(!is_replay(&confirm().await.unwrap()));
        invariants::check(&harness).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deadlock_victim_is_retried_and_succeeds() {
    let harness = Harness::start().await;
    let a = harness.product("A", 10).await;
    let id = harness.order(&[(a, 1)]).await.id;
    let mut other = harness.database.connection().await;
    other.batch_execute(&format!("BEGIN; SELECT id FROM orders WHERE id = {id} FOR UPDATE")).await.unwrap();
    // Whoever has written less is the victim.
    let products: Vec<_> = (0..50).map(|n| format!("('other-{n}', 'Other', 1, 0)")).collect();
    let write = format!("INSERT INTO products (sku, name, price_cents, stock) VALUES {}", products.join(", "));
    other.batch_execute(&write).await.unwrap();
    let confirm = harness.operator().order_confirm().id(id).x_idempotency_key("k").send();
    let collides = async {
        harness.claimed_after(0).await;
        // It has the key and wants the order. Now somebody who has the order wants the key.
        other.batch_execute("SELECT `key` FROM idempotency_keys WHERE `key` = 'k' FOR UPDATE").await.unwrap();
        other.batch_execute("ROLLBACK").await.unwrap();
    };
    let (confirmed, ()) = tokio::join!(confirm, collides);
    let confirmed = confirmed.unwrap();
    assert_eq!((confirmed.status, confirmed.version, is_replay(&confirmed)), (OrderStatus::Confirmed, 2, false));
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lock_timeout_on_a_locked_row_only_delays_the_request() {
    let harness = Harness::start().await;
    let a = harness.product("A", 10).await;
    let id = harness.order(&[(a, 1)]).await.id;
    let mut other = harness.database.connection().await;
    other.batch_execute(&format!("BEGIN; SELECT id FROM orders WHERE id = {id} FOR UPDATE")).await.unwrap();
    let confirm = harness.operator().order_confirm().id(id).x_idempotency_key("k").send();
    let lets_go = async {
        let first = harness.claimed_after(0).await;
        // The first attempt is over, and the key was claimed by a second one.
        harness.claimed_after(first).await;
        other.batch_execute("ROLLBACK").await.unwrap();
    };
    let (confirmed, ()) = tokio::join!(confirm, lets_go);
    assert_eq!(confirmed.unwrap().version, 2);
    invariants::check(&harness).await;
}
