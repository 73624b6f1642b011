-- What cloud-api remembers of each station over its restart: a JSON document of cloud/server/stations. updated is in
-- microseconds since 1970 UTC.

-- +goose Up
CREATE TABLE station (
    device   TEXT   NOT NULL PRIMARY KEY,
    document TEXT   NOT NULL,
    updated  BIGINT NOT NULL
);

-- +goose Down
DROP TABLE station;
