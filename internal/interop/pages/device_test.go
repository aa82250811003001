//go:build interop

package pages

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/internal/interop/browser"
)

// devicePages are the pages of the device flow.
var devicePages = []shown{
	{"device", "user_code", device(web.DevicePage{})},
	{"device-complete", "", device(web.DevicePage{Code: "BCDF-GHJK-LMNP", Complete: true})},
	{"device-wrong", "user_code", device(web.DevicePage{
		Code: "BCDF-GHJK", Problems: []web.Problem{{Field: "user_code", Code: "invalid"}},
	})},
	{"device-too-often", "problems", device(web.DevicePage{
		Code: "BCDF-GHJK-LMNP", Problems: []web.Problem{{Code: "rate_limited", Seconds: 700}},
	})},
	{"consent-device", "", func(p *web.Pages, c web.Common, o string) (web.Page, error) {
		a := app(o)
		a.Host, a.Name = "", "Lantern TV"
		return p.Consent(web.ConsentPage{Common: c, Client: *a, User: "ada@example.com",
			Scopes: []string{"openid", "email", "photos:read"}, Resources: []string{"https://api.photos.example"},
			Device: &web.DeviceRequest{Code: "BCDF-GHJK-LMNP", Address: "2001:db8:1234:5678:9abc:def0:1234:5678",
				UserAgent: "Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0 Safari/537.36",
				Asked:     noon, Now: noon.Add(150 * time.Second), Ends: noon.Add(10 * time.Minute)}})
	}},
	{"device-allowed", "", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.DeviceDone(web.DeviceDonePage{Common: c, Allowed: true})
	}},
	{"device-denied", "", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.DeviceDone(web.DeviceDonePage{Common: c})
	}},
}

func device(d web.DevicePage) func(p *web.Pages, c web.Common, o string) (web.Page, error) {
	return func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		d := d
		d.Common, d.Address = c, "https://id.example/device"
		if d.Complete {
			d.Address += "?user_code=" + d.Code
		}
		return p.Device(d)
	}
}

// The keyboard goes from the code to the button to the picture for the phone, which opens, and on
// the consent page to Deny before Allow.
func TestDeviceByKeyboard(t *testing.T) {
	origin := serve(t, web.Options{Service: "Acme"})
	tab := browser.Start(t, "--ignore-certificate-errors").Tab(t)
	tab.Emulate(browser.Device{Width: 320, Height: 568, Scale: 2, Mobile: true})
	at := func() (on string) {
		tab.Eval("(e => e.id || e.localName)(document.activeElement)", &on)
		return on
	}
	tab.Open(origin + "/pages/en/device")
	tab.Wait("document.activeElement.id === 'user_code'")
	order := []string{at()}
	for range 2 {
		tab.Press("Tab")
		order = append(order, at())
	}
	if want := []string{"user_code", "device-submit", "summary"}; !slices.Equal(order, want) {
		t.Errorf("the keyboard goes through %q, want %q", order, want)
	}
	tab.Press("Enter")
	tab.Wait("document.querySelector('details').open && document.querySelector('.qr svg').checkVisibility()")
	var wide int
	tab.Eval("document.documentElement.scrollWidth - innerWidth", &wide)
	if label := tab.Text(".phone"); wide > 0 || !strings.Contains(label, "https://id.example/device") {
		t.Errorf("%d px wider than the screen: %q", wide, label)
	}
	tab.Screenshot("device-phone-narrow-en")
	tab.Open(origin + "/pages/en/consent-device")
	order = nil
	for range 3 {
		tab.Press("Tab")
		order = append(order, at())
	}
	if want := []string{"a", "device-deny", "device-approve"}; !slices.Equal(order, want) {
		t.Errorf("the keyboard goes through %q, want %q", order, want)
	}
}
