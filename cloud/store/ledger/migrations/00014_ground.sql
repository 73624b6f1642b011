-- ground is what is known of where a piece of footage was recorded. A row with done < mark has to be worked out again:
-- its flight log, its count or the paddocks of its site are new. log_state is the state of the flight log, '' before it was
-- read. places and footprint are JSON, '' without a count.

-- +goose Up
CREATE TABLE ground (
    footage       TEXT    NOT NULL PRIMARY KEY REFERENCES footage (id),
    mark          BIGINT  NOT NULL,
    done          BIGINT  NOT NULL,
    log_state     TEXT    NOT NULL DEFAULT '',
    dialect       TEXT    NOT NULL DEFAULT '',
    fixes         INTEGER NOT NULL DEFAULT 0,
    why           TEXT    NOT NULL DEFAULT '',
    captured_from TEXT    NOT NULL DEFAULT '',
    zone          TEXT    NOT NULL DEFAULT '',
    way           TEXT    NOT NULL DEFAULT '',
    placed        INTEGER NOT NULL DEFAULT 0,
    places        TEXT    NOT NULL DEFAULT '',
    footprint     TEXT    NOT NULL DEFAULT '',
    borders       BIGINT  NOT NULL DEFAULT 0,
    paddocks      TEXT    NOT NULL DEFAULT ''
);
CREATE INDEX ground_due ON ground (footage) WHERE done < mark;
INSERT INTO ground (footage, mark, done) SELECT id, 1, 0 FROM footage WHERE duplicate_of IS NULL;

-- +goose Down
DROP TABLE ground;
