-- follows is what a person decided about a part: the footage that it follows in its flight, ''
-- when it begins a flight. NULL without a decision.

-- +goose Up
ALTER TABLE part ADD COLUMN follows TEXT;

-- +goose Down
ALTER TABLE part DROP COLUMN follows;
