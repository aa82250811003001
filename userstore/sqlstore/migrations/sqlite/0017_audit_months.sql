-- On PostgreSQL, this step keeps the audit log by months. Here old entries are removed in small
-- batches, as before, and nothing changes.

-- +goose Up

SELECT 1;
