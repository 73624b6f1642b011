-- attempt is one lease of a job, open while ended is NULL. audit is what people and
-- devices did that others may ask about. Times are microseconds since 1970 UTC.

-- +goose Up
CREATE TABLE attempt (
    job     TEXT    NOT NULL REFERENCES job (id),
    n       INTEGER NOT NULL,
    fence   BIGINT  NOT NULL,
    worker  TEXT    NOT NULL,
    began   BIGINT  NOT NULL,
    ended   BIGINT,
    outcome TEXT    NOT NULL,
    reason  TEXT    NOT NULL,
    PRIMARY KEY (job, fence)
);
CREATE TABLE audit (
    n       BIGINT NOT NULL PRIMARY KEY,
    at      BIGINT NOT NULL,
    who     TEXT   NOT NULL,
    deed    TEXT   NOT NULL,
    subject TEXT   NOT NULL
);
INSERT INTO attempt (job, n, fence, worker, began, ended, outcome, reason)
    SELECT id, attempt, fence, worker, updated, NULL, '', '' FROM job WHERE state IN ('leased', 'processing');
CREATE INDEX job_done ON job (state, updated);

-- +goose Down
DROP INDEX job_done;
DROP TABLE audit;
DROP TABLE attempt;
