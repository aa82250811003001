-- What an OpenID Provider keeps: all of a client, authorization codes, sessions
-- of browsers, what users allowed clients, and the assertions that clients used.
--
-- An older binary may go on writing: each new column has a default, and public
-- stays in step with auth_method. Of sessions of browsers it knows nothing, and a
-- password that is changed through it leaves them as they are.

-- +goose Up

ALTER TABLE clients
    ADD COLUMN auth_method      TEXT   NOT NULL DEFAULT '',
    ADD COLUMN metadata         TEXT   NOT NULL DEFAULT '{}',
    ADD COLUMN secret_hash      TEXT   NOT NULL DEFAULT '',
    -- Of the redirect URIs in metadata, so that a browser's Origin is looked up without reading those.
    ADD COLUMN redirect_origins TEXT   NOT NULL DEFAULT '[]',
    ADD COLUMN updated_at       BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN version          BIGINT NOT NULL DEFAULT 1;
UPDATE clients SET auth_method = CASE WHEN public THEN 'none' ELSE 'client_secret_basic' END;
CREATE INDEX clients_created ON clients (created_at, id);

-- No epoch is given to two clients, be it under one id and with a clock that
-- stands still: a client that is made again under a deleted one's id inherits nothing.
ALTER TABLE signet_schema ADD COLUMN last_epoch BIGINT NOT NULL DEFAULT 0;
UPDATE signet_schema SET last_epoch = (SELECT COALESCE(MAX(epoch), 0) FROM clients);

-- A refresh changes neither of the columns, nor what the new indexes hold: it stays in place (HOT).
ALTER TABLE grants
    ADD COLUMN browser_session TEXT COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN claims          TEXT NOT NULL DEFAULT '';
CREATE INDEX grants_browser_session ON grants (browser_session) WHERE browser_session <> '';
CREATE INDEX grants_client ON grants (client_id);

-- Cookies are known here by their SHA-256 only. A use changes last_used_at, which
-- no index holds, and finds room in its page.
CREATE TABLE browser_sessions (
    hash         BYTEA  NOT NULL PRIMARY KEY,
    last_used_at BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    auth_time    BIGINT NOT NULL,
    id           TEXT COLLATE "C" NOT NULL,
    user_id      TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    amr          TEXT   NOT NULL,
    acr          TEXT   NOT NULL,
    user_agent   TEXT   NOT NULL,
    address      TEXT   NOT NULL
) WITH (fillfactor = 50);
CREATE UNIQUE INDEX browser_sessions_id ON browser_sessions (id);
CREATE INDEX browser_sessions_user ON browser_sessions (user_id, created_at);
CREATE INDEX browser_sessions_expires ON browser_sessions (expires_at);

-- A row lives a minute, used an hour more, and is changed once, in place. There is no
-- foreign key to the client, whose row every code would lock: the epoch tells
-- what of it is over.
CREATE TABLE codes (
    hash            BYTEA   NOT NULL PRIMARY KEY,
    used_at         BIGINT  NOT NULL,
    grant_id        BYTEA   NOT NULL,
    expires_at      BIGINT  NOT NULL,
    created_at      BIGINT  NOT NULL,
    auth_time       BIGINT  NOT NULL,
    client_epoch    BIGINT  NOT NULL,
    by_consent      BOOLEAN NOT NULL,
    client_id       TEXT COLLATE "C" NOT NULL,
    user_id         TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    browser_session TEXT COLLATE "C" NOT NULL,
    redirect_uri    TEXT    NOT NULL,
    code_challenge  TEXT    NOT NULL,
    scopes          TEXT    NOT NULL,
    resources       TEXT    NOT NULL,
    nonce           TEXT    NOT NULL,
    claims          TEXT    NOT NULL,
    amr             TEXT    NOT NULL,
    acr             TEXT    NOT NULL,
    user_agent      TEXT    NOT NULL,
    address         TEXT    NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000);
CREATE INDEX codes_user ON codes (user_id, client_id);
CREATE INDEX codes_expires ON codes (expires_at);

-- A row is what was allowed at one resource. The empty one is the default audience, and what scopes tell of the user.
CREATE TABLE consents (
    user_id    TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    client_id  TEXT COLLATE "C" NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    resource   TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    scopes     TEXT   NOT NULL,
    PRIMARY KEY (user_id, client_id, resource)
);
CREATE INDEX consents_client ON consents (client_id);

-- The SHA-256 of each jti that a client used, until its assertion has expired.
CREATE TABLE client_assertions (
    client_id  TEXT COLLATE "C" NOT NULL,
    jti        BYTEA  NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (client_id, jti)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000);
CREATE INDEX client_assertions_expires ON client_assertions (expires_at);

-- For people with psql: no secrets.
CREATE OR REPLACE VIEW readable_clients AS
SELECT id, name, public, first_party, grant_types, scopes, resources, id_token_alg,
       to_timestamp(NULLIF(disabled_at, 0) / 1e6) AS disabled_at,
       to_timestamp(NULLIF(created_at, 0) / 1e6) AS created_at,
       auth_method, metadata, secret_hash <> '' AS has_secret,
       to_timestamp(NULLIF(updated_at, 0) / 1e6) AS updated_at
FROM clients;

CREATE VIEW readable_browser_sessions AS
SELECT id, user_id, amr, acr,
       to_timestamp(auth_time / 1e6) AS auth_time,
       to_timestamp(created_at / 1e6) AS created_at,
       to_timestamp(last_used_at / 1e6) AS last_used_at,
       to_timestamp(expires_at / 1e6) AS expires_at,
       user_agent, address
FROM browser_sessions;

CREATE VIEW readable_consents AS
SELECT user_id, client_id, resource, scopes,
       to_timestamp(created_at / 1e6) AS created_at,
       to_timestamp(updated_at / 1e6) AS updated_at
FROM consents;
