// Package devicepages_test holds tests of the device flow as a person meets it: the page that takes
// the code of a device, what is shown before anything is allowed, and guesses. It has no code, and
// tests of its own only so that no package takes too long.
package devicepages_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

// tv is a public client that may do nothing but the device flow.
func tv(s *apitest.Server) apitest.Client {
	return s.Register(userstore.Client{
		ID: "tv", AuthMethod: userstore.AuthNone, GrantTypes: []string{userstore.GrantDeviceCode, userstore.GrantRefreshToken},
		Name: "Lantern TV", ClientMetadata: userstore.ClientMetadata{RedirectURIs: []string{}},
	})
}

// authorization is the answer that a device gets.
type authorization struct {
	DeviceCode string `json:"device_code"`
	UserCode   string `json:"user_code"`
	URI        string `json:"verification_uri"`
	Complete   string `json:"verification_uri_complete"`
	ExpiresIn  int    `json:"expires_in"`
	Interval   int    `json:"interval"`
}

// begin is what a device sends first.
func begin(s *apitest.Server, c apitest.Client, header http.Header, more url.Values) (a authorization) {
	s.T.Helper()
	form := url.Values{"client_id": {c.ID}, "scope": {"openid email"}}
	for name, values := range more {
		form[name] = values
	}
	s.Do(apitest.Request{Method: http.MethodPost, Path: "/oauth2/device", Form: form, Header: header}).
		Want(http.StatusOK, "").JSON(&a)
	s.Secret(a.DeviceCode)
	return a
}

// poll is what the device asks with its code.
func poll(s *apitest.Server, c apitest.Client, a authorization) *apitest.Response {
	s.T.Helper()
	return s.Do(apitest.Request{Method: http.MethodPost, Path: "/oauth2/token", Form: url.Values{
		"grant_type": {userstore.GrantDeviceCode}, "device_code": {a.DeviceCode}, "client_id": {c.ID},
	}})
}

// typeCode opens the page and sends a code.
func typeCode(b *apitest.Browser, code string) *apitest.Page {
	b.Server.T.Helper()
	return b.Open("/device").WantPage(http.StatusOK, "device-submit").Submit("device-submit", map[string]string{"user_code": code})
}

// eachStore runs a test in parallel on both stores.
func eachStore(t *testing.T, fn func(t *testing.T, s *apitest.Server), options ...func(*apitest.Options)) {
	t.Parallel()
	apitest.Each(t, fn, options...)
}
