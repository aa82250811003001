-- Second factors: authenticator apps, passkeys, recovery codes, and the browsers that skip
-- them. No row holds a secret in the clear: authenticator apps are sealed under the factor
-- secret, recovery codes are MACs under it, and the ring holds that secret sealed.
--
-- An older binary knows no second factor: a password alone would let people in. So no older
-- binary may write from here on.

-- +goose Up

UPDATE signet_schema SET oldest_writer = 11;

-- Whatever changes the second factors of a user adds one to factor_epoch and computes
-- second_factor. wrong_codes counts the wrong codes since the last right one. passkey_handle
-- is the user handle of WebAuthn, '' before the first passkey. factors_vouched says, of an
-- address that is not proved, that the second factors were there before an operator gave the
-- account the address, or came with it.
ALTER TABLE users ADD COLUMN factor_epoch   BIGINT  NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN second_factor  BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE users ADD COLUMN wrong_codes    BIGINT  NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN passkey_handle TEXT    NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN factors_vouched BOOLEAN NOT NULL DEFAULT FALSE;

ALTER TABLE key_ring ADD COLUMN factor_secret TEXT NOT NULL DEFAULT '';

-- When each factor of a session was proved, as JSON.
ALTER TABLE browser_sessions ADD COLUMN proved TEXT NOT NULL DEFAULT '[]';

-- A user has at most one authenticator app that counts, and one whose setup waits for its
-- first code. last_counter is the time step of the last code that was used.
CREATE TABLE authenticator_apps (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    last_counter BIGINT  NOT NULL,
    last_used_at BIGINT  NOT NULL,
    user_id      TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    confirmed    BOOLEAN NOT NULL,
    sealed       BYTEA   NOT NULL,
    algorithm    TEXT    NOT NULL,
    digits       BIGINT  NOT NULL,
    period       BIGINT  NOT NULL,
    created_at   BIGINT  NOT NULL
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX authenticator_apps_user ON authenticator_apps (user_id, confirmed);

CREATE TABLE passkeys (
    id              TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    last_used_at    BIGINT  NOT NULL,
    sign_count      BIGINT  NOT NULL,
    backed_up       BOOLEAN NOT NULL,
    backup_eligible BOOLEAN NOT NULL,
    user_id         TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    credential_id   BYTEA   NOT NULL,
    public_key      BYTEA   NOT NULL,
    transports      TEXT    NOT NULL,
    aaguid          BYTEA   NOT NULL,
    name            TEXT    NOT NULL,
    created_at      BIGINT  NOT NULL
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX passkeys_credential ON passkeys (credential_id);
CREATE INDEX passkeys_user ON passkeys (user_id, created_at);

-- A code that was used has no row.
CREATE TABLE recovery_codes (
    user_id    TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    mac        BYTEA   NOT NULL,
    created_at BIGINT  NOT NULL,
    PRIMARY KEY (user_id, mac)
);

-- A trusted browser skips the second factor while both epochs are the user's.
CREATE TABLE trusted_browsers (
    hash         BYTEA   NOT NULL PRIMARY KEY,
    last_used_at BIGINT  NOT NULL,
    id           TEXT COLLATE "C" NOT NULL,
    user_id      TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    token_epoch  BIGINT  NOT NULL,
    factor_epoch BIGINT  NOT NULL,
    created_at   BIGINT  NOT NULL,
    ends_at      BIGINT  NOT NULL,
    user_agent   TEXT    NOT NULL,
    address      TEXT    NOT NULL
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX trusted_browsers_id ON trusted_browsers (id);
CREATE INDEX trusted_browsers_user ON trusted_browsers (user_id, created_at);
CREATE INDEX trusted_browsers_ends_at ON trusted_browsers (ends_at);

-- What may be used once, and was: the handles of logins that wait for their second step, and
-- the challenges of passkeys. A row goes when the handle has ended anyway.
CREATE TABLE spent_handles (
    id      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    ends_at BIGINT NOT NULL
);
CREATE INDEX spent_handles_ends_at ON spent_handles (ends_at);

-- A token of the kind factor_added removes the second factor that was added at the time of
-- the token, and those that were added since. There is one for each, and as undo_email it has
-- no epoch. second_factor says of these two kinds that the user had a second factor when the
-- token was made, so that the mailbox alone must not do.
ALTER TABLE one_time_tokens ADD COLUMN second_factor BOOLEAN NOT NULL DEFAULT FALSE;
DROP INDEX one_time_tokens_live;
CREATE UNIQUE INDEX one_time_tokens_live ON one_time_tokens (user_id, kind)
    WHERE spent_at = 0 AND kind <> 'undo_email' AND kind <> 'factor_added';

-- For people with psql: no secrets.
CREATE OR REPLACE VIEW readable_users AS
SELECT id, email, email_verified, username, claims, roles, is_active, is_staff,
       to_timestamp(created_at / 1e6) AS created_at,
       to_timestamp(updated_at / 1e6) AS updated_at,
       to_timestamp(NULLIF(last_login_at, 0) / 1e6) AS last_login_at,
       second_factor, factor_epoch, wrong_codes,
       (SELECT COUNT(*) FROM recovery_codes r WHERE r.user_id = users.id) AS recovery_codes
FROM users;

CREATE VIEW readable_authenticator_apps AS
SELECT id, user_id, confirmed, algorithm, digits, period,
       to_timestamp(created_at / 1e6) AS created_at,
       to_timestamp(NULLIF(last_used_at, 0) / 1e6) AS last_used_at
FROM authenticator_apps;

CREATE VIEW readable_passkeys AS
SELECT id, user_id, name, sign_count, backup_eligible, backed_up, transports,
       encode(aaguid, 'hex') AS aaguid,
       to_timestamp(created_at / 1e6) AS created_at,
       to_timestamp(NULLIF(last_used_at, 0) / 1e6) AS last_used_at
FROM passkeys;

-- ended: a new password, new factors or the end of all sessions ended the trust before ends_at.
CREATE VIEW readable_trusted_browsers AS
SELECT t.id, t.user_id,
       to_timestamp(t.created_at / 1e6) AS created_at,
       to_timestamp(t.last_used_at / 1e6) AS last_used_at,
       to_timestamp(t.ends_at / 1e6) AS ends_at,
       t.token_epoch <> u.token_epoch OR t.factor_epoch <> u.factor_epoch OR NOT u.is_active AS ended,
       t.user_agent, t.address
FROM trusted_browsers t JOIN users u ON u.id = t.user_id;
