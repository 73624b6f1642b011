-- border_version is the paddocks of a site from a time on: document is GeoJSON. valid_from is in microseconds since 1970 UTC,
-- NULL for the first version of a site, which holds for all earlier times. ground.borders is the version that a count was
-- divided by, 0 for none. book is how many animals are expected in a paddock; a herd of the whole site has paddock ''.

-- +goose Up
CREATE TABLE border_version (
    site       TEXT    NOT NULL,
    version    BIGINT  NOT NULL,
    valid_from BIGINT,
    document   TEXT    NOT NULL,
    paddocks   INTEGER NOT NULL,
    created    BIGINT  NOT NULL,
    who        TEXT    NOT NULL,
    PRIMARY KEY (site, version)
);
CREATE TABLE book (
    site    TEXT    NOT NULL,
    paddock TEXT    NOT NULL,
    since   BIGINT  NOT NULL,
    animals INTEGER,
    who     TEXT    NOT NULL,
    PRIMARY KEY (site, paddock, since)
);
UPDATE ground SET mark = mark + 1;

-- +goose Down
DROP TABLE book;
DROP TABLE border_version;
