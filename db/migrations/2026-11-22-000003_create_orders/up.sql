-- create_principal and create_key identify the request that created the order. They outlive the row in
-- idempotency_keys, so that a key can never create a second order.
CREATE TABLE orders (
    id                  BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
    customer_id         BIGINT       NOT NULL,
    status              ENUM('CREATED', 'CONFIRMED', 'CANCELED') NOT NULL DEFAULT 'CREATED',
    total_cents         BIGINT       NOT NULL,
    external_reference  VARCHAR(100) NULL,
    created_at          DATETIME(6)  NOT NULL,
    confirmed_at        DATETIME(6)  NULL,
    canceled_at         DATETIME(6)  NULL,
    reserved_until      DATETIME(6)  NULL,
    version             BIGINT       NOT NULL DEFAULT 1,
    create_principal    VARCHAR(100) NOT NULL,
    create_key          VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NULL,
    create_hash         BINARY(32)   NULL,
    CONSTRAINT fk_orders_customer FOREIGN KEY (customer_id) REFERENCES customers (id),
    CONSTRAINT uq_orders_create_key UNIQUE (create_principal, create_key),
    CONSTRAINT ck_orders_total CHECK (total_cents >= 0),
    KEY ix_orders_created (created_at, id),
    KEY ix_orders_status (status, created_at, id),
    KEY ix_orders_customer (customer_id, created_at, id),
    KEY ix_orders_reference (external_reference, created_at, id),
    KEY ix_orders_reservation (status, reserved_until)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Ordered products, with SKU, name and price at the time of the order.
CREATE TABLE order_items (
    order_id         BIGINT       NOT NULL,
    product_id       BIGINT       NOT NULL,
    sku              VARCHAR(64)  NOT NULL,
    name             VARCHAR(200) NOT NULL,
    qty              BIGINT       NOT NULL,
    unit_price_cents BIGINT       NOT NULL,
    subtotal_cents   BIGINT       NOT NULL,
    PRIMARY KEY (order_id, product_id),
    KEY ix_order_items_product (product_id),
    CONSTRAINT fk_order_items_order FOREIGN KEY (order_id) REFERENCES orders (id),
    CONSTRAINT fk_order_items_product FOREIGN KEY (product_id) REFERENCES products (id),
    CONSTRAINT ck_order_items_qty CHECK (qty > 0),
    CONSTRAINT ck_order_items_subtotal CHECK (subtotal_cents = qty * unit_price_cents)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Order status transitions with their principal, time, old status and new status. Append-only.
CREATE TABLE order_events (
    id             BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
    order_id       BIGINT       NOT NULL,
    from_status    ENUM('CREATED', 'CONFIRMED', 'CANCELED') NULL,
    to_status      ENUM('CREATED', 'CONFIRMED', 'CANCELED') NOT NULL,
    principal      VARCHAR(100) NOT NULL,
    correlation_id VARCHAR(128) NOT NULL,
    created_at     DATETIME(6)  NOT NULL,
    CONSTRAINT uq_order_events_once UNIQUE (order_id, to_status),
    CONSTRAINT fk_order_events_order FOREIGN KEY (order_id) REFERENCES orders (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
