package profile

import (
	"time"

	"github.com/signet-id/signet/userstore"
)

// Factors is what an account has beside its password, without a secret.
type Factors struct {
	SecondFactor    bool             `json:"second_factor"`
	Authenticator   *Authenticator   `json:"authenticator"` // null: none
	Passkeys        []Passkey        `json:"passkeys"`      // oldest first
	RecoveryCodes   RecoveryCodes    `json:"recovery_codes"`
	TrustedBrowsers []TrustedBrowser `json:"trusted_browsers"` // newest first
}

// Authenticator is an authenticator app.
type Authenticator struct {
	ID         string     `json:"id"`
	CreatedAt  time.Time  `json:"created_at"`
	LastUsedAt *time.Time `json:"last_used_at,omitempty"` // absent: never
}

// Passkey is a passkey.
type Passkey struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	CreatedAt  time.Time  `json:"created_at"`
	LastUsedAt *time.Time `json:"last_used_at,omitempty"` // absent: never
	Synced     bool       `json:"synced"`                 // it is on other devices of its owner as well
	Transports []string   `json:"transports"`
}

// RecoveryCodes says how many codes are left.
type RecoveryCodes struct {
	Left int `json:"left"`
}

// TrustedBrowser is a browser in which the password does.
type TrustedBrowser struct {
	ID         string    `json:"id"`
	CreatedAt  time.Time `json:"created_at"`
	LastUsedAt time.Time `json:"last_used_at"`
	ExpiresAt  time.Time `json:"expires_at"`
	UserAgent  string    `json:"user_agent,omitempty"`
	Address    string    `json:"address,omitempty"`
}

// FactorsOf is the document of what a user has.
func FactorsOf(have userstore.SecondFactors, trusted []userstore.TrustedBrowser) Factors {
	d := Factors{
		SecondFactor:    have.App != nil || len(have.Passkeys) > 0,
		RecoveryCodes:   RecoveryCodes{have.RecoveryCodes},
		Passkeys:        make([]Passkey, 0, len(have.Passkeys)),
		TrustedBrowsers: make([]TrustedBrowser, 0, len(trusted)),
	}
	if app := have.App; app != nil {
		d.Authenticator = &Authenticator{ID: app.ID, CreatedAt: app.CreatedAt.UTC(), LastUsedAt: lastUse(app.LastUsedAt)}
	}
	for _, p := range have.Passkeys {
		d.Passkeys = append(d.Passkeys, PasskeyOf(p))
	}
	for _, b := range trusted {
		d.TrustedBrowsers = append(d.TrustedBrowsers, TrustedBrowser{
			ID: b.ID, CreatedAt: b.CreatedAt.UTC(), LastUsedAt: b.LastUsedAt.UTC(), ExpiresAt: b.EndsAt.UTC(),
			UserAgent: b.UserAgent, Address: b.Address,
		})
	}
	return d
}

// PasskeyOf is the document of a passkey.
func PasskeyOf(p userstore.Passkey) Passkey {
	d := Passkey{
		ID: p.ID, Name: p.Name, CreatedAt: p.CreatedAt.UTC(), LastUsedAt: lastUse(p.LastUsedAt), Synced: p.BackedUp,
		Transports: p.Transports,
	}
	if d.Transports == nil {
		d.Transports = []string{}
	}
	return d
}

// lastUse is nil for never.
func lastUse(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	at = at.UTC()
	return &at
}
