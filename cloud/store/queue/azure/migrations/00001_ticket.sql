-- One row per job with a message. message is the id of the message that counts,
-- '' until it is known; any other message of the job is a stray. n is the order of
-- sending, lease what the present receiver holds, hidden until when it does, receipt
-- what the service wants to see of it when somebody else had to put the message back.
-- Times are microseconds since 1970 UTC.

-- +goose Up
CREATE TABLE queue_ticket (
    job     TEXT   NOT NULL PRIMARY KEY,
    message TEXT   NOT NULL,
    n       BIGINT NOT NULL,
    sent    BIGINT NOT NULL,
    lease   TEXT   NOT NULL,
    hidden  BIGINT NOT NULL,
    receipt TEXT   NOT NULL DEFAULT ''
);

-- The newest message that was ever received, by n, and when it was sent.
CREATE TABLE queue_mark (
    id   INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    n    BIGINT  NOT NULL,
    sent BIGINT  NOT NULL
);
INSERT INTO queue_mark (id, n, sent) VALUES (1, 0, 0);

-- +goose Down
DROP TABLE queue_mark;
DROP TABLE queue_ticket;
