-- Token status lists: the place of each grant in a list, and the places that are revoked.
--
-- Triggers note each end of a grant, so that no statement can forget one: neither one of ours, nor
-- one of an older binary, nor one of a person with psql. They do nothing for grants without a place,
-- and no grant has one before status lists are turned on.
--
-- An older binary may go on: the grants that it makes have no place, and get one when a newer binary
-- mints a token for them.
--
-- Lock budget: grants and clients are locked together once, for at most half a second of waiting
-- and some milliseconds of work; a try that waits longer gives way and is repeated a little later,
-- for five minutes. The index is built beside readers and writers.
--
-- Resumable: the first step is one transaction that does nothing where it was done before, and the
-- index that an interrupted step left behind is dropped and built again.

-- +goose NO TRANSACTION
-- +goose Up

-- +goose StatementBegin
DO $$
BEGIN
    IF to_regclass('status_lists') IS NOT NULL THEN
        RETURN;
    END IF;
    FOR try IN 1..300 LOOP
        BEGIN
            PERFORM set_config('lock_timeout', '500ms', true);
            LOCK TABLE grants, clients IN ACCESS EXCLUSIVE MODE;

            -- status_index is the grant's place among all lists; 0: none. A client's own place is for
            -- the tokens that it gets in its own name.
            ALTER TABLE grants ADD COLUMN status_index BIGINT NOT NULL DEFAULT 0;
            ALTER TABLE clients ADD COLUMN status_index BIGINT NOT NULL DEFAULT 0;

            -- One row. Places below next_index are given away. Those below cutoff_index are revoked,
            -- as is every token that was issued before cutoff_at. Grants that expired before swept_at
            -- are removed without a note.
            CREATE TABLE status_lists (
                id           BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
                next_index   BIGINT NOT NULL,
                cutoff_index BIGINT NOT NULL,
                cutoff_at    BIGINT NOT NULL,
                swept_at     BIGINT NOT NULL
            );
            INSERT INTO status_lists (id, next_index, cutoff_index, cutoff_at, swept_at) VALUES (1, 1, 0, 0, 0);

            -- A row for each place that is revoked. seen_at is when a server first saw it, by the
            -- servers' clock; 0: none has. The row goes a day later, when no token can be left.
            CREATE TABLE status_ended (
                status_index BIGINT NOT NULL PRIMARY KEY,
                seen_at      BIGINT NOT NULL DEFAULT 0
            );
            CREATE INDEX status_ended_seen ON status_ended (seen_at);

            -- A row for each client that began a new epoch, which ended all grants of earlier ones.
            CREATE TABLE status_clients (
                client_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
                seen_at   BIGINT NOT NULL DEFAULT 0
            );
            CREATE INDEX status_clients_seen ON status_clients (seen_at);

            CREATE FUNCTION status_grant_revoked() RETURNS trigger LANGUAGE plpgsql AS $f$
            BEGIN
                INSERT INTO status_ended (status_index) VALUES (NEW.status_index) ON CONFLICT DO NOTHING;
                RETURN NULL;
            END $f$;
            CREATE TRIGGER status_grant_revoked AFTER UPDATE OF revoked_at ON grants FOR EACH ROW
                WHEN (NEW.status_index > 0 AND OLD.revoked_at = 0 AND NEW.revoked_at <> 0)
                EXECUTE FUNCTION status_grant_revoked();

            CREATE FUNCTION status_grant_deleted() RETURNS trigger LANGUAGE plpgsql AS $f$
            BEGIN
                INSERT INTO status_ended (status_index)
                    SELECT OLD.status_index FROM status_lists WHERE OLD.expires_at > swept_at ON CONFLICT DO NOTHING;
                RETURN NULL;
            END $f$;
            CREATE TRIGGER status_grant_deleted AFTER DELETE ON grants FOR EACH ROW
                WHEN (OLD.status_index > 0 AND OLD.revoked_at = 0)
                EXECUTE FUNCTION status_grant_deleted();

            -- A client's own place ends with its epoch, and it gets another one.
            CREATE FUNCTION status_client_epoch() RETURNS trigger LANGUAGE plpgsql AS $f$
            BEGIN
                INSERT INTO status_clients (client_id) VALUES (NEW.id) ON CONFLICT (client_id) DO UPDATE SET seen_at = 0;
                IF OLD.status_index > 0 THEN
                    INSERT INTO status_ended (status_index) VALUES (OLD.status_index) ON CONFLICT DO NOTHING;
                    NEW.status_index := 0;
                END IF;
                RETURN NEW;
            END $f$;
            CREATE TRIGGER status_client_epoch BEFORE UPDATE OF epoch ON clients FOR EACH ROW
                WHEN (OLD.epoch <> NEW.epoch) EXECUTE FUNCTION status_client_epoch();

            CREATE FUNCTION status_client_deleted() RETURNS trigger LANGUAGE plpgsql AS $f$
            BEGIN
                INSERT INTO status_ended (status_index) VALUES (OLD.status_index) ON CONFLICT DO NOTHING;
                RETURN NULL;
            END $f$;
            CREATE TRIGGER status_client_deleted AFTER DELETE ON clients FOR EACH ROW
                WHEN (OLD.status_index > 0) EXECUTE FUNCTION status_client_deleted();
            RETURN;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            PERFORM pg_sleep(0.5 + random() / 2);
        END;
    END LOOP;
    RAISE EXCEPTION 'grants and clients were in use for five minutes: end the transactions that hold them, and migrate again';
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass('grants_status') AND NOT indisvalid) THEN
        PERFORM set_config('lock_timeout', '5s', true);
        DROP INDEX grants_status;
    END IF;
END $$;
-- +goose StatementEnd

-- Empty until status lists are turned on. For the grants of a client that began a new epoch.
CREATE INDEX CONCURRENTLY IF NOT EXISTS grants_status ON grants (client_id, status_index) WHERE status_index > 0;
