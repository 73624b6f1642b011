-- A renewed token waits here until its holder uses it for the first time.

-- +goose Up
ALTER TABLE device ADD COLUMN next_hash TEXT;
CREATE UNIQUE INDEX device_next_hash ON device (next_hash) WHERE next_hash IS NOT NULL;

-- +goose Down
DROP INDEX device_next_hash;
ALTER TABLE device DROP COLUMN next_hash;
