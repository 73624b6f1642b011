-- push_key has one row: the P-256 key that signs messages to the push services of browsers (VAPID, RFC 8292), its scalar
-- in base64url. created is microseconds since 1970 UTC.

-- +goose Up
CREATE TABLE push_key (
    id      INTEGER NOT NULL PRIMARY KEY,
    scalar  TEXT    NOT NULL,
    created BIGINT  NOT NULL
);

-- +goose Down
DROP TABLE push_key;
