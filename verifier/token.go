package verifier

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/strictjson"
)

// Token is a verified access token (RFC 9068). There is none beside an error.
type Token struct {
	Issuer    string
	Subject   string // the user, or the client that acts for itself
	Audience  []string
	ClientID  string
	ID        string // jti
	Scopes    []string
	Expiry    time.Time
	IssuedAt  time.Time
	NotBefore time.Time // zero: not said

	// What is said when a user stands behind the token; otherwise empty.
	SessionID             string    // sid
	AuthenticatedAt       time.Time // auth_time
	AuthenticationContext string    // acr
	AuthenticationMethods []string  // amr
	Roles                 []string

	KeyID     string
	Algorithm string

	payload []byte
}

// HasScope tells whether the token was granted scope.
func (t *Token) HasScope(scope string) bool { return slices.Contains(t.Scopes, scope) }

// HasRole tells whether the user holds role.
func (t *Token) HasRole(role string) bool { return slices.Contains(t.Roles, role) }

// Claim decodes any claim of the token into v, matching its name exactly;
// false when the token does not have it.
func (t *Token) Claim(name string, v any) (bool, error) {
	members, err := strictjson.Members(t.payload)
	if err != nil {
		return false, errors.New("this token was not made by Verify")
	}
	for _, m := range members {
		if m.Name == name {
			if err := strictjson.Unmarshal(m.Value, v, strictjson.IgnoreUnknown); err != nil {
				return true, fmt.Errorf("the claim %q: %w", name, err)
			}
			return true, nil
		}
	}
	return false, nil
}

// Claims is the token's payload, a JSON object without duplicate members.
func (t *Token) Claims() json.RawMessage { return slices.Clone(t.payload) }

// claimNames are the claims that readClaims reads. A member that differs from
// one only in case would be the same claim to a laxer reader.
var claimNames = []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "sid", "auth_time", "acr", "amr", "roles", "cnf"}

// readClaims decodes a payload by hand, in one pass: through encoding/json the
// claims would cost as much as half a signature. It holds every claim to its
// type and RFC 9068's to their presence; what they say is judged elsewhere. A
// fuzz target holds it against encoding/json.
func readClaims(payload []byte) (*Token, error) {
	t := &Token{payload: payload}
	var problem error
	wrong := func(name, want string) {
		if problem == nil {
			problem = fmt.Errorf("the claim %s is not %s", name, want)
		}
	}
	text := func(name string, value []byte, to *string) {
		var ok bool
		if *to, ok = strictjson.String(value); !ok || *to == "" {
			wrong(name, "a string with something in it")
		}
	}
	list := func(name string, value []byte, to *[]string) {
		var ok bool
		if *to, ok = strictjson.Strings(value); !ok || slices.Contains(*to, "") {
			wrong(name, "a list of strings")
		}
	}
	date := func(name string, value []byte, to *time.Time) {
		seconds, ok := numericDate(value)
		if *to = time.Unix(seconds, 0); !ok {
			wrong(name, "a time in seconds between 1970 and the year 9999")
		}
	}
	err := strictjson.Object(payload, func(name, value []byte) {
		switch string(name) {
		case "iss":
			text("iss", value, &t.Issuer)
		case "sub":
			text("sub", value, &t.Subject)
		case "aud":
			if value[0] == '"' {
				t.Audience = make([]string, 1)
				text("aud", value, &t.Audience[0])
			} else {
				list("aud", value, &t.Audience)
			}
		case "exp":
			date("exp", value, &t.Expiry)
		case "nbf":
			date("nbf", value, &t.NotBefore)
		case "iat":
			date("iat", value, &t.IssuedAt)
		case "jti":
			text("jti", value, &t.ID)
		case "client_id":
			text("client_id", value, &t.ClientID)
		case "scope":
			scope, ok := strictjson.String(value)
			if scope != "" {
				t.Scopes = strings.Split(scope, " ")
			}
			if !ok || slices.Contains(t.Scopes, "") {
				wrong("scope", "a string of scopes with one space between")
			}
		case "sid":
			text("sid", value, &t.SessionID)
		case "auth_time":
			date("auth_time", value, &t.AuthenticatedAt)
		case "acr":
			text("acr", value, &t.AuthenticationContext)
		case "amr":
			list("amr", value, &t.AuthenticationMethods)
		case "roles":
			list("roles", value, &t.Roles)
		case "cnf":
			// Only its holder may use such a token (RFC 7800, RFC 9449), and proofs are not checked yet.
			if problem == nil {
				problem = errors.New("the token is bound to a key (cnf), and this verifier cannot check the proof of it")
			}
		default:
			for _, known := range claimNames {
				if len(known) <= len(name) && strings.EqualFold(known, string(name)) && problem == nil {
					problem = fmt.Errorf("the token has a member that is %s but for its case", known)
				}
			}
		}
	})
	if err != nil {
		return nil, fmt.Errorf("the token's payload: %w", err)
	}
	if problem != nil {
		return nil, problem
	}
	for _, required := range []struct {
		name    string
		missing bool
	}{
		{"iss", t.Issuer == ""}, {"sub", t.Subject == ""}, {"aud", len(t.Audience) == 0}, {"exp", t.Expiry.IsZero()},
		{"iat", t.IssuedAt.IsZero()}, {"jti", t.ID == ""}, {"client_id", t.ClientID == ""},
	} {
		if required.missing {
			return nil, fmt.Errorf("the token has no %s", required.name)
		}
	}
	return t, nil
}

// latestDate is the last second of the year 9999.
const latestDate = 253402300799

// numericDate reads a time of RFC 7519 section 2. A fraction is cut off, which
// lets a token expire early, never late; an exponent is not accepted, so that no
// digit of arithmetic can overflow.
func numericDate(value []byte) (int64, bool) {
	whole, _, _ := strings.Cut(string(value), ".")
	if whole == "" || len(whole) > 12 {
		return 0, false
	}
	for _, c := range value {
		if c != '.' && (c < '0' || c > '9') {
			return 0, false
		}
	}
	var n int64
	for _, c := range whole {
		n = n*10 + int64(c-'0')
	}
	return n, n <= latestDate
}
