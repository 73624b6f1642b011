-- Of two jobs that wait, the one with the higher priority is counted first. 0 is that of every new job, and again of a job
-- that has ended.

-- +goose Up
ALTER TABLE job ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE job DROP COLUMN priority;
