-- What finds users by a part of their names, by their roles, and those who are disabled. All of it is
-- made from the table users.
--
-- An older binary may go on: triggers keep everything that it changes.

-- +goose Up

CREATE INDEX users_disabled ON users (created_at, id) WHERE NOT is_active;

-- A row for each role of each user, in the order of lists, and another one if the user is disabled. role
-- is the first 200 characters.
CREATE TABLE search_roles (
    role       TEXT    NOT NULL,
    disabled   INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    user_id    TEXT    NOT NULL,
    PRIMARY KEY (role, disabled, created_at, user_id)
) STRICT, WITHOUT ROWID;

-- The trigrams of names, under the number that search_names gives a user: the number of the row in
-- users may change with VACUUM.
CREATE VIRTUAL TABLE search_grams USING fts5 (names, content = '', contentless_delete = 1, detail = none,
    tokenize = 'trigram case_sensitive 1');
CREATE TABLE search_names (
    n       INTEGER NOT NULL PRIMARY KEY,
    user_id TEXT    NOT NULL UNIQUE
) STRICT;

-- Users who are new or have another name, which the index does not know yet: to index many at once costs a
-- fraction. Until then a search compares the names of these users, too.
CREATE TABLE search_todo (
    user_id TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- One row while the users of before this migration are being indexed: those up to this id are. The
-- server does that beside requests, and so the migration takes no longer for many users.
CREATE TABLE search_before (
    upto TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;
INSERT INTO search_before (upto) SELECT '' WHERE EXISTS (SELECT 1 FROM users);

-- +goose StatementBegin
CREATE TRIGGER search_user_added AFTER INSERT ON users FOR EACH ROW
BEGIN
    INSERT OR IGNORE INTO search_todo (user_id) VALUES (NEW.id);
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER search_user_renamed AFTER UPDATE OF email_key, username_key ON users FOR EACH ROW
WHEN OLD.email_key <> NEW.email_key OR OLD.username_key <> NEW.username_key
BEGIN
    INSERT OR IGNORE INTO search_todo (user_id) VALUES (NEW.id);
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER search_user_deleted AFTER DELETE ON users FOR EACH ROW
BEGIN
    DELETE FROM search_grams WHERE rowid = (SELECT n FROM search_names WHERE user_id = OLD.id);
    DELETE FROM search_names WHERE user_id = OLD.id;
    DELETE FROM search_todo WHERE user_id = OLD.id;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER search_roles_added AFTER INSERT ON users FOR EACH ROW WHEN NEW.roles <> '[]'
BEGIN
    INSERT OR IGNORE INTO search_roles (role, disabled, created_at, user_id)
        SELECT substr(j.value, 1, 200), d.disabled, NEW.created_at, NEW.id
        FROM json_each(CASE WHEN json_valid(NEW.roles) THEN NEW.roles ELSE '[]' END) j,
            (SELECT 0 AS disabled UNION ALL SELECT 1) d
        WHERE j.type = 'text' AND (d.disabled = 0 OR NOT NEW.is_active);
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER search_roles_changed AFTER UPDATE OF roles, is_active, created_at ON users FOR EACH ROW
WHEN OLD.roles <> NEW.roles OR NEW.roles <> '[]' AND
    (OLD.is_active <> NEW.is_active OR OLD.created_at <> NEW.created_at)
BEGIN
    DELETE FROM search_roles WHERE user_id = OLD.id AND created_at = OLD.created_at AND disabled IN (0, 1) AND role IN
        (SELECT substr(value, 1, 200) FROM json_each(CASE WHEN json_valid(OLD.roles) THEN OLD.roles ELSE '[]' END));
    INSERT OR IGNORE INTO search_roles (role, disabled, created_at, user_id)
        SELECT substr(j.value, 1, 200), d.disabled, NEW.created_at, NEW.id
        FROM json_each(CASE WHEN json_valid(NEW.roles) THEN NEW.roles ELSE '[]' END) j,
            (SELECT 0 AS disabled UNION ALL SELECT 1) d
        WHERE j.type = 'text' AND (d.disabled = 0 OR NOT NEW.is_active);
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER search_roles_deleted AFTER DELETE ON users FOR EACH ROW WHEN OLD.roles <> '[]'
BEGIN
    DELETE FROM search_roles WHERE user_id = OLD.id AND created_at = OLD.created_at AND disabled IN (0, 1) AND role IN
        (SELECT substr(value, 1, 200) FROM json_each(CASE WHEN json_valid(OLD.roles) THEN OLD.roles ELSE '[]' END));
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER search_roles_before AFTER UPDATE OF upto ON search_before FOR EACH ROW
BEGIN
    INSERT OR IGNORE INTO search_roles (role, disabled, created_at, user_id)
        SELECT substr(j.value, 1, 200), d.disabled, u.created_at, u.id
        FROM users u, json_each(CASE WHEN json_valid(u.roles) THEN u.roles ELSE '[]' END) j,
            (SELECT 0 AS disabled UNION ALL SELECT 1) d
        WHERE u.id > OLD.upto AND u.id <= NEW.upto AND u.roles <> '[]' AND j.type = 'text'
            AND (d.disabled = 0 OR NOT u.is_active);
END;
-- +goose StatementEnd
