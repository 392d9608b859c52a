//! A database in which something was changed behind the clients' backs: the judgement names it.

use db_testing::TestDatabase;
use mysql_async::prelude::Queryable;
use workload::History;

use crate::system::{System, connect, copy, history};

/// One lie: which row to take, what is done to it, and which rule it breaks.
struct Tampering {
    /// Gives its id, and what a finding has to call it.
    row: &'static str,
    /// `{}` is the id.
    change: &'static [&'static str],
    rule: &'static str,
}

const fn tampering(row: &'static str, change: &'static [&'static str], rule: &'static str) -> Tampering {
    Tampering { row, change, rule }
}

const KEYED: &str =
    "SELECT id, CONCAT('order ', id) FROM orders WHERE create_key LIKE 'load-%' ORDER BY id DESC LIMIT 1";
const UNKEYED: &str = "SELECT id, CONCAT('order ', id) FROM orders WHERE create_key IS NULL ORDER BY id DESC LIMIT 1";
const KEY: &str = "SELECT id, create_key FROM orders WHERE create_key LIKE 'load-%' ORDER BY id DESC LIMIT 1";
const REFERENCE: &str = "SELECT id, external_reference FROM orders WHERE create_key IS NULL ORDER BY id DESC LIMIT 1";
const STRANGER: &str = "SELECT id, 'a stranger' FROM orders WHERE create_key LIKE 'load-%' ORDER BY id DESC LIMIT 1";
const SAGA_KEY: &str = "SELECT orders.id, SUBSTRING_INDEX(correlation_id, '/', 1) FROM orders \
     JOIN order_events ON order_id = orders.id AND to_status = 'CREATED' \
     WHERE external_reference IS NULL ORDER BY orders.id DESC LIMIT 1";
const SAGA: &str = "SELECT id, CONCAT('order ', id) FROM orders WHERE external_reference IS NULL AND status = 'CONFIRMED' ORDER BY id DESC LIMIT 1";
const CREATED: &str = "SELECT id, CONCAT('order ', id) FROM orders WHERE create_principal LIKE 'operator:%' AND status = 'CREATED' ORDER BY id DESC LIMIT 1";
const CONFIRMED: &str = "SELECT id, CONCAT('order ', id) FROM orders WHERE external_reference IS NOT NULL AND status = 'CONFIRMED' ORDER BY id DESC LIMIT 1";
const CANCELED: &str = "SELECT id, CONCAT('order ', id) FROM orders WHERE status = 'CANCELED' ORDER BY id DESC LIMIT 1";
const ADJUSTMENT: &str =
    "SELECT id, reference FROM stock_movements WHERE reference LIKE 'load-%' ORDER BY id DESC LIMIT 1";
const PRODUCT: &str = "SELECT id, CONCAT('product ', id) FROM products ORDER BY id DESC LIMIT 1";
const CUSTOMER: &str = "SELECT id, CONCAT('customer ', id) FROM customers WHERE deleted_at IS NULL AND name LIKE 'load-%' ORDER BY id DESC LIMIT 1";
const DELETED: &str =
    "SELECT id, CONCAT('customer ', id) FROM customers WHERE deleted_at IS NOT NULL ORDER BY id DESC LIMIT 1";

const THERE: &str = "an order that was acknowledged exists";
const CONFIRMED_ONCE: &str = "an order whose confirmation was acknowledged was confirmed exactly once";
const SAGA_THERE: &str = "an order that the orchestrator acknowledged exists";
const ADJUSTED: &str = "an acknowledged adjustment is made once";

const AGAIN: &str = "INSERT INTO orders (customer_id, status, total_cents, external_reference, created_at, create_principal) \
     SELECT customer_id, status, total_cents, external_reference, created_at, create_principal FROM orders WHERE id = {}";
const AGAIN_EVENT: &str = "INSERT INTO order_events (order_id, to_status, principal, correlation_id, created_at) \
     SELECT LAST_INSERT_ID(), to_status, principal, correlation_id, created_at FROM order_events \
     WHERE order_id = {} AND from_status IS NULL";
const AGAIN_ITEMS: &str = "INSERT INTO order_items (order_id, product_id, sku, name, qty, unit_price_cents, subtotal_cents) \
     SELECT (SELECT MAX(id) FROM orders), product_id, sku, name, qty, unit_price_cents, subtotal_cents \
     FROM order_items WHERE order_id = {}";
const CANCEL: &str = "UPDATE orders SET status = 'CANCELED', canceled_at = created_at WHERE id = {}";
const CANCEL_EVENT: &str = "INSERT INTO order_events (order_id, from_status, to_status, principal, correlation_id, created_at) \
     VALUES ({}, 'CONFIRMED', 'CANCELED', 'service', 'x', '2026-01-01')";
const EXPIRY_EVENT: &str = "INSERT INTO order_events (order_id, from_status, to_status, principal, correlation_id, created_at) \
     VALUES ({}, 'CREATED', 'CANCELED', 'system:expiry', 'x', '2026-01-01')";
const CONFIRM_EVENT: &str = "INSERT INTO order_events (order_id, from_status, to_status, principal, correlation_id, created_at) \
     VALUES ({}, 'CREATED', 'CONFIRMED', 'service', 'x', '2026-01-01')";

const TAMPERINGS: &[Tampering] = &[
    tampering(KEYED, &["DELETE FROM orders WHERE id = {}"], THERE),
    tampering(KEYED, &["UPDATE orders SET total_cents = total_cents + 1 WHERE id = {}"], THERE),
    tampering(KEYED, &["UPDATE orders SET customer_id = customer_id + 1 WHERE id = {}"], THERE),
    tampering(KEYED, &["DELETE FROM order_items WHERE order_id = {}"], THERE),
    tampering(
        UNKEYED,
        &["UPDATE order_items SET qty = qty + 1, subtotal_cents = qty * unit_price_cents WHERE order_id = {}"],
        THERE,
    ),
    tampering(UNKEYED, &["UPDATE orders SET external_reference = 'another' WHERE id = {}"], THERE),
    tampering(
        KEYED,
        &["UPDATE orders SET create_key = 'another' WHERE id = {}"],
        "an order is recorded under the caller and the key",
    ),
    tampering(
        KEYED,
        &["UPDATE orders SET create_principal = 'operator:bob' WHERE id = {}"],
        "an order is recorded under the caller and the key",
    ),
    tampering(KEY, &[AGAIN], "at most one order is made under one key"),
    tampering(REFERENCE, &[AGAIN], "without a key, each acknowledged create makes one order"),
    tampering(
        STRANGER,
        &[AGAIN, AGAIN_ITEMS, "UPDATE orders SET external_reference = 'a stranger' ORDER BY id DESC LIMIT 1"],
        "every order of the load's products was asked for",
    ),
    tampering(KEYED, &["UPDATE orders SET version = 0 WHERE id = {}"], "an order is at the last version that was told"),
    tampering(CONFIRMED, &["UPDATE orders SET status = 'CREATED' WHERE id = {}"], CONFIRMED_ONCE),
    tampering(CONFIRMED, &["DELETE FROM order_events WHERE order_id = {} AND to_status = 'CONFIRMED'"], CONFIRMED_ONCE),
    tampering(
        CONFIRMED,
        &["UPDATE orders SET confirmed_at = confirmed_at + INTERVAL 1 MICROSECOND WHERE id = {}"],
        "an order was confirmed at the moment that was told",
    ),
    tampering(CONFIRMED, &[CANCEL, CANCEL_EVENT], "a confirmed order ends only by a cancel"),
    tampering(CONFIRMED, &[CANCEL, EXPIRY_EVENT], "an order whose confirmation was acknowledged does not expire"),
    tampering(CREATED, &[CANCEL, EXPIRY_EVENT], "only an order of a service expires"),
    tampering(
        CREATED,
        &["UPDATE orders SET status = 'CONFIRMED' WHERE id = {}", CONFIRM_EVENT],
        "an order is confirmed only where a client asked for it",
    ),
    tampering(
        CANCELED,
        &["UPDATE orders SET status = 'CONFIRMED' WHERE id = {}"],
        "an order whose cancellation was acknowledged is canceled for good",
    ),
    tampering(SAGA, &["DELETE FROM orders WHERE id = {}"], SAGA_THERE),
    tampering(SAGA, &["UPDATE orders SET total_cents = total_cents + 1 WHERE id = {}"], SAGA_THERE),
    tampering(SAGA, &["UPDATE orders SET status = 'CREATED' WHERE id = {}"], CONFIRMED_ONCE),
    tampering(SAGA_KEY, &[AGAIN, AGAIN_EVENT], "at most one order is ever made under one key of the orchestrator"),
    tampering(ADJUSTMENT, &["DELETE FROM stock_movements WHERE id = {}"], ADJUSTED),
    tampering(ADJUSTMENT, &["UPDATE stock_movements SET delta = delta + 1 WHERE id = {}"], ADJUSTED),
    tampering(
        ADJUSTMENT,
        &["INSERT INTO stock_movements (product_id, delta, reason, reference, principal) \
           SELECT product_id, delta, reason, reference, principal FROM stock_movements WHERE id = {}"],
        ADJUSTED,
    ),
    tampering(
        PRODUCT,
        &["UPDATE products SET stock = stock + 1 WHERE id = {}"],
        "a product's stock is the first stock",
    ),
    tampering(
        PRODUCT,
        &["UPDATE products SET price_cents = price_cents + 100000 WHERE id = {}"],
        "the price of a product is that of the last",
    ),
    tampering(
        PRODUCT,
        &["UPDATE products SET version = 0 WHERE id = {}"],
        "a product is at the last version that was told",
    ),
    tampering(CUSTOMER, &["DELETE FROM customers WHERE id = {}"], "a customer that was acknowledged exists"),
    tampering(
        CUSTOMER,
        &["UPDATE customers SET name = 'another' WHERE id = {}"],
        "a customer is as the last acknowledged change made it",
    ),
    tampering(
        CUSTOMER,
        &["UPDATE customers SET deleted_at = created_at WHERE id = {}"],
        "a customer whose deletion was acknowledged is gone, and no other",
    ),
    tampering(
        DELETED,
        &["UPDATE customers SET deleted_at = NULL WHERE id = {}"],
        "a customer whose deletion was acknowledged is gone, and no other",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_changed_behind_the_clients_backs_is_named() {
    let system = System::start().await;
    let history = history(&system.targets, 6, 700).await;
    let copied = copy(&system.database).await;
    assert_eq!(history.verify(copied.url()).await.unwrap(), [] as [String; 0]);
    for tampering in TAMPERINGS {
        let (row, found) = after(tampering, &copied, &history).await;
        let named = found.iter().any(|finding| finding.starts_with(tampering.rule) && names(finding, &row));
        assert!(named, "{:?} of {row} broke no rule “{}”: {found:#?}", tampering.change, tampering.rule);
    }
}

/// What the tampered row is called, and what is found of it.
async fn after(tampering: &Tampering, copied: &TestDatabase, history: &History) -> (String, Vec<String>) {
    let tampered = copy(copied).await;
    let mut connection = connect(&tampered).await;
    let row = connection.query_first(tampering.row).await.unwrap();
    let (id, name): (u64, String) = row.unwrap_or_else(|| panic!("no row: {}", tampering.row));
    connection.query_drop("SET SESSION foreign_key_checks = 0").await.unwrap();
    for statement in tampering.change {
        connection.query_drop(statement.replace("{}", &id.to_string())).await.unwrap();
    }
    connection.disconnect().await.unwrap();
    (name, history.verify(tampered.url()).await.unwrap())
}

/// `order 2` is not named by `order 27`.
fn names(finding: &str, row: &str) -> bool {
    finding.split(row).skip(1).any(|rest| !rest.starts_with(|next: char| next.is_ascii_digit()))
}
