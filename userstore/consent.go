package userstore

import (
	"slices"
	"time"
)

// Consent is what a user allowed a client, until the user revokes it.
type Consent struct {
	UserID    string
	ClientID  string
	Allowed   []Allowance // one for each resource
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Allowance holds the scopes that a user allowed at one resource. It says nothing about other
// resources.
type Allowance struct {
	Resource string // empty: the default audience, and the user's claims
	Scopes   []string
}

// At returns the scopes that the consent allows at a resource, if any.
func (c Consent) At(resource string) (scopes []string, ok bool) {
	n := slices.IndexFunc(c.Allowed, func(a Allowance) bool { return a.Resource == resource })
	if n < 0 {
		return nil, false
	}
	return c.Allowed[n].Scopes, true
}

// Covers reports whether the consent allows all of wanted.
func (c Consent) Covers(wanted []Allowance) bool {
	return !slices.ContainsFunc(wanted, func(w Allowance) bool {
		scopes, ok := c.At(w.Resource)
		return !ok || slices.ContainsFunc(w.Scopes, func(s string) bool { return !slices.Contains(scopes, s) })
	})
}
