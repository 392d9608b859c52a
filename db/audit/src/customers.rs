//! Customer and search index invariants.
//!
//! The services define how non-ASCII letters are normalised, so rows with such letters are only partly checked, and so
//! are email addresses whose domain has such letters in ASCII form (`xn--`).

use crate::Invariant;

pub(crate) const INVARIANTS: &[Invariant] = &[
    Invariant {
        name: "emails-are-unique",
        sentence: "No two live customers have the same email address, ignoring case.",
        query: "
            SELECT CONCAT(COUNT(*), ' customers with ', c.address, ': from ', MIN(c.id), ' to ', MAX(c.id))
            FROM (
                SELECT id, IF(LENGTH(email) = CHAR_LENGTH(email), LOWER(email), email) AS address
                FROM customers
                WHERE deleted_at IS NULL
            ) c
            GROUP BY c.address
            HAVING COUNT(*) > 1",
    },
    Invariant {
        name: "email-keys-match-emails",
        sentence: "The email key of a live customer is its lower-cased email address; \
            a deleted customer has no email key.",
        query: "
            SELECT CONCAT('customer ', id, ': ', email, ', email key ', COALESCE(email_key, 'none'),
                IF(deleted_at IS NULL, '', ', deleted'))
            FROM customers
            WHERE (deleted_at IS NULL) <> (email_key IS NOT NULL)
                OR (LENGTH(email) = CHAR_LENGTH(email) AND LOWER(email) NOT LIKE '%xn--%' AND email_key <> LOWER(email))",
    },
    Invariant {
        name: "names-are-searchable",
        sentence: "A search for the first word of a name finds the live customer or the product with that name.",
        query: "
            SELECT CONCAT('customer ', c.id, ': ', c.name)
            FROM customers c
            LEFT JOIN customer_prefixes x
                ON x.customer_id = c.id AND x.prefix = LEFT(LOWER(SUBSTRING_INDEX(c.name, ' ', 1)), 24)
            WHERE c.deleted_at IS NULL AND c.name REGEXP '^[A-Za-z0-9]+( |$)' AND x.customer_id IS NULL
            UNION ALL
            SELECT CONCAT('product ', p.id, ': ', p.name)
            FROM products p
            LEFT JOIN product_prefixes x
                ON x.product_id = p.id AND x.prefix = LEFT(LOWER(SUBSTRING_INDEX(p.name, ' ', 1)), 24)
            WHERE p.name REGEXP '^[A-Za-z0-9]+( |$)' AND x.product_id IS NULL",
    },
    Invariant {
        name: "prefixes-occur-in-names",
        sentence: "Every search prefix occurs in its customer or product; deleted customers have no search prefixes.",
        query: "
            SELECT CONCAT('customer ', x.customer_id, ': ', x.prefix)
            FROM customer_prefixes x
            LEFT JOIN customers c ON c.id = x.customer_id
            WHERE c.id IS NULL OR c.deleted_at IS NOT NULL
                OR (LENGTH(CONCAT(c.name, c.email)) = CHAR_LENGTH(CONCAT(c.name, c.email))
                    AND LOCATE(x.prefix, LOWER(CONCAT(c.name, ' ', c.email))) = 0)
            UNION ALL
            SELECT CONCAT('product ', x.product_id, ': ', x.prefix)
            FROM product_prefixes x
            LEFT JOIN products p ON p.id = x.product_id
            WHERE p.id IS NULL
                OR (LENGTH(CONCAT(p.name, p.sku)) = CHAR_LENGTH(CONCAT(p.name, p.sku))
                    AND LOCATE(x.prefix, LOWER(CONCAT(p.name, ' ', p.sku))) = 0)",
    },
];
