-- The outbox: messages that wait to be sent. A row is written in the transaction of
-- the act that causes it, and deleted when the message was accepted or given up.
--
-- An older binary may go on: it writes no messages and sends none.

-- +goose Up

-- No foreign key: what happened to an account is told also when the account is gone.
-- due_at is when a row may be taken next, 0 for at once; while a worker sends it, the
-- end of its lease. No row holds a content: that is composed when it is sent.
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
