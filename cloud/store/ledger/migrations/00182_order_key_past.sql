-- order_key_past has a row for each rotation of the key that signs orders to stations: link is signed by the key that was
-- replaced and names the next one. seed is the replaced key, in the form of order_key.seed, until its grace period ends; then
-- it is ''. device.pinned is when the station last got the key of its time. Times are microseconds since 1970 UTC.

-- +goose Up
CREATE TABLE order_key_past (
    n        BIGINT NOT NULL PRIMARY KEY,
    name     TEXT   NOT NULL,
    link     TEXT   NOT NULL,
    replaced BIGINT NOT NULL,
    ends     BIGINT NOT NULL,
    seed     TEXT   NOT NULL
);
ALTER TABLE device ADD COLUMN pinned BIGINT;

-- +goose Down
ALTER TABLE device DROP COLUMN pinned;
DROP TABLE order_key_past;
