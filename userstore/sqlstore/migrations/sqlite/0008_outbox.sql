-- The outbox: messages that wait to be sent. A row is written in the transaction of
-- the operation that causes it, and deleted when the message was accepted or given up.
--
-- An older binary may go on: it writes no messages and sends none.

-- +goose Up

-- No foreign key: the message is sent even if the account was deleted meanwhile.
-- due_at is when a row may be claimed next, 0 for at once; while a worker sends it, it
-- is the end of the lease. No row holds the text: it is composed when it is sent.
CREATE TABLE outbox (
    id       TEXT    NOT NULL PRIMARY KEY,
    kind     TEXT    NOT NULL,
    user_id  TEXT    NOT NULL,
    address  TEXT    NOT NULL,
    locale   TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    ends_at  INTEGER NOT NULL,
    due_at   INTEGER NOT NULL,
    lease    TEXT    NOT NULL,
    attempts INTEGER NOT NULL,
    reason   TEXT    NOT NULL
) STRICT;
CREATE INDEX outbox_due ON outbox (due_at, at, id);
CREATE INDEX outbox_at ON outbox (at, id);
