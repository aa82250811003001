package conformance

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"

	"github.com/signet-id/signet/api/apitest"
)

func logoutDiscovery(p *party) {
	p.https("end_session_endpoint")
	for name := range p.op {
		if strings.HasSuffix(name, "_endpoint") {
			p.https(name)
		}
	}
}

// endSession signs in, sends the browser to the end session endpoint, and returns the parameters.
func (p *party) endSession(edit ...func(login, url.Values)) url.Values {
	p.t.Helper()
	p.state = 128
	l := p.signIn(p.authorization("openid"))
	p.n.arrived, p.b.screenshots = nil, nil
	// A state may have any visible character; the suite avoids those that its own parser confuses.
	q := url.Values{"id_token_hint": {l.raw}, "post_logout_redirect_uri": {postLogoutURL},
		"state": {random(10) + "!\"#$%&'()*,-./:<=>?@[\\]^_`{|}~"}}
	for _, fn := range edit {
		fn(l, q)
	}
	p.b.visit(address(p.op.text("end_session_endpoint"), q,
		[]string{"id_token_hint", "post_logout_redirect_uri", "state"}))
	return q
}

func without(names ...string) func(login, url.Values) {
	return func(_ login, q url.Values) {
		for _, name := range names {
			q.Del(name)
		}
	}
}

// loggedOut demands that the user is no longer logged in.
func (p *party) loggedOut() {
	p.t.Helper()
	q := p.authorization("openid", with("prompt", "none"))
	p.refused(q, p.authorize(q), needsAPage...)
}

// sentBack demands that the browser came to the post-logout redirect URI with only the state, and
// that the user was not asked.
func (p *party) sentBack(state string) {
	p.t.Helper()
	if p.b.sent > 0 || len(p.n.arrived) != 1 {
		p.t.Fatalf("%d requests came to the suite; the browser is at %s: %s", len(p.n.arrived), p.b.at, p.b.text())
	}
	address := p.n.arrived[0].url
	query := p.once(address.Query())
	address.RawQuery = ""
	if address.String() != postLogoutURL || query.Get("state") != state || query.Has("state") != (state != "") {
		p.t.Errorf("the browser came back to %s with %v", address.String(), query)
	}
	p.only(query, "state")
	p.loggedOut()
}

func logout(p *party) { p.sentBack(p.endSession().Get("state")) }

func logoutNoState(p *party) {
	p.endSession(without("state"))
	p.sentBack("")
}

// asksFirst demands that a request which an attacker may have made redirects to no app: the user is
// asked, and is logged out only after a confirmation.
func (p *party) asksFirst(edit ...func(login, url.Values)) {
	p.t.Helper()
	p.endSession(edit...)
	p.staysAtServer()
	if p.b.sent != 1 || !strings.Contains(p.b.text(), "You are signed out") {
		p.t.Errorf("the browser is at %s: %s", p.b.at, p.b.text())
	}
	p.loggedOut()
}

// confirmsLogout demands a page that tells the user that they are logged out.
func (p *party) confirmsLogout() {
	p.t.Helper()
	p.staysAtServer()
	if n := len(p.b.screenshots); n == 0 || !strings.Contains(p.b.screenshots[n-1], "You are signed out") {
		p.t.Errorf("the screenshots say %q", p.b.screenshots)
	}
	p.loggedOut()
}

// The hint is right, so the user is not asked. The address is wrong, so the browser is not sent
// there.
func (p *party) goesNowhere(edit ...func(login, url.Values)) {
	p.t.Helper()
	p.endSession(edit...)
	p.confirmsLogout()
}

func logoutBadRedirectURI(p *party) {
	p.goesNowhere(func(_ login, q url.Values) {
		q.Set("post_logout_redirect_uri", suiteURL+"/bad_post_logout_redirect_uri")
	})
}

func logoutQueryAdded(p *party) {
	p.goesNowhere(func(_ login, q url.Values) { q.Set("post_logout_redirect_uri", postLogoutURL+"?foo=bar") })
}

func logoutNoRedirectURI(p *party) { p.goesNowhere(without("post_logout_redirect_uri")) }

func logoutModifiedHint(p *party) {
	p.asksFirst(func(l login, q url.Values) {
		q.Set("id_token_hint", apitest.Encode(`{"alg": "none"}`)+"."+strings.Split(l.raw, ".")[1]+".")
	})
}

// The client made this token itself, with its secret; iss and aud are swapped.
func logoutBadHint(p *party) {
	p.asksFirst(func(_ login, q url.Values) {
		now := p.s.Clock.Now().Unix()
		claims, err := json.Marshal(map[string]any{
			"iss": p.client.ID, "aud": p.op["issuer"], "sub": "SubjectID", "nonce": "flibble", "iat": now, "exp": now + 300,
		})
		if err != nil {
			p.t.Fatal(err)
		}
		signed := apitest.Encode(`{"alg":"HS256","typ":"JWT"}`) + "." + base64.RawURLEncoding.EncodeToString(claims)
		mac := hmac.New(sha256.New, []byte(p.client.Secret))
		mac.Write([]byte(signed))
		q.Set("id_token_hint", signed+"."+base64.RawURLEncoding.EncodeToString(mac.Sum(nil)))
	})
}

func logoutNoHint(p *party) { p.asksFirst(without("id_token_hint")) }

func logoutNoParams(p *party) {
	p.endSession(without("id_token_hint", "post_logout_redirect_uri", "state"))
	p.confirmsLogout()
}

func logoutOnlyState(p *party) {
	p.endSession(without("id_token_hint", "post_logout_redirect_uri"))
	p.confirmsLogout()
}
