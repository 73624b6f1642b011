-- A flight is footage that follows on other footage of its device and is counted together
-- with it. flight on footage is the id of its flight, NULL for footage that is a flight of
-- its own. part has what the joining needs of each counted footage: place is its position
-- in the flight from 1 on, started and duration are microseconds, series and number are
-- the number in the name. A flight in state ended has no parts; next is the flight that
-- has them now. animals of a flight that has not ended replaces the counts of its parts in
-- the totals.

-- +goose Up
ALTER TABLE footage ADD COLUMN flight TEXT;
CREATE INDEX footage_flight ON footage (flight) WHERE flight IS NOT NULL;
CREATE TABLE part (
    footage   TEXT    NOT NULL PRIMARY KEY REFERENCES footage (id),
    device    TEXT    NOT NULL,
    series    TEXT    NOT NULL,
    number    INTEGER NOT NULL,
    started   BIGINT,
    duration  BIGINT  NOT NULL,
    width     INTEGER NOT NULL,
    height    INTEGER NOT NULL,
    fps       DOUBLE PRECISION NOT NULL,
    codec     TEXT    NOT NULL,
    trace_key TEXT    NOT NULL,
    place     INTEGER NOT NULL
);
CREATE INDEX part_series ON part (device, series, number);
CREATE INDEX part_started ON part (device, started);
CREATE TABLE flight (
    id         TEXT    NOT NULL PRIMARY KEY,
    site       TEXT    NOT NULL,
    device     TEXT    NOT NULL,
    state      TEXT    NOT NULL,
    next       TEXT    NOT NULL,
    parts      INTEGER NOT NULL,
    animals    INTEGER NOT NULL,
    low        INTEGER NOT NULL,
    high       INTEGER NOT NULL,
    by_class   TEXT    NOT NULL,
    warnings   TEXT    NOT NULL,
    result_key TEXT    NOT NULL,
    created    BIGINT  NOT NULL,
    updated    BIGINT  NOT NULL,
    born       BIGINT  NOT NULL UNIQUE,
    seq        BIGINT  NOT NULL UNIQUE
);
CREATE INDEX flight_state ON flight (state, updated);
CREATE INDEX flight_device ON flight (device, born);

-- +goose Down
DROP TABLE flight;
DROP TABLE part;
DROP INDEX footage_flight;
ALTER TABLE footage DROP COLUMN flight;
