-- The audit log: what happened, who did it to whom, from where, and what came
-- of it. And the few admins among the users, so that the last one is found out
-- without looking at everybody.

-- +goose Up

-- Rows are added, and deleted when they are old; never changed. No foreign key:
-- the log outlives what it tells of. The primary key is the order of pages, and
-- grows at its end. An id is random, and makes a row that is stored again when an
-- answer was lost the same row.
CREATE TABLE audit_events (
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
);
CREATE INDEX audit_events_actor ON audit_events (actor_id, at, id) WHERE actor_id <> '';
CREATE INDEX audit_events_target ON audit_events (target_id, at, id) WHERE target_id <> '';
-- The names that nearly every row has are found quickly without an index.
CREATE INDEX audit_events_rare ON audit_events (name, at, id) WHERE name NOT IN ('login_succeeded', 'login_failed');

-- A role stands in the list right after [ or a comma; a quote inside a role is
-- escaped, so that no other text looks like one. No login changes what this
-- holds: its updates stay in place (HOT).
CREATE INDEX users_admins ON users (id)
    WHERE CASE WHEN is_active AND replace(replace(roles, '["admin"', ''), ',"admin"', '') <> roles THEN 1 ELSE 0 END = 1;

-- For people with psql.
CREATE VIEW readable_audit_events AS
SELECT to_timestamp(at / 1e6) AS at, name, outcome, reason, actor_type, actor_id, target_type, target_id,
       client_id, session_id, address, user_agent, request_id, changes, id
FROM audit_events;
