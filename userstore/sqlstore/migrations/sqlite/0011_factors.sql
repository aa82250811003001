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
ALTER TABLE users ADD COLUMN factor_epoch   INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN second_factor  INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN wrong_codes    INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN passkey_handle TEXT    NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN factors_vouched INTEGER NOT NULL DEFAULT 0;

ALTER TABLE key_ring ADD COLUMN factor_secret TEXT NOT NULL DEFAULT '';

-- When each factor of a session was proved, as JSON.
ALTER TABLE browser_sessions ADD COLUMN proved TEXT NOT NULL DEFAULT '[]';

-- A user has at most one authenticator app that counts, and one whose setup waits for its
-- first code. last_counter is the time step of the last code that was used.
CREATE TABLE authenticator_apps (
    id           TEXT    NOT NULL PRIMARY KEY,
    last_counter INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    user_id      TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    confirmed    INTEGER NOT NULL,
    sealed       BLOB    NOT NULL,
    algorithm    TEXT    NOT NULL,
    digits       INTEGER NOT NULL,
    period       INTEGER NOT NULL,
    created_at   INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX authenticator_apps_user ON authenticator_apps (user_id, confirmed);

CREATE TABLE passkeys (
    id              TEXT    NOT NULL PRIMARY KEY,
    last_used_at    INTEGER NOT NULL,
    sign_count      INTEGER NOT NULL,
    backed_up       INTEGER NOT NULL,
    backup_eligible INTEGER NOT NULL,
    user_id         TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    credential_id   BLOB    NOT NULL,
    public_key      BLOB    NOT NULL,
    transports      TEXT    NOT NULL,
    aaguid          BLOB    NOT NULL,
    name            TEXT    NOT NULL,
    created_at      INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX passkeys_credential ON passkeys (credential_id);
CREATE INDEX passkeys_user ON passkeys (user_id, created_at);

-- A code that was used has no row.
CREATE TABLE recovery_codes (
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    mac        BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, mac)
) STRICT;

-- A trusted browser skips the second factor while both epochs are the user's.
CREATE TABLE trusted_browsers (
    hash         BLOB    NOT NULL PRIMARY KEY,
    last_used_at INTEGER NOT NULL,
    id           TEXT NOT NULL,
    user_id      TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    token_epoch  INTEGER NOT NULL,
    factor_epoch INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    ends_at      INTEGER NOT NULL,
    user_agent   TEXT    NOT NULL,
    address      TEXT    NOT NULL
) STRICT;
CREATE UNIQUE INDEX trusted_browsers_id ON trusted_browsers (id);
CREATE INDEX trusted_browsers_user ON trusted_browsers (user_id, created_at);
CREATE INDEX trusted_browsers_ends_at ON trusted_browsers (ends_at);

-- What may be used once, and was: the handles of logins that wait for their second step, and
-- the challenges of passkeys. A row goes when the handle has ended anyway.
CREATE TABLE spent_handles (
    id      TEXT    NOT NULL PRIMARY KEY,
    ends_at INTEGER NOT NULL
) STRICT;
CREATE INDEX spent_handles_ends_at ON spent_handles (ends_at);

-- A token of the kind factor_added removes the second factor that was added at the time of
-- the token, and those that were added since. There is one for each, and as undo_email it has
-- no epoch. second_factor says of these two kinds that the user had a second factor when the
-- token was made, so that the mailbox alone must not do.
ALTER TABLE one_time_tokens ADD COLUMN second_factor INTEGER NOT NULL DEFAULT 0;
DROP INDEX one_time_tokens_live;
CREATE UNIQUE INDEX one_time_tokens_live ON one_time_tokens (user_id, kind)
    WHERE spent_at = 0 AND kind <> 'undo_email' AND kind <> 'factor_added';
