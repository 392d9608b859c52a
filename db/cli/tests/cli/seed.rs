//! Seeding is idempotent, and generated orders satisfy the data invariants.

use db::Db;
use db_cli::seed::{Size, seed, seed_orders};
use db_testing::TestDatabase;

use crate::support::{execute, number};

/// Returns a checksum of the seeded tables.
async fn fingerprint(db: &Db) -> i64 {
    let sums = [
        "SELECT SUM(CRC32(CONCAT_WS('|', id, name, email, email_key, phone, version, created_at, deleted_at))) FROM customers",
        "SELECT SUM(CRC32(CONCAT_WS('|', id, sku, name, price_cents, stock, version, created_at))) FROM products",
        "SELECT SUM(CRC32(CONCAT_WS('|', id, product_id, delta, reason, principal, created_at))) FROM stock_movements",
        "SELECT SUM(CRC32(CONCAT_WS('|', prefix, customer_id))) FROM customer_prefixes",
        "SELECT SUM(CRC32(CONCAT_WS('|', prefix, product_id))) FROM product_prefixes",
    ];
    let mut total = 0;
    for sum in sums {
        total = total * 3 + number(db, sum).await;
    }
    total
}

#[tokio::test]
async fn seeding_is_idempotent() {
    let database = TestDatabase::seeded().await;
    let db = database.db();
    let before = fingerprint(db).await;
    seed(db).await.unwrap();
    assert_eq!(fingerprint(db).await, before);
}

#[tokio::test]
async fn seeding_leaves_changed_rows_unchanged() {
    let database = TestDatabase::seeded().await;
    let db = database.db();
    execute(
        db,
        "UPDATE products SET stock = 3, sku = 'mine', version = 2 WHERE id = 2; \
         UPDATE customers SET email = 'a@b.example', email_key = 'a@b.example' WHERE id = 1; \
         UPDATE customers SET email_key = NULL, deleted_at = NOW(6) WHERE id = 3; \
         DELETE FROM customer_prefixes WHERE customer_id = 3; \
         INSERT INTO customers (name, email, email_key) SELECT 'Heir', email, email FROM customers WHERE id = 3",
    )
    .await
    .unwrap();
    // The new customer has no prefixes yet. The first run adds them, the second changes nothing.
    seed(db).await.unwrap();
    let before = fingerprint(db).await;
    seed(db).await.unwrap();
    assert_eq!(fingerprint(db).await, before);
    assert_eq!(number(db, "SELECT stock FROM products WHERE id = 2 AND sku = 'mine'").await, 3);
    assert_eq!(number(db, "SELECT COUNT(*) FROM customer_prefixes WHERE customer_id = 3").await, 0);
}

#[tokio::test]
async fn rows_of_the_published_examples_are_seeded() {
    let database = TestDatabase::seeded().await;
    let db = database.db();
    let count = async |sql: &str| number(db, sql).await;
    assert_eq!(
        count(
            "SELECT COUNT(*) FROM customers WHERE id = 1 AND name = 'ACME' AND email = 'ops@acme.com' AND phone <> ''"
        )
        .await,
        1
    );
    assert_eq!(count("SELECT price_cents * 10000 + stock FROM products WHERE id = 2").await, 1_299_001_000);
    assert_eq!(count("SELECT COUNT(*) FROM customers").await, 60);
    assert_eq!(count("SELECT COUNT(*) FROM products").await, 60);
    assert_eq!(count("SELECT COUNT(*) FROM customer_prefixes WHERE prefix = 'acm' AND customer_id = 1").await, 1);
    assert_eq!(count("SELECT COUNT(DISTINCT product_id) FROM product_prefixes").await, 60);
}

/// Rules, each with a query that counts the violating rows.
const RULES: [(&str, &str); 9] = [
    (
        "stock is the sum of the ledger",
        "SELECT COUNT(*) FROM products p WHERE stock <> (SELECT SUM(delta) FROM stock_movements m WHERE m.product_id = p.id)",
    ),
    (
        "one initial entry per product",
        "SELECT COUNT(*) FROM products p WHERE 1 <> (SELECT COUNT(*) FROM stock_movements m WHERE m.product_id = p.id AND reason = 'initial')",
    ),
    (
        "a total is the sum of its items",
        "SELECT COUNT(*) FROM orders o WHERE total_cents <> (SELECT SUM(subtotal_cents) FROM order_items i WHERE i.order_id = o.id)",
    ),
    (
        "every item was allocated from stock",
        "SELECT COUNT(*) FROM order_items i WHERE NOT EXISTS (SELECT 1 FROM stock_movements m WHERE m.order_id = i.order_id AND m.product_id = i.product_id AND reason = 'order' AND delta = -qty)",
    ),
    (
        "restocked if and only if canceled",
        "SELECT COUNT(*) FROM order_items i JOIN orders o ON o.id = i.order_id WHERE (status = 'CANCELED') <> EXISTS (SELECT 1 FROM stock_movements m WHERE m.order_id = i.order_id AND m.product_id = i.product_id AND reason = 'cancel' AND delta = qty)",
    ),
    (
        "the last event is the status",
        "SELECT COUNT(*) FROM orders o WHERE status <> (SELECT to_status FROM order_events e WHERE e.order_id = o.id ORDER BY id DESC LIMIT 1) OR version <> (SELECT COUNT(*) FROM order_events e WHERE e.order_id = o.id)",
    ),
    (
        "the timestamps match the status",
        "SELECT COUNT(*) FROM orders WHERE (status = 'CONFIRMED' AND (confirmed_at IS NULL OR canceled_at IS NOT NULL)) OR (status = 'CANCELED') <> (canceled_at IS NOT NULL) OR (status = 'CREATED' AND confirmed_at IS NOT NULL)",
    ),
    (
        "canceled within ten minutes",
        "SELECT COUNT(*) FROM orders WHERE canceled_at > confirmed_at + INTERVAL 10 MINUTE OR GREATEST(created_at, COALESCE(confirmed_at, created_at), COALESCE(canceled_at, created_at)) > NOW(6)",
    ),
    (
        "every customer and product can be found",
        "SELECT COUNT(*) FROM customers c WHERE NOT EXISTS (SELECT 1 FROM customer_prefixes WHERE customer_id = c.id)",
    ),
];

/// Returns the number of rows in all seeded tables.
async fn rows(db: &Db) -> i64 {
    let mut total = 0;
    for table in [
        "customers",
        "customer_prefixes",
        "products",
        "product_prefixes",
        "stock_movements",
        "orders",
        "order_items",
        "order_events",
    ] {
        total += number(db, &format!("SELECT COUNT(*) FROM {table}")).await;
    }
    total
}

#[tokio::test]
async fn generated_orders_are_valid_and_appended() {
    let database = TestDatabase::seeded().await;
    let db = database.db();
    let mut done = 0;
    let before = rows(db).await;
    let mut inserted = seed_orders(db, Size::of_orders(1500), |more| done += more).await.unwrap();
    inserted += seed_orders(db, Size { orders: 20, customers: 15, products: 0 }, |more| done += more).await.unwrap();
    assert_eq!(done, 1500 + 150 + 75 + 20 + 15 + 10);
    assert_eq!(i64::try_from(inserted).unwrap(), rows(db).await - before);
    for (rule, violations) in RULES {
        assert_eq!(number(db, violations).await, 0, "{rule}");
    }
    assert_eq!(number(db, "SELECT COUNT(*) FROM orders").await, 1520);
    assert_eq!(number(db, "SELECT COUNT(*) FROM customers").await, 60 + 150 + 15);
    assert_eq!(number(db, "SELECT COUNT(*) FROM products").await, 60 + 75 + 10);
    assert_eq!(number(db, "SELECT COUNT(DISTINCT status) FROM orders").await, 3);
    let confirmed = number(db, "SELECT COUNT(*) FROM orders WHERE status = 'CONFIRMED'").await;
    assert!((950..1180).contains(&confirmed), "{confirmed}");
}

#[tokio::test]
async fn generation_is_deterministic() {
    let mut sums = Vec::new();
    for _ in 0..2 {
        let database = TestDatabase::create().await;
        seed_orders(database.db(), Size::of_orders(200), |_| {}).await.unwrap();
        let sum =
            "SELECT SUM(CRC32(CONCAT_WS('|', id, customer_id, status, total_cents, external_reference))) FROM orders";
        sums.push(number(database.db(), sum).await);
    }
    assert_eq!(sums[0], sums[1]);
}
