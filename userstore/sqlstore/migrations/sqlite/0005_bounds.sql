-- A user's grants are bounded for each client, so the index by which they are found
-- puts those of one client side by side. An older binary may go on writing.

-- +goose Up

CREATE INDEX grants_user_client ON grants (user_id, client_id, created_at);
DROP INDEX grants_user;
