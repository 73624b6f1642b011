-- One row per message. visible is when it can be received, microseconds since
-- 1970 UTC; n orders messages that became visible at the same time.

-- +goose Up
CREATE TABLE queue_message (
    job        TEXT    NOT NULL PRIMARY KEY,
    visible    BIGINT  NOT NULL,
    n          BIGINT  NOT NULL,
    receipt    TEXT    NOT NULL,
    deliveries INTEGER NOT NULL
);
CREATE INDEX queue_visible ON queue_message (visible, n);

-- +goose Down
DROP TABLE queue_message;
