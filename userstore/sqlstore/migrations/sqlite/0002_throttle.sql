-- Attempts to guess passwords and to sign up, and the networks from which
-- somebody logged in to an account.
--
-- Nothing here names a user or a network: a budget is an HMAC of both, under a
-- key that lies sealed beside the signing keys.

-- +goose Up

-- One row for each attempt and each budget it counts against, for as long as it
-- counts. The primary key is the order in which budgets are counted.
CREATE TABLE throttle_attempts (
    budget        BLOB    NOT NULL,
    at            INTEGER NOT NULL,
    attempt       BLOB    NOT NULL,
    -- Under way until then at most; 0: it was wrong.
    pending_until INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL,
    PRIMARY KEY (budget, at, attempt)
) STRICT, WITHOUT ROWID;
CREATE INDEX throttle_attempts_expires ON throttle_attempts (expires_at);

CREATE TABLE throttle_networks (
    budget BLOB    NOT NULL PRIMARY KEY,
    until  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX throttle_networks_until ON throttle_networks (until);
