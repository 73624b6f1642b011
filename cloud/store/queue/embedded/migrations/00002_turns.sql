-- owner is the device whose footage the job counts, '' when it is not known. turn is when a device was served last: the one
-- with the smallest number is next, so a device with many jobs does not hold up one with a few.

-- +goose Up
ALTER TABLE queue_message ADD COLUMN owner TEXT NOT NULL DEFAULT '';
UPDATE queue_message SET owner = COALESCE((SELECT f.device FROM job j JOIN footage f ON f.id = j.footage
    WHERE j.id = queue_message.job), '');
CREATE TABLE queue_turn (
    owner TEXT   NOT NULL PRIMARY KEY,
    turn  BIGINT NOT NULL
);

-- +goose Down
DROP TABLE queue_turn;
ALTER TABLE queue_message DROP COLUMN owner;
