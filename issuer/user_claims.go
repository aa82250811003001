package issuer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/signet-id/signet/userstore"
)

// scopeClaims are the claims that a scope requests (OIDC Core section 5.4).
var scopeClaims = []struct {
	scope  string
	claims []string
}{
	{"profile", []string{"name", "family_name", "given_name", "middle_name", "nickname", "preferred_username", "profile", "picture",
		"website", "gender", "birthdate", "zoneinfo", "locale", "updated_at"}},
	{"email", []string{"email", "email_verified"}},
	{"address", []string{"address"}},
	{"phone", []string{"phone_number", "phone_number_verified"}},
}

// scopeOf returns the scope that a standard claim belongs to; empty: it is not a claim about the
// user.
func scopeOf(claim string) string {
	for _, s := range scopeClaims {
		if slices.Contains(s.claims, claim) {
			return s.scope
		}
	}
	return ""
}

// userClaim returns a standard claim in the type that OIDC Core section 5.1 gives it; nil: the user
// has no such claim.
func userClaim(u userstore.User, name string) any {
	text := func(s string) any {
		if s == "" {
			return nil
		}
		return s
	}
	switch c := u.Claims; name {
	case "name":
		return text(c.WithComposedName().Name)
	case "family_name":
		return text(c.FamilyName)
	case "given_name":
		return text(c.GivenName)
	case "middle_name":
		return text(c.MiddleName)
	case "nickname":
		return text(c.Nickname)
	case "preferred_username":
		return text(u.Username)
	case "profile":
		return text(c.Profile)
	case "picture":
		return text(c.Picture)
	case "website":
		return text(c.Website)
	case "gender":
		return text(c.Gender)
	case "birthdate":
		return text(c.Birthdate)
	case "zoneinfo":
		return text(c.Zoneinfo)
	case "locale":
		return text(c.Locale)
	case "updated_at":
		if u.UpdatedAt.IsZero() {
			return nil
		}
		return u.UpdatedAt.Unix()
	case "email":
		return text(u.Email)
	case "email_verified":
		if u.Email == "" {
			return nil
		}
		return u.EmailVerified
	case "phone_number":
		return text(c.PhoneNumber)
	case "phone_number_verified":
		if c.PhoneNumber == "" {
			return nil
		}
		return c.PhoneNumberVerified
	case "address":
		if c.Address == nil || *c.Address == (userstore.Address{}) {
			return nil
		}
		return c.Address
	}
	return nil
}

// The places of a custom claim.
const (
	InAccessToken = "access_token"
	InIDToken     = "id_token"
	InUserinfo    = "userinfo"
)

// CustomClaim is a claim that the operator defines: resource servers and apps of this installation
// expect it under that name.
type CustomClaim struct {
	Name  string
	From  string   // roles, is_staff, or a standard claim of the user; empty: Value
	Value any      // the same for every user
	In    []string // InAccessToken, InIDToken, InUserinfo
	Scope string   // only if this scope was granted; empty: whenever there is a user (or always, for a constant)
}

// fromUser are the sources of custom claims beside the standard claims.
var fromUser = []string{"roles", "is_staff"}

// reservedClaims mean something to verifiers of tokens, so they cannot be redefined.
var reservedClaims = []string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "sid", "auth_time", "acr", "amr", "azp", "nonce",
	"at_hash", "c_hash", "s_hash", "cnf", "act", "may_act", "events", "status", "typ", "active", "token_type", "username",
	"sub_jwk", "_claim_names", "_claim_sources", "authorization_details", "vot", "vtm", "toe", "txn",
}

// Check returns what is wrong with a custom claim; nil: nothing.
func (c CustomClaim) Check() error {
	switch {
	case c.Name == "" || len(c.Name) > 128 || !userstore.IsScopeToken(c.Name):
		return fmt.Errorf("a claim needs a name of 1 to 128 visible ASCII characters")
	case slices.ContainsFunc(append([]string{"roles"}, reservedClaims...), func(name string) bool {
		return c.Name != name && strings.EqualFold(c.Name, name)
	}):
		// Verifiers, ours among them, refuse a token with such a member: a laxer reader would take
		// one claim for the other.
		return fmt.Errorf("the claim %s is that of another claim but for its case; choose another name", c.Name)
	case slices.Contains(reservedClaims, c.Name):
		return fmt.Errorf("the claim %s means something of its own in tokens; choose another name", c.Name)
	case (scopeOf(c.Name) != "" || c.Name == "is_staff" || c.Name == "roles") && c.From != c.Name:
		return fmt.Errorf("the claim %s can only come from %s; choose another name", c.Name, c.Name)
	case c.Name == "roles" && slices.Contains(c.In, InAccessToken):
		return fmt.Errorf("the claim roles is in every access token already; leave access_token out of in")
	case (c.From == "") == (c.Value == nil):
		return fmt.Errorf("the claim %s needs either from or value", c.Name)
	case c.From != "" && scopeOf(c.From) == "" && !slices.Contains(fromUser, c.From):
		return fmt.Errorf("the claim %s cannot come from %s: use roles, is_staff or a standard claim such as email", c.Name, c.From)
	case len(c.In) == 0:
		return fmt.Errorf("the claim %s is nowhere: set in to access_token, id_token, userinfo", c.Name)
	case c.Scope != "" && !userstore.IsScopeToken(c.Scope):
		return fmt.Errorf("the claim %s asks for a scope that is no scope", c.Name)
	}
	for _, in := range c.In {
		if in != InAccessToken && in != InIDToken && in != InUserinfo {
			return fmt.Errorf("the claim %s cannot be in %s: use access_token, id_token, userinfo", c.Name, in)
		}
	}
	return nil
}

// customClaims returns the custom claims of one place. u is zero if the token has no user.
func (i *Issuer) customClaims(in string, u *userstore.User, roles, scopes []string) map[string]any {
	out := map[string]any{}
	for _, c := range i.Claims {
		if !slices.Contains(c.In, in) || c.Scope != "" && !slices.Contains(scopes, c.Scope) {
			continue
		}
		if v := c.of(*u, roles); v != nil {
			out[c.Name] = v
		}
	}
	return out
}

func (c CustomClaim) of(u userstore.User, roles []string) any {
	switch c.From {
	case "":
		return c.Value
	case "roles":
		if len(roles) == 0 {
			return nil
		}
		return roles
	case "is_staff":
		if u.ID == "" {
			return nil
		}
		return u.IsStaff
	}
	return userClaim(u, c.From)
}

// scopedClaims adds the claims of the granted scopes: the standard claims of each (OIDC Core
// section 5.4), and the operator's custom claims of those scopes.
func (i *Issuer) scopedClaims(u *userstore.User, roles, scopes []string, out map[string]any) {
	for _, s := range scopeClaims {
		if !slices.Contains(scopes, s.scope) {
			continue
		}
		for _, name := range s.claims {
			if v := userClaim(*u, name); v != nil {
				out[name] = v
			}
		}
	}
	for _, c := range i.Claims {
		if c.Scope == "" || !slices.Contains(c.In, InUserinfo) || !slices.Contains(scopes, c.Scope) {
			continue
		}
		if v := c.of(*u, roles); v != nil {
			out[c.Name] = v
		}
	}
}

// needsUser reports whether the tokens of a will hold more about the user than the grant's row
// does.
func (i *Issuer) needsUser(a *Authorization) bool {
	if slices.ContainsFunc(i.Claims, func(c CustomClaim) bool { return c.From != "" && c.From != "roles" }) {
		return true
	}
	return len(claimsRequestOf(a.Grant.Claims).IDToken) > 0 ||
		a.wantsClaims() && slices.Contains(a.Scopes, userstore.ScopeOpenID)
}

// claimsRequestOf returns the claims request of a grant. It was parsed strictly before it was
// stored.
func claimsRequestOf(claims string) claimsRequest {
	c, err := parseClaims(claims)
	if err != nil {
		return claimsRequest{}
	}
	return c
}
