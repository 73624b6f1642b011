-- refused is when a token that was revoked or has expired was last used, to the minute.

-- +goose Up
ALTER TABLE device ADD COLUMN refused BIGINT;

-- +goose Down
ALTER TABLE device DROP COLUMN refused;
