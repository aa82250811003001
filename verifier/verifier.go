package verifier

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/internal/tokencache"
)

// Signature algorithms a Config can allow.
const (
	RS256 = jose.RS256
	PS256 = jose.PS256
	ES256 = jose.ES256
	EdDSA = jose.EdDSA // Ed25519 only
)

// Config names the issuer whose tokens a resource server accepts. Issuer is required, and one of
// Audience and Resource.URI; the zero value of every other field is a safe default.
type Config struct {
	Issuer string // the issuer identifier, byte for byte as in `iss`
	// Audience are this resource server's names: a token's `aud` must hold one of them. Default:
	// Resource.URI, if there is one.
	Audience []string
	// MoreIssuers are accepted beside Issuer. All of them are believed alike in what they say about
	// users, scopes and roles; Token.Issuer says whose token it is.
	MoreIssuers []Issuer

	// Resource describes the resource server to clients that know nothing but its URL, as those of
	// the Model Context Protocol. Without a URI no metadata are served, and no challenge names any.
	Resource Resource

	// DPoP says how tokens that are bound to a key are accepted (RFC 9449).
	DPoP DPoP

	// JWKSURL is by default the jwks_uri of the issuer's discovery document. Set it when the
	// resource server reaches the issuer at another address than the public one.
	JWKSURL    string
	Algorithms []string // default: RS256, EdDSA, ES256, PS256

	// Status says what becomes of a token that names a token status list: by default it is checked
	// against the list, which is fetched when a token first names it. A token that names none is not
	// checked. A list must be below the issuer's URL, and signed by its keys with one of Algorithms.
	Status StatusPolicy
	// StatusBaseURL takes the place of Issuer in the addresses of status lists. Set it, like JWKSURL,
	// when the resource server reaches the issuer at another address than the public one.
	StatusBaseURL string

	// Bundle is a key set that `signet keys bundle` printed. With it the verifier starts without
	// network, and believes the bundle because it is in the configuration; UpdateBundle takes later
	// ones. One that has expired is logged and ignored, unless Offline.
	Bundle []byte
	// Offline says that the issuers are never called: all keys come from bundles, and no status list is
	// fetched. Tokens that name one are refused, unless Status is StatusIgnore.
	Offline bool

	// CacheSize is how many accepted tokens are remembered, so that a token that comes again costs
	// no signature check. Everything else about it is checked each time, and that its key is still
	// published. A token takes some kilobytes. Default 0: none is remembered.
	CacheSize int

	// ClockSkew is how far the issuer's clock may be off; default 60 s, negative:
	// not at all, at most 10 min.
	ClockSkew time.Duration
	// Cooldown is the shortest time between two fetches of the key set, whatever the tokens say. Up
	// to a quarter is added at random. Default 10 s.
	Cooldown time.Duration
	// MaxAge is the longest time that a key set is used without a fetch, even if its Cache-Control
	// allows more; default 1 h.
	MaxAge time.Duration
	// StaleLimit is how long known keys are used while they cannot be fetched; default 24 h. With a
	// bundle it is the bundle's end, if that is later.
	StaleLimit   time.Duration
	FetchTimeout time.Duration // for one fetch, discovery included; default 5 s

	HTTPClient *http.Client     // default: a client of its own; redirects to another host are never followed
	Now        func() time.Time // default: time.Now
	Logger     *slog.Logger     // default: slog.Default(); tokens are never logged
}

// Verifier checks access tokens; make it with New. It is safe for concurrent use and needs no
// closing: its only goroutines are fetches of the keys, one for each issuer, which end within
// FetchTimeout and start only when there is a token to verify.
type Verifier struct {
	issuers  []*trusted // the first is Config.Issuer
	realm    string
	skew     time.Duration
	now      func() time.Time
	log      *slog.Logger
	cache    *tokencache.Cache[presented] // nil: none
	metadata *metadata                    // nil: none
	dpop     *holders                     // nil: tokens that are bound to a key are refused
}

// New checks the configuration; it does not call the issuer. A verifier that has neither reached its
// issuer nor got a bundle refuses every token with ErrKeysUnavailable.
func New(c Config) (*Verifier, error) {
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("verifier: %w", err)
	}
	if len(c.Audience) == 0 {
		c.Audience = []string{c.Resource.URI}
	}
	about, err := newMetadata(c.Resource, c.identifiers(), c.DPoP)
	if err != nil {
		return nil, fmt.Errorf("verifier: %w", err)
	}
	v := &Verifier{
		realm:    c.Audience[0],
		skew:     c.skew(),
		now:      c.Now,
		log:      c.Logger,
		cache:    tokencache.New[presented](c.CacheSize),
		metadata: about,
		dpop:     newHolders(c),
	}
	if v.now == nil {
		v.now = time.Now
	}
	if v.log == nil {
		v.log = slog.Default()
	}
	for _, issuer := range c.issuers() {
		one, err := v.trust(c, issuer)
		if err != nil {
			return nil, fmt.Errorf("verifier: %w", err)
		}
		v.issuers = append(v.issuers, one)
	}
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
	if checkIssuer(c.Issuer) != nil {
		fault("Issuer must be the issuer's URL, without query and fragment (got %q)", c.Issuer)
	}
	if len(c.Audience) == 0 && c.Resource.URI == "" || slices.Contains(c.Audience, "") {
		fault("Audience must name this resource server: without it, tokens for others would be accepted")
	}
	if c.Status != StatusRequire && c.Status != StatusIgnore {
		fault("Status must be StatusRequire or StatusIgnore")
	}
	if c.ClockSkew > 10*time.Minute {
		fault("ClockSkew must not be more than 10 minutes")
	}
	if c.Cooldown < 0 || c.MaxAge < 0 || c.StaleLimit < 0 || c.FetchTimeout < 0 || c.CacheSize < 0 {
		fault("Cooldown, MaxAge, StaleLimit, FetchTimeout and CacheSize must not be negative")
	}
	var named []string
	for i, issuer := range c.issuers() {
		where := ""
		if i > 0 {
			where = fmt.Sprintf("MoreIssuers[%d].", i-1)
		}
		faults = append(faults, issuer.faults(where, c.Offline)...)
		if slices.Contains(named, issuer.Identifier) {
			fault("%sIdentifier: %q is named twice", where, issuer.Identifier)
		}
		named = append(named, issuer.Identifier)
	}
	faults = append(faults, c.DPoP.faults(c.Resource.URI)...)
	return errors.Join(append(faults, c.Resource.faults(c.Issuer, c.Audience)...)...)
}

func checkIssuer(text string) error {
	if err := checkURL(text); err != nil || strings.ContainsAny(text, "?#") {
		return errors.New("not an issuer's URL")
	}
	return nil
}

func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
		return errors.New("not an http or https URL")
	}
	return nil
}
