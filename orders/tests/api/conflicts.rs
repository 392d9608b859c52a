//! Conflicting transactions are retried. Only a conflict that persists through all retries is reported to the caller.

use diesel_async::SimpleAsyncConnection;
use orders_client::types::OrderStatus;

use crate::harness::{Harness, expect_error, is_replay};
use crate::invariants;

/// Database errors that cause a transaction retry.
const CONFLICTS: [(u16, &str, &str); 3] = [
    (1213, "40001", "Deadlock found when trying to get lock; try restarting transaction"),
    (1205, "HY000", "Lock wait timeout exceeded; try restarting transaction"),
    (1020, "HY000", "Record has changed since last read in table 'order_events'"),
];

/// Builds a trigger that raises this error `times` times per connection. The count is a session variable, which
/// survives a rollback.
fn conflict_trigger(times: u32, (number, state, message): (u16, &str, &str)) -> String {
    format!(
        "CREATE TRIGGER raise_conflict BEFORE INSERT ON order_events FOR EACH ROW BEGIN \
         SET @failed = COALESCE(@failed, 0) + 1; IF @failed <= {times} THEN \
         SIGNAL SQLSTATE '{state}' SET MYSQL_ERRNO = {number}, MESSAGE_TEXT = \"{message}\"; END IF; END"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn conflicting_transaction_is_retried_transparently() {
    for conflict in CONFLICTS {
        let harness = Harness::start().await;
        let a = harness.product("A", 10).await;
        let id = harness.order(&[(a, 1)]).await.id;
        harness.sql(&conflict_trigger(2, conflict)).await;
        let response = harness.operator().order_confirm().id(id).x_idempotency_key("k").send().await.unwrap();
        assert_eq!((response.version, is_replay(&response)), (2, false), "{conflict:?}");
        invariants::check(&harness).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn persistent_conflict_is_unavailable_and_leaves_nothing() {
    for conflict in CONFLICTS {
        let harness = Harness::start().await;
        let a = harness.product("A", 10).await;
        let id = harness.order(&[(a, 1)]).await.id;
        harness.sql(&conflict_trigger(u32::MAX, conflict)).await;
        let confirm = || harness.service().order_confirm().id(id).x_idempotency_key("k").send();
        let error = expect_error(confirm().await);
        assert_eq!((error.status().as_u16(), error.error_code.as_deref()), (503, Some("unavailable")), "{conflict:?}");
        assert_eq!(error.headers()["retry-after"], "1");
        assert_eq!(harness.number("SELECT COUNT(*) AS n FROM idempotency_keys").await, 0);
        harness.sql("DROP TRIGGER raise_conflict").await;
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
    // InnoDB chooses the transaction with fewer changes as the victim.
    let products: Vec<_> = (0..50).map(|n| format!("('other-{n}', 'Other', 1, 0)")).collect();
    let write = format!("INSERT INTO products (sku, name, price_cents, stock) VALUES {}", products.join(", "));
    other.batch_execute(&write).await.unwrap();
    let confirm = harness.operator().order_confirm().id(id).x_idempotency_key("k").send();
    let deadlock = async {
        harness.wait_for_key_after(0).await;
        // The confirm request holds the lock on the key and waits for the order. This transaction holds the lock on the
        // order and now waits for the key.
        other.batch_execute("SELECT `key` FROM idempotency_keys WHERE `key` = 'k' FOR UPDATE").await.unwrap();
        other.batch_execute("ROLLBACK").await.unwrap();
    };
    let (confirmed, ()) = tokio::join!(confirm, deadlock);
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
    let unlock = async {
        let first = harness.wait_for_key_after(0).await;
        // The first attempt has ended, and a second one has acquired the key.
        harness.wait_for_key_after(first).await;
        other.batch_execute("ROLLBACK").await.unwrap();
    };
    let (confirmed, ()) = tokio::join!(confirm, unlock);
    assert_eq!(confirmed.unwrap().version, 2);
    invariants::check(&harness).await;
}
