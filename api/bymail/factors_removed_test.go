package bymail_test

import (
	"slices"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// A message that takes second factors from its account makes an audit entry that names them, and a
// notice to the owner of the address, beside those of the act itself. Where none is taken, there is
// neither.
func TestAMessageThatRemovesFactorsSaysSo(t *testing.T) {
	unproved := func(s *apitest.Server, u apitest.User) {
		_, err := s.Replicas[0].Accounts.EditByOperator(s.T.Context(), u.ID, func(u *userstore.User) error {
			u.EmailVerified = false
			return nil
		})
		if err != nil {
			s.T.Fatal(err)
		}
		s.Advance(2 * time.Minute)
		s.Mails()
	}
	ways := map[string]struct {
		before func(s *apitest.Server, u apitest.User) (token string) // before the factors come
		redeem func(s *apitest.Server, u apitest.User, token, next string)
		with   audit.Name
	}{
		"the first proof of an address": {redeem: func(s *apitest.Server, u apitest.User, _, next string) {
			unproved(s, u)
			post(s, "/v1/email/verification", apitest.Fields{"email": u.Email}).Want(202, "")
			post(s, "/v1/email/verify", apitest.Fields{"token": s.MailOf(outbox.VerifyEmail).Token(), "new_password": next}).
				Want(204, "")
		}, with: audit.EmailVerified},
		"a reset of an address that was not proved": {redeem: func(s *apitest.Server, u apitest.User, _, next string) {
			unproved(s, u)
			post(s, "/v1/password/reset", apitest.Fields{"token": asked(s, u).Token(), "new_password": next}).Want(204, "")
		}, with: audit.PasswordReset},
		"an undo of a change of address": {before: func(s *apitest.Server, u apitest.User) string {
			token := changeTo(s, u, s.Login(u).Access, "new-"+u.Email)
			s.Advance(time.Minute)
			return token
		}, redeem: func(s *apitest.Server, _ apitest.User, token, next string) {
			s.Mails()
			if err := undo(s, token, next); err != nil {
				s.T.Error(err)
			}
		}, with: audit.EmailChangeUndone},
	}
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		next := s.Secret("a planted password beside the factors")
		for name, way := range ways {
			for _, have := range []string{"none", "an app", "an app and a passkey"} {
				u := s.SignUp("u" + string(way.with)[:8] + have[len(have)-3:])
				token := ""
				if way.before != nil {
					token = way.before(s, u)
				}
				var want []audit.Change
				if have != "none" {
					s.WithApp(u)
				}
				if have == "an app and a passkey" {
					s.WithPasskey(u)
				}
				factors, err := s.DB.SecondFactors(t.Context(), u.ID)
				if err != nil {
					t.Fatal(err)
				}
				if factors.App != nil {
					want = append(want, audit.Change{Field: "totp", Before: factors.App.ID})
				}
				for _, p := range factors.Passkeys {
					want = append(want, audit.Change{Field: "passkey", Before: p.ID})
				}
				way.redeem(s, u, token, next)

				events, err := s.DB.ListEvents(t.Context(), userstore.EventQuery{Limit: 1000})
				if err != nil {
					t.Fatal(err)
				}
				counts := map[audit.Name]int{}
				for _, e := range events {
					if e.Target != audit.User(u.ID) {
						continue
					}
					counts[e.Name]++
					if e.Name == audit.FactorRemoved && (!slices.Equal(e.Changes, want) || e.Actor.ID != u.ID) {
						t.Errorf("%s, %s: %+v, want %v", name, have, e, want)
					}
				}
				sent := 0
				for _, m := range s.Mails() {
					if m.Kind == outbox.FactorRemoved {
						sent++
						if m.Contents.To != u.Email {
							t.Errorf("%s, %s: the notice goes to %s", name, have, m.Contents.To)
						}
					}
				}
				removed := min(len(want), 1)
				if counts[audit.FactorRemoved] != removed || sent != removed || counts[way.with] != 1 {
					t.Errorf("%s, %s: %d notices and the entries %v", name, have, sent, counts)
				}
			}
		}
	})
}
