-- What an OpenID Provider keeps: all of a client, authorization codes, sessions
-- of browsers, what users allowed clients, and the assertions that clients used.
--
-- An older binary may go on writing: each new column has a default, and public
-- stays in step with auth_method. Of sessions of browsers it knows nothing, and a
-- password that is changed through it leaves them as they are.

-- +goose Up

ALTER TABLE clients ADD COLUMN auth_method TEXT NOT NULL DEFAULT '';
ALTER TABLE clients ADD COLUMN metadata TEXT NOT NULL DEFAULT '{}';
ALTER TABLE clients ADD COLUMN secret_hash TEXT NOT NULL DEFAULT '';
-- Of the redirect URIs in metadata, so that a browser's Origin is looked up without reading those.
ALTER TABLE clients ADD COLUMN redirect_origins TEXT NOT NULL DEFAULT '[]';
ALTER TABLE clients ADD COLUMN updated_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE clients ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
UPDATE clients SET auth_method = CASE WHEN public THEN 'none' ELSE 'client_secret_basic' END;
CREATE INDEX clients_created ON clients (created_at, id);

-- No epoch is given to two clients, be it under one id and with a clock that
-- stands still: a client that is made again under a deleted one's id inherits nothing.
ALTER TABLE signet_schema ADD COLUMN last_epoch INTEGER NOT NULL DEFAULT 0;
UPDATE signet_schema SET last_epoch = (SELECT COALESCE(MAX(epoch), 0) FROM clients);

-- A refresh changes neither of the columns, nor what the new indexes hold.
ALTER TABLE grants ADD COLUMN browser_session TEXT NOT NULL DEFAULT '';
ALTER TABLE grants ADD COLUMN claims TEXT NOT NULL DEFAULT '';
CREATE INDEX grants_browser_session ON grants (browser_session) WHERE browser_session <> '';
CREATE INDEX grants_client ON grants (client_id);

-- Cookies are known here by their SHA-256 only.
CREATE TABLE browser_sessions (
    hash         BLOB NOT NULL PRIMARY KEY,
    last_used_at INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    auth_time    INTEGER NOT NULL,
    id           TEXT NOT NULL,
    user_id      TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    amr          TEXT NOT NULL,
    acr          TEXT NOT NULL,
    user_agent   TEXT NOT NULL,
    address      TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX browser_sessions_id ON browser_sessions (id);
CREATE INDEX browser_sessions_user ON browser_sessions (user_id, created_at);
CREATE INDEX browser_sessions_expires ON browser_sessions (expires_at);

-- A row lives a minute, used an hour more, and is changed once. There is no
-- foreign key to the client, whose row every code would lock: the epoch tells
-- what of it is over.
CREATE TABLE codes (
    hash            BLOB NOT NULL PRIMARY KEY,
    used_at         INTEGER NOT NULL,
    grant_id        BLOB NOT NULL,
    expires_at      INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    auth_time       INTEGER NOT NULL,
    client_epoch    INTEGER NOT NULL,
    by_consent      INTEGER NOT NULL,
    client_id       TEXT NOT NULL,
    user_id         TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    browser_session TEXT NOT NULL,
    redirect_uri    TEXT NOT NULL,
    code_challenge  TEXT NOT NULL,
    scopes          TEXT NOT NULL,
    resources       TEXT NOT NULL,
    nonce           TEXT NOT NULL,
    claims          TEXT NOT NULL,
    amr             TEXT NOT NULL,
    acr             TEXT NOT NULL,
    user_agent      TEXT NOT NULL,
    address         TEXT NOT NULL
) STRICT;
CREATE INDEX codes_user ON codes (user_id, client_id);
CREATE INDEX codes_expires ON codes (expires_at);

-- A row is what was allowed at one resource. The empty one is the default audience, and what scopes tell of the user.
CREATE TABLE consents (
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    client_id  TEXT NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    resource   TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    scopes     TEXT NOT NULL,
    PRIMARY KEY (user_id, client_id, resource)
) STRICT, WITHOUT ROWID;
CREATE INDEX consents_client ON consents (client_id);

-- The SHA-256 of each jti that a client used, until its assertion has expired.
CREATE TABLE client_assertions (
    client_id  TEXT NOT NULL,
    jti        BLOB NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (client_id, jti)
) STRICT, WITHOUT ROWID;
CREATE INDEX client_assertions_expires ON client_assertions (expires_at);
