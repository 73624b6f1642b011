-- Thumbnails come before their video, also weeks before it, so they do not
-- reference footage.

-- +goose Up
CREATE TABLE thumbnail (
    footage  TEXT   NOT NULL PRIMARY KEY,
    site     TEXT   NOT NULL,
    device   TEXT   NOT NULL,
    name     TEXT   NOT NULL,
    size     BIGINT NOT NULL,
    blob_key TEXT   NOT NULL,
    captured BIGINT,
    received BIGINT NOT NULL,
    seq      BIGINT NOT NULL UNIQUE
);

-- +goose Down
DROP TABLE thumbnail;
