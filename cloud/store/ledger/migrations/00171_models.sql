-- worker is what each worker last said of itself: a JSON list of the models on its machine, and until when it promised to
-- write again. model_choice says with which model footage is counted from a time on: of a site, or with '' of all sites
-- without a choice of their own; an empty name takes the choice back. job.model is what a person wants for one recount.
-- count_by_model has the newest count of each model, so that models can be compared on the same footage. Times are
-- microseconds since 1970 UTC, digests SHA-256 in hex.

-- +goose Up
CREATE TABLE worker (
    name     TEXT   NOT NULL PRIMARY KEY,
    document TEXT   NOT NULL,
    started  BIGINT NOT NULL,
    until    BIGINT NOT NULL
);
CREATE TABLE model_choice (
    n      BIGINT NOT NULL PRIMARY KEY,
    site   TEXT   NOT NULL,
    model  TEXT   NOT NULL,
    digest TEXT   NOT NULL,
    at     BIGINT NOT NULL,
    who    TEXT   NOT NULL
);
CREATE INDEX model_choice_of_site ON model_choice (site, n);
ALTER TABLE job ADD COLUMN model TEXT NOT NULL DEFAULT '';
ALTER TABLE job ADD COLUMN model_digest TEXT NOT NULL DEFAULT '';
CREATE TABLE count_by_model (
    footage TEXT   NOT NULL REFERENCES footage (id),
    digest  TEXT   NOT NULL,
    model   TEXT   NOT NULL,
    animals BIGINT NOT NULL,
    low     BIGINT NOT NULL,
    high    BIGINT NOT NULL,
    at      BIGINT NOT NULL,
    PRIMARY KEY (digest, model, footage)
);
INSERT INTO count_by_model (footage, digest, model, animals, low, high, at)
    SELECT footage, model_digest, model, animals, low, high, at FROM animal_count;

-- +goose Down
DROP TABLE count_by_model;
ALTER TABLE job DROP COLUMN model_digest;
ALTER TABLE job DROP COLUMN model;
DROP INDEX model_choice_of_site;
DROP TABLE model_choice;
DROP TABLE worker;
