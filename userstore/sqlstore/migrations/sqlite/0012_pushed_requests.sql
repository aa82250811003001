-- Pushed authorization requests (RFC 9126): requests that a client hands over before it
-- sends the browser.
--
-- An older binary may go on: it knows no pushed requests, and the rows end by themselves
-- once a newer one runs.

-- +goose Up

-- id is the SHA-256 of the reference, which no row holds. request is what the issuer read
-- of the request, as JSON. A row counts against the bounds until expires_at. code is the
-- hash of the one code that the request was used for, and empty before: from then on the
-- row only says that, and request is empty. client_epoch is that of the client's row.
CREATE TABLE pushed_requests (
    id           BLOB    NOT NULL PRIMARY KEY,
    client_id    TEXT    NOT NULL,
    client_epoch INTEGER NOT NULL,
    request      TEXT    NOT NULL,
    code         BLOB    NOT NULL,
    expires_at   INTEGER NOT NULL,
    remove_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX pushed_requests_client ON pushed_requests (client_id, expires_at);
CREATE INDEX pushed_requests_expires ON pushed_requests (expires_at);
CREATE INDEX pushed_requests_remove ON pushed_requests (remove_at);
