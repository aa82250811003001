-- Clients that register themselves (RFC 7591), and the tokens that let them.
--
-- An older binary may go on: it leaves the new columns as they are.

-- +goose Up

-- kind is empty for a client of an operator or an admin, and 'registered' for one that
-- registered itself. registration_hash is the SHA-256 of its registration access token
-- in base64url. A client that was not used until unused_until is deleted then; 0: it stays.
ALTER TABLE clients ADD COLUMN kind TEXT NOT NULL DEFAULT '';
ALTER TABLE clients ADD COLUMN registration_hash TEXT NOT NULL DEFAULT '';
ALTER TABLE clients ADD COLUMN unused_until INTEGER NOT NULL DEFAULT 0;
CREATE INDEX clients_unused ON clients (unused_until) WHERE unused_until <> 0;

-- hash is the SHA-256 of an initial access token, which no row holds. A token has ended
-- when uses_left is 0, and at expires_at.
CREATE TABLE registration_tokens (
    id         TEXT    NOT NULL PRIMARY KEY,
    hash       BLOB    NOT NULL,
    note       TEXT    NOT NULL,
    uses       INTEGER NOT NULL,
    uses_left  INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX registration_tokens_hash ON registration_tokens (hash);
CREATE INDEX registration_tokens_created ON registration_tokens (created_at, id);
CREATE INDEX registration_tokens_expires ON registration_tokens (expires_at);
