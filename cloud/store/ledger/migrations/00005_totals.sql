-- Sums of the whole ledger, kept by each write, so that the statistics read a few rows
-- however long the history is. name is footage, duplicates, bytes, counts, animals or
-- job.STATE.

-- +goose Up
CREATE TABLE total (
    name TEXT   NOT NULL PRIMARY KEY,
    n    BIGINT NOT NULL
);
INSERT INTO total (name, n) SELECT 'footage', COUNT(*) FROM footage;
INSERT INTO total (name, n) SELECT 'duplicates', COUNT(*) FROM footage WHERE duplicate_of IS NOT NULL;
INSERT INTO total (name, n) SELECT 'bytes', COALESCE(SUM(size), 0) FROM footage WHERE duplicate_of IS NULL;
INSERT INTO total (name, n) SELECT 'counts', COUNT(*) FROM animal_count;
INSERT INTO total (name, n) SELECT 'animals', COALESCE(SUM(animals), 0) FROM animal_count;
INSERT INTO total (name, n) SELECT 'job.' || state, COUNT(*) FROM job GROUP BY state;
DROP INDEX footage_size;
DROP INDEX animal_count_animals;

-- +goose Down
CREATE INDEX footage_size ON footage (duplicate_of, size);
CREATE INDEX animal_count_animals ON animal_count (animals);
DROP TABLE total;
