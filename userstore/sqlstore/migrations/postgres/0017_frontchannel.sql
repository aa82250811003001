-- Apps that hear of a logout by a frame of the logout page, too, have rows in app_sessions: so the page
-- knows them after their grants have ended. An older binary makes no rows for them.

-- +goose Up

-- Whether the client has a frontchannel_logout_uri: metadata holds the URI itself.
ALTER TABLE clients ADD COLUMN frontchannel_logout BOOLEAN NOT NULL DEFAULT FALSE;
