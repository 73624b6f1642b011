-- Lines and zones of a flight. boundaries of a flight is that of a count. line_set has a third
-- kind, 'flight'; anchor is the footage from whose start the seconds of such lines are
-- measured, '' for the other kinds.

-- +goose Up
ALTER TABLE flight ADD COLUMN boundaries TEXT NOT NULL DEFAULT '';
ALTER TABLE line_set ADD COLUMN anchor TEXT NOT NULL DEFAULT '';
CREATE INDEX flight_result ON flight (result_key) WHERE result_key <> '';

-- +goose Down
DROP INDEX flight_result;
DELETE FROM line_set WHERE kind = 'flight';
ALTER TABLE line_set DROP COLUMN anchor;
ALTER TABLE flight DROP COLUMN boundaries;
