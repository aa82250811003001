-- One-time tokens: links and codes that go to people by mail. No row holds a token, for
-- a token is a MAC of the row's id under a secret that the database has only sealed.
--
-- An older binary may go on: it makes no tokens. A password that it sets does not end
-- the tokens of its user.

-- +goose Up

-- Whatever ends a user's one-time tokens adds one to token_epoch: a new password or
-- address, disabling, signing out everywhere.
ALTER TABLE users ADD COLUMN token_epoch INTEGER NOT NULL DEFAULT 0;

-- What was asked for, by whoever it was: one row for each request, whether or not there
-- is an account behind the address. budget is a MAC of the address. mailed is 1 when a
-- message went into the outbox. tries counts the codes that were tried with the handle.
CREATE TABLE mail_requests (
    id      TEXT    NOT NULL PRIMARY KEY,
    kind    TEXT    NOT NULL,
    budget  BLOB    NOT NULL,
    mailed  INTEGER NOT NULL,
    tries   INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    ends_at INTEGER NOT NULL
) STRICT;
CREATE INDEX mail_requests_budget ON mail_requests (budget, at);
CREATE INDEX mail_requests_ends_at ON mail_requests (ends_at);

-- The device that a notice is about, by names from fixed lists; empty: none.
ALTER TABLE outbox ADD COLUMN browser TEXT NOT NULL DEFAULT '';
ALTER TABLE outbox ADD COLUMN system  TEXT NOT NULL DEFAULT '';

-- A token is of use while spent_at is 0, its epoch is the user's, its address is the
-- user's (or, of a change, the new one) and it has not ended. Spent rows stay until they
-- end, so that a message that is composed once more makes no token come back.
--
-- A token of the kind undo_email undoes a change of address. Its address is the one before
-- the change, and no other account may have that while the token is of use. It has no
-- epoch: it outlives what else happens to the account. Of one user's, at is never the same,
-- and says which change was first.
CREATE TABLE one_time_tokens (
    id          TEXT    NOT NULL PRIMARY KEY,
    kind        TEXT    NOT NULL,
    user_id     TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    address     TEXT    NOT NULL,
    address_key TEXT NOT NULL,
    epoch       INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    ends_at     INTEGER NOT NULL,
    spent_at    INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX one_time_tokens_live ON one_time_tokens (user_id, kind) WHERE spent_at = 0 AND kind <> 'undo_email';
CREATE INDEX one_time_tokens_user ON one_time_tokens (user_id, kind, at);
CREATE INDEX one_time_tokens_address ON one_time_tokens (address_key) WHERE kind = 'undo_email';
CREATE INDEX one_time_tokens_ends_at ON one_time_tokens (ends_at);
