package verifier

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/jose"
)

// Signature algorithms a Config can allow.
const (
	RS256 = jose.RS256
	PS256 = jose.PS256
	ES256 = jose.ES256
	EdDSA = jose.EdDSA // Ed25519 only
)

// typeAccessToken is RFC 9068's `typ`, compared without case and with or without
// the prefix application/ (RFC 8725 section 3.11).
const typeAccessToken = "at+jwt"

// Config names the issuer whose tokens a resource server accepts. Issuer is required, and one of
// Audience and Resource.URI; the zero value of every other field is a safe default.
type Config struct {
	Issuer string // the issuer identifier, byte for byte as in `iss`
	// Audience are this resource server's names: a token's `aud` must hold one of them. Default:
	// Resource.URI, if there is one.
	Audience []string

	// Resource describes the resource server to clients that know nothing but its URL, as those of
	// the Model Context Protocol. Without a URI no metadata are served, and no challenge names any.
	Resource Resource

	// JWKSURL is by default the jwks_uri of the issuer's discovery document. Set it when the
	// resource server reaches the issuer at another address than the public one.
	JWKSURL    string
	Algorithms []string // default: RS256, EdDSA, ES256, PS256

	// ClockSkew is how far the issuer's clock may be off; default 60 s, negative:
	// not at all, at most 10 min.
	ClockSkew time.Duration
	// Cooldown is the shortest time between two fetches of the key set, whatever the tokens say. Up
	// to a quarter is added at random. Default 10 s.
	Cooldown time.Duration
	// MaxAge is the longest time that a key set is used without a fetch, even if its Cache-Control
	// allows more; default 1 h.
	MaxAge       time.Duration
	StaleLimit   time.Duration // how long known keys are used while they cannot be fetched; default 24 h
	FetchTimeout time.Duration // for one fetch, discovery included; default 5 s

	HTTPClient *http.Client     // default: a client of its own; redirects to another host are never followed
	Now        func() time.Time // default: time.Now
	Logger     *slog.Logger     // default: slog.Default(); tokens are never logged
}

// Verifier checks access tokens; make it with New. It is safe for concurrent use and needs no
// closing: its only goroutine is a fetch of the keys, which ends within FetchTimeout and starts
// only when there is a token to verify.
type Verifier struct {
	issuer     string
	audience   []string
	algorithms []string
	skew       time.Duration
	now        func() time.Time
	log        *slog.Logger
	keys       *keySet
	metadata   *metadata // nil: none
}

// New checks the configuration; it does not call the issuer. A verifier that has
// never reached its issuer refuses every token with ErrKeysUnavailable.
func New(c Config) (*Verifier, error) {
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("verifier: %w", err)
	}
	about, err := newMetadata(c.Resource, c.Issuer)
	if err != nil {
		return nil, fmt.Errorf("verifier: %w", err)
	}
	v := &Verifier{
		issuer:     c.Issuer,
		audience:   slices.Clone(c.Audience),
		algorithms: slices.Clone(c.Algorithms),
		skew:       c.skew(),
		now:        c.Now,
		log:        c.Logger,
		metadata:   about,
	}
	if len(v.audience) == 0 {
		v.audience = []string{c.Resource.URI}
	}
	if len(v.algorithms) == 0 {
		v.algorithms = []string{RS256, EdDSA, ES256, PS256}
	}
	if v.now == nil {
		v.now = time.Now
	}
	if v.log == nil {
		v.log = slog.Default()
	}
	v.keys = newKeySet(c, v.now, v.log)
	return v, nil
}

// skew returns ClockSkew with its default applied.
func (c *Config) skew() time.Duration { return max(orDefault(c.ClockSkew, time.Minute), 0) }

func orDefault(d, byDefault time.Duration) time.Duration {
	if d == 0 {
		return byDefault
	}
	return d
}

func (c *Config) validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if err := checkURL(c.Issuer); err != nil || strings.ContainsAny(c.Issuer, "?#") {
		fault("Issuer must be the issuer's URL, without query and fragment (got %q)", c.Issuer)
	}
	if len(c.Audience) == 0 && c.Resource.URI == "" || slices.Contains(c.Audience, "") {
		fault("Audience must name this resource server: without it, tokens for others would be accepted")
	}
	if c.JWKSURL != "" && checkURL(c.JWKSURL) != nil {
		fault("JWKSURL must be an http or https URL without user name")
	}
	for _, alg := range c.Algorithms {
		if !slices.Contains([]string{RS256, PS256, ES256, EdDSA}, alg) {
			fault("Algorithms: %q is none of RS256, PS256, ES256 and EdDSA", alg)
		}
	}
	if c.ClockSkew > 10*time.Minute {
		fault("ClockSkew must not be more than 10 minutes")
	}
	if c.Cooldown < 0 || c.MaxAge < 0 || c.StaleLimit < 0 || c.FetchTimeout < 0 {
		fault("Cooldown, MaxAge, StaleLimit and FetchTimeout must not be negative")
	}
	return errors.Join(append(faults, c.Resource.faults(c.Issuer, c.Audience)...)...)
}

func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
		return errors.New("not an http or https URL")
	}
	return nil
}

// Verify returns the token if raw is an access token of the issuer for this resource server and is
// valid now. Otherwise the token is nil and the error is an *Error: ErrExpired for a token that was
// valid once, ErrKeysUnavailable when the verifier cannot decide, ErrInvalid for everything else.
//
// Verify waits for the issuer only when it has no fresh key set or the token names an unknown key.
// It waits for at most a quarter of a second with a token that would be refused under any key, and
// never longer than ctx allows.
func (v *Verifier) Verify(ctx context.Context, raw string) (*Token, error) {
	parsed, err := jose.Parse(raw)
	if err != nil {
		return nil, invalid(err.Error())
	}
	if !parsed.Header.IsType(typeAccessToken) {
		return nil, invalid("the token is not an access token: its typ is not at+jwt")
	}
	if !slices.Contains(v.algorithms, parsed.Header.Algorithm) {
		return nil, invalid("the token's alg is not allowed here")
	}
	if parsed.Header.KeyID == "" {
		return nil, invalid("the token does not name its key (kid)")
	}

	// The claims are checked first, although no signature proves them yet: they cost a tenth of a
	// signature, and a token that would be refused anyway must not cause a fetch of the keys.
	claims, err := jose.ReadAccessClaims(parsed.Payload)
	if err != nil {
		return nil, invalid(err.Error())
	}
	refusal := claims.Check(jose.Expected{Issuer: v.issuer, Audience: v.audience, Now: v.now(), Skew: v.skew})
	keys, err := v.keys.find(ctx, parsed.Header.KeyID, claims.IssuedAt, refusal == nil)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, invalid("the token is signed with a key that the issuer does not publish")
	}
	for _, key := range keys { // one key, unless the issuer gave two keys the same kid
		if err = parsed.Verify(key); err == nil {
			break
		}
	}
	if err != nil {
		return nil, invalid(err.Error())
	}
	switch {
	case errors.Is(refusal, jose.ErrExpired):
		return nil, &Error{Code: CodeTokenExpired, Reason: refusal.Error()}
	case refusal != nil:
		return nil, invalid(refusal.Error())
	}
	token := newToken(claims, parsed.Payload)
	token.KeyID, token.Algorithm = parsed.Header.KeyID, parsed.Header.Algorithm
	return token, nil
}
