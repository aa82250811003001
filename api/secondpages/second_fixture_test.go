package secondpages_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
)

// usePasskey presses the button that uses a passkey, as the script of the page does.
func usePasskey(
	t *testing.T, b *apitest.Browser, p *apitest.Page, button string, key *apitest.Passkey, more map[string]string,
) *apitest.Page {
	t.Helper()
	return p.Submit(button, passkeyAnswer(t, b, p, button, key, more))
}

// passkeyAnswer returns the fields that the script fills in.
func passkeyAnswer(
	t *testing.T, b *apitest.Browser, p *apitest.Page, button string, key *apitest.Passkey, more map[string]string,
) map[string]string {
	t.Helper()
	fresh := passkeyOptions(t, b, p, button)
	fields := map[string]string{"passkey": fresh.Handle, "response": string(key.Get(fresh.Options))}
	maps.Copy(fields, more)
	return fields
}

type options struct {
	Handle    string
	Options   json.RawMessage
	ExpiresIn int `json:"expires_in"`
}

func passkeyOptions(t *testing.T, b *apitest.Browser, p *apitest.Page, button string) (o options) {
	t.Helper()
	q := optionsRequest(p, button)
	a := b.Send(q)
	a.Want(200, "").JSON(&o)
	if o.Handle == "" || o.ExpiresIn != 300 || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%+v %v", o, a.Header)
	}
	return o
}

// optionsRequest is the request that the script makes: it sends the hidden fields.
func optionsRequest(p *apitest.Page, button string) apitest.Request {
	q := p.Form(button, nil)
	q.Path = "/login/passkey"
	for _, name := range []string{"passkey", "response", "email", "password", "trust", "stay"} {
		q.Form.Del(name)
	}
	q.Header = http.Header{"Accept": {"*/*"}}
	return q
}

// hasSession reports whether the browser has a cookie of a session.
func hasSession(b *apitest.Browser) bool { return cookieOf(b, "session") != "" }

func cookieOf(b *apitest.Browser, name string) string {
	for full, value := range b.Cookies {
		if strings.HasPrefix(full, "__Host-signet-"+name+"-") {
			return value
		}
	}
	return ""
}

// first opens an authorization request and types the password.
func first(b *apitest.Browser, path string, u apitest.User) *apitest.Page {
	return b.SignIn(path, u)
}

// wantStrength checks what an ID token says of the login.
func wantStrength(t *testing.T, tokens apitest.Tokens, acr string, at time.Time, amr ...string) {
	t.Helper()
	for name, token := range map[string]string{"ID token": tokens.ID, "access token": tokens.Access} {
		claims := apitest.Claims(token)
		var got []string
		list, _ := claims["amr"].([]any)
		for _, a := range list {
			got = append(got, fmt.Sprint(a))
		}
		slices.Sort(got)
		slices.Sort(amr)
		if claims["acr"] != acr || int64(claims["auth_time"].(float64)) != at.Unix() || !reflect.DeepEqual(got, amr) {
			t.Errorf("the %s says acr %v, auth_time %v, amr %v; want %s, %d, %v", name, claims["acr"], claims["auth_time"], got,
				acr, at.Unix(), amr)
		}
	}
}
