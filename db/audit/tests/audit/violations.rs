//! Statements that violate each invariant in the fixture database.

/// Statements that violate an invariant.
pub(crate) struct Violation {
    /// Invariant under test.
    pub(crate) breaks: &'static str,
    /// Other invariants that the statements necessarily also violate.
    pub(crate) also: &'static [&'static str],
    pub(crate) sql: &'static str,
}

const fn violation(breaks: &'static str, sql: &'static str) -> Violation {
    Violation { breaks, also: &[], sql }
}

/// At least one violation of each invariant.
pub(crate) const VIOLATIONS: &[Violation] = &[
    violation("stock-is-ledger", "UPDATE products SET stock = 98 WHERE id = 1"),
    violation(
        "stock-is-ledger",
        "INSERT INTO products (id, sku, name, price_cents, stock) VALUES (3, 'C-3', '-', 1, 7)",
    ),
    Violation {
        breaks: "stock-not-negative",
        also: &["stock-is-ledger"],
        sql: "ALTER TABLE products DROP CONSTRAINT ck_products_stock; UPDATE products SET stock = -1 WHERE id = 1",
    },
    violation(
        "ledger-balance-not-negative",
        "INSERT INTO stock_movements (product_id, delta, reason, principal) \
         VALUES (1, -98, 'loss', 'operator:ann'), (1, 98, 'found', 'operator:ann')",
    ),
    violation(
        "initial-entry-comes-first",
        "INSERT INTO stock_movements (product_id, delta, reason, principal) VALUES (1, 0, 'initial', 'operator:ann')",
    ),
    violation(
        "entries-change-the-stock",
        "INSERT INTO stock_movements (product_id, delta, reason, principal) VALUES (1, 0, 'count', 'operator:ann')",
    ),
    violation(
        "entries-change-the-stock",
        "INSERT INTO stock_movements (product_id, delta, reason, principal) VALUES (1, 0, 'initial ', 'operator:ann')",
    ),
    violation(
        "order-entries-name-orders",
        "INSERT INTO stock_movements (product_id, delta, reason, order_id, principal) \
         VALUES (1, 1, 'found', 1, 'operator:ann'), (1, -1, 'loss', 1, 'operator:ann')",
    ),
    violation(
        "order-entries-name-orders",
        "INSERT INTO stock_movements (product_id, delta, reason, principal) \
         VALUES (1, -1, 'order', 'operator:ann'), (1, 1, 'cancel', 'operator:ann')",
    ),
    violation(
        "items-are-allocated-once",
        "UPDATE stock_movements SET delta = -3 WHERE order_id = 1; \
         UPDATE stock_movements SET delta = -4 WHERE order_id = 4 AND reason = 'order'",
    ),
    Violation {
        breaks: "items-are-allocated-once",
        also: &["stock-is-ledger", "allocations-match-live-orders"],
        sql: "DELETE FROM stock_movements WHERE order_id = 3",
    },
    violation(
        "items-are-allocated-once",
        "INSERT INTO stock_movements (product_id, delta, reason, order_id, principal) \
         VALUES (2, -1, 'order', 1, 'operator:ann'), (2, 1, 'order', 4, 'operator:ann')",
    ),
    violation(
        "canceled-items-are-restocked-once",
        "UPDATE stock_movements SET delta = 9 - delta WHERE order_id IN (4, 5) AND reason = 'cancel'",
    ),
    // The unique key on the ledger would reject this row.
    Violation {
        breaks: "canceled-items-are-restocked-once",
        also: &["stock-is-ledger", "allocations-match-live-orders"],
        sql: "ALTER TABLE stock_movements ADD KEY k (order_id), DROP INDEX uq_stock_movements_once; \
              INSERT INTO stock_movements (product_id, delta, reason, order_id, principal) \
              VALUES (1, 5, 'cancel', 4, 'operator:bob')",
    },
    violation(
        "only-canceled-items-are-restocked",
        "INSERT INTO stock_movements (product_id, delta, reason, order_id, principal) \
         VALUES (1, 2, 'cancel', 1, 'operator:bob'), (1, -2, 'cancel', 2, 'operator:bob')",
    ),
    Violation {
        breaks: "allocations-match-live-orders",
        also: &["items-are-allocated-once"],
        sql: "UPDATE order_items SET qty = 3, subtotal_cents = 300 WHERE order_id = 1; \
              UPDATE orders SET total_cents = 300 WHERE id = 1",
    },
    violation(
        "orders-have-items",
        "INSERT INTO orders (id, customer_id, total_cents, created_at, create_principal) \
         VALUES (6, 1, 0, '2026-01-01', 'operator:ann'); \
         INSERT INTO order_events (order_id, to_status, principal, correlation_id, created_at) \
         VALUES (6, 'CREATED', 'operator:ann', 'c', '2026-01-01')",
    ),
    violation(
        "subtotals-are-products",
        "ALTER TABLE order_items DROP CONSTRAINT ck_order_items_subtotal; \
         UPDATE order_items SET unit_price_cents = 9223372036854775807 WHERE order_id = 1",
    ),
    violation("totals-are-sums", "UPDATE orders SET total_cents = 201 WHERE id = 1"),
    violation(
        "orders-are-created-once",
        "DELETE FROM order_events WHERE order_id = 1; UPDATE orders SET version = 0 WHERE id = 1",
    ),
    // A second event with the same target status necessarily breaks the chain of events.
    Violation {
        breaks: "transitions-happen-once",
        also: &["events-form-a-valid-chain"],
        sql: "ALTER TABLE order_events ADD KEY k (order_id), DROP INDEX uq_order_events_once; \
              INSERT INTO order_events (order_id, from_status, to_status, principal, correlation_id, created_at) \
              SELECT order_id, 'CONFIRMED', to_status, principal, correlation_id, created_at FROM order_events \
              WHERE order_id = 3 AND to_status = 'CONFIRMED'; UPDATE orders SET version = 3 WHERE id = 3",
    },
    violation(
        "events-form-a-valid-chain",
        "UPDATE order_events SET from_status = 'CREATED' WHERE order_id = 5 AND to_status = 'CANCELED'",
    ),
    violation(
        "events-form-a-valid-chain",
        "UPDATE order_events SET from_status = NULL WHERE order_id = 3 AND to_status = 'CONFIRMED'",
    ),
    // A status that has no event has no timestamp either.
    Violation {
        breaks: "status-is-last-event",
        also: &["timestamps-match-status"],
        sql: "UPDATE orders SET status = 'CONFIRMED' WHERE id = 1",
    },
    violation("version-counts-events", "UPDATE orders SET version = 7 WHERE id = 1"),
    Violation {
        breaks: "timestamps-match-status",
        also: &["timestamps-match-events"],
        sql: "UPDATE orders SET confirmed_at = NULL WHERE id = 3",
    },
    Violation {
        breaks: "timestamps-match-status",
        also: &["timestamps-match-events"],
        sql: "UPDATE orders SET canceled_at = UTC_TIMESTAMP(6) WHERE id = 1",
    },
    violation(
        "timestamps-match-events",
        "UPDATE orders SET confirmed_at = confirmed_at + INTERVAL 1 MICROSECOND WHERE id = 3",
    ),
    violation(
        "cancellations-respect-the-window",
        "UPDATE orders SET canceled_at = canceled_at + INTERVAL 1 MICROSECOND WHERE id = 5; \
         UPDATE order_events SET created_at = created_at + INTERVAL 1 MICROSECOND \
         WHERE order_id = 5 AND to_status = 'CANCELED'",
    ),
    violation("only-created-orders-are-reserved", "UPDATE orders SET reserved_until = '2036-01-01' WHERE id = 3"),
    violation(
        "no-reservation-is-overdue",
        "UPDATE orders SET reserved_until = UTC_TIMESTAMP(6) - INTERVAL 61 SECOND WHERE id = 2",
    ),
    violation("service-orders-are-reserved", "UPDATE orders SET reserved_until = NULL WHERE id = 2"),
    violation(
        "service-orders-are-reserved",
        "UPDATE orders SET create_principal = 'service:billing', reserved_until = NULL WHERE id = 2; \
         UPDATE order_events SET principal = 'service:billing' WHERE order_id = 2; \
         UPDATE idempotency_keys SET principal = 'service:billing' WHERE `key` = 's2'",
    ),
    violation(
        "keys-create-one-order",
        "ALTER TABLE orders DROP INDEX uq_orders_create_key; \
         UPDATE orders SET create_key = 'o4', create_hash = REPEAT('4', 32) WHERE id = 1",
    ),
    violation("orders-store-their-request", "UPDATE orders SET create_key = 'k' WHERE id = 1"),
    violation(
        "orders-store-their-request",
        "UPDATE orders SET create_principal = 'service:billing', reserved_until = UTC_TIMESTAMP(6) + INTERVAL 1 HOUR \
         WHERE id = 1; UPDATE order_events SET principal = 'service:billing' WHERE order_id = 1",
    ),
    violation("creators-match-events", "UPDATE order_events SET principal = 'operator:eve' WHERE order_id = 1"),
    violation("references-exist", "SET foreign_key_checks = 0; UPDATE orders SET customer_id = 9 WHERE id = 1"),
    violation(
        "no-key-in-progress",
        "UPDATE idempotency_keys SET status = 'in_progress', target_type = NULL, target_id = NULL, \
         response_status = NULL, response_body = NULL WHERE `key` = 'c3'",
    ),
    violation("stored-responses-are-complete", "UPDATE idempotency_keys SET response_status = 409 WHERE `key` = 'c3'"),
    violation("stored-responses-are-complete", "UPDATE idempotency_keys SET response_body = NULL WHERE `key` = 's2'"),
    violation(
        "stored-responses-are-complete",
        r#"UPDATE idempotency_keys SET response_body = '{"id":2,"status":"CREA' WHERE `key` = 's2'"#,
    ),
    violation(
        "stored-responses-are-complete",
        r#"UPDATE idempotency_keys SET response_body = '{"id":3,"status":"CREATED"}' WHERE `key` = 's2'"#,
    ),
    violation(
        "stored-responses-are-complete",
        r#"UPDATE idempotency_keys SET response_body = '{"id":3,"status":"CREATED"}' WHERE `key` = 'c3'"#,
    ),
    violation(
        "create-keys-reference-orders",
        "UPDATE idempotency_keys SET request_hash = REPEAT('x', 32) WHERE `key` = 's3'",
    ),
    violation("create-keys-reference-orders", "UPDATE idempotency_keys SET `key` = 'S3' WHERE `key` = 's3'"),
    violation(
        "transition-keys-reference-events",
        r#"UPDATE idempotency_keys SET target_id = 1, response_body = '{"id":1,"status":"CONFIRMED"}' WHERE `key` = 'c3'"#,
    ),
    violation(
        "transition-keys-reference-events",
        r#"UPDATE idempotency_keys SET target_id = 3, response_body = '{"id":3,"status":"CANCELED"}' WHERE `key` = 'x4'"#,
    ),
    violation(
        "abandoned-keys-have-no-effect",
        "UPDATE idempotency_keys SET status = 'abandoned', target_type = NULL, target_id = NULL, \
         response_status = NULL, response_body = NULL WHERE `key` = 's2'",
    ),
    violation(
        "abandoned-keys-have-no-effect",
        "UPDATE idempotency_keys SET response_status = 201 WHERE `key` = 'given up'",
    ),
    violation(
        "emails-are-unique",
        "ALTER TABLE customers DROP INDEX uq_customers_email_key; INSERT INTO customers (name, email, email_key) \
         VALUES ('-', 'OPS@ACME.example', 'ops@acme.example')",
    ),
    violation("email-keys-match-emails", "UPDATE customers SET email_key = NULL WHERE id = 1"),
    violation("email-keys-match-emails", "UPDATE customers SET email_key = 'Ops@acme.example' WHERE id = 1"),
    violation("names-are-searchable", "DELETE FROM product_prefixes WHERE prefix = 'alpha'"),
    violation(
        "names-are-searchable",
        "UPDATE customers SET name = 'Tool Example' WHERE id = 1; DELETE FROM customer_prefixes",
    ),
    violation("prefixes-occur-in-names", "INSERT INTO customer_prefixes (customer_id, prefix) VALUES (2, 'gone')"),
    violation("prefixes-occur-in-names", "INSERT INTO product_prefixes (product_id, prefix) VALUES (1, 'gamma')"),
    violation("compared-texts-end-visibly", "UPDATE products SET sku = 'A-1 ' WHERE id = 1"),
    violation("compared-texts-end-visibly", "UPDATE order_events SET principal = 'operator:ann ' WHERE order_id = 1"),
    violation("compared-texts-end-visibly", "UPDATE idempotency_keys SET target_type = 'order ' WHERE `key` = 's2'"),
];
