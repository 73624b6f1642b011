-- How often a job was handed out, whichever messages stood for it.

-- +goose Up
ALTER TABLE queue_ticket ADD COLUMN deliveries INTEGER NOT NULL DEFAULT 0;
ALTER TABLE queue_ticket DROP COLUMN receipt;

-- +goose Down
ALTER TABLE queue_ticket ADD COLUMN receipt TEXT NOT NULL DEFAULT '';
ALTER TABLE queue_ticket DROP COLUMN deliveries;
