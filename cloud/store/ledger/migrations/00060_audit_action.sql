-- The column of the audit log has the name that the API and the commands use.

-- +goose Up
ALTER TABLE audit RENAME COLUMN deed TO action;

-- +goose Down
ALTER TABLE audit RENAME COLUMN action TO deed;
