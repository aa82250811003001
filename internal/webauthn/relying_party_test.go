package webauthn_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/webauthn"
)

func TestNew(t *testing.T) {
	const android = "android:apk-key-hash:Mv1MmT2Cps8mwzC3zpeGNVHTgnFAvTfRtuCpuUJEJ_A"
	for _, c := range []struct {
		name, issuer string
		origins      []string
		id           string
	}{
		{"a host", "https://id.example", nil, "id.example"},
		{"a path, a port and capitals", "https://ID.Example:8443/auth", nil, "id.example"},
		{"the default port", "https://id.example:443", nil, "id.example"},
		{"localhost without TLS", "http://localhost:8080", []string{"http://localhost:3000"}, "localhost"},
		{"a name below localhost", "http://id.localhost:8080", nil, "id.localhost"},
		{"an internationalised name, as browsers write it", "https://xn--bcher-kva.example", nil, "xn--bcher-kva.example"},
		{"origins, one of them the issuer's, one twice", "https://id.example",
			[]string{"https://app.example", "https://id.example", "https://app.example", "https://two.test:8443"}, "id.example"},
		{"an Android app is no web page", "https://id.example", []string{android}, "id.example"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rp, err := webauthn.New(c.issuer, "Lantern", c.origins)
			if err != nil {
				t.Fatal(err)
			}
			if rp.ID() != c.id {
				t.Errorf("the RP id is %s", rp.ID())
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct {
		name, issuer, rp string
		origins          []string
		none             bool // whether the issuer itself is why
		reason           string
	}{
		{"an IPv4 address", "https://192.0.2.1", "L", nil, true, "is not a domain name"},
		{"an IPv6 address", "https://[2001:db8::1]:8443", "L", nil, true, "is not a domain name"},
		{"the machine by address", "http://127.0.0.1:8080", "L", nil, true, "https only"},
		{"a short form of an address", "https://127.1", "L", nil, true, "is not a domain name"},
		{"a name without a dot", "https://idp", "L", nil, true, "is not a domain name"},
		{"a name with a dot at the end", "https://id.example.", "L", nil, true, "is not a domain name"},
		{"http", "http://id.example", "L", nil, true, "https only"},
		{"a name that only ends in localhost", "http://evillocalhost", "L", nil, true, "https only"},
		{"letters that are not in A-labels", "https://bücher.example", "L", nil, true, "is not a domain name"},
		{"no URL", "id.example", "L", nil, false, "is not a URL"},
		{"another scheme", "ftp://id.example", "L", nil, false, "is not a URL"},
		{"no name", issuer, "", nil, false, "needs a name"},
		{"an origin with a slash", issuer, "L", []string{"https://app.example/"}, false, "write https://app.example"},
		{"an origin with a path", issuer, "L", []string{"https://app.example/login"}, false, "write https://app.example"},
		{"an origin with capitals", issuer, "L", []string{"https://App.example"}, false, "write https://app.example"},
		{"an origin with the default port", issuer, "L", []string{"https://app.example:443"}, false,
			"write https://app.example"},
		{"an origin with an empty port", issuer, "L", []string{"https://app.example:"}, false, "write https://app.example"},
		{"an origin with a user", issuer, "L", []string{"https://a@app.example"}, false, "write https://app.example"},
		{"an origin with a query", issuer, "L", []string{"https://app.example?"}, false, "write https://app.example"},
		{"an origin of http", issuer, "L", []string{"http://app.example"}, false, "https only"},
		{"an origin of an address", issuer, "L", []string{"https://192.0.2.1"}, false, "is not a domain name"},
		{"an origin without a host", issuer, "L", []string{"https://"}, false, "is not an origin"},
		{"a pattern", issuer, "L", []string{"https://*.app.example"}, false, "is not a domain name"},
		{"null", issuer, "L", []string{"null"}, false, "is not an origin"},
		{"nothing", issuer, "L", []string{""}, false, "is not an origin"},
		{"an extension", issuer, "L", []string{"chrome-extension://abc"}, false, "is not an origin"},
		{"an app without a hash", issuer, "L", []string{"android:apk-key-hash:"}, false, "43 characters"},
		{"an app with padding", issuer, "L", []string{"android:apk-key-hash:Mv1MmT2Cps8mwzC3zpeGNVHTgnFAvTfRtuCpuUJEJ_A="},
			false,
			"43 characters"},
		{"an app with a colon hash", issuer, "L", []string{"android:apk-key-hash:32:FD:4C"}, false, "43 characters"},
		{"more names than browsers look at", issuer, "L", []string{"https://a.test", "https://b.test", "https://c.test",
			"https://d.test", "https://e.test", "https://f.test"}, false, "6 distinct"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rp, err := webauthn.New(c.issuer, c.rp, c.origins)
			if err == nil || rp != nil || errors.Is(err, webauthn.ErrNoPasskeys) != c.none ||
				!strings.Contains(err.Error(), c.reason) {
				t.Errorf("%v: %v", rp, err)
			}
		})
	}
}

// The options are compared as a whole: a member that is not expected would be one that nobody
// decided on.
func TestOptions(t *testing.T) {
	rp := newParty(t)
	same := func(got json.RawMessage, err error, want string) {
		t.Helper()
		var g, w any
		if err != nil || json.Unmarshal(got, &g) != nil || json.Unmarshal([]byte(want), &w) != nil ||
			!reflect.DeepEqual(g, w) {
			t.Errorf("%v: the options are\n%s\ninstead of\n%s", err, got, want)
		}
	}
	known := []webauthn.Credential{{ID: []byte{0xfb, 0xff}, Transports: []string{"hybrid", "internal"}},
		{ID: []byte("two")}}
	c, id := b64(challenge), b64(handle)

	got, err := rp.CreationOptions(challenge, handle, "ada@example.org", "Ada", known, 5*time.Minute)
	same(got, err, `{"rp": {"id": "id.example", "name": "Lantern"},
		"user": {"id": "`+id+`", "name": "ada@example.org", "displayName": "Ada"}, "challenge": "`+c+`",
		"pubKeyCredParams": [{"type": "public-key", "alg": -7}, {"type": "public-key", "alg": -8},
			{"type": "public-key", "alg": -257}],
		"timeout": 300000, "attestation": "none",
		"excludeCredentials": [{"type": "public-key", "id": "-_8", "transports": ["hybrid", "internal"]},
			{"type": "public-key", "id": "dHdv"}],
		"authenticatorSelection": {"residentKey": "required", "requireResidentKey": true, "userVerification": "required"}}`)

	got, err = rp.RequestOptions(challenge, known, time.Minute)
	same(got, err, `{"rpId": "id.example", "challenge": "`+c+`", "timeout": 60000, "userVerification": "required",
		"allowCredentials": [{"type": "public-key", "id": "-_8", "transports": ["hybrid", "internal"]},
			{"type": "public-key", "id": "dHdv"}]}`)

	got, err = rp.RequestOptions(challenge, nil, time.Minute)
	same(got, err, `{"rpId": "id.example", "challenge": "`+c+`", "timeout": 60000, "userVerification": "required"}`)
}

// A challenge that is missing or can be guessed is a fault of the program. It never compares equal.
func TestShortChallenges(t *testing.T) {
	rp, d := newParty(t), newDevice()
	stored := d.registered(t, rp)
	for _, short := range [][]byte{nil, {}, []byte("fifteen bytes..")} {
		_, created := rp.CreationOptions(short, handle, "ada", "Ada", nil, time.Minute)
		_, requested := rp.RequestOptions(short, nil, time.Minute)
		_, registered := rp.Register(short, document(d.create(short)))
		_, verified := rp.Verify(short, document(d.get(short)), stored)
		for _, err := range []error{created, requested, registered, verified} {
			if err == nil || errors.Is(err, webauthn.ErrResponse) {
				t.Errorf("a challenge of %d bytes: %v", len(short), err)
			}
		}
	}
	for _, h := range [][]byte{nil, make([]byte, 65)} {
		if _, err := rp.CreationOptions(challenge, h, "ada", "Ada", nil, time.Minute); err == nil {
			t.Errorf("a user handle of %d bytes was taken", len(h))
		}
	}
}
