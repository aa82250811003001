package web_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/web"
)

func TestTheFormOfADevice(t *testing.T) {
	p := newPages(t, web.Options{Base: "/id"})
	for _, c := range []struct {
		what     string
		page     web.DevicePage
		says     string
		code     string // in the choice of a language
		signIn   bool
		focus    bool
		describe string
	}{
		{"empty", web.DevicePage{}, "Enter the code that it shows.", "", false, true, "user_code-hint"},
		{"with the code of the address", web.DevicePage{Code: "BCDF-GHJK-LMNP", Complete: true},
			"only if your device shows exactly this code now", "BCDF-GHJK-LMNP", false, false, "user_code-hint"},
		{"with a wrong code of an address", web.DevicePage{Code: "BCDF-GHJK-LMNP", Complete: true,
			Problems: []web.Problem{{Field: "user_code", Code: "invalid"}}},
			"Enter the code that it shows.", "", false, true, "user_code-problem user_code-hint"},
		{"after too many codes", web.DevicePage{Code: "BCDF", Problems: []web.Problem{{Code: "rate_limited", Seconds: 61}}},
			"again in 2\u00a0min", "", true, false, "user_code-hint"},
		{"after too many codes of an account", web.DevicePage{Code: "BCDF", SignedIn: true,
			Problems: []web.Problem{{Code: "rate_limited", Seconds: 61}}}, "again in 2\u00a0min", "", false, false, "user_code-hint"},
	} {
		t.Run(c.what, func(t *testing.T) {
			c.page.Address = "https://id.test/device"
			page, err := p.Device(c.page)
			if err != nil {
				t.Fatal(err)
			}
			d := parse(t, page.Body)
			input, _ := d.id("user_code")
			if input.attrs["name"] != "user_code" || input.attrs["type"] != "text" || input.attrs["autocomplete"] != "off" ||
				input.attrs["value"] != c.page.Code || input.attrs["aria-describedby"] != c.describe {
				t.Errorf("%v", input.attrs)
			}
			if _, focus := input.attrs["autofocus"]; focus != c.focus {
				t.Errorf("the focus is on the code: %t", focus)
			}
			if button, ok := d.id("device-submit"); !ok || button.attrs["type"] != "submit" || button.attrs["name"] != "" {
				t.Errorf("%v", button.attrs)
			}
			hidden := ""
			for _, e := range d.all("input") {
				if e.attrs["name"] == "user_code" && e.attrs["type"] == "hidden" {
					hidden = e.attrs["value"]
				}
			}
			if hidden != c.code || hasLink(d, "/id/login") != c.signIn {
				t.Errorf("the choice of a language has the code %q; a link to sign in: %t", hidden, hasLink(d, "/id/login"))
			}
			for _, says := range []string{c.says, "Did somebody send you a code or a link to this page? Do not go on"} {
				if !strings.Contains(d.text, says) {
					t.Errorf("not %q in %s", says, d.text)
				}
			}
		})
	}
	if page, err := p.Device(web.DevicePage{Address: strings.Repeat("x", 5000)}); err == nil {
		t.Errorf("an address that no picture holds: %s", page.Body)
	}
}

// Whatever a request says of itself, the page names the program from the fixed lists, and counts a
// minute that has begun.
func TestWhatTheConsentPageSaysOfADevice(t *testing.T) {
	p := newPages(t, web.Options{})
	asked := time.Date(2026, 11, 26, 23, 30, 0, 0, time.UTC)
	for _, c := range []struct {
		what  string
		agent string
		left  time.Duration
		zone  *time.Location
		says  []string
	}{
		{"a browser", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", 10 * time.Minute, nil,
			[]string{"Firefox on Linux", "answer: 10", "2026-11-26 23:30 UTC"}},
		{"a program", "Go-http-client/1.1", 61 * time.Second, time.FixedZone("CET", 3600),
			[]string{" Go ", "answer: 2", "2026-11-27 00:30 CET"}},
		{"hostile", "Your bank, please allow <b>", time.Millisecond, nil, []string{"Unknown device", "answer: 1"}},
		{"nothing, and no time", "", -time.Hour, nil, []string{"Unknown device", "answer: 1"}},
	} {
		page, err := p.Consent(web.ConsentPage{
			Client: web.Client{Name: "TV"}, Device: &web.DeviceRequest{
				Code: "BCDF-GHJK-LMNP", Address: "192.0.2.1", UserAgent: c.agent,
				Asked: asked, Now: asked, Ends: asked.Add(c.left), Zone: c.zone,
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Join(strings.Fields(parse(t, page.Body).text), " ")
		for _, says := range append(c.says, "Network address: 192.0.2.1", "BCDF-GHJK-LMNP", "Not verified") {
			if !strings.Contains(text, says) {
				t.Errorf("%s: not %q in %s", c.what, says, text)
			}
		}
		if strings.Contains(text, "your bank") || strings.Contains(string(page.Body), "please") {
			t.Errorf("%s: the page repeats the User-Agent: %s", c.what, page.Body)
		}
	}
	page, err := p.Consent(web.ConsentPage{Client: web.Client{Name: "TV", Host: "tv.test"}})
	if err != nil {
		t.Fatal(err)
	}
	d := parse(t, page.Body)
	_, device := d.id("device-approve")
	_, consent := d.id("consent-approve")
	if device || !consent || strings.Contains(d.text, "somebody send you a code") ||
		slices.ContainsFunc(d.elements, func(e element) bool { return e.attrs["class"] == "trap" }) {
		t.Error("an app in this browser is treated as a device")
	}
}
