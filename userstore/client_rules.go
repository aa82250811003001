package userstore

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/signet-id/signet/internal/printable"
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
func (r *Registry) complete(ctx context.Context, old Client, c *Client, chosen string, fs *faults) error {
	c.tidy(old)
	c.Resources = r.asRegistered(c.Resources)
	fs.add("client_name", validClientName(c.Name))
	fs.add("token_endpoint_auth_method", oneOf(c.AuthMethod, AuthNone, AuthBasic, AuthPost, AuthPrivateKeyJWT))
	c.checkGrants(r.grantTypes(old, c), fs)
	r.checkResponses(old, c, fs)
	r.checkURIs(old, c, fs)
	c.checkKeys(fs)
	c.checkRequestObjects(fs)
	c.checkBackchannelLogout(fs)
	c.checkBrowserURIs(fs)
	c.checkScopes(fs)
	c.checkSoftware(fs)
	if c.ID == FirstPartyClientID && old.ID != "" && (!c.Public() || !c.FirstParty) {
		fs.add("client_id", fault{CodeNotAllowed, "The built-in client stays public and first-party: logins that name no client use it. Register another one."})
	}
	r.checkResources(old, *c, fs)
	if err := r.checkAlgorithms(ctx, old, *c, fs); err != nil {
		return err
	}
	if chosen != "" {
		fs.addSecret(chosen)
		if !c.hasSecret() {
			fs.add("client_secret", fault{CodeNotAllowed, "A client that authenticates this way has no secret."})
		}
	}
	c.checkSubjectType(fs)
	if len(*fs) == 0 { // nothing is fetched for a client that is refused anyway
		r.checkSectorDocument(ctx, old, *c, fs)
	}
	return fs.err()
}

// tidy fills in the defaults of RFC 7591 section 2 and gives empty values one form.
func (c *Client) tidy(old Client) {
	if c.AuthMethod == "" {
		c.AuthMethod = AuthBasic
	}
	c.tidyResponses(old)
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
func (c *Client) checkGrants(known []string, fs *faults) {
	code := c.Allows(GrantAuthorizationCode)
	fs.addList("grant_types", c.GrantTypes, func(g string) fault { return oneOf(g, known...) })
	if c.Allows(GrantClientCredentials) && c.Public() {
		fs.add("grant_types", fault{CodeInvalid, "A public client proves nothing, so client_credentials is not for it: choose another token_endpoint_auth_method."})
	}
	if c.Allows(GrantRefreshToken) && !code && !c.Allows(GrantDeviceCode) && !c.FirstParty {
		fs.add("grant_types", fault{CodeInvalid,
			"There is nothing to refresh: refresh_token goes with authorization_code or the grant type of device codes."})
	}
	fs.add("pkce", oneOf(c.PKCE, "", PKCERequired, PKCEOptional))
	if c.PKCE == PKCEOptional && c.Public() {
		fs.add("pkce", fault{CodeInvalid, "A public client always uses PKCE: optional is for confidential ones."})
	}
}

func (r *Registry) checkURIs(old Client, c *Client, fs *faults) {
	redirect := func(before []string) func(string) fault {
		return func(uri string) fault { return r.checkRedirectURI(*c, before, uri) }
	}
	fs.addList("redirect_uris", c.RedirectURIs, redirect(old.RedirectURIs))
	if c.Allows(GrantAuthorizationCode) && len(c.RedirectURIs) == 0 {
		fs.add("redirect_uris", fault{CodeRequired, "The grant type authorization_code needs a redirect URI at least."})
	}
	fs.addList("post_logout_redirect_uris", c.PostLogoutRedirectURIs, redirect(old.PostLogoutRedirectURIs))
	for _, u := range []struct{ field, uri string }{
		{"client_uri", c.ClientURI}, {"logo_uri", c.LogoURI}, {"policy_uri", c.PolicyURI}, {"tos_uri", c.TOSURI}, {"jwks_uri", c.JWKSURI},
	} {
		if u.uri != "" {
			fs.add(u.field, webURI(u.uri))
		}
	}
	if strings.Contains(c.JWKSURI, "#") {
		fs.add("jwks_uri", fault{CodeInvalid, "Leave the fragment out."})
	}
}

func (c *Client) checkScopes(fs *faults) {
	fs.addList("scope", c.Scopes, func(s string) fault {
		switch {
		case !scopeToken(s):
			return fault{CodeInvalid, "A scope has 1 to 128 visible ASCII characters, without quote and backslash."}
		case s == "admin" && !c.FirstParty:
			return fault{CodeNotAllowed, "The scope admin is for first-party clients only."}
		}
		return fault{}
	})
}

// asRegistered writes resources in their registered spelling, which aud carries. A resource that is
// listed in both spellings is kept once.
func (r *Registry) asRegistered(uris []string) (out []string) {
	for n, uri := range uris {
		as, ok := Registered(r.Resources, uri)
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

func (r *Registry) checkResources(old, c Client, fs *faults) {
	fs.addList("resources", c.Resources, func(uri string) fault {
		_, known := Registered(r.Resources, uri)
		if _, had := Registered(old.Resources, uri); !known && !had {
			return fault{CodeNotAllowed, "No resource of this name is registered: see resources in the configuration."}
		}
		return fault{}
	})
}

// addSecret checks a chosen secret. Any character that can be typed is allowed; RFC 6749 section
// 2.3.1 says how it is encoded.
func (fs *faults) addSecret(chosen string) {
	switch n := utf8.RuneCountInString(chosen); {
	case chosen == "":
	case !utf8.ValidString(chosen) || strings.ContainsFunc(chosen, func(r rune) bool { return r < ' ' || r == 0x7f }):
		fs.add("client_secret", fault{CodeInvalid, "A client secret is one line of text."})
	case n < minSecret:
		fs.add("client_secret", fault{CodeTooShort, "A client secret has 16 characters at least; without one, a good one is made."})
	case n > maxSecret || len(chosen) > 4*maxSecret:
		fs.add("client_secret", fault{CodeTooLong, "A client secret has 256 characters at most."})
	}
}

// addList checks each member of a list, and that none is listed twice. The field of a member's
// fault is the list's field and the member's index, as in the JSON.
func (fs *faults) addList(field string, list []string, check func(string) fault) {
	if len(list) > maxListed {
		fs.add(field, fault{CodeTooLong, "This list has 50 members at most."})
		return
	}
	for n, member := range list {
		f := check(member)
		if slices.Contains(list[:n], member) {
			f = fault{CodeInvalid, "This is in the list twice."}
		}
		fs.add(memberOf(field, n), f)
	}
}

// addStatement refuses a software statement that was not verified.
func (fs *faults) addStatement(old, c Client) {
	if c.SoftwareStatement != old.SoftwareStatement {
		fs.add("software_statement", fault{CodeNotAllowed, "A software statement is verified only where a client registers itself."})
	}
}

func validClientName(name string) fault {
	switch {
	case name == "":
		return fault{CodeRequired, "A client needs a name: people are asked whether they trust it."}
	case utf8.RuneCountInString(name) > maxClientName:
		return fault{CodeTooLong, "A client's name has 100 characters at most."}
	case !utf8.ValidString(name) || printable.Text(name) != name || strings.Join(strings.Fields(name), " ") != name:
		return fault{CodeInvalid, "A client's name is one line of visible characters, with single spaces between words."}
	}
	return fault{}
}

func scopeToken(s string) bool {
	refused := func(r rune) bool { return r < 0x21 || r > 0x7e || r == '"' || r == '\\' }
	return s != "" && len(s) <= maxScopeName && !strings.ContainsFunc(s, refused)
}

func oneOf(value string, values ...string) fault {
	if slices.Contains(values, value) {
		return fault{}
	}
	known := slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == "" })
	return fault{CodeInvalid, "This is one of " + strings.Join(known, ", ") + "."}
}
