//! Stock and stock ledger invariants.
//!
//! `GROUP BY product_id + 0` keeps the server from reading the ledger through its product index, which reads each row
//! from a different page. A scan in primary key order is ten times as fast when the ledger is larger than the server's
//! memory.
//!
//! A reason may be any text, so it is compared with LIKE: `=` ignores trailing spaces.

use crate::Invariant;

pub(crate) const INVARIANTS: &[Invariant] = &[
    Invariant {
        name: "stock-is-ledger",
        sentence: "The stock of a product is the sum of its ledger entries.",
        query: "
            SELECT CONCAT('product ', p.id, ': stock ', p.stock, ', ledger ', COALESCE(l.total, 0))
            FROM products p
            LEFT JOIN (
                SELECT product_id + 0 AS product_id, SUM(delta) AS total
                FROM stock_movements
                GROUP BY product_id + 0
            ) l ON l.product_id = p.id
            WHERE p.stock <> COALESCE(l.total, 0)",
    },
    Invariant {
        name: "stock-not-negative",
        sentence: "No stock is negative.",
        query: "SELECT CONCAT('product ', id, ': stock ', stock) FROM products WHERE stock < 0",
    },
    // An entry is inserted while its product's row is locked until COMMIT, so the ids of a product's entries are in
    // commit order.
    Invariant {
        name: "ledger-balance-not-negative",
        sentence: "The running balance of a product's ledger is never negative.",
        query: "
            SELECT CONCAT('product ', b.product_id, ': balance down to ', MIN(b.balance), ', from entry ', MIN(b.id))
            FROM (
                SELECT id, product_id,
                    SUM(delta) OVER (PARTITION BY product_id ORDER BY id ROWS UNBOUNDED PRECEDING) AS balance
                FROM stock_movements
            ) b
            WHERE b.balance < 0
            GROUP BY b.product_id",
    },
    // A product created without stock has no initial entry.
    Invariant {
        name: "initial-entry-comes-first",
        sentence: "A product has at most one initial ledger entry, which is its first entry and is not negative.",
        query: "
            SELECT CONCAT('product ', m.product_id, ', entry ', m.id, ': ', m.delta, ', first entry ', f.entry)
            FROM stock_movements m
            JOIN (SELECT product_id, MIN(id) AS entry FROM stock_movements GROUP BY product_id) f
                ON f.product_id = m.product_id
            WHERE m.reason LIKE 'initial' AND (m.id <> f.entry OR m.delta < 0)",
    },
    Invariant {
        name: "entries-change-the-stock",
        sentence: "Every ledger entry except the initial one changes the stock.",
        query: "
            SELECT CONCAT('product ', product_id, ', entry ', id, ': ', reason)
            FROM stock_movements
            WHERE delta = 0 AND reason NOT LIKE 'initial'",
    },
    Invariant {
        name: "order-entries-name-orders",
        sentence: "Ledger entries reference an order if and only if their reason is 'order' or 'cancel'.",
        query: "
            SELECT CONCAT('entry ', id, ': ', reason, ', order ', COALESCE(order_id, 'none'))
            FROM stock_movements
            WHERE (order_id IS NOT NULL) <> (reason LIKE 'order' OR reason LIKE 'cancel')",
    },
    Invariant {
        name: "items-are-allocated-once",
        sentence: "Each order item has exactly one 'order' ledger entry, with its quantity; \
            there are no other 'order' entries.",
        query: "
            SELECT CONCAT('order ', i.order_id, ', product ', i.product_id, ': ordered ', MAX(i.qty), ', allocated ',
                -COALESCE(SUM(m.delta), 0), ' by ', COUNT(m.id), ' entries')
            FROM order_items i
            LEFT JOIN stock_movements m
                ON m.order_id = i.order_id AND m.product_id = i.product_id AND m.reason LIKE 'order'
            GROUP BY i.order_id, i.product_id
            HAVING COUNT(m.id) <> 1 OR SUM(m.delta) <> -MAX(i.qty)
            UNION ALL
            SELECT CONCAT('order ', m.order_id, ', product ', m.product_id, ': entry ', m.id, ' without an item')
            FROM stock_movements m
            LEFT JOIN order_items i ON i.order_id = m.order_id AND i.product_id = m.product_id
            WHERE m.reason LIKE 'order' AND m.order_id IS NOT NULL AND i.order_id IS NULL",
    },
    Invariant {
        name: "canceled-items-are-restocked-once",
        sentence: "Each item of a CANCELED order has exactly one 'cancel' ledger entry, with its quantity.",
        query: "
            SELECT CONCAT('order ', i.order_id, ', product ', i.product_id, ': ordered ', MAX(i.qty), ', restocked ',
                COALESCE(SUM(m.delta), 0), ' by ', COUNT(m.id), ' entries')
            FROM orders o
            JOIN order_items i ON i.order_id = o.id
            LEFT JOIN stock_movements m
                ON m.order_id = i.order_id AND m.product_id = i.product_id AND m.reason LIKE 'cancel'
            WHERE o.status = 'CANCELED'
            GROUP BY i.order_id, i.product_id
            HAVING COUNT(m.id) <> 1 OR SUM(m.delta) <> MAX(i.qty)",
    },
    Invariant {
        name: "only-canceled-items-are-restocked",
        sentence: "Only items of CANCELED orders have 'cancel' ledger entries.",
        query: "
            SELECT CONCAT('order ', m.order_id, ' (', COALESCE(o.status, 'missing'), '), product ', m.product_id,
                ': entry ', m.id, ' restocks ', m.delta)
            FROM stock_movements m
            LEFT JOIN orders o ON o.id = m.order_id
            LEFT JOIN order_items i ON i.order_id = m.order_id AND i.product_id = m.product_id
            WHERE m.reason LIKE 'cancel' AND m.order_id IS NOT NULL
                AND (o.id IS NULL OR o.status <> 'CANCELED' OR i.order_id IS NULL)",
    },
    Invariant {
        name: "allocations-match-live-orders",
        sentence: "The quantity of a product in live orders equals its net allocation in the ledger.",
        query: "
            SELECT CONCAT('product ', p.id, ': live orders ', COALESCE(h.qty, 0), ', net allocation ',
                -COALESCE(l.total, 0))
            FROM products p
            LEFT JOIN (
                SELECT i.product_id, SUM(i.qty) AS qty
                FROM order_items i
                JOIN orders o ON o.id = i.order_id
                WHERE o.status <> 'CANCELED'
                GROUP BY i.product_id
            ) h ON h.product_id = p.id
            LEFT JOIN (
                SELECT product_id + 0 AS product_id, SUM(delta) AS total
                FROM stock_movements
                WHERE order_id IS NOT NULL
                GROUP BY product_id + 0
            ) l ON l.product_id = p.id
            WHERE COALESCE(h.qty, 0) <> -COALESCE(l.total, 0)",
    },
];
