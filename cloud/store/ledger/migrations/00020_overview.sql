-- What the overview asks: the newest counts of a site by the time of their recording, and the workers of late. The
-- expression is that of sightingTime in sites.go.

-- +goose Up
CREATE INDEX footage_sighted ON footage
    (site, (CASE WHEN taken IS NULL OR taken > received THEN received ELSE taken END))
    WHERE duplicate_of IS NULL AND sibling_of IS NULL;
CREATE INDEX attempt_ended ON attempt (ended, worker);

-- +goose Down
DROP INDEX attempt_ended;
DROP INDEX footage_sighted;
