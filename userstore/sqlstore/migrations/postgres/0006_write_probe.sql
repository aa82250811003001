-- What a server writes to find out whether the database takes writes: one of a few rows, so that
-- replicas that ask at once do not wait for each other.

-- +goose Up

-- No index but the key, and pages that are nearly empty: the rows are updated in place.
CREATE TABLE write_probe (
    id INTEGER NOT NULL PRIMARY KEY,
    at BIGINT  NOT NULL
) WITH (fillfactor = 10);
INSERT INTO write_probe (id, at) SELECT n, 0 FROM generate_series(1, 8) n;
