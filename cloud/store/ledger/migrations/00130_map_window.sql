-- What is found by its place and by its name.
-- place_tile has the animals of a count in one tile of about 76 m: cell is the number of the tile on a Z-order curve
-- (tiles.go), places the JSON of the animals. ground has the box of what a count saw, in degrees; east may be above
-- 180. ground_cell has the larger tiles of that box, -1 for a box that is too large. gram has every three characters in
-- names of footage, in lower case, with how many names have them; the last two of a name have fewer characters.
-- name_gram says which footage that is, by its born. Tiles are filled when the ground of each count is worked out
-- again.

-- +goose Up
CREATE TABLE place_tile (
    site    TEXT   NOT NULL,
    cell    BIGINT NOT NULL,
    footage TEXT   NOT NULL REFERENCES footage (id),
    places  TEXT   NOT NULL,
    PRIMARY KEY (site, cell, footage)
);
CREATE INDEX place_tile_footage ON place_tile (footage);
ALTER TABLE ground ADD COLUMN west DOUBLE PRECISION;
ALTER TABLE ground ADD COLUMN south DOUBLE PRECISION;
ALTER TABLE ground ADD COLUMN east DOUBLE PRECISION;
ALTER TABLE ground ADD COLUMN north DOUBLE PRECISION;
CREATE TABLE ground_cell (
    cell    BIGINT NOT NULL,
    footage TEXT   NOT NULL REFERENCES footage (id),
    PRIMARY KEY (cell, footage)
);
CREATE INDEX ground_cell_footage ON ground_cell (footage);
CREATE INDEX footage_time ON footage (taken);
UPDATE ground SET mark = mark + 1;

CREATE TABLE name_gram (
    gram TEXT   NOT NULL,
    born BIGINT NOT NULL,
    PRIMARY KEY (gram, born)
);
INSERT INTO name_gram (gram, born)
    WITH RECURSIVE p(born, name, i) AS (
        SELECT born, LOWER(name), 1 FROM footage WHERE name <> ''
        UNION ALL SELECT born, name, i + 1 FROM p WHERE i < LENGTH(name))
    SELECT DISTINCT SUBSTR(name, i, 3), born FROM p;
CREATE TABLE gram (
    gram TEXT   NOT NULL PRIMARY KEY,
    n    BIGINT NOT NULL
);
INSERT INTO gram (gram, n) SELECT gram, COUNT(*) FROM name_gram GROUP BY gram;

-- +goose Down
DROP TABLE gram;
DROP TABLE name_gram;
DROP INDEX footage_time;
DROP TABLE ground_cell;
ALTER TABLE ground DROP COLUMN north;
ALTER TABLE ground DROP COLUMN east;
ALTER TABLE ground DROP COLUMN south;
ALTER TABLE ground DROP COLUMN west;
DROP TABLE place_tile;
