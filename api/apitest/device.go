package apitest

import (
	"net/url"

	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// AskDevice asks for a device authorization in the name of c. Both codes are secret.
func (s *Server) AskDevice(c Client, form url.Values) issuer.DeviceAnswer {
	s.T.Helper()
	var asked issuer.DeviceAnswer
	s.Do(s.Authenticated(c, "/oauth2/device", form)).Want(200, "").JSON(&asked)
	s.Secret(asked.DeviceCode)
	return asked
}

// TypeUserCode types the code of a device in a browser, and returns the page that follows.
func (b *Browser) TypeUserCode(code string) *Page {
	b.Server.T.Helper()
	return b.Open("/device").Submit("device-submit", map[string]string{"user_code": code})
}

// AllowDevice allows a device in a browser in which somebody is logged in.
func (b *Browser) AllowDevice(code string) *Page {
	b.Server.T.Helper()
	return b.TypeUserCode(code).Submit("device-approve", nil).WantPage(200, "")
}

// PollDevice is a poll of a device.
func (s *Server) PollDevice(c Client, deviceCode string) *Response {
	s.T.Helper()
	return s.Do(s.PollRequest(c, deviceCode))
}

// PollRequest is the request of PollDevice.
func (s *Server) PollRequest(c Client, deviceCode string) Request {
	return s.Authenticated(c, "/oauth2/token", url.Values{
		"grant_type": {userstore.GrantDeviceCode}, "device_code": {deviceCode},
	})
}
