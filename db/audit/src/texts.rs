//! Invariant of texts that are compared.

use crate::Invariant;

pub(crate) const INVARIANTS: &[Invariant] = &[
    // The comparisons of the services and of the other invariants ignore trailing spaces. Texts in which a space may
    // be the last character, such as the reasons of stock movements, are compared in ways that do not.
    Invariant {
        name: "compared-texts-end-visibly",
        sentence: "No key, principal, SKU, username, email address or search prefix ends with a space.",
        query: "
            SELECT CONCAT('product ', id, ': sku ', sku) FROM products WHERE sku LIKE '% '
            UNION ALL
            SELECT CONCAT('customer ', id, ': ', email, ', email key ', COALESCE(email_key, 'none'))
            FROM customers WHERE email LIKE '% ' OR email_key LIKE '% '
            UNION ALL
            SELECT CONCAT('user account ', id, ': ', username, ', key ', username_key)
            FROM operators WHERE username LIKE '% ' OR username_key LIKE '% '
            UNION ALL
            SELECT CONCAT('order ', id, ' by ', create_principal, ': key ', COALESCE(create_key, 'none'))
            FROM orders WHERE create_principal LIKE '% ' OR create_key LIKE '% '
            UNION ALL
            SELECT CONCAT('event ', id, ': ', principal) FROM order_events WHERE principal LIKE '% '
            UNION ALL
            SELECT CONCAT('entry ', id, ': ', principal) FROM stock_movements WHERE principal LIKE '% '
            UNION ALL
            SELECT CONCAT('key ', scope, ' ', principal, ' ', `key`)
            FROM idempotency_keys
            WHERE scope LIKE '% ' OR principal LIKE '% ' OR `key` LIKE '% ' OR target_type LIKE '% '
            UNION ALL
            SELECT CONCAT('customer ', customer_id, ': prefix ', prefix) FROM customer_prefixes WHERE prefix LIKE '% '
            UNION ALL
            SELECT CONCAT('product ', product_id, ': prefix ', prefix) FROM product_prefixes WHERE prefix LIKE '% '",
    },
];
