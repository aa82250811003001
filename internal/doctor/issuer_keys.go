package doctor

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// jwk is one key of a set, as far as it is looked at (RFC 7517 section 4, RFC 7518 section 6).
type jwk struct {
	kty, kid, alg, use, crv string
	bits                    int      // of an RSA modulus
	private                 []string // members that only a private or symmetric key has
}

// privateMembers are those that nobody but the issuer may have (RFC 7518 sections 6.2.2, 6.3.2, 6.4.1).
var privateMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}

func readJWK(m map[string]json.RawMessage) (k jwk) {
	text := func(name string) (s string) {
		_ = json.Unmarshal(m[name], &s) // what is no text is as good as missing
		return s
	}
	k.kty, k.kid, k.alg, k.use, k.crv = text("kty"), text("kid"), text("alg"), text("use"), text("crv")
	if n, err := base64.RawURLEncoding.DecodeString(text("n")); err == nil && k.kty == "RSA" {
		k.bits = new(big.Int).SetBytes(n).BitLen()
	}
	for _, name := range privateMembers {
		if m[name] != nil {
			k.private = append(k.private, name)
		}
	}
	return k
}

// algorithm is that of a key, by its alg or by what it is.
func (k jwk) algorithm() string {
	switch {
	case k.alg != "":
		return k.alg
	case k.kty == "RSA":
		return "RSA"
	}
	return strings.TrimSpace(k.kty + " " + k.crv)
}

// name is how a report names a key: a kid is public.
func (k jwk) name() string {
	if k.kid == "" {
		return "a key without kid"
	}
	return fmt.Sprintf("key %.20q", k.kid)
}

// keySet reads the key set.
func (v *visit) keySet() {
	c := Check{
		ID: "key-set", Sent: "a request for jwks_uri", Expected: "200 with a JWK set, without a redirect", Answered: "200",
		Why: "verifiers read it unattended, and some follow no redirect and refuse what is no JSON (RFC 7517 section 5)",
	}
	a, err := get(v.ctx, v.Client, v.metadata.JWKSURI, nil)
	if err != nil {
		v.note(c, Failed, "it cannot be fetched", when(answered(err), "%v", err))
		return
	}
	if a.StatusCode != http.StatusOK {
		v.note(c, Failed, "it answers "+shown(a.Response))
		return
	}
	contentType := a.Header.Get("Content-Type")
	keys, err := readKeySet(a.body)
	v.note(c, Failed, when(err != nil, "it cannot be read: %v", err),
		when(!strings.HasPrefix(contentType, "application/json") && !strings.HasPrefix(contentType,
			"application/jwk-set+json"), "the Content-Type is %.64q", contentType))
	if err != nil {
		return
	}
	v.keys(keys)
	v.compatibility(keys)
	v.rotation(keys)
	v.cache(a)
}

func readKeySet(body []byte) ([]jwk, error) {
	set, err := members(body)
	if err != nil {
		return nil, err
	}
	var list []json.RawMessage
	if err := json.Unmarshal(set["keys"], &list); err != nil || len(list) == 0 {
		return nil, fmt.Errorf("it has no keys")
	}
	var keys []jwk
	for _, raw := range list {
		m, err := members(raw)
		if err != nil {
			return nil, fmt.Errorf("a key: %w", err)
		}
		keys = append(keys, readJWK(m))
	}
	return keys, nil
}

// weakBits is how long RSA keys must be at least (NIST SP 800-131A; RFC 7518 section 3.3 has a MUST).
const weakBits = 2048

// keys looks at each key by itself.
func (v *visit) keys(keys []jwk) {
	var private, weak, unnamed, vague []string
	seen := map[string]int{}
	for _, k := range keys {
		if len(k.private) > 0 {
			private = append(private, k.name()+" has the members "+strings.Join(k.private, " "))
		}
		if k.kty == "RSA" && k.bits < weakBits {
			weak = append(weak, fmt.Sprintf("%s has %d bits", k.name(), k.bits))
		}
		if k.kid == "" {
			unnamed = append(unnamed, k.name())
		} else if seen[k.kid]++; seen[k.kid] == 2 {
			unnamed = append(unnamed, k.name()+" is there twice")
		}
		if k.alg == "" || k.use != "sig" {
			vague = append(vague, k.name()+" has "+strings.Join(slices.DeleteFunc([]string{when(k.alg == "", "no alg"),
				when(k.use != "sig", "no use sig")},
				func(s string) bool { return s == "" }), " and "))
		}
	}
	count := fmt.Sprintf("%d keys", len(keys))
	v.note(Check{
		ID: "private-members", Sent: "the members of every key", Expected: "nothing that only the issuer may have",
		Answered: count,
		Why:      "whoever has a private key, or a shared secret, signs as the issuer does (RFC 7517 section 9.2)",
	}, Failed, private...)
	v.note(Check{
		ID: "key-size", Sent: "the size of every RSA key", Expected: "2048 bits or more", Answered: count,
		Why: "smaller keys can be broken, and many libraries refuse them (RFC 7518 section 3.3)",
	}, Failed, weak...)
	v.note(Check{
		ID: "kid", Sent: "the kid of every key", Expected: "one for each, and none twice", Answered: count,
		Why: "a verifier finds the key by it; without it a rotation breaks verifiers that know one key only (RFC 7515 " +
			"section 4.1.4)",
	}, Failed, unnamed...)
	v.note(Check{
		ID: "alg-use", Sent: "alg and use of every key", Expected: "alg, and use sig", Answered: count,
		Why: "a key that says what it is for is not used for anything else (RFC 8725 section 3.1)",
	}, Warning, vague...)
	has := func(alg string) bool { return slices.ContainsFunc(keys, func(k jwk) bool { return fits(k, alg) }) }
	var missing []string
	for _, alg := range v.metadata.IDTokenAlgs {
		if !strings.HasPrefix(alg, "HS") && alg != "none" && !has(alg) {
			missing = append(missing, "no key for "+alg)
		}
	}
	v.note(Check{
		ID: "algorithms-keys", Sent: "the algorithms of discovery, compared with the keys", Expected: "a key for each",
		Answered: count,
		Why:      "a client may register for an algorithm that discovery names, and no verifier would have its key",
	}, Failed, missing...)
}

// fits reports whether a key may verify alg.
func fits(k jwk, alg string) bool {
	if k.alg != "" {
		return k.alg == alg || k.alg == "Ed25519" && alg == "EdDSA" || k.alg == "EdDSA" && alg == "Ed25519"
	}
	switch {
	case strings.HasPrefix(alg, "RS"), strings.HasPrefix(alg, "PS"):
		return k.kty == "RSA"
	case strings.HasPrefix(alg, "ES"):
		return k.kty == "EC"
	}
	return k.kty == "OKP"
}

// compatibility warns of keys whose tokens some verifiers refuse, or for which they refuse the whole set.
func (v *visit) compatibility(keys []jwk) {
	strange := map[string]bool{}
	for _, k := range keys {
		if k.kty != "RSA" && !(k.kty == "EC" && slices.Contains([]string{"P-256", "P-384", "P-521"}, k.crv)) {
			strange[strings.TrimSpace(k.kty+" "+k.crv)] = true
		}
	}
	types := slices.Sorted(maps.Keys(strange))
	v.note(Check{
		ID: "strict-verifiers", Sent: "the type of every key",
		Expected: "RSA, or EC on the curves of NIST, for those whose verifiers are strict", Answered: "RSA and EC",
		Why: "no token of Ed25519 is taken by python-jose, express-jwt with jwks-rsa, get-jwks, Authlib unless it is told, " +
			"Spring, Nimbus by default, mod_oauth2 and Kubernetes, and Kubernetes refuses the whole set for one key of a " +
			"type that it does not know; where your services use one of these, sign with RS256 (Signet: " +
			"tokens.access_alg), and where one refuses the set, publish RS256 alone (keys.algorithms)",
	}, Warning, when(len(types) > 0, "the set has keys of type %s", strings.Join(types, ", ")))
}

// manyKeys is how many keys of one algorithm are more than a rotation explains.
const manyKeys = 5

// rotation looks at how many keys there are.
func (v *visit) rotation(keys []jwk) {
	count := map[string]int{}
	for _, k := range keys {
		if k.use != "enc" {
			count[k.algorithm()]++
		}
	}
	var alone, many, all []string
	for _, alg := range slices.Sorted(maps.Keys(count)) {
		all = append(all, fmt.Sprintf("%s: %d", alg, count[alg]))
		if count[alg] == 1 {
			alone = append(alone, "one key only for "+alg)
		}
		if count[alg] > manyKeys {
			many = append(many, fmt.Sprintf("%d keys for %s", count[alg], alg))
		}
	}
	v.note(Check{
		ID: "successor", Sent: "how many keys there are of each algorithm",
		Expected: "two or more: the one that signs, and the one that will sign next", Answered: strings.Join(all, ", "),
		Why: "a key that is published before it signs is in every cache when it does; else each rotation makes every " +
			"verifier fetch at once, and those that wait between fetches refuse good tokens",
	}, Warning, alone...)
	v.note(Check{
		ID: "old-keys", Sent: "how many keys there are of each algorithm", Expected: fmt.Sprintf("at most %d of each", manyKeys),
		Answered: strings.Join(all, ", "),
		Why: "a key is to leave the set when the last token that it signed has expired; each that stays is one more " +
			"that can leak",
	}, Warning, many...)
}

var maxAgeOf = regexp.MustCompile(`(?i)(?:^|[ ,])max-age=(\d+)`)

// Bounds of a key set's max-age, in seconds: below, verifiers fetch too often; above, an emergency
// revocation reaches them too late.
const (
	shortestAge = 60
	longestAge  = 24 * 60 * 60
)

// cache looks at how long the key set may be kept, and by whom it may be read.
func (v *visit) cache(a answer) {
	control := a.Header.Get("Cache-Control")
	age, found := 0, false
	if m := maxAgeOf.FindStringSubmatch(control); m != nil {
		age, _ = strconv.Atoi(m[1]) // too large a number reads as the largest
		found = true
	}
	v.note(Check{
		ID: "cache", Sent: "the key set's Cache-Control", Expected: "max-age between a minute and a day", Answered: control,
		Why: "verifiers keep the set for so long: without it each library guesses, and a revoked key stays good for as " +
			"long (RFC 9111 section 5.2.2.1)",
	}, Warning, when(!found, "no max-age"), when(strings.Contains(control, "no-store"),
		"no-store makes verifiers fetch for every token"),
		when(found && age < shortestAge, "max-age is %d seconds", age), when(age > longestAge, "max-age is %d hours",
			age/3600))

	v.note(Check{
		ID: "cors", Sent: "Access-Control-Allow-Origin of the key set", Expected: "*",
		Answered: a.Header.Get("Access-Control-Allow-Origin"),
		Why:      "apps in a browser verify tokens as well, and the set is public",
	}, Warning, when(a.Header.Get("Access-Control-Allow-Origin") != "*", "it is missing, or not *"))

	c := Check{
		ID: "conditional", Sent: "a request for the key set with If-None-Match", Expected: "304", Answered: "304",
		Why: "verifiers that ask whether the set has changed need not load it again (RFC 9110 section 13.1.2)",
	}
	etag := a.Header.Get("ETag")
	if etag == "" {
		v.note(c, Warning, "there is no ETag")
		return
	}
	again, err := get(v.ctx, v.Client, v.metadata.JWKSURI, http.Header{"If-None-Match": {etag}})
	if err != nil {
		v.note(c, Warning, "no answer")
		return
	}
	v.note(c, Warning, when(again.StatusCode != http.StatusNotModified, "it answers %d", again.StatusCode))
}
