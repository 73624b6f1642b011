-- line_set has the lines and zones of one device or one piece of footage: kind is 'device'
-- or 'footage', id its name or id, document the JSON of shared/boundary. boundaries of a
-- count is the JSON of what was found at them, '' without any. updated is in microseconds
-- since 1970 UTC.

-- +goose Up
CREATE TABLE line_set (
    kind     TEXT   NOT NULL,
    id       TEXT   NOT NULL,
    document TEXT   NOT NULL,
    updated  BIGINT NOT NULL,
    PRIMARY KEY (kind, id)
);
ALTER TABLE animal_count ADD COLUMN boundaries TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE animal_count DROP COLUMN boundaries;
DROP TABLE line_set;
