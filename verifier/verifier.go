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

// Config says whose tokens a resource server accepts. Issuer and Audience are
// needed; the zero value of everything else is a safe default.
type Config struct {
	Issuer   string   // the issuer identifier, byte for byte what `iss` says
	Audience []string // this resource server's names: a token's `aud` must hold one of them

	// JWKSURL is by default what the issuer's discovery document says. Set it when
	// the issuer is reached at another address than its public one.
	JWKSURL    string
	Algorithms []string // default: RS256, EdDSA, ES256, PS256

	// ClockSkew is how far the issuer's clock may be off; default 60 s, negative:
	// not at all, at most 10 min.
	ClockSkew time.Duration
	// Cooldown is the least time between two fetches of the key set, whatever tokens
	// say (a random quarter is added); default 10 s.
	Cooldown time.Duration
	// MaxAge is the longest time a key set is used without a fetch, if its
	// Cache-Control allows more; default 1 h.
	MaxAge       time.Duration
	StaleLimit   time.Duration // how long known keys are used while they cannot be fetched; default 24 h
	FetchTimeout time.Duration // for one fetch, discovery included; default 5 s

	HTTPClient *http.Client     // default: one of its own; redirects to another host are never followed
	Now        func() time.Time // default: time.Now
	Logger     *slog.Logger     // default: slog.Default(); tokens are never logged
}

// Verifier checks access tokens; make it with New. It is safe for concurrent use
// and needs no closing: it starts a goroutine only to fetch keys, which ends
// within FetchTimeout, and fetches only when a token is to be verified.
type Verifier struct {
	issuer     string
	audience   []string
	algorithms []string
	skew       time.Duration
	now        func() time.Time
	log        *slog.Logger
	keys       *keySet
}

// New checks the configuration; it does not call the issuer. A verifier that has
// never reached its issuer refuses every token with ErrKeysUnavailable.
func New(c Config) (*Verifier, error) {
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("verifier: %w", err)
	}
	v := &Verifier{
		issuer:     c.Issuer,
		audience:   slices.Clone(c.Audience),
		algorithms: slices.Clone(c.Algorithms),
		skew:       c.skew(),
		now:        c.Now,
		log:        c.Logger,
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

// skew is ClockSkew with its default.
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
	if len(c.Audience) == 0 || slices.Contains(c.Audience, "") {
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
	return errors.Join(faults...)
}

func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
		return errors.New("not an http or https URL")
	}
	return nil
}

// Verify accepts raw if it is an access token of the issuer for this resource
// server, valid now. Otherwise the token is nil and the error an *Error: ErrExpired
// for a token that was good once, ErrKeysUnavailable when it cannot be told,
// ErrInvalid for everything else. It waits for the issuer only when it has no
// fresh key set or the token names a key it does not know, at most a quarter
// of a second for a token that would be refused whoever signed it, never longer than ctx.
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

	// Claims first, though nobody vouches for them yet: they cost a tenth of a
	// signature, and a token that would be refused anyway must not make us fetch keys.
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
	for _, key := range keys { // one, unless the issuer gave a kid twice
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
