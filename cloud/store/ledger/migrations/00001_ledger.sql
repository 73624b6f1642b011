-- Times are microseconds since 1970 UTC. Digests are 64 hex characters, or ''
-- when not known. seq is the value of change_counter at the row's last write,
-- born the one at its first: born orders lists, seq feeds the change readers.

-- +goose Up
CREATE TABLE change_counter (
    id  INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    seq BIGINT  NOT NULL
);
INSERT INTO change_counter (id, seq) VALUES (1, 0);

CREATE TABLE footage (
    id            TEXT   NOT NULL PRIMARY KEY,
    site          TEXT   NOT NULL,
    device        TEXT   NOT NULL,
    name          TEXT   NOT NULL,
    size          BIGINT NOT NULL,
    sha256        TEXT   NOT NULL,
    blob_key      TEXT   NOT NULL,
    telemetry_key TEXT   NOT NULL,
    captured      BIGINT,
    received      BIGINT NOT NULL,
    duplicate_of  TEXT REFERENCES footage (id),
    born          BIGINT NOT NULL UNIQUE,
    seq           BIGINT NOT NULL UNIQUE
);
-- One original per content: what makes two uploads of one file a duplicate,
-- also when both finish in the same moment.
CREATE UNIQUE INDEX footage_original ON footage (sha256) WHERE duplicate_of IS NULL;
CREATE INDEX footage_sha256 ON footage (sha256);
CREATE INDEX footage_duplicate ON footage (duplicate_of) WHERE duplicate_of IS NOT NULL;

CREATE TABLE job (
    id           TEXT    NOT NULL PRIMARY KEY,
    footage      TEXT    NOT NULL UNIQUE REFERENCES footage (id),
    state        TEXT    NOT NULL,
    attempt      INTEGER NOT NULL,
    fence        BIGINT  NOT NULL,
    worker       TEXT    NOT NULL,
    reason       TEXT    NOT NULL,
    stage        TEXT    NOT NULL,
    frames_done  INTEGER NOT NULL,
    frames_total INTEGER NOT NULL,
    percent      DOUBLE PRECISION NOT NULL,
    fps          DOUBLE PRECISION NOT NULL,
    eta_seconds  DOUBLE PRECISION,
    animals      INTEGER NOT NULL,
    result_key   TEXT    NOT NULL,
    created      BIGINT  NOT NULL,
    updated      BIGINT  NOT NULL,
    born         BIGINT  NOT NULL UNIQUE,
    seq          BIGINT  NOT NULL UNIQUE
);
CREATE INDEX job_state ON job (state, born);

CREATE TABLE animal_count (
    footage      TEXT    NOT NULL PRIMARY KEY REFERENCES footage (id),
    job          TEXT    NOT NULL REFERENCES job (id),
    animals      INTEGER NOT NULL,
    low          INTEGER NOT NULL,
    high         INTEGER NOT NULL,
    by_class     TEXT    NOT NULL,
    model        TEXT    NOT NULL,
    model_digest TEXT    NOT NULL,
    at           BIGINT  NOT NULL,
    seq          BIGINT  NOT NULL UNIQUE
);

CREATE TABLE change_cursor (
    name TEXT   NOT NULL PRIMARY KEY,
    seq  BIGINT NOT NULL
);

CREATE TABLE device (
    name       TEXT   NOT NULL PRIMARY KEY,
    site       TEXT   NOT NULL,
    role       TEXT   NOT NULL,
    token_hash TEXT   NOT NULL UNIQUE,
    created    BIGINT NOT NULL,
    revoked    BIGINT,
    last_seen  BIGINT
);

CREATE TABLE upload (
    id         TEXT    NOT NULL PRIMARY KEY,
    footage    TEXT    NOT NULL,
    device     TEXT    NOT NULL,
    site       TEXT    NOT NULL,
    kind       TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    size       BIGINT  NOT NULL,
    received   BIGINT  NOT NULL,
    deferred   INTEGER NOT NULL,
    sha256     TEXT    NOT NULL,
    captured   BIGINT,
    metadata   TEXT    NOT NULL,
    hash_state TEXT    NOT NULL,
    blob_key   TEXT    NOT NULL,
    created    BIGINT  NOT NULL,
    updated    BIGINT  NOT NULL,
    finished   BIGINT
);
CREATE INDEX upload_device ON upload (device);
CREATE INDEX upload_updated ON upload (updated);

-- +goose Down
DROP TABLE upload;
DROP TABLE device;
DROP TABLE change_cursor;
DROP TABLE animal_count;
DROP TABLE job;
DROP TABLE footage;
DROP TABLE change_counter;
