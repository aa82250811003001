package registration

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/signet-id/signet/internal/printable"
	"github.com/signet-id/signet/userstore"
)

// Bounds of a client's registration.
const (
	maxClientName = 100 // characters
	maxListed     = 50  // members of a list
	maxScopeName  = 128
	minSecret     = 16 // characters of a chosen secret
	maxSecret     = 256
)

// ValidClientID reports whether id can be a client's id: it needs no escaping in a path, in a
// header or on a command line.
func ValidClientID(id string) bool {
	for n := range len(id) {
		c := id[n]
		word := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
		if !word && (n == 0 || c != '.' && c != '~' && c != '-') {
			return false
		}
	}
	return id != "" && len(id) <= 64
}

// complete fills in the defaults of c and checks it; old is the client before, or the zero one. The
// error is a ValidationError with every fault, or an infrastructure failure.
func (r *Registry) complete(ctx context.Context, old userstore.Client, c *userstore.Client, chosen string, fs *userstore.Faults) error {
	tidy(c, old)
	c.Resources = r.asRegistered(c.Resources)
	fs.Add("client_name", validClientName(c.Name))
	fs.Add("token_endpoint_auth_method", oneOf(c.AuthMethod, userstore.AuthNone, userstore.AuthBasic, userstore.AuthPost, userstore.AuthPrivateKeyJWT))
	checkGrants(c, r.grantTypes(old, c), fs)
	r.checkResponses(old, c, fs)
	r.checkURIs(old, c, fs)
	checkKeys(c, fs)
	checkRequestObjects(c, fs)
	checkBackchannelLogout(c, fs)
	checkBrowserURIs(c, fs)
	checkScopes(c, fs)
	checkSoftware(c, fs)
	if c.ID == userstore.FirstPartyClientID && old.ID != "" && (!c.Public() || !c.FirstParty) {
		fs.Add("client_id", notAllowed("The built-in client stays public and first-party: logins that name no client use it. Register another one."))
	}
	if c.ID == userstore.FirstPartyClientID && c.DPoPBoundAccessTokens {
		fs.Add("dpop_bound_access_tokens", notAllowed("Logins by the account API name this client, and their tokens are bound to no key. Register another one."))
	}
	r.checkResources(old, *c, fs)
	if err := r.checkAlgorithms(ctx, old, *c, fs); err != nil {
		return err
	}
	if chosen != "" {
		addSecret(fs, chosen)
		if !hasSecret(*c) {
			fs.Add("client_secret", notAllowed("A client that authenticates this way has no secret."))
		}
	}
	checkSubjectType(c, fs)
	if len(*fs) == 0 { // nothing is fetched for a client that is refused anyway
		r.checkSectorDocument(ctx, old, *c, fs)
	}
	return fs.Err()
}

// tidy fills in the defaults of RFC 7591 section 2 and gives empty values one form.
func tidy(c *userstore.Client, old userstore.Client) {
	if c.AuthMethod == "" {
		c.AuthMethod = userstore.AuthBasic
	}
	tidyResponses(c, old)
	for _, list := range []*[]string{&c.GrantTypes, &c.Scopes, &c.Resources, &c.RedirectURIs, &c.PostLogoutRedirectURIs, &c.RequestURIs, &c.Contacts, &c.DefaultACRValues} {
		if len(*list) == 0 {
			*list = nil
		}
	}
	var compact bytes.Buffer
	switch {
	case len(c.JWKS) == 0 || string(c.JWKS) == "null":
		c.JWKS = nil
	case json.Compact(&compact, c.JWKS) == nil:
		c.JWKS = compact.Bytes()
	}
}

// checkGrants checks that grant types and authentication fit together.
func checkGrants(c *userstore.Client, known []string, fs *userstore.Faults) {
	code := c.Allows(userstore.GrantAuthorizationCode)
	addList(fs, "grant_types", c.GrantTypes, func(g string) userstore.Fault { return oneOf(g, known...) })
	if c.Allows(userstore.GrantClientCredentials) && c.Public() {
		fs.Add("grant_types", invalid("A public client proves nothing, so client_credentials is not for it: choose another token_endpoint_auth_method."))
	}
	if c.Allows(userstore.GrantRefreshToken) && !code && !c.Allows(userstore.GrantDeviceCode) && !c.FirstParty {
		fs.Add("grant_types", invalid("There is nothing to refresh: refresh_token goes with authorization_code or the grant type of device codes."))
	}
	fs.Add("pkce", oneOf(c.PKCE, "", userstore.PKCERequired, userstore.PKCEOptional))
	if c.PKCE == userstore.PKCEOptional && c.Public() {
		fs.Add("pkce", invalid("A public client always uses PKCE: optional is for confidential ones."))
	}
}

func (r *Registry) checkURIs(old userstore.Client, c *userstore.Client, fs *userstore.Faults) {
	redirect := func(before []string) func(string) userstore.Fault {
		return func(uri string) userstore.Fault { return r.checkRedirectURI(*c, before, uri) }
	}
	addList(fs, "redirect_uris", c.RedirectURIs, redirect(old.RedirectURIs))
	if c.Allows(userstore.GrantAuthorizationCode) && len(c.RedirectURIs) == 0 {
		fs.Add("redirect_uris", required("The grant type authorization_code needs a redirect URI at least."))
	}
	addList(fs, "post_logout_redirect_uris", c.PostLogoutRedirectURIs, redirect(old.PostLogoutRedirectURIs))
	for _, u := range []struct{ field, uri string }{
		{"client_uri", c.ClientURI}, {"logo_uri", c.LogoURI}, {"policy_uri", c.PolicyURI}, {"tos_uri", c.TOSURI}, {"jwks_uri", c.JWKSURI},
	} {
		if u.uri != "" {
			fs.Add(u.field, webURI(u.uri))
		}
	}
	if strings.Contains(c.JWKSURI, "#") {
		fs.Add("jwks_uri", invalid("Leave the fragment out."))
	}
}

func checkScopes(c *userstore.Client, fs *userstore.Faults) {
	addList(fs, "scope", c.Scopes, func(s string) userstore.Fault {
		switch {
		case !validScope(s):
			return invalid("A scope has 1 to 128 visible ASCII characters, without quote and backslash.")
		case s == userstore.ScopeAdmin && !c.FirstParty:
			return notAllowed("The scope admin is for first-party clients only.")
		}
		return userstore.Fault{}
	})
}

// asRegistered writes resources in their registered spelling, which aud carries. A resource that is
// listed in both spellings is kept once.
func (r *Registry) asRegistered(uris []string) (out []string) {
	for n, uri := range uris {
		as, ok := userstore.Registered(r.Resources, uri)
		if !ok {
			as = uri
		}
		if slices.Contains(out, as) && !slices.Contains(uris[:n], uri) {
			continue
		}
		out = append(out, as)
	}
	return out
}

func (r *Registry) checkResources(old, c userstore.Client, fs *userstore.Faults) {
	addList(fs, "resources", c.Resources, func(uri string) userstore.Fault {
		_, known := userstore.Registered(r.Resources, uri)
		if _, had := userstore.Registered(old.Resources, uri); !known && !had {
			return notAllowed("No resource of this name is registered: see resources in the configuration.")
		}
		return userstore.Fault{}
	})
}

// addSecret checks a chosen secret. Any character that can be typed is allowed; RFC 6749 section
// 2.3.1 says how it is encoded.
func addSecret(fs *userstore.Faults, chosen string) {
	switch n := utf8.RuneCountInString(chosen); {
	case chosen == "":
	case !utf8.ValidString(chosen) || strings.ContainsFunc(chosen, func(r rune) bool { return r < ' ' || r == 0x7f }):
		fs.Add("client_secret", invalid("A client secret is one line of text."))
	case n < minSecret:
		fs.Add("client_secret", tooShort("A client secret has 16 characters at least; without one, a good one is made."))
	case n > maxSecret || len(chosen) > 4*maxSecret:
		fs.Add("client_secret", tooLong("A client secret has 256 characters at most."))
	}
}

// addList checks each member of a list, and that none is listed twice. The field of a member's
// fault is the list's field and the member's index, as in the JSON.
func addList(fs *userstore.Faults, field string, list []string, check func(string) userstore.Fault) {
	if len(list) > maxListed {
		fs.Add(field, tooLong("This list has 50 members at most."))
		return
	}
	for n, member := range list {
		f := check(member)
		if slices.Contains(list[:n], member) {
			f = invalid("This is in the list twice.")
		}
		fs.Add(memberOf(field, n), f)
	}
}

// addStatement refuses a software statement that was not verified.
func addStatement(fs *userstore.Faults, old, c userstore.Client) {
	if c.SoftwareStatement != old.SoftwareStatement {
		fs.Add("software_statement", notAllowed("A software statement is verified only where a client registers itself."))
	}
}

func validClientName(name string) userstore.Fault {
	switch {
	case name == "":
		return required("A client needs a name: people are asked whether they trust it.")
	case utf8.RuneCountInString(name) > maxClientName:
		return tooLong("A client's name has 100 characters at most.")
	case !utf8.ValidString(name) || printable.Text(name) != name || strings.Join(strings.Fields(name), " ") != name:
		return invalid("A client's name is one line of visible characters, with single spaces between words.")
	}
	return userstore.Fault{}
}

func validScope(s string) bool { return userstore.IsScopeToken(s) && len(s) <= maxScopeName }

func oneOf(value string, values ...string) userstore.Fault {
	if slices.Contains(values, value) {
		return userstore.Fault{}
	}
	known := slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == "" })
	return invalid("This is one of " + strings.Join(known, ", ") + ".")
}
