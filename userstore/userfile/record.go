package userfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/printable"
	"github.com/signet-id/signet/internal/strictjson"
	"github.com/signet-id/signet/userstore"
)

// userRecord is an account as a line of JSON: the names of the account API, and the hash.
type userRecord struct {
	Subject       string `json:"sub,omitempty"`
	Email         string `json:"email"`
	EmailVerified bool   `json:"email_verified,omitempty"`
	Username      string `json:"preferred_username,omitempty"`
	userstore.Claims
	IsActive     *bool    `json:"is_active,omitempty"` // absent: true
	IsStaff      bool     `json:"is_staff,omitempty"`
	Roles        []string `json:"roles,omitempty"`
	PasswordHash string   `json:"password_hash,omitempty"`
	CreatedAt    *string  `json:"created_at,omitempty"`
	UpdatedAt    *string  `json:"updated_at,omitempty"`
	LastLoginAt  *string  `json:"last_login_at,omitempty"`

	Credentials []json.RawMessage `json:"credentials,omitempty"` // as Keycloak names them; an export has none
}

func record(u userstore.User) userRecord {
	return userRecord{
		Subject: u.ID, Email: u.Email, EmailVerified: u.EmailVerified, Username: u.Username, Claims: u.Claims.WithComposedName(),
		IsActive: &u.IsActive, IsStaff: u.IsStaff, Roles: u.Roles, PasswordHash: u.PasswordHash,
		CreatedAt: rfc3339(u.CreatedAt), UpdatedAt: rfc3339(u.UpdatedAt), LastLoginAt: rfc3339(u.LastLoginAt),
	}
}

// parseRecord reads one line of JSON, strictly. It knows no line number, so LeftOut has none.
func parseRecord(line []byte) (Account, error) {
	var r userRecord
	err := strictjson.Unmarshal(line, &r, strictjson.RefuseUnknown)
	if strict := (*strictjson.Error)(nil); errors.As(err, &strict) {
		var parts []string
		for _, p := range strict.Problems {
			parts = append(parts, strings.TrimPrefix(shownName(p.Field)+": "+p.Message, ": "))
		}
		return Account{}, errors.New(strings.Join(parts, " "))
	}
	if err != nil {
		return Account{}, errors.New("this is not JSON")
	}
	u := userstore.User{
		ID: r.Subject, Email: r.Email, EmailVerified: r.EmailVerified, Username: r.Username, Claims: r.Claims.WithoutComposedName(),
		IsActive: r.IsActive == nil || *r.IsActive, IsStaff: r.IsStaff, Roles: r.Roles, PasswordHash: r.PasswordHash,
	}
	for _, x := range []struct {
		name string
		text *string
		t    *time.Time
	}{
		{"created_at", r.CreatedAt, &u.CreatedAt},
		{"updated_at", r.UpdatedAt, &u.UpdatedAt},
		{"last_login_at", r.LastLoginAt, &u.LastLoginAt},
	} {
		if x.text == nil {
			continue
		}
		if *x.t, err = time.Parse(time.RFC3339Nano, *x.text); err != nil {
			return Account{}, fmt.Errorf("%s: write the instant like 2026-01-02T15:04:05Z", x.name)
		}
	}
	a := Account{User: u}
	readCredentials(0, &a, r.Credentials)
	return a, nil
}

// plainName matches a member's name that cannot be a user's address, name or password hash.
var plainName = regexp.MustCompile(`^[a-z]+(_[a-z]+)*(\.[a-z_]+|\.[0-9]+)?$`)

// shownName returns a member's name for an error, unless it could be a value in the wrong place.
func shownName(name string) string {
	if name == "" || len(name) <= 32 && plainName.MatchString(name) {
		return name
	}
	return "a member"
}

// encodeRecord writes one line of JSON. People read exports in a terminal, so control sequences are
// escaped, which does not change the values.
func encodeRecord(u userstore.User) ([]byte, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(record(u))
	return printable.JSON([]byte(b.String())), err
}

// rfc3339 formats t; it returns nil for the zero time.
func rfc3339(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := t.UTC().Format(time.RFC3339Nano)
	return &s
}
