-- What a server writes to find out whether the database takes writes.

-- +goose Up

CREATE TABLE write_probe (
    id INTEGER NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL
) STRICT;
INSERT INTO write_probe (id, at) VALUES (1, 0);
