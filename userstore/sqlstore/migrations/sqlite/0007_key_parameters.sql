-- The durations that the serving replicas plan signing keys with, so that a command with another
-- environment plans with the same ones.

-- +goose Up

-- A JSON object, or empty until a replica of this version has started.
ALTER TABLE key_ring ADD COLUMN parameters TEXT NOT NULL DEFAULT '';
