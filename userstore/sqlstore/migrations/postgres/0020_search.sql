-- What finds users by their roles, and those who are disabled. It is made from the table users. The
-- index of names is made behind the migrations, where the database has pg_trgm.
--
-- An older binary may go on: triggers keep everything that it changes.
--
-- Lock budget: users is locked against writers once, for at most half a second of waiting and some
-- milliseconds of work; a try that waits longer gives way and is repeated a little later, for five
-- minutes. Then users with roles are locked, 200 at a time, for as long as it takes to write their rows.
-- The index is built beside readers and writers.
--
-- Resumable: the first step is one transaction that does nothing where it was done before, rows that are
-- there stay, and the index that an interrupted step left behind is dropped and built again.

-- +goose NO TRANSACTION
-- +goose Up

-- +goose StatementBegin
DO $$
BEGIN
    IF to_regclass('search_roles') IS NOT NULL THEN
        RETURN;
    END IF;
    FOR try IN 1..300 LOOP
        BEGIN
            PERFORM set_config('lock_timeout', '500ms', true);
            LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE;

            -- A row for each role of each user, in the order of lists, and another one if the user is
            -- disabled. role is the first 200 characters.
            CREATE TABLE search_roles (
                role       TEXT COLLATE "C" NOT NULL,
                disabled   BOOLEAN NOT NULL,
                created_at BIGINT  NOT NULL,
                user_id    TEXT COLLATE "C" NOT NULL,
                PRIMARY KEY (role, disabled, created_at, user_id)
            );

            -- The roles of a stored list; of a damaged one, none.
            CREATE FUNCTION search_roles_in(roles TEXT) RETURNS SETOF TEXT LANGUAGE plpgsql IMMUTABLE AS $f$
            BEGIN
                RETURN QUERY SELECT DISTINCT left(r.role, 200)
                    FROM json_array_elements_text(CAST(roles AS JSON)) AS r (role) WHERE r.role IS NOT NULL;
            EXCEPTION WHEN data_exception THEN
                RETURN;
            END $f$;

            -- With the rights of who migrates: a server whose role may use only the tables of before goes on.
            PERFORM set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);
            CREATE FUNCTION search_user_roles() RETURNS trigger LANGUAGE plpgsql
                SECURITY DEFINER SET search_path FROM CURRENT AS $f$
            DECLARE
                gone TEXT;
            BEGIN
                IF TG_OP <> 'INSERT' THEN
                    -- One by one: a plan for all of them, whose number is not known, would read the table.
                    FOR gone IN SELECT r.role FROM search_roles_in(OLD.roles) AS r (role) LOOP
                        DELETE FROM search_roles s WHERE s.role = gone AND s.disabled IN (FALSE, TRUE)
                            AND s.created_at = OLD.created_at AND s.user_id = OLD.id;
                    END LOOP;
                END IF;
                IF TG_OP <> 'DELETE' THEN
                    INSERT INTO search_roles (role, disabled, created_at, user_id)
                        SELECT r.role, d.disabled, NEW.created_at, NEW.id
                        FROM search_roles_in(NEW.roles) AS r (role), (VALUES (FALSE), (TRUE)) AS d (disabled)
                        WHERE NOT d.disabled OR NOT NEW.is_active
                        ON CONFLICT DO NOTHING;
                END IF;
                RETURN NULL;
            END $f$;
            -- Else any role could make a trigger with it on a table of its own, and run what it likes by
            -- casts of that table's columns. The triggers on users need no right to it.
            REVOKE ALL ON FUNCTION search_user_roles() FROM PUBLIC;
            CREATE TRIGGER search_user_added AFTER INSERT ON users FOR EACH ROW
                WHEN (NEW.roles <> '[]') EXECUTE FUNCTION search_user_roles();
            CREATE TRIGGER search_user_roles AFTER UPDATE OF roles, is_active, created_at ON users FOR EACH ROW
                WHEN (OLD.roles <> NEW.roles OR NEW.roles <> '[]' AND
                    (OLD.is_active <> NEW.is_active OR OLD.created_at <> NEW.created_at))
                EXECUTE FUNCTION search_user_roles();
            CREATE TRIGGER search_user_deleted AFTER DELETE ON users FOR EACH ROW
                WHEN (OLD.roles <> '[]') EXECUTE FUNCTION search_user_roles();
            RETURN;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            PERFORM pg_sleep(0.5 + random() / 2);
        END;
    END LOOP;
    RAISE EXCEPTION 'users was in use for five minutes: end the transactions that hold it, and migrate again';
END $$;
-- +goose StatementEnd

-- The users of before. They are locked, so that no role is taken from one of them between the reading
-- and the writing.
-- +goose StatementBegin
DO $$
DECLARE
    done TEXT := '';
BEGIN
    LOOP
        PERFORM set_config('lock_timeout', '5s', true);
        WITH batch AS MATERIALIZED (
            SELECT id, created_at, roles, is_active FROM users WHERE id > done AND roles <> '[]'
                ORDER BY id LIMIT 200 FOR SHARE
        ), written AS (
            INSERT INTO search_roles (role, disabled, created_at, user_id)
                SELECT r.role, d.disabled, b.created_at, b.id
                FROM batch b CROSS JOIN LATERAL search_roles_in(b.roles) AS r (role),
                    (VALUES (FALSE), (TRUE)) AS d (disabled)
                WHERE NOT d.disabled OR NOT b.is_active
                ON CONFLICT DO NOTHING
        )
        SELECT MAX(id) INTO done FROM batch;
        COMMIT;
        EXIT WHEN done IS NULL;
    END LOOP;
END $$;
-- +goose StatementEnd

CREATE INDEX CONCURRENTLY IF NOT EXISTS users_disabled ON users (created_at, id) WHERE NOT is_active;

-- Without statistics, a page of a role that many have would be found by sorting all of them.
ANALYZE search_roles;
