-- The outbox: messages that wait to be sent. A row is written in the transaction of
-- the operation that causes it, and deleted when the message was accepted or given up.
--
-- An older binary may go on: it writes no messages and sends none.

-- +goose Up

-- No foreign key: the message is sent even if the account was deleted meanwhile.
-- due_at is when a row may be claimed next, 0 for at once; while a worker sends it, it
-- is the end of the lease. No row holds the text: it is composed when it is sent.
CREATE TABLE outbox (
    id       TEXT COLLATE "C" PRIMARY KEY,
    kind     TEXT   NOT NULL,
    user_id  TEXT   NOT NULL,
    address  TEXT   NOT NULL,
    locale   TEXT   NOT NULL,
    at       BIGINT NOT NULL,
    ends_at  BIGINT NOT NULL,
    due_at   BIGINT NOT NULL,
    lease    TEXT COLLATE "C" NOT NULL,
    attempts BIGINT NOT NULL,
    reason   TEXT   NOT NULL
);
CREATE INDEX outbox_due ON outbox (due_at, at, id);
CREATE INDEX outbox_at ON outbox (at, id);

-- For people with psql.
CREATE VIEW readable_outbox AS
SELECT to_timestamp(at / 1e6) AS at, kind, user_id, address, attempts, reason,
       to_timestamp(due_at / 1e6) AS due_at, to_timestamp(ends_at / 1e6) AS ends_at, id
FROM outbox;
