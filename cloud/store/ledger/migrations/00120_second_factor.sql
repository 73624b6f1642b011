-- secret and next are seeds of one-time passwords (RFC 6238) in base32, '' for none: secret is in use, next waits for
-- its first code. step is the newest used step of 30 seconds. hash is the SHA-256 of a backup code.

-- +goose Up
CREATE TABLE second_factor (
    person TEXT   NOT NULL PRIMARY KEY REFERENCES person (name),
    secret TEXT   NOT NULL,
    next   TEXT   NOT NULL,
    step   BIGINT NOT NULL
);
CREATE TABLE backup_code (
    hash   TEXT NOT NULL PRIMARY KEY,
    person TEXT NOT NULL REFERENCES person (name)
);
CREATE INDEX backup_code_person ON backup_code (person);

-- +goose Down
DROP TABLE backup_code;
DROP TABLE second_factor;
