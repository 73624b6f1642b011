-- issuer and subject bind a person to an account of an OpenID Connect provider, '' for one who logs in with a password.

-- +goose Up
ALTER TABLE person ADD COLUMN issuer TEXT NOT NULL DEFAULT '';
ALTER TABLE person ADD COLUMN subject TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX person_identity ON person (issuer, subject) WHERE issuer <> '';

-- +goose Down
DROP INDEX person_identity;
ALTER TABLE person DROP COLUMN subject;
ALTER TABLE person DROP COLUMN issuer;
