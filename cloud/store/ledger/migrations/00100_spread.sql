-- spread has the paddocks in which animals of a count could be placed, for the lists of a paddock. ground.paddocks has their
-- numbers. It is filled when the ground of each count is worked out again.

-- +goose Up
CREATE TABLE spread (
    footage TEXT NOT NULL REFERENCES footage (id),
    paddock TEXT NOT NULL,
    PRIMARY KEY (paddock, footage)
);
CREATE INDEX spread_footage ON spread (footage);
UPDATE ground SET mark = mark + 1;

-- +goose Down
DROP TABLE spread;
