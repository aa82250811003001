-- The sessions of apps, and the outbox of back-channel logout: a row is what an app was told
-- of a login (its sid), and later what the app has to be told of a logout.
--
-- An older binary may go on: what it ends, the apps are not told of.

-- +goose Up

-- Whether the client has a backchannel_logout_uri or a frontchannel_logout_uri: metadata holds the URIs.
ALTER TABLE clients ADD COLUMN backchannel_logout INTEGER NOT NULL DEFAULT 0;
ALTER TABLE clients ADD COLUMN frontchannel_logout INTEGER NOT NULL DEFAULT 0;

-- A row is written with its grant and outlives it: the session of an app may last for days after
-- a login without a refresh token. While ended_at is 0, the session lives and due_at is 0. From
-- then on the row waits in the outbox: due_at is when it may be claimed next; while a worker sends
-- it, lease is set and due_at is the end of the lease. The row is deleted when the app was told or
-- was given up.
--
-- No foreign keys: apps are told of a deleted account, and the epoch tells what of a client is
-- over. session_id, user_id, subject, client_id, browser_session and client_epoch are those of
-- the grant; a subject of '' is the user's id.
CREATE TABLE app_sessions (
    session_id      TEXT NOT NULL PRIMARY KEY,
    user_id         TEXT NOT NULL,
    subject         TEXT NOT NULL DEFAULT '',
    client_id       TEXT NOT NULL,
    client_epoch    INTEGER NOT NULL,
    browser_session TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    ended_at        INTEGER NOT NULL DEFAULT 0,
    due_at          INTEGER NOT NULL DEFAULT 0,
    attempts        INTEGER NOT NULL DEFAULT 0,
    lease           TEXT NOT NULL DEFAULT '',
    reason          TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX app_sessions_user ON app_sessions (user_id, client_id, created_at);
CREATE INDEX app_sessions_browser ON app_sessions (browser_session) WHERE browser_session <> '';
CREATE INDEX app_sessions_client ON app_sessions (client_id);
CREATE INDEX app_sessions_expires ON app_sessions (expires_at) WHERE ended_at = 0;
CREATE INDEX app_sessions_due ON app_sessions (due_at) WHERE due_at > 0;
CREATE INDEX app_sessions_leased ON app_sessions (client_id) WHERE lease <> '';
