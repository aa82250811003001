-- A user's grants are bounded for each client, so the index by which they are found
-- puts those of one client side by side. And clients whose ID tokens hold the claims of
-- the granted scopes, which a refresh has to know of.
--
-- An older binary may go on writing: the new column has a default.

-- +goose Up

CREATE INDEX grants_user_client ON grants (user_id, client_id, created_at);
DROP INDEX grants_user;

ALTER TABLE clients ADD COLUMN id_token_claims BOOLEAN NOT NULL DEFAULT FALSE;
