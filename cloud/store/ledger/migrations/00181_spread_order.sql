-- spread has the number of the footage, so that the history of a paddock is read from one index in its order, however
-- old or frequent its counts are. It takes about two seconds for 100,000 counts.

-- +goose Up
ALTER TABLE spread ADD COLUMN born BIGINT NOT NULL DEFAULT 0;
UPDATE spread SET born = (SELECT f.born FROM footage f WHERE f.id = spread.footage);
CREATE INDEX spread_born ON spread (paddock, born);

-- +goose Down
DROP INDEX spread_born;
ALTER TABLE spread DROP COLUMN born;
