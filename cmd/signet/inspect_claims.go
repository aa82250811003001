package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/jose"
)

func (i *inspection) signature(token *jose.Token) {
	h := token.Header
	key, ok := i.keys[h.KeyID]
	switch {
	case len(i.keys) == 0:
		i.untold("kid", h.KeyID, "cannot be checked: there are no keys at hand; run this where the server's store is, or give --jwks")
		return
	case h.KeyID == "":
		i.judge(false, "kid", "", "", "missing; every token of Signet's names its key")
		return
	case !ok:
		i.judge(false, "kid", h.KeyID, "", "not a key of this issuer, or one that is long gone")
		return
	case i.kind == kindRefresh:
		i.judge(true, "kid", h.KeyID, key.state+"; refresh tokens are accepted under any key there ever was", "")
	default:
		i.judge(key.published, "kid", h.KeyID, key.state, key.state+"; verifiers do not know it, or forget it at their next look")
	}
	err := token.Verify(key.PublicKey)
	bad := ""
	if err != nil {
		bad = "does not verify: " + err.Error()
	}
	i.judge(err == nil, "signature", h.Algorithm, "verifies", bad)
}

// claimNames are the claims that readers of each kind of token go by. A member that
// is one of them but for its case would be the same claim to a laxer reader.
var claimNames = map[string][]string{
	kindAccess: {"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "sid", "auth_time", "acr", "amr", "roles", "cnf"},
	kindID:     {"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "auth_time", "nonce", "acr", "amr", "azp", "at_hash", "sid"},
	// The issuer reads its own, and takes no other member.
	kindRefresh: {"iss", "aud", "client_id", "grant", "gen", "jti", "iat", "exp"},
}

func (i *inspection) names() {
	known := claimNames[i.kind]
	for _, name := range slices.Sorted(maps.Keys(i.claims)) {
		if slices.Contains(known, name) {
			continue
		}
		n := slices.IndexFunc(known, func(k string) bool { return strings.EqualFold(k, name) })
		switch {
		case n >= 0:
			i.judge(false, name, "", "", "is "+known[n]+" but for its case, which two readers would read differently")
		case i.kind == kindRefresh:
			i.judge(false, name, "", "", "no refresh token of Signet's has such a member")
		}
	}
}

func (i *inspection) whoFor() {
	list := i.list("aud")
	shown := strings.Join(list, " ")
	switch {
	case len(list) == 0:
		i.judge(false, "aud", "", "", "missing, so it is for nobody")
	case i.audience != "":
		i.judge(slices.Contains(list, i.audience), "aud", shown, "holds "+i.audience, "does not hold "+i.audience)
	case i.kind == kindRefresh:
		i.judge(shown == i.issuer, "aud", shown, "this issuer only", "a refresh token is for the issuer only")
	case i.kind == kindID:
		i.told("aud", shown, "for this client only; never for an API")
	default:
		detail := "for these resource servers"
		if slices.Contains(list, i.issuer) {
			detail += "; the issuer among them, so /v1 takes it too"
		}
		i.told("aud", shown, detail)
	}
}

// at is a claim that is a time in seconds; a fraction is cut off.
func (i *inspection) at(name string) (time.Time, bool) {
	var n json.Number
	raw := i.claims[name]
	if len(raw) == 0 || raw[0] == '"' || json.Unmarshal(raw, &n) != nil {
		return time.Time{}, false
	}
	whole, fraction, _ := strings.Cut(n.String(), ".")
	seconds, err := json.Number(whole).Int64()
	return time.Unix(seconds, 0), err == nil && seconds >= 0 && !strings.ContainsAny(fraction, "eE")
}

func (i *inspection) times() {
	skew := i.skew
	if i.kind == kindRefresh {
		skew = 0 // the issuer judges its own tokens by its own clock
	}
	if exp, ok := i.at("exp"); !ok {
		i.judge(false, "exp", "", "", "missing or not a number of seconds")
	} else {
		left := exp.Sub(i.now)
		i.judge(left+skew > 0, "exp", instant(exp), "ends "+ago(left), "expired "+about(-left)+" ago")
		if c := &i.checks[len(i.checks)-1]; left <= 0 && left+skew > 0 {
			c.Detail = fmt.Sprintf("expired %s ago; still taken by verifiers that allow %s for clocks", about(-left), i.skew)
		}
	}
	if iat, ok := i.at("iat"); !ok {
		i.judge(false, "iat", "", "", "missing or not a number of seconds")
	} else {
		i.judge(iat.Sub(i.now) <= i.skew, "iat", instant(iat), "issued "+ago(iat.Sub(i.now)), "issued "+ago(iat.Sub(i.now))+": a clock is wrong")
	}
	if i.claims["nbf"] == nil || i.kind == kindRefresh {
		return
	}
	if nbf, ok := i.at("nbf"); !ok {
		i.judge(false, "nbf", "", "", "not a number of seconds")
	} else {
		from := "valid from then on, " + ago(nbf.Sub(i.now))
		i.judge(nbf.Sub(i.now) <= i.skew, "nbf", instant(nbf), from, from+": not yet")
	}
}

// subject tells who and what the token speaks of. jti of a refresh token is what
// proves it, and is not shown.
func (i *inspection) subject() {
	need := map[string][]string{
		kindAccess:  {"sub", "client_id", "jti"},
		kindID:      {"sub"},
		kindRefresh: {"client_id", "grant", "gen", "jti"},
	}[i.kind]
	for _, name := range need {
		if len(i.claims[name]) == 0 {
			i.judge(false, name, "", "", "missing")
		}
	}
	for _, name := range []string{"sub", "client_id", "scope", "roles", "sid", "acr", "amr", "nonce", "grant"} {
		if value := i.text(name); value != "" {
			i.told(name, value, "")
		}
	}
	if at, ok := i.at("auth_time"); ok {
		i.told("auth_time", instant(at), "when the user last proved who it is, "+ago(at.Sub(i.now)))
	}
	if value := i.text("jti"); value != "" && i.kind != kindRefresh {
		i.told("jti", value, "")
	}
	if value := i.text("at_hash"); value != "" {
		i.told("at_hash", value, "names the access token that came with it; only with that can it be checked")
	}
	if i.kind == kindAccess && i.claims["cnf"] != nil {
		i.judge(false, "cnf", "", "", "the token is bound to a key, and neither Signet nor its verifier can check the proof of it yet")
	}
}

// text is a claim for people: texts as they are, lists joined, the rest as JSON.
func (i *inspection) text(name string) string {
	raw := i.claims[name]
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	if list := i.list(name); list != nil {
		return strings.Join(list, " ")
	}
	return string(raw)
}

func (i *inspection) list(name string) []string {
	var one string
	if json.Unmarshal(i.claims[name], &one) == nil && one != "" {
		return []string{one}
	}
	var list []string
	_ = json.Unmarshal(i.claims[name], &list)
	return list
}
