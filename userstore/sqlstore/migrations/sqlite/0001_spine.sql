-- Users, clients, grants and the key ring.
--
-- Instants are microseconds since 1970 in UTC, 0 when there is none. Lists and
-- claims are JSON text. Booleans are 0 and 1.

-- +goose Up

-- The oldest schema version whose binary may still write here. A migration
-- that an older binary would not survive raises it; additive ones do not.
CREATE TABLE signet_schema (
    oldest_writer INTEGER NOT NULL
) STRICT;
INSERT INTO signet_schema (oldest_writer) VALUES (1);

CREATE TABLE users (
    id              TEXT NOT NULL PRIMARY KEY,
    email           TEXT NOT NULL,
    email_key       TEXT NOT NULL,
    email_verified  INTEGER NOT NULL,
    username        TEXT NOT NULL,
    username_key    TEXT NOT NULL,
    claims          TEXT NOT NULL,
    roles           TEXT NOT NULL,
    is_active       INTEGER NOT NULL,
    is_staff        INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    version         INTEGER NOT NULL,
    last_login_at   INTEGER NOT NULL,
    last_session_id TEXT NOT NULL,
    password_hash   TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX users_email_key ON users (email_key);
CREATE UNIQUE INDEX users_username_key ON users (username_key) WHERE username_key <> '';
CREATE INDEX users_created ON users (created_at, id);

CREATE TABLE clients (
    id           TEXT NOT NULL PRIMARY KEY,
    name         TEXT NOT NULL,
    public       INTEGER NOT NULL,
    first_party  INTEGER NOT NULL,
    grant_types  TEXT NOT NULL,
    scopes       TEXT NOT NULL,
    resources    TEXT NOT NULL,
    id_token_alg TEXT NOT NULL,
    -- Grants carry the epoch they were made in; disabling a client starts a new
    -- one, which ends all of them, however many, by changing one row.
    epoch        INTEGER NOT NULL,
    disabled_at  INTEGER NOT NULL,
    created_at   INTEGER NOT NULL
) STRICT;
INSERT INTO clients (id, name, public, first_party, grant_types, scopes, resources, id_token_alg, epoch, disabled_at, created_at)
VALUES ('signet', 'Signet', TRUE, TRUE, '["refresh_token"]', '[]', '[]', '', 1, 0, 0);

-- A refresh changes generation and rotated_at and nothing that an index holds.
CREATE TABLE grants (
    id              BLOB NOT NULL PRIMARY KEY,
    generation      INTEGER NOT NULL,
    rotated_at      INTEGER NOT NULL,
    late_generation INTEGER NOT NULL,
    late_count      INTEGER NOT NULL,
    revoked_at      INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    auth_time       INTEGER NOT NULL,
    client_epoch    INTEGER NOT NULL,
    client_id       TEXT NOT NULL,
    user_id         TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    session_id      TEXT NOT NULL,
    scopes          TEXT NOT NULL,
    resources       TEXT NOT NULL,
    amr             TEXT NOT NULL,
    acr             TEXT NOT NULL,
    nonce           TEXT NOT NULL,
    user_agent      TEXT NOT NULL,
    address         TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX grants_session_id ON grants (session_id);
CREATE INDEX grants_user ON grants (user_id, created_at);
CREATE INDEX grants_expires ON grants (expires_at);

CREATE TABLE key_ring (
    id             INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    version        INTEGER NOT NULL,
    algorithms     TEXT NOT NULL,
    refresh_secret TEXT NOT NULL
) STRICT;
INSERT INTO key_ring (id, version, algorithms, refresh_secret) VALUES (1, 0, '[]', '');

CREATE TABLE signing_keys (
    id          TEXT NOT NULL PRIMARY KEY,
    algorithm   TEXT NOT NULL,
    seq         INTEGER NOT NULL,
    sealed      TEXT NOT NULL,
    public      TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    activate_at INTEGER NOT NULL,
    retire_at   INTEGER NOT NULL,
    remove_at   INTEGER NOT NULL,
    revoked_at  INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX signing_keys_seq ON signing_keys (algorithm, seq);
