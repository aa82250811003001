package userstore

import "time"

// Consent is what a user allowed a client to have, until taken back.
type Consent struct {
	UserID    string
	ClientID  string
	Scopes    []string
	Resources []string
	CreatedAt time.Time
	UpdatedAt time.Time
}
