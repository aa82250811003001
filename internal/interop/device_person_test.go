//go:build interop

package interop

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/interop/browser"
)

// television is a device that polls the real binary.
type television struct {
	s *server

	DeviceCode string `json:"device_code"`
	UserCode   string `json:"user_code"`
	Complete   string `json:"verification_uri_complete"`
	Interval   int    `json:"interval"`
}

func (d *television) post(t *testing.T, path string, form url.Values) (status int, body []byte) {
	t.Helper()
	form.Set("client_id", "tv")
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.s.issuer+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	q.Header.Set("User-Agent", "Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/94.0 Safari/537.36")
	resp, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var raw json.RawMessage
	if err := json.NewDecoder(resp.Body).Decode(&raw); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, raw
}

// begin shows a new code.
func (d *television) begin(t *testing.T) {
	t.Helper()
	status, body := d.post(t, "/oauth2/device", url.Values{"scope": {"openid email"}})
	if err := json.Unmarshal(body, d); err != nil || status != http.StatusOK || d.UserCode == "" {
		t.Fatalf("%d %s: %v", status, body, err)
	}
}

// poll asks for the answer once: the error, or empty with tokens.
func (d *television) poll(t *testing.T) string {
	t.Helper()
	_, body := d.post(t, "/oauth2/token", url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {d.DeviceCode},
	})
	var answer struct {
		Error  string
		Access string `json:"access_token"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || (answer.Error == "") != (answer.Access != "") {
		t.Fatalf("%s: %v", body, err)
	}
	return answer.Error
}

// answered polls, as often as a device may, until a person has answered, and returns as poll does.
func (d *television) answered(t *testing.T) (answer string) {
	t.Helper()
	for range 6 {
		time.Sleep(time.Duration(d.Interval) * time.Second)
		switch answer = d.poll(t); answer {
		case "slow_down":
			d.Interval += 5 // RFC 8628 section 3.5
		case "authorization_pending":
		default:
			return answer
		}
	}
	return answer
}

// A person takes a device into the account, on a phone, at the real binary: by typing the code, by
// the address that the device shows as a picture, and not at all.
func TestAPersonAllowsADevice(t *testing.T) {
	s := start(t, "pages: {service_name: Acme}\n")
	s.post(t, "/v1/signup", http.StatusCreated, `{"email":"ada@example.com","password":"correct horse battery"}`, nil)
	s.signet(t, "clients", "create", "--client-id", "tv", "--name", "Lantern TV", "--auth-method", "none",
		"--grant-type", "urn:ietf:params:oauth:grant-type:device_code")
	tab := browser.Start(t).Tab(t)
	tab.Emulate(browser.Device{Width: 390, Height: 844, Scale: 2, Mobile: true})
	device := &television{s: s}

	t.Log("a mistyped code, and then the right one")
	device.begin(t)
	tab.Open(s.issuer + "/device")
	tab.Wait("document.activeElement.id === 'user_code'")
	tab.Type("#user_code", "bcdf ghjk lmnp")
	tab.Loads(func() { tab.Press("Enter") })
	tab.Wait("document.querySelector('#user_code-problem') && document.activeElement.id === 'user_code'")
	tab.Eval("document.querySelector('#user_code').value = ''", nil)
	tab.Type("#user_code", strings.ToLower(strings.ReplaceAll(device.UserCode, "-", "")))
	tab.Loads(func() { tab.Click("#device-submit") })
	logIn(tab, "ada@example.com", "correct horse battery")
	tab.Wait("document.querySelector('#device-approve')")
	text := tab.Text("main")
	for _, want := range []string{"Lantern TV", "Not verified", device.UserCode, "Chrome on webOS", "127.0.0.1",
		"Minutes left to answer: 10", "see your email address", "ada@example.com"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q: %s", want, text)
		}
	}
	tab.Screenshot("real-device-consent")
	if answer := device.poll(t); answer != "authorization_pending" {
		t.Errorf("before the person has answered: %q", answer)
	}
	tab.Loads(func() { tab.Click("#device-approve") })
	tab.Wait("document.body.className === 'page-device_done'")
	tab.Screenshot("real-device-done")
	if answer := device.answered(t); answer != "" {
		t.Errorf("the device is answered %q", answer)
	}

	t.Log("by the address of the picture: nothing is allowed before the button, and the person says no")
	device.begin(t)
	tab.Open(device.Complete)
	tab.Wait("document.querySelector('#user_code').value === '" + device.UserCode + "'")
	tab.Click("summary")
	tab.Wait("document.querySelector('.qr svg').checkVisibility()")
	tab.Screenshot("real-device-complete")
	tab.Loads(func() { tab.Click("#device-submit") })
	tab.Wait("document.querySelector('#device-deny')")
	tab.Loads(func() { tab.Click("#device-deny") })
	tab.Wait("document.body.className === 'page-device_done'")
	if answer := device.answered(t); answer != "access_denied" {
		t.Errorf("the device is answered %q", answer)
	}
	for _, said := range tab.Said() {
		if !strings.Contains(said, "the server responded with a status of 400") {
			t.Errorf("the browser says %q", said)
		}
	}
}
