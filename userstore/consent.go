package userstore

import (
	"slices"
	"time"
)

// Consent is what a user allowed a client to have, until taken back.
type Consent struct {
	UserID    string
	ClientID  string
	Allowed   []Allowance // by resource, each named once
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Allowance are the scopes that a user allowed at one resource. That they may be had elsewhere
// was never said.
type Allowance struct {
	Resource string // empty: the default audience, and what scopes tell of the user
	Scopes   []string
}

// At is what the consent allows at a resource, if anything.
func (c Consent) At(resource string) (scopes []string, ok bool) {
	n := slices.IndexFunc(c.Allowed, func(a Allowance) bool { return a.Resource == resource })
	if n < 0 {
		return nil, false
	}
	return c.Allowed[n].Scopes, true
}

// Covers tells whether the consent allows all of wanted.
func (c Consent) Covers(wanted []Allowance) bool {
	return !slices.ContainsFunc(wanted, func(w Allowance) bool {
		scopes, ok := c.At(w.Resource)
		return !ok || slices.ContainsFunc(w.Scopes, func(s string) bool { return !slices.Contains(scopes, s) })
	})
}
