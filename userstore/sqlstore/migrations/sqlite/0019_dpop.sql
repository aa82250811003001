-- DPoP (RFC 9449): grants and codes that are bound to a key, and the proofs that were used.
--
-- An older binary may go on. What it makes is bound to no key, and it looks at no key: while it runs
-- beside a newer one, it redeems a bound code and refreshes a bound grant for whoever has it.

-- +goose Up

-- jkt is the thumbprint of the key (RFC 7638) that the refresh token is bound to, or the code; empty:
-- none.
ALTER TABLE grants ADD COLUMN jkt TEXT NOT NULL DEFAULT '';
ALTER TABLE codes ADD COLUMN jkt TEXT NOT NULL DEFAULT '';

-- The SHA-256 of key and jti of each proof that was used, until the proof is too old to be accepted.
CREATE TABLE dpop_proofs (
    id         BLOB    NOT NULL PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX dpop_proofs_expires ON dpop_proofs (expires_at);
