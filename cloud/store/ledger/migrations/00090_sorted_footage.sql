-- The list of footage by its number of animals reads this index from its end.

-- +goose Up
CREATE INDEX count_animals ON animal_count (animals, footage);

-- +goose Down
DROP INDEX count_animals;
