-- sites of a token or a person are names between commas, * for all sites; '' on a device means its own site. generation
-- grows whenever what was granted before ends: running connections compare it. password is an argon2id hash. A login is
-- a session of a browser, a code something that its holder may use once. hash is the SHA-256 of the secret. Times are
-- microseconds since 1970 UTC.

-- +goose Up
ALTER TABLE device ADD COLUMN sites TEXT NOT NULL DEFAULT '';
ALTER TABLE device ADD COLUMN expires BIGINT;
ALTER TABLE device ADD COLUMN generation BIGINT NOT NULL DEFAULT 1;
CREATE TABLE person (
    name       TEXT   NOT NULL PRIMARY KEY,
    password   TEXT   NOT NULL,
    role       TEXT   NOT NULL,
    sites      TEXT   NOT NULL,
    created    BIGINT NOT NULL,
    disabled   BIGINT,
    last_seen  BIGINT,
    generation BIGINT NOT NULL
);
CREATE TABLE login (
    hash       TEXT   NOT NULL PRIMARY KEY,
    person     TEXT   NOT NULL REFERENCES person (name),
    generation BIGINT NOT NULL,
    created    BIGINT NOT NULL,
    used       BIGINT NOT NULL
);
CREATE INDEX login_person ON login (person);
CREATE TABLE code (
    hash    TEXT   NOT NULL PRIMARY KEY,
    purpose TEXT   NOT NULL,
    person  TEXT   NOT NULL,
    expires BIGINT NOT NULL
);

-- +goose Down
DROP TABLE code;
DROP TABLE login;
DROP TABLE person;
ALTER TABLE device DROP COLUMN generation;
ALTER TABLE device DROP COLUMN expires;
ALTER TABLE device DROP COLUMN sites;
