package conformance

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"time"
)

const backchannelURL = suiteURL + "/backchannel_logout"

// backchannelLogout is the plan oidcc-backchannel-rp-initiated-logout-certification-test-plan.
var backchannelLogout = plan{
	name: "backchannel-logout", title: "Back-Channel Logout", suite: "oidcc-backchannel-rp-initiated-logout-certification-test-plan",
	variant: []string{"client_registration=static_client", "response_type=code"}, modules: []module{
		{"oidcc-backchannel-logout-discovery-endpoint-verification", passes, backchannelDiscovery},
		{"oidcc-backchannel-rp-initiated-logout", passes, backchannelRPInitiated},
	},
}

func backchannelDiscovery(p *party) {
	logoutDiscovery(p)
	for _, name := range []string{"backchannel_logout_supported", "backchannel_logout_session_supported"} {
		if p.op[name] != true {
			p.t.Errorf("%s is %v", name, p.op[name])
		}
	}
}

// backchannelRPInitiated demands that the server posts a logout token of the session to the suite and
// sends the browser back, and that the user is logged out.
func backchannelRPInitiated(p *party) {
	p.s.Replicas[0].Logouts.Post = func(ctx context.Context, address string, form url.Values) (int, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, io.NopCloser(strings.NewReader(form.Encode())))
		if err != nil {
			return 0, err
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		res, err := p.n.client().Do(r)
		if err != nil {
			return 0, err
		}
		return res.StatusCode, res.Body.Close()
	}
	var l login
	state := p.endSession(func(of login, _ url.Values) { l = of }).Get("state")
	front := p.n.arrived
	p.n.arrived = nil
	if n, err := p.s.Replicas[0].Logouts.Step(p.t.Context()); n != 1 || err != nil {
		p.t.Fatalf("%d requests from server to server, %v", n, err)
	}
	if len(p.n.arrived) != 1 {
		p.t.Fatalf("%d requests came to the suite", len(p.n.arrived))
	}
	p.logoutToken(p.n.arrived[0], l)
	p.n.arrived = front
	p.sentBack(state)
}

// logoutToken demands a request with the logout token of a login (Back-Channel Logout section 2.4 and
// 2.5), and nothing else.
func (p *party) logoutToken(a arrival, of login) {
	p.t.Helper()
	form, err := url.ParseQuery(a.body)
	if err != nil || a.method != http.MethodPost || a.url.String() != backchannelURL ||
		a.header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		p.t.Fatalf("%s %s: %v, %v", a.method, a.url.String(), a.header, err)
	}
	p.only(p.once(form), "logout_token")
	parts := strings.Split(form.Get("logout_token"), ".")
	if len(parts) != 3 {
		p.t.Fatalf("the logout token has %d parts", len(parts))
	}
	var header, claims map[string]any
	decode(p.t, parts[0], &header)
	decode(p.t, parts[1], &claims)
	p.verify(header, parts)
	if header["typ"] != "logout+jwt" {
		p.t.Errorf("typ is %v", header["typ"])
	}
	iat, _ := claims["iat"].(float64)
	if age := p.s.Clock.Now().Sub(time.Unix(int64(iat), 0)).Abs(); age > 5*time.Minute {
		p.t.Errorf("it is %s old", age)
	}
	for _, name := range []string{"sub", "sid"} {
		if claims[name] != of.id[name] || claims[name] == nil {
			p.t.Errorf("%s is %v, and of the ID token %v", name, claims[name], of.id[name])
		}
	}
	if jti, _ := claims["jti"].(string); jti == "" || claims["iss"] != p.op["issuer"] || claims["aud"] != p.client.ID {
		p.t.Errorf("the logout token is %v", claims)
	}
	if nonce, has := claims["nonce"]; has {
		p.t.Errorf("it has the nonce %v", nonce)
	}
	want := map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}
	if !reflect.DeepEqual(claims["events"], want) {
		p.t.Errorf("events is %v", claims["events"])
	}
}
