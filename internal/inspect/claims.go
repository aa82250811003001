package inspect

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/internal/readable"
)

// signature checks the key that the token names, and the signature.
func (i *inspection) signature(token *jose.Token) {
	h := token.Header
	key, ok := i.Keys.ByID[h.KeyID]
	switch {
	case len(i.Keys.ByID) == 0:
		i.cannotTell("kid", h.KeyID, "cannot be checked: there are no keys at hand; run this where the server's store is, or give --jwks")
		return
	case h.KeyID == "":
		i.refuse("kid", "", "missing; every token of Signet's names its key")
		return
	case !ok:
		i.refuse("kid", h.KeyID, "not a key of this issuer, or one that is long gone")
		return
	case i.Kind == KindRefresh:
		i.accept("kid", h.KeyID, key.State+"; refresh tokens are accepted under any key there ever was")
	default:
		i.check(key.Published, "kid", h.KeyID, key.State, key.State+"; verifiers do not know it, or forget it at their next look")
	}
	err := token.Verify(key.PublicKey)
	bad := ""
	if err != nil {
		bad = "does not verify: " + err.Error()
	}
	i.check(err == nil, "signature", h.Algorithm, "verifies", bad)
}

// claimNames are the claims that readers of each kind of token use. A lax reader would take a
// member that differs from one of them only in case for the same claim.
var claimNames = map[string][]string{
	kindAccess: {"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "sid", "auth_time", "acr", "amr", "roles", "cnf", "status"},
	kindID:     {"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "auth_time", "nonce", "acr", "amr", "azp", "at_hash", "c_hash", "sid"},
	// The issuer reads its own refresh tokens and refuses other members.
	KindRefresh: {"iss", "aud", "client_id", "grant", "gen", "jti", "iat", "exp"},
}

// unknownClaims refuses a claim that differs from a known one only in case, and any unknown claim
// of a refresh token.
func (i *inspection) unknownClaims() {
	known := claimNames[i.Kind]
	for _, name := range slices.Sorted(maps.Keys(i.Claims)) {
		if slices.Contains(known, name) {
			continue
		}
		n := slices.IndexFunc(known, func(k string) bool { return strings.EqualFold(k, name) })
		switch {
		case n >= 0:
			i.refuse(name, "", "is "+known[n]+" but for its case, which two readers would read differently")
		case i.Kind == KindRefresh:
			i.refuse(name, "", "no refresh token of Signet's has such a member")
		}
	}
}

func (i *inspection) audience() {
	list := i.list("aud")
	shown := strings.Join(list, " ")
	switch {
	case len(list) == 0:
		i.refuse("aud", "", "missing, so it is for nobody")
	case i.Audience != "":
		i.check(slices.Contains(list, i.Audience), "aud", shown, "holds "+i.Audience, "does not hold "+i.Audience)
	case i.Kind == KindRefresh:
		i.check(shown == i.Issuer, "aud", shown, "this issuer only", "a refresh token is for the issuer only")
	case i.Kind == kindID:
		i.note("aud", shown, "for this client only; never for an API")
	default:
		detail := "for these resource servers"
		if slices.Contains(list, i.Issuer) {
			detail += "; the issuer among them, so /v1 takes it too"
		}
		i.note("aud", shown, detail)
	}
}

// instant returns a claim that is a time in seconds; a fraction is cut off.
func (i *inspection) instant(name string) (time.Time, bool) {
	var n json.Number
	raw := i.Claims[name]
	if len(raw) == 0 || raw[0] == '"' || json.Unmarshal(raw, &n) != nil {
		return time.Time{}, false
	}
	whole, fraction, _ := strings.Cut(n.String(), ".")
	seconds, err := json.Number(whole).Int64()
	return time.Unix(seconds, 0), err == nil && seconds >= 0 && !strings.ContainsAny(fraction, "eE")
}

func (i *inspection) times() {
	skew := i.Skew
	if i.Kind == KindRefresh {
		skew = 0 // the issuer checks its own tokens by its own clock
	}
	if exp, ok := i.instant("exp"); !ok {
		i.refuse("exp", "", "missing or not a number of seconds")
	} else {
		left := exp.Sub(i.Now)
		i.check(left+skew > 0, "exp", readable.Instant(exp), "ends "+readable.Ago(left), "expired "+readable.Duration(-left)+" ago")
		if c := &i.Checks[len(i.Checks)-1]; left <= 0 && left+skew > 0 {
			c.Detail = fmt.Sprintf("expired %s ago; still taken by verifiers that allow %s for clocks", readable.Duration(-left), i.Skew)
		}
	}
	if iat, ok := i.instant("iat"); !ok {
		i.refuse("iat", "", "missing or not a number of seconds")
	} else {
		i.check(iat.Sub(i.Now) <= i.Skew, "iat", readable.Instant(iat), "issued "+readable.Ago(iat.Sub(i.Now)), "issued "+readable.Ago(iat.Sub(i.Now))+": a clock is wrong")
	}
	if i.Claims["nbf"] == nil || i.Kind == KindRefresh {
		return
	}
	if nbf, ok := i.instant("nbf"); !ok {
		i.refuse("nbf", "", "not a number of seconds")
	} else {
		from := "valid from then on, " + readable.Ago(nbf.Sub(i.Now))
		i.check(nbf.Sub(i.Now) <= i.Skew, "nbf", readable.Instant(nbf), from, from+": not yet")
	}
}

// subject lists the claims about the user, the client and the session. The jti of a refresh token
// is a secret that proves the token, so it is not shown.
func (i *inspection) subject() {
	need := map[string][]string{
		kindAccess:  {"sub", "client_id", "jti"},
		kindID:      {"sub"},
		KindRefresh: {"client_id", "grant", "gen", "jti"},
	}[i.Kind]
	for _, name := range need {
		if len(i.Claims[name]) == 0 {
			i.refuse(name, "", "missing")
		}
	}
	for _, name := range []string{"sub", "client_id", "scope", "roles", "sid", "acr", "amr", "nonce", "grant"} {
		if value := i.text(name); value != "" {
			i.note(name, value, "")
		}
	}
	if at, ok := i.instant("auth_time"); ok {
		i.note("auth_time", readable.Instant(at), "when the user last proved who it is, "+readable.Ago(at.Sub(i.Now)))
	}
	if value := i.text("jti"); value != "" && i.Kind != KindRefresh {
		i.note("jti", value, "")
	}
	if value := i.text("at_hash"); value != "" {
		i.note("at_hash", value, "names the access token that came with it; only with that can it be checked")
	}
	if value := i.text("c_hash"); value != "" {
		i.note("c_hash", value, "names the authorization code that came with it; only with that can it be checked")
	}
	if i.Kind == kindAccess {
		i.confirmation()
		i.status()
	}
}

// confirmation says to which key the token is bound (RFC 7800 section 3.1, RFC 9449 section 6.1). The
// proof of the key comes with each request and not with the token.
func (i *inspection) confirmation() {
	if i.Claims["cnf"] == nil {
		return
	}
	names, ok := i.members("cnf")
	thumbprint := ""
	if ok {
		_ = json.Unmarshal(names["jkt"], &thumbprint)
	}
	switch {
	case !ok || len(names) == 0:
		i.refuse("cnf", "", "is no object, so that it names no key")
	case thumbprint != "" && len(names) == 1:
		i.cannotTell("cnf", "jkt "+thumbprint, "bound to the key with this thumbprint: it is accepted with a DPoP proof of that key only, which cannot be checked here")
	default:
		i.refuse("cnf", strings.Join(slices.Sorted(maps.Keys(names)), " "), "bound to a key in a way that Signet does not know; it knows jkt alone (DPoP)")
	}
}

// status says where the token's revocation can be looked up (Token Status List). What is there now is
// not asked: with the store at hand, the line session says it.
func (i *inspection) status() {
	if i.Claims["status"] == nil {
		return
	}
	names, ok := i.members("status")
	var list struct {
		URI   string `json:"uri"`
		Index *int64 `json:"idx"`
	}
	switch {
	case !ok || json.Unmarshal(names["status_list"], &list) != nil || list.URI == "" || list.Index == nil || *list.Index < 0:
		i.refuse("status", strings.Join(slices.Sorted(maps.Keys(names)), " "), "has no status_list with uri and idx, so that its revocation cannot be looked up")
	default:
		i.note("status", fmt.Sprintf("status_list uri %s idx %d", list.URI, *list.Index), "where verifiers see whether it is revoked; not asked here")
	}
}

// members returns the members of a claim that is an object.
func (i *inspection) members(name string) (m map[string]json.RawMessage, ok bool) {
	raw := i.Claims[name]
	return m, len(raw) > 0 && raw[0] == '{' && json.Unmarshal(raw, &m) == nil
}

// text returns a claim for people: a text as it is, a list joined by spaces, anything else as JSON.
func (i *inspection) text(name string) string {
	raw := i.Claims[name]
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	if list := i.list(name); list != nil {
		return strings.Join(list, " ")
	}
	return string(raw)
}

// list returns a claim that is a list of texts, or one text.
func (i *inspection) list(name string) []string {
	var one string
	if json.Unmarshal(i.Claims[name], &one) == nil && one != "" {
		return []string{one}
	}
	var list []string
	_ = json.Unmarshal(i.Claims[name], &list)
	return list
}
