-- One row per operation, caller and key. A row commits together with the work of its request, so rows visible to other
-- connections are `completed`, or `abandoned`: the caller abandoned the request, and it is rejected if it arrives late.
-- nonce tells the request that acquires a key whether its own INSERT created the row.
CREATE TABLE idempotency_keys (
    scope           VARCHAR(64)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    principal       VARCHAR(100) NOT NULL,
    `key`           VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    nonce           BINARY(16)   NOT NULL,
    request_hash    BINARY(32)   NOT NULL,
    status          ENUM('in_progress', 'completed', 'abandoned') NOT NULL DEFAULT 'in_progress',
    target_type     VARCHAR(20)  NULL,
    target_id       BIGINT       NULL,
    response_status SMALLINT     NULL,
    response_body   MEDIUMBLOB   NULL,
    created_at      DATETIME(6)  NOT NULL,
    expires_at      DATETIME(6)  NOT NULL,
    PRIMARY KEY (scope, principal, `key`),
    KEY ix_idempotency_keys_expiry (expires_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
