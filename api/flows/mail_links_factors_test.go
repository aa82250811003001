package flows_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
)

// P-12: messages about changes of address and second factors lead to the issuer, too, whatever Host
// and forwarding headers say.
func TestP12LinksOfChangesAndFactorsLeadToTheIssuer(t *testing.T) {
	for _, issuer := range []string{"https://id.test", "https://id.test/p"} {
		apitest.Each(t, func(t *testing.T, s *apitest.Server) {
			prefix := issuer[len("https://id.test"):]
			var who int
			// account makes an account that may set up factors, and returns requests in its name.
			account := func(s *apitest.Server) (u apitest.User, send func(method, path string, body any) *apitest.Response) {
				who++
				u = apitest.User{Email: fmt.Sprintf("user%d@example.test", who), Password: s.Secret("a planted password of ada")}
				do := func(q apitest.Request) *apitest.Response {
					q.Path, q.Host = prefix+q.Path, "evil.test"
					q.Header = misleading.Clone()
					return s.Do(q)
				}
				var made struct{ Sub string }
				do(apitest.Request{Method: "POST", Path: "/v1/signup",
					Body: apitest.Fields{"email": u.Email, "password": u.Password}}).Want(201, "").JSON(&made)
				u.ID = made.Sub
				s.AddressProved(u)
				var tokens apitest.Tokens
				do(apitest.Request{Method: "POST", Path: "/v1/login",
					Body: apitest.Fields{"email": u.Email, "password": u.Password}}).Want(200, "").JSON(&tokens)
				s.Letters()
				s.Advance(2 * time.Minute)
				return u, func(method, path string, body any) *apitest.Response {
					q := apitest.Request{Method: method, Path: path, Body: body, Token: tokens.Access}
					if path == "/v1/login" || path == "/v1/login/recovery-code" {
						q.Token = ""
					}
					return do(q)
				}
			}
			for name, c := range map[string]struct {
				act  func(s *apitest.Server)
				link string // the path that it leads to; empty: none
			}{
				"a change of address": {func(s *apitest.Server) {
					u, send := account(s)
					send("POST", "/v1/profile/email", apitest.Fields{"email": "new-" + u.Email, "current_password": u.Password}).
						Want(202, "")
				}, "/change/"},
				"the undoing of a change": {func(s *apitest.Server) {
					u, send := account(s)
					send("POST", "/v1/profile/email", apitest.Fields{"email": "new-" + u.Email, "current_password": u.Password}).
						Want(202, "")
					send("POST", "/v1/profile/email/confirm", apitest.Fields{"token": s.MailOf(outbox.ChangeEmail).Token()}).
						Want(200, "")
				}, "/undo/"},
				"the code of a setup": {func(s *apitest.Server) {
					u, send := account(s)
					send("POST", "/v1/profile/factors/code", apitest.Fields{"current_password": u.Password}).Want(202, "")
				}, ""},
				"an added app": {func(s *apitest.Server) {
					u, send := account(s)
					var code struct{ Handle string }
					send("POST", "/v1/profile/factors/code", apitest.Fields{"current_password": u.Password}).Want(202, "").JSON(&code)
					var proof struct{ Proof string }
					send("POST", "/v1/profile/prove", apitest.Fields{"current_password": u.Password, "handle": code.Handle,
						"mail_code": s.MailOf(outbox.FactorCode).Code}).Want(200, "").JSON(&proof)
					var begun struct{ Secret string }
					send("POST", "/v1/profile/factors/totp", apitest.Fields{"proof": proof.Proof}).Want(200, "").JSON(&begun)
					send("POST", "/v1/profile/factors/totp/confirm", apitest.Fields{"proof": proof.Proof,
						"code": s.NewApp(s.Secret(begun.Secret)).Code()}).Want(200, "")
				}, "/factor-undo/"},
				"a removed app": {func(s *apitest.Server) {
					u, send := account(s)
					app, _ := s.WithApp(u)
					var proof struct{ Proof string }
					send("POST", "/v1/profile/prove", apitest.Fields{"code": app.Code()}).Want(200, "").JSON(&proof)
					send("DELETE", "/v1/profile/factors/totp", apitest.Fields{"proof": proof.Proof}).Want(204, "")
				}, ""},
				"a recovery code": {func(s *apitest.Server) {
					u, send := account(s)
					_, recovery := s.WithApp(u)
					var first struct{ Login string }
					send("POST", "/v1/login", apitest.Fields{"email": u.Email, "password": u.Password}).
						Want(401, "second_factor_required").JSON(&first)
					send("POST", "/v1/login/recovery-code", apitest.Fields{"login": first.Login, "code": recovery[0]}).Want(200, "")
				}, ""},
			} {
				t.Run(name+" "+issuer, func(t *testing.T) {
					s := s.With(t)
					c.act(s)
					letters := s.Letters()
					if len(letters) != 1 {
						t.Fatalf("P-12 %d letters", len(letters))
					}
					leadsToTheIssuer(t, letters[0], issuer, c.link)
				})
				s.Letters()
			}
		}, func(o *apitest.Options) { o.IssuerURL = issuer }, apitest.Configured(func(r *apitest.Replica) {
			r.API.TrustedProxies = []string{"127.0.0.0/8", "::1"}
		}))
	}
}
