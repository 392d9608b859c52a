-- Stock ledger: a product's stock is the sum of its movements. The first movement is the initial stock, if any.
-- uq_stock_movements_once rejects a second movement with the same order, product and reason, such as a second restock.
CREATE TABLE stock_movements (
    id             BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
    product_id     BIGINT       NOT NULL,
    delta          BIGINT       NOT NULL,
    reason         VARCHAR(40)  NOT NULL,
    reference      VARCHAR(100) NULL,
    order_id       BIGINT       NULL,
    principal      VARCHAR(100) NOT NULL,
    created_at     DATETIME(6)  NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    CONSTRAINT uq_stock_movements_once UNIQUE (order_id, product_id, reason),
    KEY ix_stock_movements_product (product_id, id),
    CONSTRAINT fk_stock_movements_product FOREIGN KEY (product_id) REFERENCES products (id),
    CONSTRAINT fk_stock_movements_order FOREIGN KEY (order_id) REFERENCES orders (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
