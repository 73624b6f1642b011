-- taken is when footage was recorded, by the best source that is known: its flight log, else captured. Lists filter by it.
-- captured stays the time that the station sent, which joins the files of a flight.

-- +goose Up
ALTER TABLE footage ADD COLUMN taken BIGINT;
UPDATE footage SET taken = captured;
CREATE INDEX footage_site ON footage (site, born);
CREATE INDEX footage_taken ON footage (site, taken);
CREATE INDEX flight_site ON flight (site, born);

-- +goose Down
DROP INDEX flight_site;
DROP INDEX footage_taken;
DROP INDEX footage_site;
ALTER TABLE footage DROP COLUMN taken;
