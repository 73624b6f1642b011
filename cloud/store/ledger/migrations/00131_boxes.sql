-- The box of what a count saw is beside its tiles: a row of ground is long, and its last columns take a walk through
-- all of its pages. east may be above 180 degrees.

-- +goose Up
DROP TABLE ground_cell;
CREATE TABLE ground_cell (
    cell    BIGINT NOT NULL,
    footage TEXT   NOT NULL REFERENCES footage (id),
    west    DOUBLE PRECISION NOT NULL,
    south   DOUBLE PRECISION NOT NULL,
    east    DOUBLE PRECISION NOT NULL,
    north   DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (cell, footage)
);
CREATE INDEX ground_cell_footage ON ground_cell (footage);
ALTER TABLE ground DROP COLUMN north;
ALTER TABLE ground DROP COLUMN east;
ALTER TABLE ground DROP COLUMN south;
ALTER TABLE ground DROP COLUMN west;
UPDATE ground SET mark = mark + 1;

-- +goose Down
ALTER TABLE ground ADD COLUMN west DOUBLE PRECISION;
ALTER TABLE ground ADD COLUMN south DOUBLE PRECISION;
ALTER TABLE ground ADD COLUMN east DOUBLE PRECISION;
ALTER TABLE ground ADD COLUMN north DOUBLE PRECISION;
DROP TABLE ground_cell;
CREATE TABLE ground_cell (
    cell    BIGINT NOT NULL,
    footage TEXT   NOT NULL REFERENCES footage (id),
    PRIMARY KEY (cell, footage)
);
CREATE INDEX ground_cell_footage ON ground_cell (footage);
