-- Pairwise subject identifiers (OpenID Connect Core section 8): the `sub` by which the
-- clients of one sector know a user.
--
-- An older binary knows no pairwise clients: it would show them the ids of users. So no
-- older binary may write from here on.

-- +goose Up

UPDATE signet_schema SET oldest_writer = 14;

-- subject is random. Nothing computes it from keys or secrets, and no row is ever changed
-- or deleted but with its user: an app must find its users again for ever. sector is a
-- host name.
CREATE TABLE subjects (
    user_id    TEXT    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    sector     TEXT    NOT NULL,
    subject    TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, sector)
) STRICT;
CREATE UNIQUE INDEX subjects_subject ON subjects (subject);

-- The sub of everything that a code or grant gives to its client; '' is the user's id.
ALTER TABLE codes  ADD COLUMN subject TEXT NOT NULL DEFAULT '';
ALTER TABLE grants ADD COLUMN subject TEXT NOT NULL DEFAULT '';
