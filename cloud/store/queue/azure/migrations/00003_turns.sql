-- owner is the device whose footage the job counts, '' when it is not known. waits and place order the jobs of an owner:
-- since when the job waits, then the order of the first Enqueue. They stay with the job, while message, n, sent and hidden
-- go with the message when two jobs change theirs. turn is when a device was served last: the one with the smallest number
-- is next.

-- +goose Up
ALTER TABLE queue_ticket ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE queue_ticket ADD COLUMN waits BIGINT NOT NULL DEFAULT 0;
ALTER TABLE queue_ticket ADD COLUMN place BIGINT NOT NULL DEFAULT 0;
UPDATE queue_ticket SET place = n, waits = CASE WHEN hidden > sent THEN hidden ELSE sent END,
    owner = COALESCE((SELECT f.device FROM job j JOIN footage f ON f.id = j.footage WHERE j.id = queue_ticket.job), '');
CREATE INDEX queue_ticket_message ON queue_ticket (message);
CREATE TABLE queue_ticket_turn (
    owner TEXT   NOT NULL PRIMARY KEY,
    turn  BIGINT NOT NULL
);

-- +goose Down
DROP TABLE queue_ticket_turn;
DROP INDEX queue_ticket_message;
ALTER TABLE queue_ticket DROP COLUMN place;
ALTER TABLE queue_ticket DROP COLUMN waits;
ALTER TABLE queue_ticket DROP COLUMN owner;
