//! Manipulates databases and checks that the verifier reports each manipulation.

use db_testing::TestDatabase;
use mysql_async::prelude::Queryable;
use workload::History;

use crate::system::{System, connect, copy, history};

/// Manipulation: the query that selects a row, the statements that change it, and the rule that they violate.
struct Manipulation {
    /// Query for the row's ID and the text with which a finding must name the row.
    row: &'static str,
    /// Statements in which `{}` is replaced with the ID.
    change: &'static [&'static str],
    rule: &'static str,
}

const fn manipulation(row: &'static str, change: &'static [&'static str], rule: &'static str) -> Manipulation {
    Manipulation { row, change, rule }
}

const KEYED: &str =
    "SELECT id, CONCAT('order ', id) FROM orders WHERE create_key LIKE 'load-%' ORDER BY id DESC LIMIT 1";
const UNKEYED: &str = "SELECT id, CONCAT('order ', id) FROM orders WHERE create_key IS NULL ORDER BY id DESC LIMIT 1";
const KEY: &str = "SELECT id, create_key FROM orders WHERE create_key LIKE 'load-%' ORDER BY id DESC LIMIT 1";
const REFERENCE: &str = "SELECT id, external_reference FROM orders WHERE create_key IS NULL ORDER BY id DESC LIMIT 1";
const UNKNOWN: &str = "SELECT id, 'unknown order' FROM orders WHERE create_key LIKE 'load-%' ORDER BY id DESC LIMIT 1";
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

const EXISTS: &str = "an acknowledged order exists";
const CONFIRMED_ONCE: &str = "an order whose confirmation was acknowledged was confirmed exactly once";
const SAGA_EXISTS: &str = "an order acknowledged by the orchestrator exists";
const ADJUSTED: &str = "an acknowledged adjustment is applied once";

const DUPLICATE: &str = "INSERT INTO orders (customer_id, status, total_cents, external_reference, created_at, create_principal) \
     SELECT customer_id, status, total_cents, external_reference, created_at, create_principal FROM orders WHERE id = {}";
const DUPLICATE_EVENT: &str = "INSERT INTO order_events (order_id, to_status, principal, correlation_id, created_at) \
     SELECT LAST_INSERT_ID(), to_status, principal, correlation_id, created_at FROM order_events \
     WHERE order_id = {} AND from_status IS NULL";
const DUPLICATE_ITEMS: &str = "INSERT INTO order_items (order_id, product_id, sku, name, qty, unit_price_cents, subtotal_cents) \
     SELECT (SELECT MAX(id) FROM orders), product_id, sku, name, qty, unit_price_cents, subtotal_cents \
     FROM order_items WHERE order_id = {}";
const CANCEL: &str = "UPDATE orders SET status = 'CANCELED', canceled_at = created_at WHERE id = {}";
const CANCEL_EVENT: &str = "INSERT INTO order_events (order_id, from_status, to_status, principal, correlation_id, created_at) \
     VALUES ({}, 'CONFIRMED', 'CANCELED', 'service', 'x', '2026-01-01')";
const EXPIRY_EVENT: &str = "INSERT INTO order_events (order_id, from_status, to_status, principal, correlation_id, created_at) \
     VALUES ({}, 'CREATED', 'CANCELED', 'system:expiry', 'x', '2026-01-01')";
const CONFIRM_EVENT: &str = "INSERT INTO order_events (order_id, from_status, to_status, principal, correlation_id, created_at) \
     VALUES ({}, 'CREATED', 'CONFIRMED', 'service', 'x', '2026-01-01')";

const MANIPULATIONS: &[Manipulation] = &[
    manipulation(KEYED, &["DELETE FROM orders WHERE id = {}"], EXISTS),
    manipulation(KEYED, &["UPDATE orders SET total_cents = total_cents + 1 WHERE id = {}"], EXISTS),
    manipulation(KEYED, &["UPDATE orders SET customer_id = customer_id + 1 WHERE id = {}"], EXISTS),
    manipulation(KEYED, &["DELETE FROM order_items WHERE order_id = {}"], EXISTS),
    manipulation(
        UNKEYED,
        &["UPDATE order_items SET qty = qty + 1, subtotal_cents = qty * unit_price_cents WHERE order_id = {}"],
        EXISTS,
    ),
    manipulation(UNKEYED, &["UPDATE orders SET external_reference = 'another' WHERE id = {}"], EXISTS),
    manipulation(
        KEYED,
        &["UPDATE orders SET create_key = 'another' WHERE id = {}"],
        "an order is recorded under the caller and idempotency key",
    ),
    manipulation(
        KEYED,
        &["UPDATE orders SET create_principal = 'operator:bob' WHERE id = {}"],
        "an order is recorded under the caller and idempotency key",
    ),
    manipulation(KEY, &[DUPLICATE], "at most one order is created per idempotency key"),
    manipulation(REFERENCE, &[DUPLICATE], "without a key, each acknowledged create request creates one order"),
    manipulation(
        UNKNOWN,
        &[
            DUPLICATE,
            DUPLICATE_ITEMS,
            "UPDATE orders SET external_reference = 'unknown order' ORDER BY id DESC LIMIT 1",
        ],
        "every order for the load's products was requested by a client",
    ),
    manipulation(
        KEYED,
        &["UPDATE orders SET version = 0 WHERE id = {}"],
        "an order has the newest version that was returned",
    ),
    manipulation(CONFIRMED, &["UPDATE orders SET status = 'CREATED' WHERE id = {}"], CONFIRMED_ONCE),
    manipulation(
        CONFIRMED,
        &["DELETE FROM order_events WHERE order_id = {} AND to_status = 'CONFIRMED'"],
        CONFIRMED_ONCE,
    ),
    manipulation(
        CONFIRMED,
        &["UPDATE orders SET confirmed_at = confirmed_at + INTERVAL 1 MICROSECOND WHERE id = {}"],
        "an order has the confirmation time that was acknowledged",
    ),
    manipulation(CONFIRMED, &[CANCEL, CANCEL_EVENT], "a confirmed order is canceled only by a cancel"),
    manipulation(CONFIRMED, &[CANCEL, EXPIRY_EVENT], "an order whose confirmation was acknowledged does not expire"),
    manipulation(CREATED, &[CANCEL, EXPIRY_EVENT], "only an order created by a service expires"),
    manipulation(
        CREATED,
        &["UPDATE orders SET status = 'CONFIRMED' WHERE id = {}", CONFIRM_EVENT],
        "an order is confirmed only by a request from a client",
    ),
    manipulation(
        CANCELED,
        &["UPDATE orders SET status = 'CONFIRMED' WHERE id = {}"],
        "an order whose cancellation was acknowledged was canceled exactly once",
    ),
    manipulation(SAGA, &["DELETE FROM orders WHERE id = {}"], SAGA_EXISTS),
    manipulation(SAGA, &["UPDATE orders SET total_cents = total_cents + 1 WHERE id = {}"], SAGA_EXISTS),
    manipulation(SAGA, &["UPDATE orders SET status = 'CREATED' WHERE id = {}"], CONFIRMED_ONCE),
    manipulation(
        SAGA_KEY,
        &[DUPLICATE, DUPLICATE_EVENT],
        "the orchestrator creates at most one order per idempotency key",
    ),
    manipulation(ADJUSTMENT, &["DELETE FROM stock_movements WHERE id = {}"], ADJUSTED),
    manipulation(ADJUSTMENT, &["UPDATE stock_movements SET delta = delta + 1 WHERE id = {}"], ADJUSTED),
    manipulation(
        ADJUSTMENT,
        &["INSERT INTO stock_movements (product_id, delta, reason, reference, principal) \
           SELECT product_id, delta, reason, reference, principal FROM stock_movements WHERE id = {}"],
        ADJUSTED,
    ),
    manipulation(
        PRODUCT,
        &["UPDATE products SET stock = stock + 1 WHERE id = {}"],
        "a product's stock is the initial stock",
    ),
    manipulation(
        PRODUCT,
        &["UPDATE products SET price_cents = price_cents + 100000 WHERE id = {}"],
        "a product has the price of the last acknowledged change",
    ),
    manipulation(
        PRODUCT,
        &["UPDATE products SET version = 0 WHERE id = {}"],
        "a product has the newest version that was returned",
    ),
    manipulation(CUSTOMER, &["DELETE FROM customers WHERE id = {}"], "an acknowledged customer exists"),
    manipulation(
        CUSTOMER,
        &["UPDATE customers SET name = 'another' WHERE id = {}"],
        "a customer has the content of the last acknowledged change",
    ),
    manipulation(
        CUSTOMER,
        &["UPDATE customers SET deleted_at = created_at WHERE id = {}"],
        "a customer whose deletion was acknowledged is deleted, and no other",
    ),
    manipulation(
        DELETED,
        &["UPDATE customers SET deleted_at = NULL WHERE id = {}"],
        "a customer whose deletion was acknowledged is deleted, and no other",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_manipulation_is_reported() {
    let system = System::start().await;
    let history = history(&system.targets, 6, 700).await;
    let copied = copy(&system.database).await;
    assert_eq!(history.verify(copied.url()).await.unwrap(), [] as [String; 0]);
    for manipulation in MANIPULATIONS {
        let (row, found) = findings_after(manipulation, &copied, &history).await;
        let named = found.iter().any(|finding| finding.starts_with(manipulation.rule) && names(finding, &row));
        assert!(named, "{:?} of {row} does not violate “{}”: {found:#?}", manipulation.change, manipulation.rule);
    }
}

/// Applies a manipulation to a copy. Returns the row's name and the findings.
async fn findings_after(
    manipulation: &Manipulation,
    copied: &TestDatabase,
    history: &History,
) -> (String, Vec<String>) {
    let tampered = copy(copied).await;
    let mut connection = connect(&tampered).await;
    let row = connection.query_first(manipulation.row).await.unwrap();
    let (id, name): (u64, String) = row.unwrap_or_else(|| panic!("no row: {}", manipulation.row));
    connection.query_drop("SET SESSION foreign_key_checks = 0").await.unwrap();
    for statement in manipulation.change {
        connection.query_drop(statement.replace("{}", &id.to_string())).await.unwrap();
    }
    connection.disconnect().await.unwrap();
    (name, history.verify(tampered.url()).await.unwrap())
}

/// Returns whether a finding names a row. For example, `order 27` does not name `order 2`.
fn names(finding: &str, row: &str) -> bool {
    finding.split(row).skip(1).any(|rest| !rest.starts_with(|next: char| next.is_ascii_digit()))
}
