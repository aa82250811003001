package userstore

import (
	"crypto/sha256"
	"strings"
	"time"
)

// User is an account.
type User struct {
	ID       string // the subject: 128 random bits, base64url; never reused
	Email    string // as typed, for display
	EmailKey string // canonical form; unique

	Username    string // preferred_username, as typed; may be empty
	UsernameKey string // canonical form; unique when not empty

	EmailVerified bool
	PasswordHash  string // PHC string; empty: no password login
	Claims        Claims
	IsActive      bool
	IsStaff       bool // a plain profile flag without authority
	Roles         []string

	CreatedAt   time.Time
	UpdatedAt   time.Time
	LastLoginAt time.Time // zero: never
	Version     int64     // of the row, for compare-and-swap

	SecondFactor  bool  // there is an authenticator app or a passkey: the password alone does not suffice
	FactorVersion int64 // changes whenever the second factors do
	// FactorsVouched: the address is not proved, and an operator gave it to the account together with
	// the second factors, or to the account that had them. So the person who proves the address has to
	// show one. UpdateUser stores it only with another address, of an account that has a second factor.
	FactorsVouched bool
}

// RoleAdmin lets a user administer this service. The store knows the role too, and keeps one
// enabled admin.
const RoleAdmin = "admin"

// HasRole reports whether the user has role.
func (u User) HasRole(role string) bool {
	for _, r := range u.Roles {
		if r == role {
			return true
		}
	}
	return false
}

// PasswordMark tells one stored password from another: a handle that carries it ends with the
// password. It is a hash of a salted hash, from which neither can be found.
func (u User) PasswordMark() []byte {
	sum := sha256.Sum256([]byte("password of a proof\x00" + u.ID + "\x00" + u.PasswordHash))
	return sum[:16]
}

// Claims are the standard claims of OIDC Core section 5.1 that a user may fill in freely. The
// claims email, preferred_username and updated_at live on User.
type Claims struct {
	Name                string   `json:"name,omitempty"`
	GivenName           string   `json:"given_name,omitempty"`
	FamilyName          string   `json:"family_name,omitempty"`
	MiddleName          string   `json:"middle_name,omitempty"`
	Nickname            string   `json:"nickname,omitempty"`
	Profile             string   `json:"profile,omitempty"`
	Picture             string   `json:"picture,omitempty"`
	Website             string   `json:"website,omitempty"`
	Gender              string   `json:"gender,omitempty"`
	Birthdate           string   `json:"birthdate,omitempty"`
	Zoneinfo            string   `json:"zoneinfo,omitempty"`
	Locale              string   `json:"locale,omitempty"`
	PhoneNumber         string   `json:"phone_number,omitempty"`
	PhoneNumberVerified bool     `json:"phone_number_verified,omitempty"`
	Address             *Address `json:"address,omitempty"`
}

// WithComposedName returns the claims as apps see them: an empty name is composed of given and
// family name, because apps look for name (OIDC Core section 5.1) and people fill in the other two.
func (c Claims) WithComposedName() Claims {
	if c.Name == "" {
		c.Name = c.composedName()
	}
	return c
}

// WithoutComposedName returns the claims without a name that WithComposedName composed, so that an
// export is imported unchanged.
func (c Claims) WithoutComposedName() Claims {
	if c.Name == c.composedName() {
		c.Name = ""
	}
	return c
}

func (c Claims) composedName() string {
	return strings.TrimSpace(c.GivenName + " " + c.FamilyName)
}

// Address is the address claim of OIDC Core section 5.1.1.
type Address struct {
	Formatted     string `json:"formatted,omitempty"`
	StreetAddress string `json:"street_address,omitempty"`
	Locality      string `json:"locality,omitempty"`
	Region        string `json:"region,omitempty"`
	PostalCode    string `json:"postal_code,omitempty"`
	Country       string `json:"country,omitempty"`
}
