-- User accounts. username_key, the lower-cased username, enforces unique names. password_hash is a PHC string with
-- algorithm, parameters and salt, so that the parameters can be raised later.
CREATE TABLE operators (
    id            BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
    username      VARCHAR(64)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    username_key  VARCHAR(64)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    password_hash VARCHAR(200) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    role          ENUM('viewer', 'operator', 'admin') NOT NULL,
    active        BOOLEAN      NOT NULL DEFAULT TRUE,
    version       BIGINT       NOT NULL DEFAULT 1,
    created_at    DATETIME(6)  NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    updated_at    DATETIME(6)  NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    CONSTRAINT uq_operators_username_key UNIQUE (username_key)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
