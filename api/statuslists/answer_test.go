package statuslists_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/statuslist"
)

func TestTheListAndItsAnswer(t *testing.T) {
	each(t, func(t *testing.T, s *apitest.Server) {
		tokens := s.Login(s.SignUp("alice"))
		uri, index := reference(t, tokens.Access)
		if uri != apitest.IssuerURL+"/oauth2/status/0" || index == 0 {
			t.Errorf("the token names place %d of %s", index, uri)
		}
		l := listOf(s, tokens.Access)
		now := s.Clock.Now().Unix()
		for name, want := range map[string]any{
			"iss": apitest.IssuerURL, "sub": uri, "iat": float64(now), "exp": float64(now + 600), "ttl": float64(15),
			"revoked_before": nil,
		} {
			if got := l.claims[name]; got != want {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
		if l.places.Bytes() != statuslist.Size/8 {
			t.Errorf("the list has %d bytes", l.places.Bytes())
		}
		for name, want := range map[string]string{
			"Content-Type": statuslist.MediaType, "Cache-Control": "public, max-age=5",
			"Access-Control-Allow-Origin": "*",
		} {
			if got := l.raw.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		tag := l.raw.Header.Get("ETag")
		s.Do(apitest.Request{Path: "/oauth2/status/0", Header: http.Header{"If-None-Match": {tag}}}).Want(304, "")
		s.Do(apitest.Request{Path: "/oauth2/status/1"}).Want(200, "") // another replica may have begun it
		for _, none := range []string{
			"2", "-1", "00", "+0", "x", "0x0", "9223372036854775807", "99999999999999999999", "%30%2f",
		} {
			res := s.Do(apitest.Request{Path: "/oauth2/status/" + none})
			if control := res.Header.Get("Cache-Control"); res.Status != 404 || control != "no-store" {
				t.Errorf("list %s: %d, %s", none, res.Status, control)
			}
		}

		// It stays as it is until it changes, or is half-way to its end; and changes once a second.
		again := func() string {
			return s.Do(apitest.Request{Path: "/oauth2/status/0"}).Want(200, "").Header.Get("ETag")
		}
		s.Advance(4*time.Minute + 59*time.Second)
		if again() != tag {
			t.Error("the list was signed again although nothing changed")
		}
		poll(s)
		half := again()
		if half == tag {
			t.Error("the list was not signed again half-way to its end")
		}
		end := func() {
			_, err := s.DB.RevokeUserGrants(t.Context(), s.SignUp("nobody").ID, "", s.Clock.Now())
			must(t, err)
		}
		end() // of nobody: nothing changes
		poll(s)
		poll(s)
		if again() != half {
			t.Error("the list was signed again although nothing in it changed")
		}
		s.Do(apitest.Request{Method: "POST", Path: "/v1/logout", Token: tokens.Access}).Want(204, "")
		poll(s)
		poll(s)
		changed := again()
		if changed == half {
			t.Error("the list does not show the logout")
		}
		if status, _ := listOf(s, tokens.Access).places.Status(index); status != 1 {
			t.Errorf("the status is %d", status)
		}
	})
}

// Without status lists nothing is there, and nothing is counted.
func TestWithoutStatusLists(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		tokens := s.Login(s.SignUp("alice"))
		if got := claims(t, tokens.Access)["status"]; got != nil {
			t.Errorf("the token's status is %v", got)
		}
		s.Do(apitest.Request{Path: "/oauth2/status/0"}).Want(404, "invalid_request")
		s.Do(apitest.Request{Method: "POST", Path: "/v1/logout", Token: tokens.Access}).Want(204, "")
		c, err := s.DB.StatusChanges(t.Context(), s.Clock.Now(), statuslist.Size)
		if err != nil || c.Next != 1 || len(c.Ended) > 0 {
			t.Errorf("%+v, %v", c, err)
		}
	})
}
