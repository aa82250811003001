-- Token status lists: the place of each grant in a list, and the places that are revoked.
--
-- Triggers note each end of a grant, so that no statement can forget one. They do nothing for grants
-- without a place, and no grant has one before status lists are turned on.

-- +goose Up

-- status_index is the grant's place among all lists; 0: none. A client's own place is for the tokens
-- that it gets in its own name.
ALTER TABLE grants ADD COLUMN status_index INTEGER NOT NULL DEFAULT 0;
ALTER TABLE clients ADD COLUMN status_index INTEGER NOT NULL DEFAULT 0;

-- One row. Places below next_index are given away. Those below cutoff_index are revoked, as is every
-- token that was issued before cutoff_at. Grants that expired before swept_at are removed without a
-- note.
CREATE TABLE status_lists (
    id           INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    next_index   INTEGER NOT NULL,
    cutoff_index INTEGER NOT NULL,
    cutoff_at    INTEGER NOT NULL,
    swept_at     INTEGER NOT NULL
) STRICT;
INSERT INTO status_lists (id, next_index, cutoff_index, cutoff_at, swept_at) VALUES (1, 1, 0, 0, 0);

-- A row for each place that is revoked. seen_at is when a server first saw it; 0: none has. The row
-- goes a day later, when no token can be left.
CREATE TABLE status_ended (
    status_index INTEGER NOT NULL PRIMARY KEY,
    seen_at      INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX status_ended_seen ON status_ended (seen_at);

-- A row for each client that began a new epoch, which ended all grants of earlier ones.
CREATE TABLE status_clients (
    client_id TEXT    NOT NULL PRIMARY KEY,
    seen_at   INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX status_clients_seen ON status_clients (seen_at);

-- +goose StatementBegin
CREATE TRIGGER status_grant_revoked AFTER UPDATE OF revoked_at ON grants FOR EACH ROW
WHEN NEW.status_index > 0 AND OLD.revoked_at = 0 AND NEW.revoked_at <> 0
BEGIN
    INSERT INTO status_ended (status_index) VALUES (NEW.status_index) ON CONFLICT DO NOTHING;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER status_grant_deleted AFTER DELETE ON grants FOR EACH ROW
WHEN OLD.status_index > 0 AND OLD.revoked_at = 0
BEGIN
    INSERT INTO status_ended (status_index)
        SELECT OLD.status_index FROM status_lists WHERE OLD.expires_at > swept_at ON CONFLICT DO NOTHING;
END;
-- +goose StatementEnd

-- A client's own place ends with its epoch, and it gets another one.
-- +goose StatementBegin
CREATE TRIGGER status_client_epoch AFTER UPDATE OF epoch ON clients FOR EACH ROW
WHEN OLD.epoch <> NEW.epoch
BEGIN
    INSERT INTO status_clients (client_id) VALUES (NEW.id) ON CONFLICT (client_id) DO UPDATE SET seen_at = 0;
    INSERT INTO status_ended (status_index) SELECT OLD.status_index WHERE OLD.status_index > 0 ON CONFLICT DO NOTHING;
    UPDATE clients SET status_index = 0 WHERE id = NEW.id AND status_index > 0;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER status_client_deleted AFTER DELETE ON clients FOR EACH ROW
WHEN OLD.status_index > 0
BEGIN
    INSERT INTO status_ended (status_index) VALUES (OLD.status_index) ON CONFLICT DO NOTHING;
END;
-- +goose StatementEnd

-- Empty until status lists are turned on. For the grants of a client that began a new epoch.
CREATE INDEX grants_status ON grants (client_id, status_index) WHERE status_index > 0;
