package jose

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/strictjson"
)

// AccessClaims are the claims of an access token (RFC 9068 section 2.2) that decide whether it is
// accepted. Resource servers (the verifier) and the issuer's own endpoints both read and check them
// here, so that none is laxer than another.
type AccessClaims struct {
	Issuer, Subject, ClientID, ID string
	Audience, Scopes              []string
	Expiry, IssuedAt, NotBefore   time.Time // NotBefore zero: no nbf

	// KeyThumbprint is the thumbprint of the key that the token is bound to (cnf.jkt, RFC 9449 section 6.1);
	// empty: whoever has the token may use it.
	KeyThumbprint string

	// Of a user; otherwise empty.
	SessionID, ACR  string
	AuthenticatedAt time.Time
	AMR, Roles      []string

	Status *Status // nil: no status claim
}

// Status is the claim status: it names the place of the token in a token status list
// (draft-ietf-oauth-status-list-21 section 6.1). Without a URI it names other mechanisms only.
type Status struct {
	URI   string
	Index uint64
}

// What Check finds wrong. ErrExpired means that the token was valid once.
var (
	ErrOtherIssuer   = errors.New("the token is from another issuer")
	ErrBoundToKey    = errors.New("the token is bound to a key (cnf) and came without the key's proof")
	ErrOtherAudience = errors.New("the token is for another audience")
	ErrNotYetValid   = errors.New("the token is not valid yet")
	ErrIssuedLater   = fmt.Errorf("%w: it is issued in the future; compare the clocks", ErrNotYetValid)
	ErrExpired       = errors.New("the token has expired")
)

// Expected holds the values that Check compares the claims with.
type Expected struct {
	Issuer      string
	Audience    []string // the token must name one of them
	AnyAudience bool     // any audience is accepted: for endpoints of the issuer that answer about the token itself
	AnyKey      bool     // a token that is bound to a key is accepted: the caller asks for the key's proof, or for none
	Now         time.Time
	Skew        time.Duration // how far clocks may be off
}

// Check returns why a token is refused. It checks the expiry after every other fault of a token of
// ours, so that ErrExpired means that the token was valid once.
func (t *AccessClaims) Check(e Expected) error {
	switch {
	case t.Issuer != e.Issuer:
		return ErrOtherIssuer
	case len(t.Audience) == 0,
		!e.AnyAudience && !slices.ContainsFunc(t.Audience, func(aud string) bool { return slices.Contains(e.Audience, aud) }):
		return ErrOtherAudience
	case t.KeyThumbprint != "" && !e.AnyKey:
		return ErrBoundToKey
	case t.IssuedAt.After(e.Now.Add(e.Skew)):
		return ErrIssuedLater
	case t.NotBefore.After(e.Now.Add(e.Skew)):
		return ErrNotYetValid
	case !e.Now.Before(t.Expiry.Add(e.Skew)):
		// RFC 7519 section 4.1.4: on or after exp it must not be accepted.
		return ErrExpired
	case !t.Expiry.After(t.IssuedAt) && e.Now.Before(t.Expiry):
		// Within the leeway after exp, exp alone decides: there iat can do no harm.
		return errors.New("the token expires before it is issued")
	}
	return nil
}

// accessClaimNames are the claims that ReadAccessClaims reads. A laxer reader would take a member
// that differs from one of them only in case for the same claim.
var accessClaimNames = []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "sid", "auth_time", "acr", "amr", "roles", "cnf", "status"}

// ReadAccessClaims decodes a payload by hand, in one pass: with encoding/json the claims would cost
// as much as half a signature. It checks the type of every claim, and the presence of the claims
// that RFC 9068 requires; Check checks their values. A fuzz target of the verifier compares it with
// encoding/json.
func ReadAccessClaims(payload []byte) (AccessClaims, error) {
	var t AccessClaims
	var problem error // the first one
	refuse := func(format string, args ...any) {
		if problem == nil {
			problem = fmt.Errorf(format, args...)
		}
	}
	wrong := func(name, want string) { refuse("the claim %s is not %s", name, want) }
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
			text("acr", value, &t.ACR)
		case "amr":
			list("amr", value, &t.AMR)
		case "roles":
			list("roles", value, &t.Roles)
		case "status":
			var ok bool
			if t.Status, ok = readStatus(value); !ok {
				wrong("status", "a reference to a status list")
			}
		case "cnf":
			// Only the holder of the key may use such a token (RFC 7800).
			if t.KeyThumbprint = confirmedKey(value); t.KeyThumbprint == "" {
				refuse("the token is bound (cnf) in another way than to the thumbprint of a key, which cannot be checked here")
			}
		default:
			for _, known := range accessClaimNames {
				if len(known) <= len(name) && strings.EqualFold(known, string(name)) {
					refuse("the token has a member that is %s but for its case", known)
				}
			}
		}
	})
	if err != nil {
		return AccessClaims{}, fmt.Errorf("the token's payload: %w", err)
	}
	if problem != nil {
		return AccessClaims{}, problem
	}
	for _, required := range []struct {
		name    string
		missing bool
	}{
		{"iss", t.Issuer == ""}, {"sub", t.Subject == ""}, {"aud", len(t.Audience) == 0}, {"exp", t.Expiry.IsZero()},
		{"iat", t.IssuedAt.IsZero()}, {"jti", t.ID == ""}, {"client_id", t.ClientID == ""},
	} {
		if required.missing {
			return AccessClaims{}, fmt.Errorf("the token has no %s", required.name)
		}
	}
	return t, nil
}

// readStatus reads the claim status. The payload is known to be strict JSON.
func readStatus(value []byte) (*Status, bool) {
	if value[0] != '{' {
		return nil, false
	}
	s, ok := &Status{}, true
	_ = strictjson.Object(value, func(name, value []byte) {
		if string(name) != "status_list" {
			return
		}
		var index string
		if value[0] == '{' {
			_ = strictjson.Object(value, func(name, value []byte) {
				switch string(name) {
				case "uri":
					s.URI, _ = strictjson.String(value)
				case "idx":
					index = string(value)
				}
			})
		}
		var err error
		s.Index, err = strconv.ParseUint(index, 10, 63)
		ok = err == nil && s.URI != ""
	})
	return s, ok
}

// confirmedKey returns the jkt of a cnf that holds nothing else; empty: cnf is something else.
func confirmedKey(cnf []byte) string {
	jkt, members := "", 0
	err := strictjson.Object(cnf, func(name, value []byte) {
		if members++; string(name) == "jkt" {
			jkt, _ = strictjson.String(value)
		}
	})
	if err != nil || members != 1 || !IsThumbprint(jkt) {
		return ""
	}
	return jkt
}

// latestDate is the last second of the year 9999.
const latestDate = 253402300799

// numericDate reads a time of RFC 7519 section 2. A fraction is cut off, which lets a token expire
// early, never late; an exponent is not accepted, so that no arithmetic on digits can overflow.
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
