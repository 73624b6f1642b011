-- share is a link to a survey, a flight or footage for people without a login. kind is survey, flight or footage, and
-- subject its id. video is 1 for a link that shows the annotated videos. hash is the SHA-256 of its key. Times are
-- microseconds since 1970 UTC.

-- +goose Up
CREATE TABLE shared (
    id      TEXT    NOT NULL PRIMARY KEY,
    hash    TEXT    NOT NULL UNIQUE,
    kind    TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    video   INTEGER NOT NULL,
    who     TEXT    NOT NULL,
    created BIGINT  NOT NULL,
    expires BIGINT  NOT NULL,
    revoked BIGINT
);
INSERT INTO shared (id, hash, kind, subject, video, who, created, expires, revoked)
    SELECT id, hash, 'survey', survey, 0, who, created, expires, revoked FROM share;
DROP TABLE share;
ALTER TABLE shared RENAME TO share;
CREATE INDEX share_subject ON share (kind, subject, created);

-- +goose Down
CREATE TABLE shared (
    id      TEXT   NOT NULL PRIMARY KEY,
    hash    TEXT   NOT NULL UNIQUE,
    survey  TEXT   NOT NULL REFERENCES survey (id),
    who     TEXT   NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    revoked BIGINT
);
INSERT INTO shared (id, hash, survey, who, created, expires, revoked)
    SELECT id, hash, subject, who, created, expires, revoked FROM share WHERE kind = 'survey';
DROP TABLE share;
ALTER TABLE shared RENAME TO share;
CREATE INDEX share_survey ON share (survey, created);
