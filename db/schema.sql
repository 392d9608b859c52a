-- Generated from db/migrations by `cargo xtask schema generate`. Do not edit; add a migration instead.
-- Load into an empty database: mysql NAME < db/schema.sql

CREATE TABLE customers (
    id BIGINT NOT NULL AUTO_INCREMENT,
    name VARCHAR(200) NOT NULL,
    email VARCHAR(254) NOT NULL,
    email_key VARCHAR(254) NULL,
    phone VARCHAR(40) NULL,
    version BIGINT NOT NULL DEFAULT 1,
    created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    updated_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    deleted_at DATETIME(6) NULL,
    PRIMARY KEY (id),
    CONSTRAINT uq_customers_email_key UNIQUE (email_key)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE customer_prefixes (
    prefix VARCHAR(24) NOT NULL,
    customer_id BIGINT NOT NULL,
    PRIMARY KEY (prefix, customer_id),
    KEY ix_customer_prefixes_customer (customer_id),
    CONSTRAINT fk_customer_prefixes_customer FOREIGN KEY (customer_id) REFERENCES customers (id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE idempotency_keys (
    scope VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    principal VARCHAR(100) NOT NULL,
    `key` VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    nonce BINARY(16) NOT NULL,
    request_hash BINARY(32) NOT NULL,
    status ENUM('in_progress','completed','abandoned') NOT NULL DEFAULT 'in_progress',
    target_type VARCHAR(20) NULL,
    target_id BIGINT NULL,
    response_status SMALLINT NULL,
    response_body MEDIUMBLOB NULL,
    created_at DATETIME(6) NOT NULL,
    expires_at DATETIME(6) NOT NULL,
    PRIMARY KEY (scope, principal, `key`),
    KEY ix_idempotency_keys_expiry (expires_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE operators (
    id BIGINT NOT NULL AUTO_INCREMENT,
    username VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    username_key VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    password_hash VARCHAR(200) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    role ENUM('viewer','operator','admin') NOT NULL,
    active TINYINT NOT NULL DEFAULT 1,
    version BIGINT NOT NULL DEFAULT 1,
    created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    updated_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    PRIMARY KEY (id),
    CONSTRAINT uq_operators_username_key UNIQUE (username_key)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE orders (
    id BIGINT NOT NULL AUTO_INCREMENT,
    customer_id BIGINT NOT NULL,
    status ENUM('CREATED','CONFIRMED','CANCELED') NOT NULL DEFAULT 'CREATED',
    total_cents BIGINT NOT NULL,
    external_reference VARCHAR(100) NULL,
    created_at DATETIME(6) NOT NULL,
    confirmed_at DATETIME(6) NULL,
    canceled_at DATETIME(6) NULL,
    reserved_until DATETIME(6) NULL,
    version BIGINT NOT NULL DEFAULT 1,
    create_principal VARCHAR(100) NOT NULL,
    create_key VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NULL,
    create_hash BINARY(32) NULL,
    PRIMARY KEY (id),
    CONSTRAINT uq_orders_create_key UNIQUE (create_principal, create_key),
    KEY ix_orders_created (created_at, id),
    KEY ix_orders_customer (customer_id, created_at, id),
    KEY ix_orders_reference (external_reference, created_at, id),
    KEY ix_orders_reservation (status, reserved_until),
    KEY ix_orders_status (status, created_at, id),
    CONSTRAINT fk_orders_customer FOREIGN KEY (customer_id) REFERENCES customers (id),
    CONSTRAINT ck_orders_total CHECK (total_cents >= 0)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE order_events (
    id BIGINT NOT NULL AUTO_INCREMENT,
    order_id BIGINT NOT NULL,
    from_status ENUM('CREATED','CONFIRMED','CANCELED') NULL,
    to_status ENUM('CREATED','CONFIRMED','CANCELED') NOT NULL,
    principal VARCHAR(100) NOT NULL,
    correlation_id VARCHAR(128) NOT NULL,
    created_at DATETIME(6) NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT uq_order_events_once UNIQUE (order_id, to_status),
    CONSTRAINT fk_order_events_order FOREIGN KEY (order_id) REFERENCES orders (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE products (
    id BIGINT NOT NULL AUTO_INCREMENT,
    sku VARCHAR(64) NOT NULL,
    name VARCHAR(200) NOT NULL,
    price_cents BIGINT NOT NULL,
    stock BIGINT NOT NULL,
    version BIGINT NOT NULL DEFAULT 1,
    created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    updated_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    PRIMARY KEY (id),
    CONSTRAINT uq_products_sku UNIQUE (sku),
    CONSTRAINT ck_products_price CHECK (price_cents >= 0),
    CONSTRAINT ck_products_stock CHECK (stock >= 0)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE order_items (
    order_id BIGINT NOT NULL,
    product_id BIGINT NOT NULL,
    sku VARCHAR(64) NOT NULL,
    name VARCHAR(200) NOT NULL,
    qty BIGINT NOT NULL,
    unit_price_cents BIGINT NOT NULL,
    subtotal_cents BIGINT NOT NULL,
    PRIMARY KEY (order_id, product_id),
    KEY ix_order_items_product (product_id),
    CONSTRAINT fk_order_items_order FOREIGN KEY (order_id) REFERENCES orders (id),
    CONSTRAINT fk_order_items_product FOREIGN KEY (product_id) REFERENCES products (id),
    CONSTRAINT ck_order_items_qty CHECK (qty > 0),
    CONSTRAINT ck_order_items_subtotal CHECK (subtotal_cents = qty * unit_price_cents)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE product_prefixes (
    prefix VARCHAR(24) NOT NULL,
    product_id BIGINT NOT NULL,
    PRIMARY KEY (prefix, product_id),
    KEY ix_product_prefixes_product (product_id),
    CONSTRAINT fk_product_prefixes_product FOREIGN KEY (product_id) REFERENCES products (id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE stock_movements (
    id BIGINT NOT NULL AUTO_INCREMENT,
    product_id BIGINT NOT NULL,
    delta BIGINT NOT NULL,
    reason VARCHAR(40) NOT NULL,
    reference VARCHAR(100) NULL,
    order_id BIGINT NULL,
    principal VARCHAR(100) NOT NULL,
    created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    PRIMARY KEY (id),
    CONSTRAINT uq_stock_movements_once UNIQUE (order_id, product_id, reason),
    KEY ix_stock_movements_product (product_id, id),
    CONSTRAINT fk_stock_movements_order FOREIGN KEY (order_id) REFERENCES orders (id),
    CONSTRAINT fk_stock_movements_product FOREIGN KEY (product_id) REFERENCES products (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE __diesel_schema_migrations (
    version VARCHAR(50) NOT NULL PRIMARY KEY,
    run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
INSERT INTO __diesel_schema_migrations (version) VALUES ('20261122000001'), ('20261122000002'), ('20261122000003'), ('20261122000004'), ('20261122000005'), ('20261128000006');
