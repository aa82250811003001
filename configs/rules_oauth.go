package configs

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/outbound"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/registration"
)

func badResources(c Config, list []Resource) []string {
	var faults, uris []string
	for i, r := range list {
		wrong := func(format string, args ...any) {
			faults = append(faults, fmt.Sprintf("member %d: ", i+1)+fmt.Sprintf(format, args...))
		}
		u, err := url.Parse(r.URI)
		if err != nil || !u.IsAbs() || (u.Host == "" && u.Opaque == "") || strings.ContainsAny(r.URI, "# \t\r\n") {
			wrong("uri %q is not an absolute URI without a fragment, such as https://api.example.com", r.URI)
		} else {
			if same, ok := userstore.Registered(uris, r.URI); ok && same != r.URI {
				wrong("uri %q and %q are one resource: without a path the slash does not count", same, r.URI)
				continue
			}
			uris = append(uris, r.URI)
		}
		for _, reason := range eachOf(r.Scopes, badScope) {
			wrong("scopes: %s", reason)
		}
		// If keys.algorithms is empty, only that is reported.
		if r.AccessAlg != "" && len(c.Keys.Algorithms) > 0 {
			if reason := algorithmOff(c, r.AccessAlg); reason != "" {
				wrong("access_token_alg %s", reason)
			}
		}
		for _, reason := range eachOf(r.Introspection, badClientID) {
			wrong("introspection_clients: %s", reason)
		}
		if r.AccessLifetime != 0 {
			if reason := notWithin(r.AccessLifetime, time.Second, 24*time.Hour); reason != "" {
				wrong("access_token_lifetime %s", reason)
			}
		}
	}
	return append(faults, duplicates(uris)...)
}

func badClientID(id string) string {
	if !registration.ValidClientID(id) {
		return fmt.Sprintf("%q is not a client_id; `signet clients list` shows those there are", id)
	}
	return ""
}

// maxClaimBytes limits a constant claim of the operator's, because it is in every token.
const maxClaimBytes = 4096

func badClaims(c Config) []string {
	var faults, names []string
	for i, claim := range c.Claims {
		wrong := func(reason string) { faults = append(faults, fmt.Sprintf("member %d: %s", i+1, reason)) }
		custom := issuer.CustomClaim(claim)
		if err := custom.Check(); err != nil {
			wrong(err.Error())
			continue
		}
		if reasons := duplicates(claim.In); reasons != nil {
			wrong("in " + strings.Join(reasons, "; "))
		}
		if b, err := json.Marshal(claim.Value); err != nil || len(b) > maxClaimBytes {
			wrong(fmt.Sprintf("the value of %s is larger than %d bytes; every token would hold it", claim.Name, maxClaimBytes))
		}
		names = append(names, claim.Name)
	}
	return append(faults, duplicates(names)...)
}

func badResponseTypes(c Config) (reasons []string) {
	types := c.OAuth.Types()
	if len(types) == 0 {
		return []string{"is empty; write [code]"}
	}
	for n, t := range types {
		switch known, ok := userstore.ResponseType(t); {
		case t == "token" || t == "none":
			reasons = append(reasons, t+" is not answered: OAuth 2.1 and RFC 9700 section 2.1.2 have done away with it; write code, or id_token token")
		case !ok:
			reasons = append(reasons, fmt.Sprintf("%q is not one of %s", t, strings.Join(userstore.ResponseTypes, ", ")))
		case slices.Contains(types[:n], known):
			reasons = append(reasons, "names "+known+" twice")
		}
	}
	if !slices.Contains(types, userstore.ResponseTypeCode) {
		reasons = append(reasons, "code is missing, which is always on; write [code], or [code, id_token]")
	}
	return reasons
}

func badSoftwareIssuers(c Config) []string {
	var faults, issuers []string
	for i, s := range c.OAuth.SoftwareStatements {
		wrong := func(reason string) { faults = append(faults, fmt.Sprintf("member %d: %s", i+1, reason)) }
		if s.Issuer == "" {
			wrong("issuer is missing; write the iss of its software statements")
		} else {
			issuers = append(issuers, s.Issuer)
		}
		switch {
		case (s.JWKSFile == "") == (s.JWKSURI == ""):
			wrong("give its public keys as jwks_file or their address as jwks_uri, and not both")
		case s.JWKSURI != "":
			if err := outbound.CheckURL(s.JWKSURI); err != nil {
				wrong("jwks_uri: " + err.Error())
			}
		}
		if slices.Contains(s.SoftwareIDs, "") {
			wrong("software_ids names an empty one")
		}
	}
	return append(faults, duplicates(issuers)...)
}

func badRedirectSchemes(c Config) []string {
	return eachOf(c.OAuth.Schemes(), func(scheme string) string {
		if !registration.ValidRedirectScheme(scheme) {
			return fmt.Sprintf("%q is not a scheme that an app can claim; write one in lower case, such as cursor, and none that browsers use themselves",
				scheme)
		}
		return ""
	})
}

// badMetadataHost refuses what is no host, nor a domain with a dot before it: an entry of a list
// that matches nothing would only look as if it did.
func badMetadataHost(name string) string {
	host := strings.TrimPrefix(name, ".")
	of, err := registration.MetadataHost("https://" + host + "/client.json")
	if err != nil || of != strings.ToLower(host) {
		return fmt.Sprintf("%q is not a host; write app.example.com without scheme and port, or .example.com for a domain", name)
	}
	return ""
}

func badScope(s string) string {
	if s == "" || strings.ContainsFunc(s, func(b rune) bool { return b <= ' ' || b > '~' || b == '"' || b == '\\' }) {
		return fmt.Sprintf("%q is not a scope of RFC 6749; write printable ASCII without space, quote and backslash", s)
	}
	return ""
}
