package flows_test

import (
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

// F-27: at the ends of what 32 bits count, at a leap second, at changes of daylight saving time and in
// the last year that RFC 3339 can write, tokens live as long as always, nothing is negative, and what was
// issued before is judged by the same clock.
func TestF27FarClocks(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := s.Register(userstore.Client{ID: "web", FirstParty: true})
		for _, at := range []struct { // in this order, for the clock goes on
			name string
			time time.Time
		}{
			{"before a change to winter time", time.Date(2027, 10, 31, 2, 59, 50, 0, berlin)},
			{"before a change to summer time", time.Date(2028, 3, 26, 1, 59, 50, 0, berlin)},
			{"the second before a leap second would be", time.Date(2028, 12, 31, 23, 59, 59, 999_999_999, time.UTC)},
			{"the last second of 32 bits", time.Date(2038, 1, 19, 3, 14, 7, 0, time.UTC)},
			{"the last second of 32 bits without a sign", time.Date(2106, 2, 7, 6, 28, 15, 0, time.UTC)},
			{"what 64 bits of nanoseconds end with", time.Date(2262, 4, 11, 23, 47, 16, 0, time.UTC)},
			{"the last year of RFC 3339", time.Date(9999, 6, 1, 0, 0, 0, 0, time.UTC)},
		} {
			t.Run(at.name, func(t *testing.T) {
				s := s.With(t)
				for year := s.Clock.Now(); year.Before(at.time); year = s.Clock.Now() {
					s.Clock.Move(at.time.Sub(year)) // a duration ends after 292 years
				}
				s.Advance(2 * time.Second) // a server that was switched off in the meantime polls its keys
				s.Advance(time.Hour)
				now := s.Clock.Now()
				u := s.SignUp("u" + now.Format("20060102"))
				tokens := s.Login(u)
				s.Refresh(tokens.Refresh).Want(200, "").JSON(&tokens)
				apitest.LogIn(s, s.SignedIn(u), c)
				s.Do(apitest.Request{Path: "/v1/profile", Token: tokens.Access}).Want(200, "")
				s.Do(apitest.Request{Path: "/v1/profile/sessions", Token: tokens.Access}).Want(200, "")
				for name, token := range map[string]string{"access": tokens.Access, "refresh": tokens.Refresh} {
					claims := apitest.Claims(token)
					iat, exp := claims["iat"].(float64), claims["exp"].(float64)
					life := map[string]float64{"access": 600, "refresh": 14 * 24 * 3600}[name]
					if int64(iat) != now.Unix() || exp-iat != life {
						t.Errorf("the %s token is of %.0f to %.0f, now is %d", name, iat, exp, now.Unix())
					}
				}
				if tokens.ExpiresIn != 600 {
					t.Errorf("expires_in %d", tokens.ExpiresIn)
				}
				s.Advance(12 * time.Minute)
				s.Do(apitest.Request{Path: "/v1/profile", Token: tokens.Access}).Want(401, "token_expired")
				s.Refresh(tokens.Refresh).Want(200, "")
			})
		}
	})
}
