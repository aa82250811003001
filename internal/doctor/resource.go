package doctor

import (
	"cmp"
	"context"
	"crypto"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/internal/testissuer"
	"github.com/signet-id/signet/keys"
)

// Resource is a resource server to examine.
type Resource struct {
	URL    string // of a request that needs a token, and that a good token lets through
	Method string // of that request; empty: GET

	// TestIssuer is the issuer identifier, http:// with a host and port of this machine, that the
	// resource server trusts. The examination listens there and is that issuer.
	TestIssuer string
	Audience   string         // the resource server's name in aud
	Scope      string         // that the request needs; empty: profile email
	Claims     map[string]any // that the request needs beside; may be nil

	Wait     time.Duration                           // how long the resource server may take to start; zero: 30 seconds
	Patience time.Duration                           // how long it may take to learn of a new key, or of a revoked one; zero: 45 seconds
	MaxAge   time.Duration                           // the key set's max-age; zero: 5 seconds
	Client   *http.Client                            // nil: one that trusts the system's certificate authorities
	Make     func(alg string) (crypto.Signer, error) // makes the issuer's keys; nil: keys.GenerateKey
}

// examination is a running examination of a resource server.
type examination struct {
	Resource
	Report
	ctx    context.Context
	issuer *testissuer.Issuer
	keySet *keySetServer
}

// Run examines the resource server. The error is about what keeps it from being made: a wrong
// TestIssuer, a URL that does not answer.
func (r Resource) Run(ctx context.Context) (Report, error) {
	e := &examination{Resource: r, ctx: ctx, Report: Report{Kind: "resource server", Subject: r.URL},
		keySet: &keySetServer{}}
	e.complete()
	var err error
	e.issuer, err = testissuer.Start(ctx, testissuer.Options{
		URL: e.TestIssuer, Clock: testissuer.Running(time.Now), Make: e.Make, Audience: e.Audience, JWKSMaxAge: e.MaxAge,
	}, e.keySet.around)
	if err != nil {
		return Report{}, err
	}
	defer e.issuer.Close()
	e.keySet.keys = e.issuer.Keys
	if err := e.awaitStart(); err != nil {
		return Report{}, err
	}
	if e.open() || !e.honest() {
		e.skipTheRest()
		return e.Report, nil
	}
	for _, a := range attempts {
		e.refusal(a)
	}
	e.spellings()
	e.flood()
	e.prepublished()
	e.revoked()
	e.fresh()
	return e.Report, ctx.Err()
}

// complete sets what the caller left to us.
func (e *examination) complete() {
	e.Wait = cmp.Or(e.Wait, 30*time.Second)
	e.Patience = cmp.Or(e.Patience, 45*time.Second)
	e.MaxAge = cmp.Or(e.MaxAge, 5*time.Second)
	e.Method = cmp.Or(e.Method, http.MethodGet)
	if e.Client == nil {
		e.Client = newClient()
	}
	if e.Make == nil {
		e.Make = keys.GenerateKey
	}
}

// claims returns the claims that the resource server needs, with others over them.
func (e *examination) claims(over map[string]any) map[string]any {
	all := map[string]any{}
	if e.Scope != "" {
		all["scope"] = e.Scope
	}
	maps.Copy(all, e.Claims)
	maps.Copy(all, over)
	return all
}

func (e *examination) mint(r testissuer.Recipe) (string, error) {
	if r.Payload == "" {
		r.Claims = e.claims(r.Claims)
	}
	return e.issuer.Mint(r)
}

// result is an answer of the resource server, or why there was none.
type result struct {
	*http.Response
	err error
}

// accepted reports whether the request went through.
func (r result) accepted() bool { return r.err == nil && r.StatusCode/100 == 2 }

// refused reports whether the request was turned away as a bad token should be.
func (r result) refused() bool {
	return r.err == nil && (r.StatusCode == http.StatusUnauthorized || r.StatusCode == http.StatusForbidden ||
		r.StatusCode == http.StatusBadRequest)
}

func (r result) String() string {
	if r.err != nil {
		return "no answer"
	}
	return shown(r.Response)
}

// inHeader is how a token is sent (RFC 6750 section 2.1).
func inHeader(r *http.Request, token string) { r.Header.Set("Authorization", "Bearer "+token) }

// ask sends the request. send puts the token in; nil: there is none.
func (e *examination) ask(token string, send func(*http.Request, string)) result {
	r, err := http.NewRequestWithContext(e.ctx, e.Method, e.URL, nil)
	if err != nil {
		return result{err: err}
	}
	r.Header.Set("User-Agent", "signet-doctor")
	if send != nil {
		send(r, token)
	}
	resp, err := e.Client.Do(r)
	if err != nil {
		return result{err: err}
	}
	resp.Body.Close()
	return result{Response: resp}
}

// pause waits a moment between two tries.
func (e *examination) pause(d time.Duration) bool {
	select {
	case <-e.ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// until asks with a token again and again until the answer is as wanted. It returns the last answer and
// how long it took, and gives up after limit.
func (e *examination) until(token string, limit time.Duration, wanted func(result) bool) (result, time.Duration, bool) {
	begun := time.Now()
	for {
		r := e.ask(token, inHeader)
		took := time.Since(begun)
		if wanted(r) {
			return r, took, true
		}
		if took >= limit || !e.pause(min(limit/20, time.Second)) {
			return r, took, false
		}
	}
}

// awaitStart waits until the resource server answers anything. It may have been started after its
// issuer, because many fetch their keys at the start.
func (e *examination) awaitStart() error {
	begun := time.Now()
	for {
		r := e.ask("", nil)
		if r.err == nil {
			return nil
		}
		var certificate *tls.CertificateVerificationError
		if errors.As(r.err, &certificate) {
			return fmt.Errorf("the certificate of %s is not trusted here; set SSL_CERT_FILE to that of its authority", e.URL)
		}
		if time.Since(begun) >= e.Wait || !e.pause(200*time.Millisecond) {
			return fmt.Errorf("%s does not answer; start the resource server with %s as its issuer, while this runs", e.URL,
				e.TestIssuer)
		}
	}
}

// honest sends the first good token.
func (e *examination) honest() bool {
	c := Check{
		ID: "accept-plain", Sent: "a good token, RS256", Expected: "it is accepted",
		Why: "all other results mean nothing unless a good token gets through",
	}
	token, err := e.mint(testissuer.Recipe{})
	if err != nil {
		e.broken(c, err)
		return false
	}
	first, _, ok := e.until(token, e.MaxAge, result.accepted)
	if ok {
		c.Answered, c.Verdict = first.String(), OK
		e.add(c)
		return true
	}
	if e.readsOnlyRSA(token) {
		c.Answered, c.Verdict = "accepted, once the key set held RSA keys alone", OK
		e.add(c)
		e.add(Check{
			ID: "unknown-key-types", Sent: "the same while the key set also holds Ed25519 keys", Expected: "it is accepted",
			Answered: first.String(), Verdict: Failed,
			Why: "one key of a type that a verifier does not know must not make it refuse the set (RFC 7517 section 5); " +
				"with this resource server, the issuer has to publish RS256 alone",
		})
		return true
	}
	c.Answered, c.Verdict = first.String(), Failed
	c.Why += fmt.Sprintf("; does it trust the issuer %s, is its name %s, does the request need a scope or claims? "+
		"The key set was fetched %d times",
		e.TestIssuer, e.Audience, e.keySet.fetched())
	e.add(c)
	return false
}

// readsOnlyRSA reports whether the resource server accepts a token once the key set has no Ed25519 key.
func (e *examination) readsOnlyRSA(token string) bool {
	if e.keySet.fetched() == 0 {
		return false // it has not even looked
	}
	e.keySet.only(jose.RS256)
	if _, _, ok := e.until(token, e.Patience, result.accepted); ok {
		return true
	}
	e.keySet.only("")
	return false
}

// open reports whether the request gets through without any token.
func (e *examination) open() bool {
	r := e.ask("", nil)
	c := Check{
		ID: "no-token", Sent: "the request without a token", Expected: "401 with WWW-Authenticate", Answered: r.String(),
		Verdict: OK,
		Why:     "clients learn from the challenge that they need a token (RFC 6750 section 3; RFC 9110 section 11.6.1)",
	}
	switch {
	case r.accepted():
		c.Verdict, c.Why = Failed, "the request is open to everybody, so that there is nothing to examine; name one "+
			"that needs a token"
	case !r.refused():
		c.Verdict = Failed
	case r.StatusCode != http.StatusUnauthorized || r.Header.Get("WWW-Authenticate") == "":
		c.Verdict = Warning
	}
	e.add(c)
	return r.accepted()
}

// broken records that a token could not be made, which is no fault of the resource server.
func (e *examination) broken(c Check, err error) {
	c.Verdict, c.Answered = Skipped, "the token could not be made: "+err.Error()
	e.add(c)
}

// skipTheRest records what could not be looked at.
func (e *examination) skipTheRest() {
	for _, a := range attempts {
		e.add(Check{ID: a.id, Sent: a.sent, Expected: "it is refused", Answered: "not sent", Verdict: Skipped, Why: a.why})
	}
}
