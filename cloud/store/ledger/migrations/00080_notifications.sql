-- notification_rule says who hears of which kinds of events of a site, '*' for every site. kinds are names between commas.
-- secret signs webhooks. quiet_from and quiet_to are minutes of the day in zone, both the same for no quiet hours.
-- notification_event is an event of a rule, once: it waits while message is ''. lasting is 1 for a condition, which ends;
-- ended is when it was first not found. notification is a message to a target. Times are microseconds since 1970 UTC.

-- +goose Up
CREATE TABLE notification_rule (
    id         TEXT    NOT NULL PRIMARY KEY,
    site       TEXT    NOT NULL,
    kinds      TEXT    NOT NULL,
    channel    TEXT    NOT NULL,
    target     TEXT    NOT NULL,
    secret     TEXT    NOT NULL,
    language   TEXT    NOT NULL,
    quiet_from INTEGER NOT NULL,
    quiet_to   INTEGER NOT NULL,
    zone       TEXT    NOT NULL,
    paused     INTEGER NOT NULL,
    who        TEXT    NOT NULL,
    created    BIGINT  NOT NULL
);
CREATE TABLE notification_event (
    rule     TEXT    NOT NULL REFERENCES notification_rule (id),
    event    TEXT    NOT NULL,
    document TEXT    NOT NULL,
    message  TEXT    NOT NULL,
    lasting  INTEGER NOT NULL,
    created  BIGINT  NOT NULL,
    ended    BIGINT,
    PRIMARY KEY (rule, event)
);
CREATE TABLE notification (
    id       TEXT    NOT NULL PRIMARY KEY,
    rule     TEXT    NOT NULL REFERENCES notification_rule (id),
    state    TEXT    NOT NULL,
    attempts INTEGER NOT NULL,
    due      BIGINT  NOT NULL,
    created  BIGINT  NOT NULL,
    ended    BIGINT,
    fault    TEXT    NOT NULL,
    document TEXT    NOT NULL,
    born     BIGINT  NOT NULL UNIQUE
);
CREATE INDEX notification_due ON notification (state, due);
CREATE INDEX notification_of_rule ON notification (rule, born);

-- +goose Down
DROP TABLE notification;
DROP TABLE notification_event;
DROP TABLE notification_rule;
