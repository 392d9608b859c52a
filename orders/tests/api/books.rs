//! What has to be true of the tables after anything at all, in SQL that shares nothing with the server.

use crate::harness::Harness;

/// Each query counts the rows that contradict its sentence.
const CONTRADICTIONS: [(&str, &str); 9] = [
    (
        "the stock is the sum of the ledger",
        "SELECT COUNT(*) AS n FROM products p WHERE p.stock <> \
         (SELECT COALESCE(SUM(m.delta), 0) FROM stock_movements m WHERE m.product_id = p.id)",
    ),
    ("no stock is negative", "SELECT COUNT(*) AS n FROM products WHERE stock < 0"),
    (
        "what an order's items say was taken is what the ledger says",
        "SELECT COUNT(*) AS n FROM order_items i WHERE -i.qty <> (SELECT COALESCE(SUM(m.delta), 0) FROM \
         stock_movements m WHERE m.order_id = i.order_id AND m.product_id = i.product_id AND m.reason = 'order')",
    ),
    (
        "canceled orders gave back what they took, and no others did",
        "SELECT COUNT(*) AS n FROM order_items i JOIN orders o ON o.id = i.order_id WHERE \
         IF(o.status = 'CANCELED', i.qty, 0) <> (SELECT COALESCE(SUM(m.delta), 0) FROM stock_movements m WHERE \
         m.order_id = i.order_id AND m.product_id = i.product_id AND m.reason = 'cancel')",
    ),
    (
        "the total is the sum of the items",
        "SELECT COUNT(*) AS n FROM orders o WHERE o.total_cents <> \
         (SELECT COALESCE(SUM(i.qty * i.unit_price_cents), 0) FROM order_items i WHERE i.order_id = o.id)",
    ),
    (
        "every order was created once",
        "SELECT COUNT(*) AS n FROM orders o WHERE 1 <> \
         (SELECT COUNT(*) FROM order_events e WHERE e.order_id = o.id AND e.to_status = 'CREATED')",
    ),
    (
        "the last event is where the order stands",
        "SELECT COUNT(*) AS n FROM orders o WHERE o.status <> \
         (SELECT e.to_status FROM order_events e WHERE e.order_id = o.id ORDER BY e.id DESC LIMIT 1)",
    ),
    (
        "the version counts the events",
        "SELECT COUNT(*) AS n FROM orders o WHERE o.version <> \
         (SELECT COUNT(*) FROM order_events e WHERE e.order_id = o.id)",
    ),
    ("no key is left in progress", "SELECT COUNT(*) AS n FROM idempotency_keys WHERE status = 'in_progress'"),
];

pub(crate) async fn check(harness: &Harness) {
    for (sentence, query) in CONTRADICTIONS {
        assert_eq!(harness.number(query).await, 0, "{sentence}");
    }
}
