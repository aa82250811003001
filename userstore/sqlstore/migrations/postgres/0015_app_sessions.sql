-- The sessions of apps, and the outbox of back-channel logout: a row is what an app was told
-- of a login (its sid), and later what the app has to be told of a logout.
--
-- An older binary may go on: what it ends, the apps are not told of.

-- +goose Up

-- Whether the client has a backchannel_logout_uri or a frontchannel_logout_uri: metadata holds the URIs.
ALTER TABLE clients ADD COLUMN backchannel_logout BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE clients ADD COLUMN frontchannel_logout BOOLEAN NOT NULL DEFAULT FALSE;

-- A row is written with its grant and outlives it: the session of an app may last for days after
-- a login without a refresh token. While ended_at is 0, the session lives and due_at is 0. From
-- then on the row waits in the outbox: due_at is when it may be claimed next; while a worker sends
-- it, lease is set and due_at is the end of the lease. The row is deleted when the app was told or
-- was given up.
--
-- No foreign keys: apps are told of a deleted account, and the epoch tells what of a client is
-- over. session_id, user_id, subject, client_id, browser_session and client_epoch are those of
-- the grant; a subject of '' is the user's id.
-- attempts, due_at and lease change; so half of each page is left free.
CREATE TABLE app_sessions (
    session_id      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id         TEXT COLLATE "C" NOT NULL,
    subject         TEXT   NOT NULL DEFAULT '',
    client_id       TEXT COLLATE "C" NOT NULL,
    client_epoch    BIGINT NOT NULL,
    browser_session TEXT COLLATE "C" NOT NULL,
    created_at      BIGINT NOT NULL,
    expires_at      BIGINT NOT NULL,
    ended_at        BIGINT NOT NULL DEFAULT 0,
    due_at          BIGINT NOT NULL DEFAULT 0,
    attempts        BIGINT NOT NULL DEFAULT 0,
    lease           TEXT COLLATE "C" NOT NULL DEFAULT '',
    reason          TEXT   NOT NULL DEFAULT ''
) WITH (fillfactor = 50);
CREATE INDEX app_sessions_user ON app_sessions (user_id, client_id, created_at);
CREATE INDEX app_sessions_browser ON app_sessions (browser_session) WHERE browser_session <> '';
CREATE INDEX app_sessions_client ON app_sessions (client_id);
CREATE INDEX app_sessions_expires ON app_sessions (expires_at) WHERE ended_at = 0;
CREATE INDEX app_sessions_due ON app_sessions (due_at) WHERE due_at > 0;
CREATE INDEX app_sessions_leased ON app_sessions (client_id) WHERE lease <> '';

-- For people with psql.
CREATE VIEW readable_app_sessions AS
SELECT session_id, user_id, client_id, browser_session,
       to_timestamp(created_at / 1e6) AS created_at,
       to_timestamp(expires_at / 1e6) AS expires_at,
       to_timestamp(NULLIF(ended_at, 0) / 1e6) AS ended_at,
       to_timestamp(NULLIF(due_at, 0) / 1e6) AS due_at,
       attempts, reason
FROM app_sessions;
