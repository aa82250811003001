-- The audit log by months (UTC), so that old entries are removed by dropping a table. The
-- server makes the months, a few ahead; an entry of which there is no month goes to
-- audit_events_other, so that no entry is ever refused.
--
-- An older binary may go on: it writes, reads and deletes under the same names as before.
--
-- Lock budget: audit_events is locked twice, each time for at most half a second of waiting and
-- some milliseconds of work; a try that waits longer gives way to the writers and is repeated a
-- little later, for five minutes. In between, the entries that are there are read once, which
-- takes as long as it takes and holds up no reader and no writer.
--
-- Resumable: each statement below is a transaction of its own and does nothing where it was done
-- before. What was interrupted is to be finished within two months: until then the table has a
-- condition that refuses entries of a time after that.

-- +goose NO TRANSACTION
-- +goose Up

-- The entries that are there become one partition, up to the first of a month at least two
-- months ahead and behind the newest entry. The condition, which is not checked yet, says so.
-- +goose StatementBegin
DO $$
DECLARE
    ends BIGINT;
BEGIN
    IF (SELECT relkind FROM pg_class WHERE oid = to_regclass('audit_events')) = 'p' THEN
        RETURN;
    END IF;
    FOR try IN 1..300 LOOP
        BEGIN
            PERFORM set_config('lock_timeout', '500ms', true);
            LOCK TABLE audit_events IN ACCESS EXCLUSIVE MODE;
            ALTER TABLE audit_events DROP CONSTRAINT IF EXISTS audit_events_months;
            SELECT CAST(EXTRACT(EPOCH FROM date_trunc('month', GREATEST(now(),
                    to_timestamp(LEAST(MAX(at), 9200000000000000000) / 1e6)) AT TIME ZONE 'UTC')
                    + INTERVAL '3 months') * 1000000 AS BIGINT)
                INTO ends FROM audit_events;
            IF EXISTS (SELECT FROM audit_events) THEN
                EXECUTE format('ALTER TABLE audit_events ADD CONSTRAINT audit_events_months CHECK (at < %s) NOT VALID', ends);
            END IF;
            RETURN;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            PERFORM pg_sleep(0.5 + random() / 2);
        END;
    END LOOP;
    RAISE EXCEPTION 'audit_events was in use for five minutes: end the transactions that hold it, and migrate again';
END $$;
-- +goose StatementEnd

-- Reads all entries, under a lock that lets readers and writers go on.
-- +goose StatementBegin
DO $$
BEGIN
    PERFORM set_config('lock_timeout', '5s', true);
    IF EXISTS (SELECT FROM pg_constraint WHERE conrelid = to_regclass('audit_events') AND conname = 'audit_events_months'
            AND NOT convalidated) THEN
        ALTER TABLE audit_events VALIDATE CONSTRAINT audit_events_months;
    END IF;
END $$;
-- +goose StatementEnd

-- The new table takes the place of the old one, with its owner and its privileges.
-- +goose StatementBegin
DO $$
DECLARE
    old   pg_class;
    ends  BIGINT;
    found RECORD;
BEGIN
    SELECT * INTO old FROM pg_class WHERE oid = to_regclass('audit_events');
    IF old.relkind = 'p' THEN
        RETURN;
    END IF;
    FOR try IN 1..300 LOOP
        BEGIN
            PERFORM set_config('lock_timeout', '500ms', true);
            LOCK TABLE audit_events IN ACCESS EXCLUSIVE MODE;
            SELECT CAST(substring(pg_get_constraintdef(oid) FROM '[0-9]{6,}') AS BIGINT) INTO ends
                FROM pg_constraint WHERE conrelid = old.oid AND conname = 'audit_events_months';
            ALTER TABLE audit_events RENAME TO audit_events_before;
            ALTER TABLE audit_events_before RENAME CONSTRAINT audit_events_pkey TO audit_events_before_pkey;
            ALTER INDEX audit_events_actor RENAME TO audit_events_before_actor;
            ALTER INDEX audit_events_target RENAME TO audit_events_before_target;
            ALTER INDEX audit_events_rare RENAME TO audit_events_before_rare;

            EXECUTE format('CREATE TABLE %I.audit_events (
                at          BIGINT NOT NULL,
                id          TEXT COLLATE "C" NOT NULL,
                name        TEXT COLLATE "C" NOT NULL,
                outcome     TEXT   NOT NULL,
                reason      TEXT   NOT NULL,
                actor_type  TEXT   NOT NULL,
                actor_id    TEXT COLLATE "C" NOT NULL,
                target_type TEXT   NOT NULL,
                target_id   TEXT COLLATE "C" NOT NULL,
                client_id   TEXT   NOT NULL,
                session_id  TEXT   NOT NULL,
                address     TEXT   NOT NULL,
                user_agent  TEXT   NOT NULL,
                request_id  TEXT   NOT NULL,
                changes     TEXT   NOT NULL,
                PRIMARY KEY (at, id)
            ) PARTITION BY RANGE (at)', old.relnamespace::regnamespace);
            CREATE INDEX audit_events_actor ON audit_events (actor_id, at, id) WHERE actor_id <> '';
            CREATE INDEX audit_events_target ON audit_events (target_id, at, id) WHERE target_id <> '';
            CREATE INDEX audit_events_rare ON audit_events (name, at, id) WHERE name NOT IN ('login_succeeded', 'login_failed');
            EXECUTE format('CREATE TABLE %I.audit_events_other PARTITION OF audit_events DEFAULT', old.relnamespace::regnamespace);
            EXECUTE format('ALTER TABLE audit_events OWNER TO %I', pg_get_userbyid(old.relowner));
            EXECUTE format('ALTER TABLE audit_events_other OWNER TO %I', pg_get_userbyid(old.relowner));
            FOR found IN SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS grantee,
                    a.privilege_type, a.is_grantable
                    FROM aclexplode(old.relacl) a WHERE a.grantee <> old.relowner LOOP
                EXECUTE format('GRANT %s ON audit_events TO %s%s', found.privilege_type, found.grantee,
                    CASE WHEN found.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END);
            END LOOP;

            CREATE OR REPLACE VIEW readable_audit_events AS
            SELECT to_timestamp(at / 1e6) AS at, name, outcome, reason, actor_type, actor_id, target_type, target_id,
                   client_id, session_id, address, user_agent, request_id, changes, id
            FROM audit_events;

            IF ends IS NULL THEN
                -- It was empty; entries that have come since are few.
                INSERT INTO audit_events SELECT * FROM audit_events_before;
                DROP TABLE audit_events_before;
            ELSE
                EXECUTE format('ALTER TABLE audit_events ATTACH PARTITION audit_events_before
                    FOR VALUES FROM (MINVALUE) TO (%s)', ends);
                ALTER TABLE audit_events_before DROP CONSTRAINT audit_events_months;
            END IF;
            RETURN;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            PERFORM pg_sleep(0.5 + random() / 2);
        END;
    END LOOP;
    RAISE EXCEPTION 'audit_events was in use for five minutes: end the transactions that hold it, and migrate again';
END $$;
-- +goose StatementEnd
