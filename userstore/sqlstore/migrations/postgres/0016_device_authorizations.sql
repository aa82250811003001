-- Device authorizations (RFC 8628): requests of devices that wait until a user has answered
-- them in a browser.
--
-- An older binary may go on: it knows no device authorizations, and the rows end by themselves
-- once a newer one runs.

-- +goose Up

-- code_hash is that of the device code, and of the row in codes once the request was allowed.
-- user_code is the HMAC of the user code. No row holds either code. client_epoch is that of the
-- client's row. A row can be answered, and counts against the bounds, until expires_at. state is
-- empty until then, and afterwards 'allowed' or 'denied'; answered_by is the id of the
-- authorization request that answered it. A poll before due_at is early; poll_interval is in
-- microseconds, and was_early says how the last poll was.
-- poll_interval, due_at and was_early change with each poll; so half of each page is left free.
CREATE TABLE device_authorizations (
    id            TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    code_hash     BYTEA   NOT NULL,
    user_code     BYTEA   NOT NULL,
    client_id     TEXT COLLATE "C" NOT NULL,
    client_epoch  BIGINT  NOT NULL,
    scopes        TEXT    NOT NULL,
    resources     TEXT    NOT NULL,
    address       TEXT    NOT NULL,
    user_agent    TEXT    NOT NULL,
    created_at    BIGINT  NOT NULL,
    expires_at    BIGINT  NOT NULL,
    remove_at     BIGINT  NOT NULL,
    state         TEXT    NOT NULL,
    answered_by   TEXT    NOT NULL,
    poll_interval BIGINT  NOT NULL,
    due_at        BIGINT  NOT NULL,
    was_early     BOOLEAN NOT NULL
) WITH (fillfactor = 50);
CREATE UNIQUE INDEX device_authorizations_code ON device_authorizations (code_hash);
CREATE UNIQUE INDEX device_authorizations_user_code ON device_authorizations (user_code);
CREATE INDEX device_authorizations_client ON device_authorizations (client_id, expires_at);
CREATE INDEX device_authorizations_expires ON device_authorizations (expires_at);
CREATE INDEX device_authorizations_remove ON device_authorizations (remove_at);
