package userstore

import "strings"

// Names of scopes that have rules of their own.
const (
	ScopeOpenID  = "openid"         // makes a request one of OpenID Connect
	ScopeOffline = "offline_access" // OIDC Core section 11
	// ScopeAdmin opens the admin API to users with role admin, through first-party clients only.
	ScopeAdmin = "admin"
)

// IsScopeToken reports whether s is a scope-token of RFC 6749 section 3.3: %x21 / %x23-5B / %x5D-7E.
func IsScopeToken(s string) bool {
	for n := range len(s) {
		if c := s[n]; c < 0x21 || c > 0x7e || c == '"' || c == '\\' {
			return false
		}
	}
	return s != ""
}

// SplitScope splits a scope parameter (RFC 6749 section 3.3). Two spaces in a row are an empty scope,
// which is none.
func SplitScope(scope string) []string {
	if scope == "" {
		return nil
	}
	return strings.Split(scope, " ")
}
