-- DPoP (RFC 9449): grants and codes that are bound to a key, and the proofs that were used.
--
-- An older binary may go on. What it makes is bound to no key, and it looks at no key: while it runs
-- beside a newer one, it redeems a bound code and refreshes a bound grant for whoever has it.
--
-- Lock budget: grants and codes are locked together once, for the change of the catalog alone: no row
-- is written. A try that waits for longer than the migrator allows gives way and is repeated.

-- +goose Up

-- jkt is the thumbprint of the key (RFC 7638) that the refresh token is bound to, or the code; empty:
-- none.
ALTER TABLE grants ADD COLUMN jkt TEXT NOT NULL DEFAULT '';
ALTER TABLE codes ADD COLUMN jkt TEXT NOT NULL DEFAULT '';

-- The SHA-256 of key and jti of each proof that was used, until the proof is too old to be accepted.
CREATE TABLE dpop_proofs (
    id         BYTEA  NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000);
CREATE INDEX dpop_proofs_expires ON dpop_proofs (expires_at);
