//! Invariants for orders, their items and their events.

use crate::Invariant;

pub(crate) const INVARIANTS: &[Invariant] = &[
    Invariant {
        name: "orders-have-items",
        sentence: "Every order has at least one item.",
        query: "
            SELECT CONCAT('order ', o.id)
            FROM orders o
            LEFT JOIN order_items i ON i.order_id = o.id
            WHERE i.order_id IS NULL",
    },
    Invariant {
        name: "subtotals-are-products",
        sentence: "An item has a positive quantity and a non-negative unit price, and its subtotal is their product.",
        query: "
            SELECT CONCAT('order ', order_id, ', product ', product_id, ': ', qty, ' x ', unit_price_cents,
                ' is not ', subtotal_cents)
            FROM order_items
            WHERE qty <= 0 OR unit_price_cents < 0
                OR subtotal_cents <> CAST(qty AS DECIMAL(30, 0)) * CAST(unit_price_cents AS DECIMAL(30, 0))",
    },
    Invariant {
        name: "totals-are-sums",
        sentence: "The total of an order is the sum of its item subtotals.",
        query: "
            SELECT CONCAT('order ', o.id, ': total ', MAX(o.total_cents), ', items ', COALESCE(SUM(i.subtotal_cents), 0))
            FROM orders o
            LEFT JOIN order_items i ON i.order_id = o.id
            GROUP BY o.id
            HAVING MAX(o.total_cents) <> COALESCE(SUM(i.subtotal_cents), 0)",
    },
    Invariant {
        name: "orders-are-created-once",
        sentence: "Every order has exactly one CREATED event.",
        query: "
            SELECT CONCAT('order ', o.id, ': ', COUNT(e.id), ' events')
            FROM orders o
            LEFT JOIN order_events e ON e.order_id = o.id AND e.to_status = 'CREATED'
            GROUP BY o.id
            HAVING COUNT(e.id) <> 1",
    },
    Invariant {
        name: "transitions-happen-once",
        sentence: "No order has two CONFIRMED or two CANCELED events.",
        query: "
            SELECT CONCAT('order ', order_id, ': ', COUNT(*), ' times ', to_status)
            FROM order_events
            WHERE to_status <> 'CREATED'
            GROUP BY order_id, to_status
            HAVING COUNT(*) > 1",
    },
    // An event is inserted while its order's row is locked until COMMIT, so the ids of an order's events are in commit
    // order.
    Invariant {
        name: "events-form-a-valid-chain",
        sentence: "Each event starts from the status that the previous event set, and its transition is allowed.",
        query: "
            SELECT CONCAT('order ', e.order_id, ', event ', e.id, ': from ', COALESCE(e.source, 'none'), ' to ',
                e.target, ', previous ', COALESCE(e.previous, 'none'))
            FROM (
                SELECT id, order_id, CAST(from_status AS CHAR) AS source, CAST(to_status AS CHAR) AS target,
                    CAST(LAG(to_status) OVER (PARTITION BY order_id ORDER BY id) AS CHAR) AS previous
                FROM order_events
            ) e
            WHERE NOT (e.source <=> e.previous)
                OR CONCAT(COALESCE(e.source, ''), '>', e.target)
                    NOT IN ('>CREATED', 'CREATED>CONFIRMED', 'CREATED>CANCELED', 'CONFIRMED>CANCELED')",
    },
    Invariant {
        name: "status-is-last-event",
        sentence: "The status of an order is the one set by its last event.",
        query: "
            SELECT CONCAT('order ', o.id, ': ', o.status, ', last event ', e.to_status)
            FROM orders o
            JOIN (SELECT order_id, MAX(id) AS id FROM order_events GROUP BY order_id) l ON l.order_id = o.id
            JOIN order_events e ON e.id = l.id
            WHERE o.status <> e.to_status",
    },
    Invariant {
        name: "version-counts-events",
        sentence: "The version of an order is the number of its events.",
        query: "
            SELECT CONCAT('order ', o.id, ': version ', MAX(o.version), ', ', COUNT(e.id), ' events')
            FROM orders o
            LEFT JOIN order_events e ON e.order_id = o.id
            GROUP BY o.id
            HAVING MAX(o.version) <> COUNT(e.id)",
    },
    Invariant {
        name: "timestamps-match-status",
        sentence: "CONFIRMED orders have a confirmation time, CANCELED orders have a cancellation time, \
            and CREATED orders have neither.",
        query: "
            SELECT CONCAT('order ', id, ': ', status, ', confirmed ', COALESCE(confirmed_at, 'never'), ', canceled ',
                COALESCE(canceled_at, 'never'))
            FROM orders
            WHERE (status = 'CREATED' AND confirmed_at IS NOT NULL)
                OR (status = 'CONFIRMED' AND confirmed_at IS NULL)
                OR (status = 'CANCELED') <> (canceled_at IS NOT NULL)",
    },
    Invariant {
        name: "timestamps-match-events",
        sentence: "The creation, confirmation and cancellation times of an order are those of its events.",
        query: "
            SELECT CONCAT('order ', o.id, ': created ', o.created_at, ' / ', COALESCE(n.created_at, 'never'),
                ', confirmed ', COALESCE(o.confirmed_at, 'never'), ' / ', COALESCE(f.created_at, 'never'),
                ', canceled ', COALESCE(o.canceled_at, 'never'), ' / ', COALESCE(x.created_at, 'never'))
            FROM orders o
            LEFT JOIN order_events n ON n.order_id = o.id AND n.to_status = 'CREATED'
            LEFT JOIN order_events f ON f.order_id = o.id AND f.to_status = 'CONFIRMED'
            LEFT JOIN order_events x ON x.order_id = o.id AND x.to_status = 'CANCELED'
            WHERE o.created_at <> n.created_at
                OR NOT (o.confirmed_at <=> f.created_at)
                OR NOT (o.canceled_at <=> x.created_at)",
    },
    Invariant {
        name: "cancellations-respect-the-window",
        sentence: "A confirmed order is canceled at most 10 minutes after it was confirmed.",
        query: "
            SELECT CONCAT('order ', id, ': confirmed ', confirmed_at, ', canceled ', canceled_at)
            FROM orders
            WHERE canceled_at > confirmed_at + INTERVAL 10 MINUTE",
    },
    Invariant {
        name: "only-created-orders-are-reserved",
        sentence: "Only CREATED orders have a reservation end.",
        query: "
            SELECT CONCAT('order ', id, ': ', status, ', reserved until ', reserved_until)
            FROM orders
            WHERE status <> 'CREATED' AND reserved_until IS NOT NULL",
    },
    Invariant {
        name: "no-reservation-is-overdue",
        sentence: "No order is still CREATED more than 60 s after its reservation end.",
        query: "
            SELECT CONCAT('order ', id, ': reserved until ', reserved_until)
            FROM orders
            WHERE status = 'CREATED' AND reserved_until < CAST(@audit_time AS DATETIME(6)) - INTERVAL 60 SECOND",
    },
    Invariant {
        name: "service-orders-are-reserved",
        sentence: "Every CREATED order created by a service has a reservation end.",
        query: "
            SELECT CONCAT('order ', id)
            FROM orders
            WHERE status = 'CREATED' AND reserved_until IS NULL
                AND (create_principal = 'service' OR create_principal LIKE 'service:%')",
    },
    Invariant {
        name: "keys-create-one-order",
        sentence: "No caller created two orders with the same key.",
        query: "
            SELECT CONCAT(COUNT(*), ' orders by ', create_principal, ' with key ', create_key, ': from ', MIN(id),
                ' to ', MAX(id))
            FROM orders
            WHERE create_key IS NOT NULL
            GROUP BY create_principal, create_key
            HAVING COUNT(*) > 1",
    },
    Invariant {
        name: "orders-store-their-request",
        sentence: "An order has both the key and the hash of its create request, or neither; \
            an order created by a service has both.",
        query: "
            SELECT CONCAT('order ', id, ' by ', create_principal, ': key ', COALESCE(create_key, 'none'), ', ',
                IF(create_hash IS NULL, 'no hash', 'a hash'))
            FROM orders
            WHERE (create_key IS NULL) <> (create_hash IS NULL)
                OR (create_key IS NULL AND (create_principal = 'service' OR create_principal LIKE 'service:%'))",
    },
    Invariant {
        name: "creators-match-events",
        sentence: "The CREATED event of an order names the principal that created the order.",
        query: "
            SELECT CONCAT('order ', o.id, ': ', o.create_principal, ', event ', e.id, ': ', e.principal)
            FROM orders o
            JOIN order_events e ON e.order_id = o.id AND e.to_status = 'CREATED'
            WHERE e.principal <> o.create_principal",
    },
    Invariant {
        name: "references-exist",
        sentence: "All customers, orders and products that rows reference exist.",
        query: "
            SELECT CONCAT('order ', o.id, ': customer ', o.customer_id)
            FROM orders o LEFT JOIN customers c ON c.id = o.customer_id WHERE c.id IS NULL
            UNION ALL
            SELECT CONCAT('item of order ', i.order_id, ', product ', i.product_id)
            FROM order_items i LEFT JOIN orders o ON o.id = i.order_id LEFT JOIN products p ON p.id = i.product_id
            WHERE o.id IS NULL OR p.id IS NULL
            UNION ALL
            SELECT CONCAT('event ', e.id, ': order ', e.order_id)
            FROM order_events e LEFT JOIN orders o ON o.id = e.order_id WHERE o.id IS NULL
            UNION ALL
            SELECT CONCAT('entry ', m.id, ': order ', COALESCE(m.order_id, 'none'), ', product ', m.product_id)
            FROM stock_movements m LEFT JOIN orders o ON o.id = m.order_id LEFT JOIN products p ON p.id = m.product_id
            WHERE p.id IS NULL OR (m.order_id IS NOT NULL AND o.id IS NULL)",
    },
];
