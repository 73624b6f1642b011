-- survey is a selection of the counts of a site: those recorded from from_time on and before to_time, or those of the ids in
-- footage (JSON, '' for all). Its numbers are computed when it is read. Times are microseconds since 1970 UTC.

-- +goose Up
CREATE TABLE survey (
    id        TEXT   NOT NULL PRIMARY KEY,
    site      TEXT   NOT NULL,
    name      TEXT   NOT NULL,
    from_time BIGINT,
    to_time   BIGINT,
    footage   TEXT   NOT NULL,
    who       TEXT   NOT NULL,
    created   BIGINT NOT NULL,
    born      BIGINT NOT NULL UNIQUE
);
CREATE INDEX survey_site ON survey (site, born);

-- +goose Down
DROP TABLE survey;
