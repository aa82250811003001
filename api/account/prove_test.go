package account_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

func prove(s *apitest.Server, token, password string) *apitest.Response {
	s.T.Helper()
	return s.Do(apitest.Request{Method: "POST", Path: "/v1/profile/prove", Token: token,
		Body: apitest.Fields{"current_password": password}})
}

// proofFrom is a proof, which the log must not hold.
func proofFrom(s *apitest.Server, token, password string) string {
	s.T.Helper()
	var answer struct {
		Proof     string `json:"proof"`
		ExpiresIn int    `json:"expires_in"`
	}
	prove(s, token, password).Want(200, "").JSON(&answer)
	if answer.ExpiresIn != 600 {
		s.T.Errorf("expires_in %d", answer.ExpiresIn)
	}
	return s.Secret(answer.Proof)
}

// moves are the requests that could move an account.
func moves(s *apitest.Server, u apitest.User) map[string]apitest.Request {
	return map[string]apitest.Request{
		"PATCH email": {Method: "PATCH", Path: "/v1/profile",
			Body: apitest.Fields{"email": "moved@example.test"}},
		"PATCH email by case": {Method: "PATCH", Path: "/v1/profile",
			Body: apitest.Fields{"email": strings.ToUpper(u.Email)}},
		"PATCH username": {Method: "PATCH", Path: "/v1/profile", Body: apitest.Fields{"username": "moved"}},
		"PATCH preferred_username": {Method: "PATCH", Path: "/v1/profile",
			Body: apitest.Fields{"preferred_username": "moved", "nickname": "M"}},
		"PUT email": {Method: "PUT", Path: "/v1/profile", Body: apitest.Fields{"email": "moved@example.test"}},
		"PUT username": {Method: "PUT", Path: "/v1/profile",
			Body: apitest.Fields{"email": u.Email, "preferred_username": "moved"}},
		"password": {Method: "POST", Path: "/v1/profile/password",
			Body: apitest.Fields{"new_password": s.Secret("a moved password of planted words")}},
		"DELETE": {Method: "DELETE", Path: "/v1/profile", Body: apitest.Fields{}},
	}
}

// P-06: an access token alone, however fresh, moves nothing, and neither does a proof that is not
// of this user, this session, this password and these ten minutes.
func TestP06AStolenAccessTokenMovesNothing(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, bob := s.SignUp("alice"), s.SignUp("bob")
		tokens := s.Login(alice)
		mine := proofFrom(s, tokens.Access, alice.Password)
		otherSession := s.Login(alice)
		raw, _ := base64.RawURLEncoding.DecodeString(mine)
		forged := append([]byte{}, raw...)
		forged[len(forged)-3] ^= 1
		proofs := map[string]string{
			"of another session of the user": proofFrom(s, otherSession.Access, alice.Password),
			"of another user":                proofFrom(s, s.Login(bob).Access, bob.Password),
			"forged":                         base64.RawURLEncoding.EncodeToString(forged),
			"cut":                            mine[:len(mine)-2],
			"the MAC alone":                  mine[:43],
			"not base64url":                  "§§",
			"long":                           strings.Repeat("A", 50000),
			"the access token":               tokens.Access,
		}
		for name, q := range moves(s, alice) {
			t.Run("P-06 "+name, func(t *testing.T) {
				s := s.With(t)
				q.Token = tokens.Access
				send := func(more apitest.Fields) *apitest.Response {
					body := q.Body.(apitest.Fields)
					for field, value := range more {
						body = body.With(field, value)
					}
					q := q
					q.Body = body
					return s.Do(q)
				}
				s.Unchanged(func() {
					res := send(nil).Want(401, "recent_proof_required")
					if got := res.Header.Get("WWW-Authenticate"); !strings.HasPrefix(got,
						`Bearer error="insufficient_user_authentication", `) {
						t.Errorf("challenge %q", got)
					}
					send(apitest.Fields{"current_password": ""}).Want(401, "recent_proof_required")
					send(apitest.Fields{"current_password": wrong}).Want(403, "wrong_password")
					for what, proof := range proofs {
						if res := send(apitest.Fields{"proof": proof}); res.Code() != "recent_proof_required" {
							t.Errorf("a proof %s: %d %s", what, res.Status, res.Body)
						}
					}
					if res := send(apitest.Fields{"proof": mine, "current_password": alice.Password}).
						Want(400, "validation_error"); res.Faults() != "proof:not_allowed" {
						t.Error(res.Faults())
					}
				})
			})
		}
		t.Run("a token that is seconds old proves nothing", func(t *testing.T) {
			s := s.With(t)
			fresh := s.Login(alice).Access
			s.Unchanged(func() {
				s.Do(apitest.Request{Method: "PATCH", Path: "/v1/profile", Token: fresh,
					Body: apitest.Fields{"email": "moved@example.test"}}).
					Want(401, "recent_proof_required")
			})
		})
	}, func(o *apitest.Options) {
		o.Configure = func(r *apitest.Replica) { r.Accounts.Throttle, r.Accounts.NoMail = userstore.NoThrottle, true }
	})
}

func TestAProofOpensWhatThePasswordOpens(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for name := range moves(s, apitest.User{}) {
			t.Run(name, func(t *testing.T) {
				s := s.With(t)
				for n, by := range []string{"current_password", "proof"} {
					u := s.SignUp([]string{"ann", "ben"}[n] +
						strings.ToLower(strings.ReplaceAll(strings.ReplaceAll(name, " ", ""), "_", "")))
					token := s.Login(u).Access
					q := moves(s, u)[name]
					body := q.Body.(apitest.Fields)
					for field, value := range body {
						if text, ok := value.(string); ok && strings.HasPrefix(text, "moved") {
							body = body.With(field, []string{"a", "b"}[n]+text) // nobody has it yet
						}
					}
					value := u.Password
					if by == "proof" {
						value = proofFrom(s, token, u.Password)
					}
					q.Token, q.Body = token, body.With(by, value)
					if res := s.Do(q); res.Status/100 != 2 {
						t.Fatalf("by %s: %d %s", by, res.Status, res.Body)
					}
					if err := s.DB.DeleteUser(t.Context(), u.ID); err != nil && name != "DELETE" {
						t.Fatal(err)
					}
				}
			})
		}
	}, apitest.WithoutMail)
}

// What moves no account takes no proof, and a proof that is not asked for is not looked at.
func TestTheRestOfTheProfileTakesNoProof(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		token := s.Login(alice).Access
		patch := apitest.Request{Method: "PATCH", Path: "/v1/profile", Token: token}
		for _, body := range []apitest.Fields{
			{"nickname": "Al"}, {"email": alice.Email, "nickname": "Ally"}, {"phone_number": "+4930123456"},
			{"nickname": "A", "current_password": wrong},
		} {
			patch.Body = body
			s.Do(patch).Want(200, "")
		}
		s.Do(apitest.Request{Method: "PUT", Path: "/v1/profile", Token: token,
			Body: apitest.Fields{"email": alice.Email, "name": "Alice"}}).Want(200, "")
		// What is wrong by itself is said before; whether somebody has an address is not.
		bob := s.SignUp("bob")
		run(t, s, patch, []refusal{
			{"an address that is none", apitest.Fields{"email": "nonsense"}, 400, "validation_error", "email:invalid"},
			{"an address that somebody has", apitest.Fields{"email": bob.Email}, 401, "recent_proof_required", ""},
			{"null for the password", `{"username":"x","current_password":null}`, 400, "validation_error",
				"current_password:wrong_type"},
			{"a number for the proof", `{"username":"x","proof":1}`, 400, "validation_error", "proof:wrong_type"},
			{"a password that is too long", apitest.Fields{"username": "x", "current_password": strings.Repeat("x", 5000)}, 400,
				"validation_error", "current_password:too_long"},
		})
	}, apitest.WithoutMail)
}

func TestAProofEnds(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		rename := func(token, name, proof string) *apitest.Response {
			return s.Do(apitest.Request{Method: "PATCH", Path: "/v1/profile", Token: token,
				Body: apitest.Fields{"username": name, "proof": proof}})
		}
		t.Run("after ten minutes", func(t *testing.T) {
			token := s.Login(alice).Access
			proof := proofFrom(s, token, alice.Password)
			s.Advance(10*time.Minute - time.Second)
			rename(token, "one", proof).Want(200, "")
			rename(token, "two", proof).Want(200, "") // as often as is needed until then
			s.Advance(time.Second)
			tokens := s.Login(alice)
			rename(tokens.Access, "three", proof).Want(401, "recent_proof_required")
		})
		t.Run("but not with the access token: with its session", func(t *testing.T) {
			tokens := s.Login(alice)
			proof := proofFrom(s, tokens.Access, alice.Password)
			var next apitest.Tokens
			s.Refresh(tokens.Refresh).Want(200, "").JSON(&next)
			rename(next.Access, "four", proof).Want(200, "")
		})
		t.Run("with the password", func(t *testing.T) {
			token := s.Login(alice).Access
			proof := proofFrom(s, token, alice.Password)
			next := s.Secret("the next planted password")
			s.Do(apitest.Request{Method: "POST", Path: "/v1/profile/password", Token: token,
				Body: apitest.Fields{"proof": proof, "new_password": next}}).Want(204, "")
			rename(token, "five", proof).Want(401, "recent_proof_required")
			s.Do(apitest.Request{Method: "POST", Path: "/v1/profile/password", Token: token,
				Body: apitest.Fields{"proof": proof, "new_password": next}}).Want(401, "recent_proof_required")
			s.Do(apitest.Request{Method: "DELETE", Path: "/v1/profile", Token: token,
				Body: apitest.Fields{"proof": proof}}).Want(401, "recent_proof_required")
			alice.Password = next
		})
		t.Run("and is no other handle", func(t *testing.T) {
			token := s.Login(alice).Access
			proof := proofFrom(s, token, alice.Password)
			for _, path := range []string{"/login?request=", "/consent?request="} {
				res := s.Do(apitest.Request{Path: path + proof})
				if res.Status == http.StatusOK {
					t.Errorf("%s took a proof", path)
				}
			}
		})
	}, apitest.WithoutMail)
}

func TestProve(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := signUpAs(s, "alice")
		tokens := s.Login(alice)
		run(t, s, apitest.Request{Method: "POST", Path: "/v1/profile/prove", Token: tokens.Access}, []refusal{
			{"without the password", apitest.Fields{}, 401, "recent_proof_required", ""},
			{"with a number", apitest.Fields{"current_password": 1}, 400, "validation_error", "current_password:wrong_type"},
			{"by a proof", apitest.Fields{"proof": "x"}, 400, "validation_error", "proof:unknown_field"},
			{"with a long one", apitest.Fields{"current_password": strings.Repeat("x", 5000)}, 400, "validation_error",
				"current_password:too_long"},
		})
		s.Do(apitest.Request{Method: "POST", Path: "/v1/profile/prove",
			Body: apitest.Fields{"current_password": alice.Password}}).Want(401, "missing_token")
		narrow := s.Login(alice, apitest.Fields{"scope": "email"}).Access
		prove(s, narrow, alice.Password).Want(403, "insufficient_scope")

		// U-25: a wrong one counts to the limiter, whichever door it is tried at.
		refused := prove(s, tokens.Access, wrong).Want(403, "wrong_password")
		if events := s.EventsOf(refused); len(events) != 1 || events[0].Name != audit.PasswordRefused ||
			events[0].Target.ID != alice.ID {
			t.Errorf("the audit log has %+v", events)
		}
		for n := range 8 {
			if n%2 == 0 {
				prove(s, tokens.Access, wrong).Want(403, "wrong_password")
				continue
			}
			s.Do(apitest.Request{Method: "PATCH", Path: "/v1/profile", Token: tokens.Access,
				Body: apitest.Fields{"email": "moved@example.test", "current_password": wrong}}).
				Want(403, "wrong_password")
		}
		login(s, 0, "alice", wrong, nil).Want(401, "invalid_credentials")
		s.Unchanged(func() {
			limited(s, prove(s, tokens.Access, alice.Password), 15*time.Minute)
			limited(s, s.Do(apitest.Request{Method: "PATCH", Path: "/v1/profile", Token: tokens.Access,
				Body: apitest.Fields{"username": "moved", "current_password": alice.Password}}), 15*time.Minute)
		})
	}, apitest.WithoutMail)
}
