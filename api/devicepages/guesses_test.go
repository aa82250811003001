package devicepages_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// wrongCode is the n-th code that no device has.
func wrongCode(n int) string {
	const letters = "BCDFGHJKLMNPQRSTVWXZ"
	code := []byte("BBBB-BBBB-BBBB")
	for i := len(code) - 1; n > 0; i-- {
		if code[i] != '-' {
			code[i], n = letters[n%len(letters)], n/len(letters)
		}
	}
	return string(code)
}

// guess sends a code from the form of a page, again and again.
func guess(b *apitest.Browser, page *apitest.Page, code string, header http.Header) *apitest.Page {
	q := page.Form("device-submit", map[string]string{"user_code": code})
	q.Header = header
	return b.Send(q)
}

// D-16: one browser, by way of many networks, and then the right code.
func TestD16GuessesFromOneSession(t *testing.T) {
	eachStore(t, func(t *testing.T, s *apitest.Server) {
		c := tv(s)
		a := begin(s, c, nil, nil)
		b := s.Browser()
		page := b.Open("/device").WantPage(http.StatusOK, "device-submit")
		looks := 0
		for n := range 40 {
			switch p := guess(b, page, wrongCode(n), apitest.From(fmt.Sprintf("192.0.2.%d", n))); p.Status {
			case http.StatusBadRequest:
				looks++
				if !strings.Contains(p.Text(), "This code does not work") || p.Value("user_code") != wrongCode(n) {
					t.Fatalf("guess %d: %s", n, p.Text())
				}
			case http.StatusTooManyRequests:
				if p.Header.Get("Retry-After") != "900" || !strings.Contains(p.Text(), "again in 15 min") {
					t.Fatalf("guess %d: Retry-After %q, %s", n, p.Header.Get("Retry-After"), p.Text())
				}
			default:
				t.Fatalf("guess %d: %d %s", n, p.Status, p.Text())
			}
		}
		if looks != 10 {
			t.Errorf("%d guesses were looked up, want 10", looks)
		}
		right := guess(b, page, a.UserCode, nil)
		if right.Status != http.StatusTooManyRequests || !strings.Contains(right.Text(), "Sign in first") {
			t.Errorf("the right code is told from a wrong one: %d %s", right.Status, right.Text())
		}
		// The person signs in, and is not held up; the person elsewhere is not held up either.
		alice := s.SignUp("alice")
		b.Open("/login").Submit("login-submit", alice.Credentials())
		typeCode(b, a.UserCode).WantPage(http.StatusOK, "device-approve")
		typeCode(s.Browser(), a.UserCode).WantPage(http.StatusOK, "login-submit")
		s.Advance(15 * time.Minute)
		if p := guess(s.Browser(), page, wrongCode(1), nil); p.Status != http.StatusForbidden {
			t.Errorf("the form in another browser: %d", p.Status)
		}
		b.Open("/logout").Submit("logout-confirm", nil)
		typeCode(b, begin(s, c, nil, nil).UserCode).WantPage(http.StatusOK, "login-submit")
	}, apitest.BehindProxy, throttled(0, 0))
}

// D-16: browsers that are thrown away are counted by their network and by its block, as wrong
// passwords are; a browser behind the same NAT in which somebody is signed in is not held up.
func TestD16GuessesFromANetworkAndABlock(t *testing.T) {
	eachStore(t, func(t *testing.T, s *apitest.Server) {
		a := begin(s, tv(s), nil, nil)
		looked := func(n int, from string) (looks int) {
			for range n {
				b := s.Browser()
				page := b.Open("/device")
				if guess(b, page, wrongCode(n), apitest.From(from)).Status == http.StatusBadRequest {
					looks++
				}
			}
			return looks
		}
		if n := looked(15, "192.0.2.1"); n != 12 {
			t.Errorf("a network: %d guesses were looked up, want 12", n)
		}
		if n := looked(12, "192.0.2.2") + looked(12, "192.0.2.3"); n != 18 {
			t.Errorf("the rest of its block: %d guesses were looked up, want 18", n)
		}
		if n := looked(1, "198.51.100.1"); n != 1 {
			t.Errorf("another block: %d", n)
		}
		alice := s.SignUp("alice")
		in := s.SignedIn(alice)
		page := in.Open("/device")
		if p := guess(in, page, a.UserCode, apitest.From("192.0.2.1")); p.Status != http.StatusSeeOther {
			t.Errorf("a person behind that NAT: %d %s", p.Status, p.Text())
		}
		for n := range 12 { // an account is counted wherever it is used
			want := http.StatusBadRequest
			if n >= 10 {
				want = http.StatusTooManyRequests
			}
			p := guess(in, page, wrongCode(n), apitest.From(fmt.Sprintf("203.0.113.%d", n)))
			if p.Status != want || strings.Contains(p.Text(), "Sign in first") {
				t.Errorf("guess %d of an account: %d %s", n, p.Status, p.Text())
			}
		}
	}, apitest.BehindProxy, throttled(12, 30))
}

// D-16: a new browser in a new block for each of thousands of guesses meets the limit of all. Only
// the last ones are sent.
func TestD16GuessesFromManyNetworks(t *testing.T) {
	t.Parallel()
	s := apitest.New(t, func() (o apitest.Options) {
		apitest.BehindProxy(&o)
		throttled(100, 1000)(&o)
		return o
	}())
	a := begin(s, tv(s), nil, nil)
	for n := range 1990 {
		err := s.Replicas[n%3].Accounts.Throttle.TryUserCode(
			audit.WithOrigin(t.Context(), audit.Origin{Address: fmt.Sprintf("2001:db8:%x::2", n)}), s.Clock.Now,
			userstore.UserCodeGuesser{Browser: fmt.Sprint("browser ", n)}, func() (bool, error) { return false, nil })
		if err != nil {
			t.Fatalf("guess %d: %v", n, err)
		}
	}
	looks := 0
	for n := range 30 {
		b := s.Browser()
		page := b.Open("/device")
		from := apitest.From(fmt.Sprintf("2001:db8:%x::1", n))
		if p := guess(b, page, wrongCode(n), from); p.Status == http.StatusBadRequest {
			looks++
		} else if p.Status != http.StatusTooManyRequests {
			t.Fatalf("guess %d: %d %s", n, p.Status, p.Text())
		}
	}
	if looks != 10 {
		t.Errorf("%d guesses were looked up after 1990, want 10", looks)
	}
	in := s.SignedIn(s.SignUp("alice"))
	typeCode(in, a.UserCode).WantPage(http.StatusOK, "device-approve")
	s.Advance(15 * time.Minute)
	typeCode(s.Browser(), begin(s, tv2(s), nil, nil).UserCode).WantPage(http.StatusOK, "login-submit")
}

// throttled sets the limits of wrong secrets; 0: none.
func throttled(network, block int) func(*apitest.Options) {
	return apitest.Configured(func(r *apitest.Replica) {
		r.Accounts.Throttle.FailuresPerNetwork, r.Accounts.Throttle.FailuresPerBlock = network, block
	})
}

// tv2 is another device.
func tv2(s *apitest.Server) apitest.Client {
	return s.Register(userstore.Client{
		ID: "tv2", AuthMethod: userstore.AuthNone, GrantTypes: []string{userstore.GrantDeviceCode},
		Name: "Lantern Stick", ClientMetadata: userstore.ClientMetadata{RedirectURIs: []string{}},
	})
}
