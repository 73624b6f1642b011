-- Footage whose flight log gives no positions, for what needs attention.

-- +goose Up
CREATE INDEX ground_faulty ON ground (footage) WHERE log_state IN ('unreadable', 'does_not_fit', 'no_fix');

-- +goose Down
DROP INDEX ground_faulty;
