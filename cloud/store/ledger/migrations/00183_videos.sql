-- The footage of a site that still has its video, so that retention does not read every count of the past. It takes about
-- a second for 100,000 pieces of footage.

-- +goose Up
CREATE INDEX footage_video ON footage (site, born) WHERE blob_key <> '';

-- +goose Down
DROP INDEX footage_video;
