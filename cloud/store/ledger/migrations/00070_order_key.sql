-- order_key has one row: the Ed25519 seed that signs orders to stations, in base64url. created is microseconds since
-- 1970 UTC.

-- +goose Up
CREATE TABLE order_key (
    id      INTEGER NOT NULL PRIMARY KEY,
    seed    TEXT    NOT NULL,
    created BIGINT  NOT NULL
);

-- +goose Down
DROP TABLE order_key;
