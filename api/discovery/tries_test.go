package discovery_test

import (
	"net/url"
	"strings"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

// endpoint tries an endpoint that has to be at path.
func endpoint(path string, try func(*world)) func(*world) {
	return func(w *world) {
		for _, value := range w.m {
			if value == apitest.IssuerURL+path {
				try(w)
				return
			}
		}
		w.T.Errorf("no member is %s%s", apitest.IssuerURL, path)
	}
}

// each tries each value of a list, which is not empty.
func each(member string, try func(w *world, value string)) func(*world) {
	return func(w *world) {
		if len(w.list(member)) == 0 {
			w.T.Error("it is empty")
		}
		for _, value := range w.list(member) {
			w.T.Log(value)
			try(w, value)
		}
	}
}

// yes tries what a member says that there is.
func yes(member string, try func(*world)) func(*world) {
	return func(w *world) {
		if w.m[member] != true {
			w.T.Errorf("it is %v", w.m[member])
		}
		try(w)
	}
}

// methods tries each method in which clients authenticate at an endpoint.
func methods(member string) func(*world) {
	path := map[string]string{"token": "/oauth2/token", "introspection": "/oauth2/introspect", "revocation": "/oauth2/revoke"}
	at, _, _ := strings.Cut(member, "_")
	return each(member, func(w *world, method string) {
		signing, jwks := w.signing("RS256")
		if method != userstore.AuthPrivateKeyJWT {
			jwks = nil
		}
		c := w.client(userstore.Client{AuthMethod: method, ClientMetadata: userstore.ClientMetadata{JWKS: jwks}})
		if method == userstore.AuthNone && at == "token" {
			w.login(c)
			return
		}
		form := url.Values{"token": {"x"}}
		if at == "token" {
			form = url.Values{"grant_type": {"client_credentials"}}
		}
		if method == userstore.AuthPrivateKeyJWT {
			w.proved(c, signing, path[at], form).Want(200, "")
			return
		}
		w.Do(w.Authenticated(c, path[at], form)).Want(200, "")
	})
}

// assertions tries each algorithm of client assertions at an endpoint.
func assertions(member, path string, form url.Values) func(*world) {
	return each(member, func(w *world, alg string) {
		signing, jwks := w.signing(alg)
		c := w.client(userstore.Client{AuthMethod: userstore.AuthPrivateKeyJWT, ClientMetadata: userstore.ClientMetadata{JWKS: jwks}})
		sent := url.Values{}
		for name, values := range form {
			sent[name] = values
		}
		w.proved(c, signing, path, sent).Want(200, "")
	})
}

// byObject logs in by a request object, sent or left at an address. none: it has no signature.
func (w *world) byObject(alg string, address bool) {
	w.T.Helper()
	metadata := userstore.ClientMetadata{RequestObjectAlg: alg}
	var key signing
	if alg != userstore.RequestObjectUnsigned {
		key, metadata.JWKS = w.signing(alg)
	}
	at := suite + "/request"
	if address {
		metadata.RequestURIs = []string{at}
	}
	c := w.client(userstore.Client{ClientMetadata: metadata})
	_, query, _ := strings.Cut(apitest.AuthorizePath(c), "?")
	asked, err := url.ParseQuery(query)
	if err != nil {
		w.T.Fatal(err)
	}
	claims := apitest.Fields{"iss": c.ID, "aud": apitest.IssuerURL}
	for name := range asked {
		claims[name] = asked.Get(name)
	}
	object := apitest.Encode(`{"alg":"none"}`) + "." + apitest.Encode(claims.Text()) + "."
	if alg != userstore.RequestObjectUnsigned {
		object = key.sign(w, "oauth-authz-req+jwt", claims)
	}
	sent := url.Values{"client_id": {c.ID}, "response_type": {"code"}, "scope": {"openid"}, "request": {object}}
	if address {
		w.mu.Lock()
		w.objects[at] = object
		w.mu.Unlock()
		sent.Del("request")
		sent.Set("request_uri", at)
	}
	p := w.b.Open("/oauth2/authorize?"+sent.Encode()).WantPage(200, "consent-approve").Submit("consent-approve", nil)
	w.TokensOf(c, p)
}

// byFrame logs out in a browser, whose page has to load the address of an app with part in it.
func (w *world) byFrame(part string) {
	w.T.Helper()
	c := w.client(userstore.Client{ClientMetadata: userstore.ClientMetadata{
		FrontchannelLogoutURI: suite + "/out", FrontchannelLogoutSessionRequired: part != ""}})
	b, p := w.Allowed(w.user, c)
	w.TokensOf(c, p)
	page := string(b.Open("/logout").Submit("logout-confirm", nil).Body)
	if !strings.Contains(page, suite+"/out") || !strings.Contains(page, part) {
		w.T.Errorf("the page: %s", page)
	}
}

// byServer logs out in a browser, and looks for a claim in the logout token that the app gets.
func (w *world) byServer(claim string) {
	w.T.Helper()
	c := w.client(userstore.Client{ClientMetadata: userstore.ClientMetadata{BackchannelLogoutURI: suite + "/back"}})
	b, p := w.Allowed(w.user, c)
	id := apitest.Claims(w.TokensOf(c, p).ID)
	b.Open("/logout").Submit("logout-confirm", nil)
	if n, err := w.Replicas[0].Logouts.Step(w.T.Context()); err != nil || n == 0 {
		w.T.Fatalf("%d apps were told, %v", n, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.told) == 0 || apitest.Claims(w.told[len(w.told)-1])[claim] != id[claim] {
		w.T.Errorf("the app was told %v", w.told)
	}
}

// byDevice logs in on a device, whose user allows it in a browser.
func (w *world) byDevice(c apitest.Client) {
	w.T.Helper()
	asked := w.AskDevice(c, url.Values{"scope": {"openid"}})
	w.b.AllowDevice(asked.UserCode)
	w.PollDevice(c, asked.DeviceCode).Want(200, "")
}
