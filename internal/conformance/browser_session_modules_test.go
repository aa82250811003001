package conformance

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/html"

	"github.com/signet-id/signet/issuer"
)

const frontchannelURL = suiteURL + "/frontchannel_logout"

// byHand is an outcome: the suite's own browser is not one that a person would use.
const byHand = "passes; a person opens the suite's links in a browser that lets frames have their cookies"

// The plans about the session of a browser. internal/interop has what real browsers do.
var browserSessionPlans = []plan{
	{name: "session-management", title: "Session Management", suite: "oidcc-session-management-certification-test-plan",
		variant: []string{"client_registration=static_client", "response_type=code"}, modules: []module{
			{"oidcc-session-management-discovery-endpoint-verification", passes, sessionDiscovery},
			{"oidcc-session-management-rp-initiated-logout", byHand, sessionRPInitiated},
		}},
	{name: "frontchannel-logout", title: "Front-Channel Logout",
		suite:   "oidcc-frontchannel-rp-initiated-logout-certification-test-plan",
		variant: []string{"client_registration=static_client", "response_type=code"}, modules: []module{
			{"oidcc-frontchannel-logout-discovery-endpoint-verification", passes, frontchannelDiscovery},
			{"oidcc-frontchannel-rp-initiated-logout", passes, frontchannelRPInitiated},
		}},
	{name: "3rdparty-init-login", title: "3rd Party-Initiated Login",
		suite: "oidcc-3rdparty-init-login-certification-test-plan", variant: []string{"response_type=code"}, modules: []module{
			{"oidcc-3rd_party-init-login", passes, thirdPartyLogin},
			{"oidcc-3rd_party-init-login-nohttps", passes, thirdPartyLoginByHTTP},
		}},
}

func sessionDiscovery(p *party) {
	p.https("check_session_iframe")
	p.https("end_session_endpoint")
}

// sessionRPInitiated asks the frame before and after a logout.
func sessionRPInitiated(p *party) {
	p.b.automated = p.c.Browser
	sent := p.authorization("openid")
	got := p.authorize(sent)
	p.code(sent, got)
	state := got.Get("session_state")
	if state == "" || strings.Contains(state, " ") {
		p.t.Fatalf("session_state is %q", state)
	}
	if answer := p.askFrame(state); answer != "unchanged" {
		p.t.Errorf("before the logout the frame answers %q", answer)
	}
	back := p.endSession()
	if answer := p.askFrame(state); answer != "changed" {
		p.t.Errorf("after the logout the frame answers %q", answer)
	}
	p.sentBack(back.Get("state"))
}

var cookieOfFrame = regexp.MustCompile(`"; ([\w-]+)="`)

// askFrame returns the answer of the frame to the suite's page. This browser cannot run the script: it
// demands that the policy allows the script and the page around it, and calculates the same.
func (p *party) askFrame(state string) string {
	p.t.Helper()
	address := p.b.parse(p.op.text("check_session_iframe"))
	a := p.call(p.request("GET", address.String(), ""))
	policy := a.header.Get("Content-Security-Policy")
	_, script, _ := strings.Cut(a.body, "<script>")
	script, _, _ = strings.Cut(script, "</script>")
	sum := sha256.Sum256([]byte(script))
	if a.status != http.StatusOK || !strings.Contains(policy, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") ||
		!strings.Contains(policy, "frame-ancestors *;") || a.header.Get("X-Frame-Options") != "" {
		p.t.Fatalf("the frame: %d %v", a.status, a.header)
	}
	name := cookieOfFrame.FindStringSubmatch(script)
	if name == nil {
		p.t.Fatalf("the script reads no cookie: %s", script)
	}
	for _, c := range p.b.client.Jar.Cookies(address) {
		if c.Name != name[1] {
			continue
		}
		origin := p.b.parse(suiteURL)
		_, salt, _ := strings.Cut(state, ".")
		hash := sha256.Sum256([]byte(strings.Join(
			[]string{p.client.ID, origin.Scheme + "://" + origin.Host, c.Value, salt}, " ")))
		if hex.EncodeToString(hash[:])+"."+salt == state {
			return "unchanged"
		}
		return "changed"
	}
	return "error"
}

func frontchannelDiscovery(p *party) {
	logoutDiscovery(p)
	for _, name := range []string{"frontchannel_logout_supported", "frontchannel_logout_session_supported"} {
		if p.op[name] != true {
			p.t.Errorf("%s is %v", name, p.op[name])
		}
	}
}

// frontchannelRPInitiated demands that the browser loads the suite's address in a frame, with iss and
// sid and nothing else, and then comes back.
func frontchannelRPInitiated(p *party) {
	var l login
	state := p.endSession(func(of login, _ url.Values) { l = of }).Get("state")
	if len(p.n.arrived) != 2 {
		p.t.Fatalf("%d requests came to the suite; the browser is at %s: %s", len(p.n.arrived), p.b.at, p.b.text())
	}
	frame := p.n.arrived[0]
	query := p.once(frame.url.Query())
	frame.url.RawQuery = ""
	if frame.url.String() != frontchannelURL || query.Get("iss") != p.op.text("issuer") || query.Get("sid") != l.id["sid"] {
		p.t.Errorf("the frame loaded %s with %v; the ID token has the sid %v", frame.url.String(), query, l.id["sid"])
	}
	p.only(query, "iss", "sid")
	p.n.arrived = p.n.arrived[1:]
	p.sentBack(state)
}

// loadFrames does what a browser does with a page of frames that refreshes itself: it loads the frames
// that the policy allows, and then what the page leads to. It reports whether there is such a page.
func (b *browser) loadFrames() bool {
	b.t.Helper()
	each(b.page, func(n *html.Node) {
		if n.Data != "iframe" {
			return
		}
		u := b.parse(attribute(n, "src"))
		if !slices.Contains(b.directive("frame-src"), u.Scheme+"://"+u.Host) {
			b.t.Fatalf("%s: the policy does not let the page frame %s", b.at.Path, u)
		}
		b.send(http.MethodGet, u, "", nil)
	})
	refresh := first(b.page, func(n *html.Node) bool { return attribute(n, "http-equiv") == "refresh" })
	to, found := strings.CutPrefix(attribute(refresh, "content"), "0; url=")
	if found {
		b.load(http.MethodGet, to, "", nil)
	}
	return found
}

func thirdPartyLogin(p *party) {
	a := p.selfRegister(suiteURL + "/initiate_login")
	client := p.json(a, http.StatusCreated)
	if client["initiate_login_uri"] != suiteURL+"/initiate_login" {
		p.t.Errorf("initiate_login_uri is %v", client["initiate_login_uri"])
	}
	address, _ := client["registration_client_uri"].(string)
	token, _ := client["registration_access_token"].(string)
	r := p.request("GET", address, "")
	r.Header.Set("Authorization", "Bearer "+token)
	if read := p.json(p.call(r), http.StatusOK); read["initiate_login_uri"] != suiteURL+"/initiate_login" {
		p.t.Errorf("later, initiate_login_uri is %v", read["initiate_login_uri"])
	}
}

func thirdPartyLoginByHTTP(p *party) {
	a := p.selfRegister("http" + strings.TrimPrefix(suiteURL, "https") + "/initiate_login")
	if refused := p.json(a, http.StatusBadRequest); refused["error"] != "invalid_client_metadata" {
		p.t.Errorf("refused with %v", refused)
	}
}

// selfRegister registers a client as the suite does, at a server that is open to it.
func (p *party) selfRegister(initiateLogin string) answer {
	p.t.Helper()
	before := p.s.Replicas[0].Issuer.Registration
	p.s.Replicas[0].Issuer.Registration = issuer.RegistrationOpen
	p.t.Cleanup(func() { p.s.Replicas[0].Issuer.Registration = before })
	p.discover()
	body, err := json.Marshal(map[string]any{
		"client_name": "OIDF conformance test " + random(10), "grant_types": []string{"authorization_code"},
		"token_endpoint_auth_method": "client_secret_basic", "response_types": []string{"code"},
		"redirect_uris": []string{callbackURL}, "contacts": []string{"certification@oidf.org"},
		"initiate_login_uri": initiateLogin,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	r := p.request("POST", p.op.text("registration_endpoint"), string(body))
	r.Header.Set("Content-Type", "application/json")
	return p.call(r)
}
