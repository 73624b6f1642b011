-- sibling_of is the footage that is counted for this one: both are files of one flight, such
-- as a thermal and a wide one. NULL for every other footage.

-- +goose Up
ALTER TABLE footage ADD COLUMN sibling_of TEXT;
CREATE INDEX footage_sibling ON footage (sibling_of) WHERE sibling_of IS NOT NULL;
CREATE INDEX footage_captured ON footage (device, captured) WHERE duplicate_of IS NULL;

-- +goose Down
DROP INDEX footage_captured;
DROP INDEX footage_sibling;
ALTER TABLE footage DROP COLUMN sibling_of;
