-- The device that first used a footage id. id is in lower case: ids that differ only in
-- case have one owner. Rows stay when sessions expire and videos are removed. claimed is
-- in microseconds since 1970 UTC. device '' means that the owner is unknown; then no
-- device may use the id.

-- +goose Up
CREATE TABLE footage_owner (
    id      TEXT   NOT NULL PRIMARY KEY,
    device  TEXT   NOT NULL,
    claimed BIGINT NOT NULL
);
INSERT INTO footage_owner (id, device, claimed)
    SELECT LOWER(id), device, received FROM footage WHERE TRUE ORDER BY born
    ON CONFLICT (id) DO NOTHING;
INSERT INTO footage_owner (id, device, claimed)
    SELECT LOWER(footage), device, received FROM thumbnail WHERE TRUE ORDER BY received, footage
    ON CONFLICT (id) DO NOTHING;
INSERT INTO footage_owner (id, device, claimed)
    SELECT LOWER(footage), device, created FROM upload WHERE TRUE ORDER BY created, id
    ON CONFLICT (id) DO NOTHING;
CREATE INDEX footage_device ON footage (device, born);

-- +goose Down
DROP INDEX footage_device;
DROP TABLE footage_owner;
