-- Users, clients, grants and the key ring.
--
-- Instants are microseconds since 1970 in UTC, 0 when there is none (the views
-- below show them as timestamptz). Lists and claims are JSON text. Keys are
-- compared byte by byte (COLLATE "C"), as SQLite does.

-- +goose Up

-- The oldest schema version whose binary may still write here. A migration
-- that an older binary would not survive raises it; additive ones do not.
CREATE TABLE signet_schema (
    oldest_writer BIGINT NOT NULL
);
INSERT INTO signet_schema (oldest_writer) VALUES (1);

-- Each login updates its row in place, too.
CREATE TABLE users (
    id              TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    email           TEXT    NOT NULL,
    email_key       TEXT COLLATE "C" NOT NULL,
    email_verified  BOOLEAN NOT NULL,
    username        TEXT    NOT NULL,
    username_key    TEXT COLLATE "C" NOT NULL,
    claims          TEXT    NOT NULL,
    roles           TEXT    NOT NULL,
    is_active       BOOLEAN NOT NULL,
    is_staff        BOOLEAN NOT NULL,
    created_at      BIGINT  NOT NULL,
    updated_at      BIGINT  NOT NULL,
    version         BIGINT  NOT NULL,
    last_login_at   BIGINT  NOT NULL,
    last_session_id TEXT    NOT NULL,
    password_hash   TEXT    NOT NULL
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX users_email_key ON users (email_key);
CREATE UNIQUE INDEX users_username_key ON users (username_key) WHERE username_key <> '';
CREATE INDEX users_created ON users (created_at, id);

CREATE TABLE clients (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name         TEXT    NOT NULL,
    public       BOOLEAN NOT NULL,
    first_party  BOOLEAN NOT NULL,
    grant_types  TEXT    NOT NULL,
    scopes       TEXT    NOT NULL,
    resources    TEXT    NOT NULL,
    id_token_alg TEXT    NOT NULL,
    -- Grants carry the epoch they were made in; disabling a client starts a new
    -- one, which ends all of them, however many, by changing one row.
    epoch        BIGINT  NOT NULL,
    disabled_at  BIGINT  NOT NULL,
    created_at   BIGINT  NOT NULL
);
INSERT INTO clients (id, name, public, first_party, grant_types, scopes, resources, id_token_alg, epoch, disabled_at, created_at)
VALUES ('signet', 'Signet', TRUE, TRUE, '["refresh_token"]', '[]', '[]', '', 1, 0, 0);

-- A refresh changes generation and rotated_at and nothing that an index holds,
-- and half of each page is left free: PostgreSQL then updates in place (HOT),
-- and no index or table grows with use. What changes stands together, so that
-- the log records few bytes of it.
CREATE TABLE grants (
    id              BYTEA  NOT NULL PRIMARY KEY,
    generation      BIGINT NOT NULL,
    rotated_at      BIGINT NOT NULL,
    late_generation BIGINT NOT NULL,
    late_count      BIGINT NOT NULL,
    revoked_at      BIGINT NOT NULL,
    expires_at      BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    auth_time       BIGINT NOT NULL,
    client_epoch    BIGINT NOT NULL,
    client_id       TEXT COLLATE "C" NOT NULL,
    user_id         TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    session_id      TEXT COLLATE "C" NOT NULL,
    scopes          TEXT   NOT NULL,
    resources       TEXT   NOT NULL,
    amr             TEXT   NOT NULL,
    acr             TEXT   NOT NULL,
    nonce           TEXT   NOT NULL,
    user_agent      TEXT   NOT NULL,
    address         TEXT   NOT NULL
) WITH (fillfactor = 50);
CREATE UNIQUE INDEX grants_session_id ON grants (session_id);
CREATE INDEX grants_user ON grants (user_id, created_at);
CREATE INDEX grants_expires ON grants (expires_at);

CREATE TABLE key_ring (
    id             BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    version        BIGINT NOT NULL,
    algorithms     TEXT   NOT NULL,
    refresh_secret TEXT   NOT NULL
);
INSERT INTO key_ring (id, version, algorithms, refresh_secret) VALUES (1, 0, '[]', '');

CREATE TABLE signing_keys (
    id          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    algorithm   TEXT COLLATE "C" NOT NULL,
    seq         BIGINT NOT NULL,
    sealed      TEXT   NOT NULL,
    public      TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    activate_at BIGINT NOT NULL,
    retire_at   BIGINT NOT NULL,
    remove_at   BIGINT NOT NULL,
    revoked_at  BIGINT NOT NULL
);
CREATE UNIQUE INDEX signing_keys_seq ON signing_keys (algorithm, seq);

-- For people with psql: instants one can read, and no secrets.
CREATE VIEW readable_users AS
SELECT id, email, email_verified, username, claims, roles, is_active, is_staff,
       to_timestamp(created_at / 1e6) AS created_at,
       to_timestamp(updated_at / 1e6) AS updated_at,
       to_timestamp(NULLIF(last_login_at, 0) / 1e6) AS last_login_at
FROM users;

CREATE VIEW readable_clients AS
SELECT id, name, public, first_party, grant_types, scopes, resources, id_token_alg,
       to_timestamp(NULLIF(disabled_at, 0) / 1e6) AS disabled_at,
       to_timestamp(NULLIF(created_at, 0) / 1e6) AS created_at
FROM clients;

CREATE VIEW readable_grants AS
SELECT g.session_id, g.user_id, g.client_id, g.scopes, g.resources, g.generation, g.late_count,
       to_timestamp(g.rotated_at / 1e6) AS rotated_at,
       to_timestamp(g.created_at / 1e6) AS created_at,
       to_timestamp(g.expires_at / 1e6) AS expires_at,
       to_timestamp(NULLIF(g.revoked_at, 0) / 1e6) AS revoked_at,
       COALESCE(g.client_epoch <> c.epoch, TRUE) AS ended_with_client,
       g.user_agent, g.address
FROM grants g LEFT JOIN clients c ON c.id = g.client_id;

CREATE VIEW readable_signing_keys AS
SELECT id, algorithm, seq, public, sealed <> '' AS has_private_key,
       to_timestamp(created_at / 1e6) AS created_at,
       to_timestamp(activate_at / 1e6) AS activate_at,
       to_timestamp(NULLIF(retire_at, 0) / 1e6) AS retire_at,
       to_timestamp(NULLIF(remove_at, 0) / 1e6) AS remove_at,
       to_timestamp(NULLIF(revoked_at, 0) / 1e6) AS revoked_at
FROM signing_keys;
