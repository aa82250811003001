package devices_test

import (
	"slices"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// A client that registers itself may ask for the grant type of devices, by its full name, and
// without a redirect URI.
func TestADeviceThatRegistersItself(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		var made struct {
			ID         string   `json:"client_id"`
			GrantTypes []string `json:"grant_types"`
		}
		body := apitest.Fields{"client_name": "TV", "token_endpoint_auth_method": "none",
			"grant_types": []string{userstore.GrantDeviceCode, userstore.GrantRefreshToken}}
		s.Do(apitest.Request{Method: "POST", Path: "/oauth2/register", Body: body}).Want(201, "").JSON(&made)
		if !slices.Equal(made.GrantTypes, []string{userstore.GrantDeviceCode, userstore.GrantRefreshToken}) {
			t.Errorf("registered for %v", made.GrantTypes)
		}
		c := apitest.Client{Client: userstore.Client{ID: made.ID, AuthMethod: userstore.AuthNone}}
		asked := newStandard(s).ask(c)
		s.SignedIn(s.SignUp("carol")).AllowDevice(asked.UserCode)
		s.PollDevice(c, asked.DeviceCode).Want(200, "")

		body["grant_types"] = []string{"device_code"}
		s.Do(apitest.Request{Method: "POST", Path: "/oauth2/register", Body: body}).Want(400, "invalid_client_metadata")
	}, apitest.Configured(func(r *apitest.Replica) { r.Issuer.Registration = issuer.RegistrationOpen }))
}
