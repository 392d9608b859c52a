-- email_key enforces unique email addresses. It is the case-folded address, or NULL for deleted customers, to free the
-- address.
CREATE TABLE customers (
    id          BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name        VARCHAR(200) NOT NULL,
    email       VARCHAR(254) NOT NULL,
    email_key   VARCHAR(254) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
    phone       VARCHAR(40)  NULL,
    version     BIGINT       NOT NULL DEFAULT 1,
    created_at  DATETIME(6)  NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    updated_at  DATETIME(6)  NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    deleted_at  DATETIME(6)  NULL,
    CONSTRAINT uq_customers_email_key UNIQUE (email_key)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Every prefix of every word in a live customer's name and email. A search scans one range of this key, newest customer
-- first, independent of the number of customers.
CREATE TABLE customer_prefixes (
    prefix      VARCHAR(24)  NOT NULL,
    customer_id BIGINT       NOT NULL,
    PRIMARY KEY (prefix, customer_id),
    KEY ix_customer_prefixes_customer (customer_id),
    CONSTRAINT fk_customer_prefixes_customer FOREIGN KEY (customer_id) REFERENCES customers (id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
