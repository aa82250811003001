package documents_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
)

// A device of a client that nobody has allowed anything asks and waits without a row.
func TestADeviceOfAClientWithoutARow(t *testing.T) {
	const grant = "urn:ietf:params:oauth:grant-type:device_code"
	each(t, func(t *testing.T, s *apitest.Server, h *apitest.DocumentHost) {
		c := h.Publish("/tv.json", h.Metadata("/tv.json").With("client_name", "Television").
			With("grant_types", []string{grant, "refresh_token"}).With("redirect_uris", nil))
		var asked struct {
			DeviceCode string `json:"device_code"`
			UserCode   string `json:"user_code"`
		}
		s.Do(s.Authenticated(c, "/oauth2/device", url.Values{"scope": {"openid"}})).Want(200, "").JSON(&asked)
		poll := s.Authenticated(c, "/oauth2/token", url.Values{"grant_type": {grant}, "device_code": {asked.DeviceCode}})
		s.Do(poll).Want(400, "authorization_pending")
		if got := rows(s); got != nil {
			t.Errorf("a device that waits made the rows %v", got)
		}
		b := s.SignedIn(s.SignUp("alice"))
		page := b.Open("/device").WantPage(200, "device-submit").
			Submit("device-submit", map[string]string{"user_code": asked.UserCode}).WantPage(200, "device-approve")
		if text := page.Text(); !strings.Contains(text, strings.TrimPrefix(h.URL, "https://")) {
			t.Errorf("the page does not name the host of the client_id: %s", text)
		}
		page.Submit("device-approve", nil).WantPage(200, "")
		if got := rows(s); !slices.Equal(got, []string{c.ID}) {
			t.Errorf("the rows are %v", got)
		}
		var tokens apitest.Tokens
		s.Clock.Move(5e9)
		s.Do(poll).Want(200, "").JSON(&tokens)
		s.Do(apitest.Request{Path: "/oauth2/userinfo", Token: tokens.Access}).Want(200, "")
		s.Do(s.RefreshRequest(c, tokens.Refresh)).Want(200, "")
	})
}
