//! Idempotency key invariants. They also hold for expired rows that have not been deleted yet.

use crate::Invariant;

pub(crate) const INVARIANTS: &[Invariant] = &[
    Invariant {
        name: "no-key-in-progress",
        sentence: "No idempotency key has the status in_progress.",
        query: "
            SELECT CONCAT(scope, ' ', principal, ' ', `key`)
            FROM idempotency_keys
            WHERE status = 'in_progress'",
    },
    Invariant {
        name: "stored-responses-are-complete",
        sentence: "A completed key has a 2xx response that contains the order in the status set by the operation.",
        query: "
            SELECT CONCAT(a.scope, ' ', a.principal, ' ', a.`key`, ': status ', COALESCE(a.response_status, 'none'),
                ', order ', COALESCE(a.target_id, 'none'), ', body ', COALESCE(LEFT(a.body, 80), 'none'))
            FROM (
                SELECT scope, principal, `key`, target_type, target_id, response_status,
                    CONVERT(response_body USING utf8mb4) AS body
                FROM idempotency_keys
                WHERE status = 'completed'
            ) a
            WHERE NOT COALESCE(a.response_status BETWEEN 200 AND 299, FALSE)
                OR NOT COALESCE(a.target_type = 'order', FALSE)
                OR a.target_id IS NULL
                OR NOT COALESCE(JSON_VALID(a.body), FALSE)
                OR NOT COALESCE(CASE WHEN JSON_VALID(a.body)
                    THEN JSON_UNQUOTE(JSON_EXTRACT(a.body, '$.id')) LIKE CAST(a.target_id AS CHAR) END, FALSE)
                OR NOT COALESCE(CASE WHEN JSON_VALID(a.body)
                    THEN JSON_UNQUOTE(JSON_EXTRACT(a.body, '$.status')) LIKE CASE a.scope WHEN 'order.create' THEN 'CREATED'
                        WHEN 'order.confirm' THEN 'CONFIRMED' WHEN 'order.cancel' THEN 'CANCELED' END END, FALSE)",
    },
    Invariant {
        name: "create-keys-reference-orders",
        sentence: "The order of a completed create key stores the same caller, key and request hash as that key.",
        query: "
            SELECT CONCAT(k.principal, ' ', k.`key`, ': order ', COALESCE(k.target_id, 'none'), ' created by ',
                COALESCE(o.create_principal, 'none'), ' with key ', COALESCE(o.create_key, 'none'))
            FROM idempotency_keys k
            LEFT JOIN orders o ON o.id = k.target_id
            WHERE k.scope = 'order.create' AND k.status = 'completed'
                AND NOT (o.create_principal <=> k.principal AND o.create_key <=> k.`key`
                    AND o.create_hash <=> k.request_hash)",
    },
    Invariant {
        name: "transition-keys-reference-events",
        sentence: "The order of a completed confirm or cancel key has the corresponding event.",
        query: "
            SELECT CONCAT(k.scope, ' ', k.principal, ' ', k.`key`, ': order ', COALESCE(k.target_id, 'none'))
            FROM idempotency_keys k
            LEFT JOIN order_events e ON e.order_id = k.target_id
                AND e.to_status = IF(k.scope = 'order.confirm', 'CONFIRMED', 'CANCELED')
            WHERE k.scope IN ('order.confirm', 'order.cancel') AND k.status = 'completed' AND e.id IS NULL",
    },
    Invariant {
        name: "abandoned-keys-have-no-effect",
        sentence: "An abandoned key has no response, and no order created with it has status CREATED.",
        query: "
            SELECT CONCAT(k.scope, ' ', k.principal, ' ', k.`key`, ': response ', COALESCE(k.response_status, 'none'),
                ', order ', COALESCE(k.target_id, o.id, 'none'))
            FROM idempotency_keys k
            LEFT JOIN orders o ON o.create_principal = k.principal AND o.create_key = k.`key`
                AND k.scope = 'order.create' AND o.status = 'CREATED'
            WHERE k.status = 'abandoned' AND (o.id IS NOT NULL OR k.target_id IS NOT NULL OR k.response_status IS NOT NULL)",
    },
];
