//! Small valid database with orders in every status, reached through every possible transition.

use db_testing::TestDatabase;
use diesel_async::SimpleAsyncConnection;

/// Rows of the database. Of the orders created by user accounts, order 1 is CREATED, order 4 is CANCELED, and order 5
/// was CANCELED after it was CONFIRMED. Of the orders created by the service, order 2 is CREATED and order 3 is
/// CONFIRMED.
const ROWS: &str = r#"
SET @t = UTC_TIMESTAMP(6) - INTERVAL 1 DAY;

INSERT INTO customers (id, name, email, email_key, deleted_at) VALUES
    (1, 'Acme Tools', 'Ops@acme.example', 'ops@acme.example', NULL),
    (2, 'Gone Goods', 'ops@acme.example', NULL, @t),
    (3, 'Écrins', 'Ops@xn--acm-dma.example', 'ops@acmé.example', NULL);
INSERT INTO customer_prefixes (customer_id, prefix) VALUES (1, 'a'), (1, 'acme'), (1, 'tools'), (1, 'ops'), (1, 'example');
INSERT INTO products (id, sku, name, price_cents, stock) VALUES (1, 'A-1', 'Alpha Lamp', 100, 97), (2, 'B-2', 'Écru Box', 50, 46);
INSERT INTO product_prefixes (product_id, prefix) VALUES (1, 'alpha'), (1, 'lamp'), (1, 'a'), (2, 'ecru');

INSERT INTO orders (id, customer_id, status, total_cents, created_at, confirmed_at, canceled_at, reserved_until, version,
    create_principal, create_key, create_hash) VALUES
    (1, 1, 'CREATED', 200, @t, NULL, NULL, NULL, 1, 'operator:ann', NULL, NULL),
    (2, 1, 'CREATED', 150, @t, NULL, NULL, UTC_TIMESTAMP(6) - INTERVAL 20 SECOND, 1, 'service', 's2', REPEAT('2', 32)),
    (3, 1, 'CONFIRMED', 150, @t, @t + INTERVAL 1 SECOND, NULL, NULL, 2, 'service', 's3', REPEAT('3', 32)),
    (4, 2, 'CANCELED', 500, @t, NULL, @t + INTERVAL 1 HOUR, NULL, 2, 'operator:ann', 'o4', REPEAT('4', 32)),
    (5, 1, 'CANCELED', 400, @t, @t + INTERVAL 1 SECOND, @t + INTERVAL 601 SECOND, NULL, 3, 'operator:ann', NULL, NULL);
INSERT INTO order_items (order_id, product_id, sku, name, qty, unit_price_cents, subtotal_cents) VALUES
    (1, 1, 'A-1', 'Alpha Lamp', 2, 100, 200),
    (2, 1, 'A-1', 'Alpha Lamp', 1, 100, 100), (2, 2, 'B-2', 'Écru Box', 1, 50, 50),
    (3, 2, 'B-2', 'Écru Box', 3, 50, 150),
    (4, 1, 'A-1', 'Alpha Lamp', 5, 100, 500),
    (5, 1, 'A-1', 'Alpha Lamp', 4, 100, 400);
INSERT INTO order_events (order_id, from_status, to_status, principal, correlation_id, created_at) VALUES
    (1, NULL, 'CREATED', 'operator:ann', 'c', @t),
    (2, NULL, 'CREATED', 'service', 'c', @t),
    (3, NULL, 'CREATED', 'service', 'c', @t),
    (4, NULL, 'CREATED', 'operator:ann', 'c', @t),
    (5, NULL, 'CREATED', 'operator:ann', 'c', @t),
    (3, 'CREATED', 'CONFIRMED', 'service', 'c', @t + INTERVAL 1 SECOND),
    (5, 'CREATED', 'CONFIRMED', 'operator:bob', 'c', @t + INTERVAL 1 SECOND),
    (4, 'CREATED', 'CANCELED', 'operator:bob', 'c', @t + INTERVAL 1 HOUR),
    (5, 'CONFIRMED', 'CANCELED', 'operator:bob', 'c', @t + INTERVAL 601 SECOND);
INSERT INTO stock_movements (product_id, delta, reason, order_id, principal) VALUES
    (1, 90, 'initial', NULL, 'operator:ann'), (2, 50, 'initial', NULL, 'operator:ann'),
    (1, 10, 'delivery', NULL, 'operator:ann'),
    (1, 1, 'order ', NULL, 'operator:ann'), (1, -1, 'cancel ', NULL, 'operator:ann'),
    (1, 1, 'initial ', NULL, 'operator:ann'), (1, -1, 'Initial', NULL, 'operator:ann'),
    (1, -2, 'order', 1, 'operator:ann'),
    (1, -1, 'order', 2, 'service'), (2, -1, 'order', 2, 'service'),
    (2, -3, 'order', 3, 'service'),
    (1, -5, 'order', 4, 'operator:ann'), (1, -4, 'order', 5, 'operator:ann'),
    (1, 5, 'cancel', 4, 'operator:bob'), (1, 4, 'cancel', 5, 'operator:bob');
INSERT INTO idempotency_keys (scope, principal, `key`, nonce, request_hash, status, target_type, target_id,
    response_status, response_body, created_at, expires_at) VALUES
    ('order.create', 'service', 's2', REPEAT('n', 16), REPEAT('2', 32), 'completed', 'order', 2, 201,
        '{"id":2,"status":"CREATED"}', @t, @t + INTERVAL 3 DAY),
    ('order.create', 'service', 's3', REPEAT('n', 16), REPEAT('3', 32), 'completed', 'order', 3, 201,
        '{"id":3,"status":"CREATED"}', @t, @t + INTERVAL 3 DAY),
    ('order.create', 'operator:ann', 'o4', REPEAT('n', 16), REPEAT('4', 32), 'completed', 'order', 4, 201,
        '{"id":4,"status":"CREATED"}', @t, @t + INTERVAL 3 DAY),
    ('order.confirm', 'service', 'c3', REPEAT('n', 16), REPEAT('h', 32), 'completed', 'order', 3, 200,
        '{"id":3,"status":"CONFIRMED"}', @t, @t + INTERVAL 3 DAY),
    ('order.cancel', 'operator:bob', 'x4', REPEAT('n', 16), REPEAT('h', 32), 'completed', 'order', 4, 200,
        '{"id":4,"status":"CANCELED"}', @t, @t),
    ('order.create', 'service', 'given up', REPEAT('n', 16), REPEAT('0', 32), 'abandoned', NULL, NULL, NULL,
        NULL, @t, @t + INTERVAL 3 DAY);
"#;

/// Creates a test database with these rows.
pub(crate) async fn create() -> TestDatabase {
    let database = TestDatabase::create().await;
    database.connection().await.batch_execute(ROWS).await.expect("cannot insert the rows");
    database
}
