-- What the statistics add up, so that they need not read the rows.

-- +goose Up
CREATE INDEX footage_size ON footage (duplicate_of, size);
CREATE INDEX animal_count_animals ON animal_count (animals);

-- +goose Down
DROP INDEX animal_count_animals;
DROP INDEX footage_size;
