package waysin_test

import (
	"net/url"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/issuer"
)

// byDeviceWithPassword are the ways of somebody who has the password, to a device that waits for a
// person.
var byDeviceWithPassword = []way{
	{name: "page of a device", try: func(p *person) string { return p.onDevice(p.s.Browser(), p.byPassword) }},
	{name: "page of a device, and then the second step", try: func(p *person) string {
		b := p.s.Browser()
		return p.onDevice(b, func(page *apitest.Page) *apitest.Page { return p.second(b, p.byPassword(page), nil) })
	}},
}

// byDeviceWithSession are the ways of somebody who has a session of before, or a device that was
// allowed before.
var byDeviceWithSession = []way{
	{name: "session of before, and a device", before: hadSession, try: func(p *person) string {
		return p.onDevice(p.session, func(page *apitest.Page) *apitest.Page { return page })
	}},
	{name: "device of before, which was allowed and has not asked yet",
		before: func(p *person) {
			asked := p.askForDevice()
			p.s.SignedIn(p.User).AllowDevice(asked.UserCode)
			p.device = asked.DeviceCode
		},
		try: func(p *person) string { return asked(p.s.PollDevice(p.third, p.device)) }},
}

func (p *person) askForDevice() issuer.DeviceAnswer {
	p.s.T.Helper()
	return p.s.AskDevice(p.third, url.Values{"scope": {"openid profile"}})
}

// byPassword sends the password at the login page.
func (p *person) byPassword(page *apitest.Page) *apitest.Page {
	p.s.T.Helper()
	return page.Submit("login-submit", map[string]string{"email": p.Email, "password": p.Password})
}

// onDevice types the code of a device, logs in, and allows the device.
func (p *person) onDevice(b *apitest.Browser, logIn func(*apitest.Page) *apitest.Page) string {
	p.s.T.Helper()
	device := p.askForDevice()
	page := logIn(b.TypeUserCode(device.UserCode))
	if !page.Has("device-approve") {
		return p.shown(b, page)
	}
	page.Submit("device-approve", nil).WantPage(200, "")
	return asked(p.s.PollDevice(p.third, device.DeviceCode))
}
