package bymail_test

import (
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/mac"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// P-14: somebody has a copy of the database, taken in the middle of a flow, and the code that the
// message brought. Links and handles are made of the row's id, which the copy shows; without the
// secret, which it holds only sealed, none can be made.
func TestP14ADumpAndTheCodeRedeemNothing(t *testing.T) {
	type flow struct {
		name, path string
		kind       outbox.Kind
		begin      func(s *apitest.Server, u apitest.User) (handle string)
		redeem     apitest.Fields // beside token, or handle and code
	}
	const next = "a planted password of who holds the dump"
	flows := []flow{ // a reset proves the address, so it comes later
		{"verify", "/v1/email/verify", outbox.VerifyEmail, func(s *apitest.Server, u apitest.User) string {
			var answer struct{ Handle string }
			post(s, "/v1/email/verification", apitest.Fields{"email": u.Email}).Want(202, "").JSON(&answer)
			return answer.Handle
		}, apitest.Fields{"new_password": next}},
		{"forgot", "/v1/password/reset", outbox.ResetPassword,
			func(s *apitest.Server, u apitest.User) string { return forgot(s, u.Email) },
			apitest.Fields{"new_password": next}},
		{"sign-up", "/v1/email/verify", outbox.VerifyEmail, func(s *apitest.Server, u apitest.User) string {
			var answer struct{ Handle string }
			post(s, "/v1/signup",
				apitest.Fields{"email": "new@example.test", "password": s.Secret("a planted password of somebody new")}).
				Want(201, "").JSON(&answer)
			return answer.Handle
		}, apitest.Fields{}},
		{"invite", "", outbox.Invite, func(s *apitest.Server, u apitest.User) string {
			accounts := s.Replicas[0].Accounts
			_, err := accounts.RegisterByOperator(s.T.Context(),
				userstore.OperatorUser{NewUser: userstore.NewUser{Email: "invited@example.test"}, Invite: true})
			if err != nil {
				s.T.Fatal(err)
			}
			return ""
		}, nil},
	}
	sqltest.EachURL(t, func(t *testing.T, at string) {
		s := apitest.New(t, apitest.Options{DB: apitest.Open(t, at)})
		s.Replicas[0].Accounts.Verification = userstore.VerificationOptional
		alice := s.SignUp("alice")
		s.Mails()
		s.Secret(next)
		for _, f := range flows {
			t.Run(f.name, func(t *testing.T) {
				s := s.With(t)
				s.Advance(time.Hour)
				handle := f.begin(s, alice)
				if handle != "" {
					s.Secret(handle)
				}
				waiting := sqltest.Dump(t, at)
				m := s.MailOf(f.kind)
				dump := string(waiting) + string(sqltest.Dump(t, at))
				id := m.Message.ID
				if !strings.Contains(dump, id) {
					t.Fatal("the copy does not show the row's id: the search is blind")
				}
				for _, secret := range []string{handle, m.Token(), m.Token()[len(id)+1:]} {
					if secret != "" && strings.Contains(dump, secret) {
						t.Errorf("P-14 the copy holds %q", secret)
					}
				}

				// Whatever the copy holds, as a key.
				made := func(key []byte) (tokens []string) {
					sum := func(purpose string, parts ...string) string {
						return base64.RawURLEncoding.EncodeToString(mac.Sum(key, append([]string{"one-time " + purpose}, parts...)...))
					}
					return []string{id + "." + sum("link", string(f.kind), id),
						"r" + id + "." + sum("handle", string(f.kind), "r", id, ""),
						"s" + id + "." + sum("handle", string(f.kind), "s", id, "")}
				}
				real, err := s.Replicas[0].Accounts.TokenSecret()
				if err != nil {
					t.Fatal(err)
				}
				right := made(real)
				if right[0] != m.Token() || handle != "" && handle != right[1] && handle != right[2] {
					t.Fatalf("with the secret itself, it is not made as it is here: %q", right)
				}
				keys := candidates(dump)
				if len(keys) < 100 {
					t.Fatalf("%d keys to try: the search is blind", len(keys))
				}
				for key := range keys {
					for n, token := range made([]byte(key)) {
						if token == right[n] {
							t.Errorf("P-14 the copy holds the secret: %x", key)
						}
					}
				}

				// What can be sent without a key: ids, the code, and a handle of the attacker's own.
				own := forgot(s, "mallory@example.test")
				guesses := []string{id, id + ".", "r" + id, "r" + id + ".", "s" + id + ".", own, made(nil)[0], made(nil)[1],
					made(make([]byte, 32))[0], made(make([]byte, 32))[1]}
				s.Unchanged(func() {
					for _, guess := range guesses {
						if f.path == "" {
							page := s.Browser().Open("/invite/"+guess).WantPage(200, "reset-submit")
							if done := page.Submit("reset-submit", map[string]string{"new_password": next}); done.Status != 400 {
								t.Errorf("P-14 %q is taken for the link: %d", guess, done.Status)
							}
							continue
						}
						post(s, f.path, f.redeem.With("token", guess)).Want(400, "one_time_token_invalid")
						post(s, f.path, f.redeem.With("handle", guess).With("code", m.Code)).Want(400, "one_time_token_invalid")
					}
				})

				// What was tried ended nothing: the one with the message goes on.
				if f.path == "" {
					page := s.Browser().Open(m.Link).WantPage(200, "reset-submit")
					if done := page.Submit("reset-submit", map[string]string{"new_password": next}); done.Status != 200 {
						t.Errorf("the link answers %d", done.Status)
					}
					return
				}
				post(s, f.path, f.redeem.With("handle", handle).With("code", m.Code)).Want(204, "")
			})
		}
	})
}

// candidates are all texts of a copy that may be a key, also as what they encode.
func candidates(dump string) map[string]bool {
	found := map[string]bool{"": true}
	for _, text := range regexp.MustCompile(`[A-Za-z0-9+/=_.:\\-]{8,}`).FindAllString(dump, -1) {
		parts := append(strings.FieldsFunc(text, func(r rune) bool { return r == '.' || r == ':' }), text,
			strings.TrimPrefix(text, `\x`))
		for _, part := range parts {
			found[part] = true
			if raw, err := hex.DecodeString(part); err == nil {
				found[string(raw)] = true
			}
			for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding,
				base64.RawURLEncoding} {
				if raw, err := encoding.DecodeString(part); err == nil {
					found[string(raw)] = true
					for n := 0; n+32 <= len(raw); n++ { // a key among other bytes
						found[string(raw[n:n+32])] = true
					}
				}
			}
		}
	}
	return found
}
