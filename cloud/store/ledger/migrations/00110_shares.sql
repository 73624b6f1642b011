-- share is a link to a survey for somebody without a login. hash is the SHA-256 of its key. Times are microseconds since
-- 1970 UTC.

-- +goose Up
CREATE TABLE share (
    id      TEXT   NOT NULL PRIMARY KEY,
    hash    TEXT   NOT NULL UNIQUE,
    survey  TEXT   NOT NULL REFERENCES survey (id),
    who     TEXT   NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    revoked BIGINT
);
CREATE INDEX share_survey ON share (survey, created);

-- +goose Down
DROP TABLE share;
