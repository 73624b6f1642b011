-- review is what one person decided about the animals of a count: document is the JSON of cloud/count/review for one piece
-- of footage, counted the time of the count that it is of. animals, judged and tracks are its result. Times are in
-- microseconds since 1970 UTC.

-- +goose Up
CREATE TABLE review (
    footage  TEXT   NOT NULL REFERENCES footage (id),
    reviewer TEXT   NOT NULL,
    counted  BIGINT NOT NULL,
    document TEXT   NOT NULL,
    animals  BIGINT NOT NULL,
    judged   BIGINT NOT NULL,
    tracks   BIGINT NOT NULL,
    updated  BIGINT NOT NULL,
    PRIMARY KEY (footage, reviewer)
);

-- +goose Down
DROP TABLE review;
