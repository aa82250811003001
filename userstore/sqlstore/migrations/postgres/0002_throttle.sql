-- Attempts to guess passwords and to sign up, and the networks from which
-- somebody logged in to an account.
--
-- Nothing here names a user or a network: a budget is an HMAC of both, under a
-- key that lies sealed beside the signing keys.

-- +goose Up

-- One row for each attempt and each budget it counts against, for as long as it
-- counts. The primary key is the order in which budgets are counted. Rows come
-- and go with every login, so they are vacuumed when few have gone.
CREATE TABLE throttle_attempts (
    budget        BYTEA  NOT NULL,
    at            BIGINT NOT NULL,
    attempt       BYTEA  NOT NULL,
    -- Under way until then at most; 0: it was wrong.
    pending_until BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL,
    PRIMARY KEY (budget, at, attempt)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000);
CREATE INDEX throttle_attempts_expires ON throttle_attempts (expires_at);

CREATE TABLE throttle_networks (
    budget BYTEA  NOT NULL PRIMARY KEY,
    until  BIGINT NOT NULL
);
CREATE INDEX throttle_networks_until ON throttle_networks (until);
