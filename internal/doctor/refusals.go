package doctor

import (
	"fmt"
	"net/http"
	"time"

	"github.com/signet-id/signet/internal/testissuer"
)

// refusal sends a token that must be refused.
func (e *examination) refusal(a attempt) {
	c := Check{ID: a.id, Sent: a.sent, Expected: "it is refused with 401", Why: a.why}
	token, err := a.make(e)
	if err != nil {
		e.broken(c, err)
		return
	}
	send := a.send
	if send == nil {
		send = inHeader
	}
	before := e.keySet.strangers()
	r := e.ask(token, send)
	c.Answered = r.String()
	switch {
	case r.accepted():
		c.Verdict = a.lax
	case a.id == "jku-header" && e.keySet.strangers() > before:
		c.Verdict, c.Answered = Failed, c.Answered+", after the address in the token was requested"
	default:
		c.Verdict = refusalVerdict(r)
	}
	e.add(c)
}

// refusalVerdict judges how a bad token was refused.
func refusalVerdict(r result) Verdict {
	switch {
	case r.err != nil || r.StatusCode >= 500: // whoever sends such a token can make it fail
		return Failed
	case r.StatusCode == http.StatusUnauthorized:
		return OK
	}
	return Warning // clients refresh after a 401 only
}

// spellings sends good tokens in spellings that are as good.
func (e *examination) spellings() {
	for _, s := range []struct {
		id, sent, why string
		recipe        testissuer.Recipe
		send          func(*http.Request, string)
	}{
		{
			id: "accept-typ-capitals", sent: "a good token whose typ is AT+JWT",
			recipe: testissuer.Recipe{Header: map[string]any{"typ": "AT+JWT"}},
			why:    "typ is a media type, and those are compared without case (RFC 7515 section 4.1.9)",
		},
		{
			id: "accept-typ-long", sent: "a good token whose typ is application/at+jwt",
			recipe: testissuer.Recipe{Header: map[string]any{"typ": "application/at+jwt"}},
			why:    "both spellings of the typ are to be accepted (RFC 9068 section 4)",
		},
		{
			id: "accept-scheme-case", sent: "a good token after the word bearer in small letters",
			send: func(r *http.Request, token string) { r.Header.Set("Authorization", "bearer "+token) },
			why:  "names of schemes are compared without case (RFC 9110 section 11.1)",
		},
		{
			id: "accept-aud-list", sent: "a good token for this service and another",
			recipe: testissuer.Recipe{Claims: map[string]any{"aud": []string{forAnother, e.Audience}}},
			why:    "aud may be a list, in which this service has to stand (RFC 7519 section 4.1.3)",
		},
	} {
		send := s.send
		if send == nil {
			send = inHeader
		}
		e.acceptance(Check{ID: s.id, Sent: s.sent, Why: s.why}, s.recipe, send)
	}
}

// acceptance sends a token that must be accepted.
func (e *examination) acceptance(c Check, recipe testissuer.Recipe, send func(*http.Request, string)) {
	c.Expected = "it is accepted"
	token, err := e.mint(recipe)
	if err != nil {
		e.broken(c, err)
		return
	}
	r := e.ask(token, send)
	if c.Answered, c.Verdict = r.String(), Failed; r.accepted() {
		c.Verdict = OK
	}
	e.add(c)
}

// Bounds of the flood: so many tokens, each under another unknown kid, may cause so many fetches.
const (
	floodTokens  = 50
	floodFetches = 5
)

// flood sends tokens with kids that nobody has.
func (e *examination) flood() {
	c := Check{
		ID: "unknown-kids", Sent: fmt.Sprintf("%d tokens, each with another kid that is not in the key set", floodTokens),
		Expected: fmt.Sprintf("all are refused, with at most %d fetches of the key set", floodFetches),
		Why: "a stranger who invents kids must not make this server call the issuer for each: one fetch in a " +
			"while is enough",
		Verdict: OK,
	}
	before, bad := e.keySet.fetched(), 0
	var last result
	for n := range floodTokens {
		token, err := e.mint(testissuer.Recipe{Header: map[string]any{"kid": fmt.Sprintf("kid-of-nobody-%d", n)}})
		if err != nil {
			e.broken(c, err)
			return
		}
		r := e.ask(token, inHeader)
		if last.Response == nil || !r.refused() {
			last = r
		}
		if r.accepted() {
			bad++
		}
	}
	fetches := e.keySet.fetched() - before
	c.Answered = fmt.Sprintf("%s; %d fetches", last, fetches)
	switch {
	case bad > 0:
		c.Verdict, c.Answered = Failed, fmt.Sprintf("%d were accepted; %d fetches", bad, fetches)
	case fetches > floodFetches:
		c.Verdict = Failed
	default:
		c.Verdict = refusalVerdict(last)
	}
	e.add(c)
}

// prepublished sends a token of the key that was published all the time and signs since now.
func (e *examination) prepublished() {
	before := e.keySet.fetched()
	c := Check{
		ID: "accept-prepublished", Sent: "a good token of the next key, which the key set held from the start",
		Why: "the issuer rotates without notice; keys are published long before they sign",
	}
	if _, err := e.issuer.Rotate(e.ctx); err != nil {
		e.broken(c, err)
		return
	}
	e.acceptance(c, testissuer.Recipe{}, inHeader)
	last := &e.Checks[len(e.Checks)-1]
	last.Answered += fmt.Sprintf("; %d fetches", e.keySet.fetched()-before)
}

// revoked revokes the key of a good token and waits until the token is refused. Nothing else is sent
// meanwhile, so that only the age of the resource server's key set can make it look again.
func (e *examination) revoked() {
	limit := e.MaxAge + e.Patience/3
	c := Check{
		ID: "revoked-key", Sent: fmt.Sprintf("a token whose key was taken out of the key set (max-age=%d)",
			int(e.MaxAge.Seconds())),
		Expected: "it is refused once the key set that was fetched before is older than its max-age",
		Why: "an operator revokes a key because somebody else may have it; what it signed stays good here for as " +
			"long as old key sets are kept (RFC 9111 section 4.2)",
	}
	token, err := e.mint(testissuer.Recipe{})
	if err != nil {
		e.broken(c, err)
		return
	}
	if r := e.ask(token, inHeader); !r.accepted() {
		c.Verdict, c.Answered = Skipped, "it was refused before the key was revoked: "+r.String()
		e.add(c)
		return
	}
	kid, err := e.issuer.SigningKey()
	if err == nil {
		err = e.issuer.RevokeKeys(e.ctx, kid)
	}
	if err != nil {
		e.broken(c, err)
		return
	}
	r, took, ok := e.until(token, limit, func(r result) bool { return !r.accepted() })
	c.Answered = fmt.Sprintf("%s after %s", r, took.Round(time.Second))
	switch {
	case ok:
		c.Verdict = refusalVerdict(r)
	default:
		c.Verdict = Warning
		c.Answered = fmt.Sprintf("still accepted after %s", took.Round(time.Second))
	}
	e.add(c)
}

// fresh revokes all keys, and waits until a token of the first fresh key is accepted. After that the
// resource server has the new key set, and must accept nothing of the old one.
func (e *examination) fresh() {
	c := Check{
		ID: "accept-fresh", Sent: "a good token of a key that was just made, after all others were revoked",
		Expected: fmt.Sprintf("it is accepted within %s", e.Patience),
		Why:      "after an emergency the kid is one that no cache can have: a verifier has to look again, once in a while",
	}
	withdrawn := Check{
		ID: "withdrawn-key", Sent: "a token of a key that the new key set does not hold", Expected: "it is refused with 401",
		Why: "a key set replaces the one before; who keeps keys one by one, or merges the sets, goes on trusting a key " +
			"that was revoked although it has heard of it",
	}
	old, err := e.mint(testissuer.Recipe{})
	if err == nil {
		e.ask(old, inHeader) // the resource server has the old key now, if it ever gets it
		err = e.issuer.RevokeKeys(e.ctx)
	}
	var token string
	if err == nil {
		token, err = e.mint(testissuer.Recipe{})
	}
	if err != nil {
		e.broken(c, err)
		e.broken(withdrawn, err)
		return
	}
	r, took, ok := e.until(token, e.MaxAge+e.Patience, result.accepted)
	c.Answered = fmt.Sprintf("%s after %s", r, took.Round(time.Second))
	if c.Verdict = Failed; ok {
		c.Verdict = OK
	}
	e.add(c)
	if !ok {
		withdrawn.Verdict, withdrawn.Answered = Skipped, "it did not get the new key set"
		e.add(withdrawn)
		return
	}
	last := e.ask(old, inHeader)
	if withdrawn.Answered, withdrawn.Verdict = last.String(), Failed; !last.accepted() {
		withdrawn.Verdict = refusalVerdict(last)
	}
	e.add(withdrawn)
}
