-- Pending sign-ups: what somebody signed up with where an address has to be proved first.
-- The account is made when it is. There is a row for each sign-up, whether or not the
-- address has an account, and several for one address do not disturb each other.
--
-- An older binary may go on: it makes accounts at once, and the rows end by themselves
-- once a newer one runs.

-- +goose Up

-- id is that of the request for the message. No row holds a token: token_id is the id of
-- the newest message that was sent for the row, and '' before the first. browser is a MAC
-- of the browser's cookie, empty where there was none.
CREATE TABLE pending_signups (
    id            TEXT COLLATE "C" PRIMARY KEY,
    email         TEXT    NOT NULL,
    email_key     TEXT COLLATE "C" NOT NULL,
    username      TEXT    NOT NULL,
    username_key  TEXT COLLATE "C" NOT NULL,
    claims        TEXT    NOT NULL,
    password_hash TEXT    NOT NULL,
    language      TEXT    NOT NULL,
    browser       BYTEA   NOT NULL,
    at            BIGINT  NOT NULL,
    ends_at       BIGINT  NOT NULL,
    token_id      TEXT COLLATE "C" NOT NULL,
    token_at      BIGINT  NOT NULL,
    token_ends_at BIGINT  NOT NULL
);
CREATE INDEX pending_signups_address ON pending_signups (email_key, at);
CREATE UNIQUE INDEX pending_signups_token ON pending_signups (token_id) WHERE token_id <> '';
CREATE INDEX pending_signups_ends_at ON pending_signups (ends_at);
