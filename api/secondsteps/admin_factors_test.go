package secondsteps_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
)

type factorsDocument struct {
	SecondFactor  bool `json:"second_factor"`
	Authenticator *struct {
		ID         string
		CreatedAt  time.Time  `json:"created_at"`
		LastUsedAt *time.Time `json:"last_used_at"`
	}
	Passkeys []struct {
		ID, Name   string
		Synced     bool
		CreatedAt  time.Time `json:"created_at"`
		Transports []string
	}
	RecoveryCodes struct{ Left int } `json:"recovery_codes"`
}

func TestAdminsSeeAndRemoveFactors(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		_, admin := s.Admin("root")
		bob, carol := s.SignUp("bob"), s.SignUp("carol")
		call := func(method, path string) *apitest.Response {
			return s.Do(apitest.Request{Method: method, Path: "/v1/admin/users/" + path, Token: admin.Access})
		}
		factors := func(u apitest.User) (d factorsDocument) {
			t.Helper()
			call("GET", u.ID+"/factors").Want(200, "").JSON(&d)
			return d
		}
		guarded := func(u apitest.User) bool {
			t.Helper()
			var one struct {
				SecondFactor *bool `json:"second_factor"`
			}
			call("GET", u.ID).Want(200, "").JSON(&one)
			var list struct {
				Users []struct {
					Subject      string `json:"sub"`
					SecondFactor *bool  `json:"second_factor"`
				}
			}
			s.Do(apitest.Request{Path: "/v1/admin/users", Token: admin.Access}).Want(200, "").JSON(&list)
			for _, l := range list.Users {
				if l.Subject == u.ID && (l.SecondFactor == nil || one.SecondFactor == nil ||
					*l.SecondFactor != *one.SecondFactor) {
					t.Errorf("the list and the document differ: %v, %v", l.SecondFactor, one.SecondFactor)
				}
			}
			return one.SecondFactor != nil && *one.SecondFactor
		}
		res := call("GET", bob.ID+"/factors").Want(200, "")
		if got := strings.TrimSpace(string(res.Body)); got != `{"second_factor":false,"authenticator":null,"passkeys":[],`+
			`"recovery_codes":{"left":0},"trusted_browsers":[]}` {
			t.Errorf("of an account without any: %s", got)
		}
		if guarded(bob) {
			t.Error("bob has no second factor")
		}
		s.WithApp(bob)
		app := apitest.FactorsOf(s, bob).App.ID
		s.WithPasskey(bob)
		s.WithApp(carol)
		have := factors(bob)
		if !have.SecondFactor || have.Authenticator == nil || have.Authenticator.ID != app ||
			have.Authenticator.CreatedAt.IsZero() ||
			len(have.Passkeys) != 1 || have.Passkeys[0].Name != "a key" || have.RecoveryCodes.Left != 10 || !guarded(bob) {
			t.Errorf("%+v", have)
		}
		// What is there can be told by its owner and by admins only; the secret by nobody.
		row, err := s.DB.SecondFactors(t.Context(), bob.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{string(row.App.Sealed), string(row.Passkeys[0].PublicKey), row.PasskeyHandle} {
			if strings.Contains(string(call("GET", bob.ID+"/factors").Body), secret) {
				t.Errorf("the answer holds %q", secret)
			}
		}

		// One by its id: sessions end, the other factor and the recovery codes stay.
		session := s.SignUp("dave")
		dave := s.Login(session)
		s.WithPasskey(session)
		daves := factors(session)
		s.Mails()
		call("DELETE", session.ID+"/factors/"+daves.Passkeys[0].ID).Want(204, "")
		if m := s.MailOf(outbox.FactorsReset); m.Message.UserID != session.ID {
			t.Errorf("the last factor by its id: a notice to %+v", m)
		}
		s.Do(apitest.Request{Path: "/v1/profile", Token: dave.Access}).Want(401, "token_invalid")
		s.Login(session)
		call("DELETE", bob.ID+"/factors/"+have.Passkeys[0].ID).Want(204, "")
		if m := s.MailOf(outbox.FactorRemoved); m.Message.UserID != bob.ID {
			t.Errorf("one of two factors: a notice to %+v", m)
		}
		if now := factors(bob); !now.SecondFactor || len(now.Passkeys) != 0 || now.Authenticator == nil ||
			now.RecoveryCodes.Left != 10 {
			t.Errorf("after the passkey went: %+v", now)
		}
		s.Unchanged(func() {
			for _, path := range []string{bob.ID + "/factors/nosuchfactor", bob.ID + "/factors/" + have.Passkeys[0].ID,
				"AAAAAAAAAAAAAAAAAAAAAA/factors", "AAAAAAAAAAAAAAAAAAAAAA/factors/" + app} {
				call("DELETE", path).Want(404, "not_found")
			}
			var carols factorsDocument
			call("GET", carol.ID+"/factors").Want(200, "").JSON(&carols)
			call("DELETE", bob.ID+"/factors/"+carols.Authenticator.ID).Want(404, "not_found") // another user's
			call("GET", "AAAAAAAAAAAAAAAAAAAAAA/factors").Want(404, "not_found")
			s.Do(apitest.Request{Method: "DELETE", Path: "/v1/admin/users/" + bob.ID + "/factors", Token: admin.Access,
				Body: apitest.Fields{"all": true}}).Want(400, "validation_error")
		})

		// All of them, also of a disabled user; a second time it is as done.
		call("POST", bob.ID+"/disable").Want(200, "")
		call("DELETE", bob.ID+"/factors").Want(204, "")
		call("DELETE", bob.ID+"/factors").Want(204, "")
		if m := s.MailOf(outbox.FactorsReset); m.Message.UserID != bob.ID {
			t.Errorf("all factors: a notice to %+v", m)
		}
		call("POST", bob.ID+"/enable").Want(200, "")
		if now := factors(bob); now.SecondFactor || now.Authenticator != nil || now.RecoveryCodes.Left != 0 ||
			guarded(bob) {
			t.Errorf("after all went: %+v", now)
		}
		s.Login(bob)
		if !guarded(carol) {
			t.Error("carol's second factor went with bob's")
		}
	})
}

// TestP06AdminsProveThemselves goes by the list of routes: with a second factor, an admin's access
// token alone changes no address, password, role, factor, invitation or verification.
func TestP06AdminsProveThemselves(t *testing.T) {
	bodies := map[string]apitest.Fields{ // of the writes that need a proof
		"POST /v1/admin/users":                         {"email": "new@example.test", "password": apitest.GoodPassword},
		"PATCH /v1/admin/users/{id}":                   {"roles": []string{"editor"}},
		"POST /v1/admin/users/{id}/verify-email":       nil,
		"POST /v1/admin/users/{id}/invite":             nil,
		"POST /v1/admin/users/{id}/password":           {"new_password": apitest.GoodPassword},
		"PUT /v1/admin/users/{id}/roles/{role}":        nil,
		"DELETE /v1/admin/users/{id}/roles/{role}":     nil,
		"DELETE /v1/admin/users/{id}/factors":          nil,
		"DELETE /v1/admin/users/{id}/factors/{factor}": nil,
	}
	others := map[string]bool{ // what needs none
		"POST /v1/admin/users/{id}/disable": true, "POST /v1/admin/users/{id}/enable": true,
		"DELETE /v1/admin/users/{id}":          true,
		"DELETE /v1/admin/users/{id}/sessions": true, "DELETE /v1/admin/users/{id}/sessions/{sid}": true,
		"POST /v1/admin/clients": true, "PATCH /v1/admin/clients/{client_id}": true,
		"DELETE /v1/admin/clients/{client_id}":      true,
		"POST /v1/admin/clients/{client_id}/secret": true, "POST /v1/admin/clients/{client_id}/disable": true,
		"POST /v1/admin/clients/{client_id}/enable": true,
		"POST /v1/admin/registration-tokens":        true, "DELETE /v1/admin/registration-tokens/{id}": true,
	}
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		root, admin := s.Admin("root")
		second, secondAdmin := s.Admin("second")
		bob := s.SignUp("bob")
		prove := func(token, code string) string {
			var made struct{ Proof string }
			s.Do(apitest.Request{Method: "POST", Path: "/v1/profile/prove", Token: token,
				Body: apitest.Fields{"code": code}}).Want(200, "").JSON(&made)
			return s.Secret(made.Proof)
		}
		app, _ := s.WithApp(root)
		old := prove(admin.Access, app.Code()) // ends with the new passkey
		s.WithPasskey(root)
		others2, _ := s.WithApp(second)
		foreign := prove(secondAdmin.Access, others2.Code())
		stale := prove(admin.Access, app.Code())
		s.Advance(10*time.Minute + time.Second)
		s.Refresh(admin.Refresh).Want(200, "").JSON(&admin)

		headers := map[string]http.Header{
			"no header": nil, "an empty one": {"Signet-Proof": {""}}, "text": {"Signet-Proof": {"x"}},
			"the password": {"Signet-Proof": {root.Password}}, "a proof of before the passkey": {"Signet-Proof": {old}},
			"another admin's": {"Signet-Proof": {foreign}}, "one of ten minutes ago": {"Signet-Proof": {stale}},
		}
		for name, body := range bodies {
			method, path, _ := strings.Cut(name, " ")
			path = strings.NewReplacer("{id}", bob.ID, "{role}", "editor", "{factor}", "nosuchfactor").Replace(path)
			t.Run("P-06 "+name, func(t *testing.T) {
				s := s.With(t)
				s.Unchanged(func() {
					for what, header := range headers {
						t.Log(what)
						q := apitest.Request{Method: method, Path: path, Token: admin.Access, Header: header}
						if body != nil {
							q.Body = body
						}
						s.Do(q).Want(401, "recent_proof_required")
					}
				})
			})
		}
		for _, r := range s.Replicas[0].API.Routes() {
			if name := r.Method + " " + r.Path; strings.HasPrefix(r.Path, "/v1/admin") && r.Method != "GET" {
				if _, needs := bodies[name]; !needs && !others[name] {
					t.Errorf("nothing is known of %s: does it need a proof?", name)
				}
			}
		}
		patch := func(body apitest.Fields, header http.Header) *apitest.Response {
			return s.Do(apitest.Request{Method: "PATCH", Path: "/v1/admin/users/" + bob.ID, Token: admin.Access,
				Body: body, Header: header})
		}
		for _, body := range []apitest.Fields{{"email": "eve@example.test"}, {"email_verified": true}, {"roles": nil},
			{"name": "Bob", "email": "bob@example.test"}} {
			patch(body, nil).Want(401, "recent_proof_required")
		}
		patch(apitest.Fields{"name": "Bob", "is_staff": true, "is_active": true}, nil).Want(200, "")

		// With a proof each of them does what it does without a second factor.
		with := http.Header{"Signet-Proof": {prove(admin.Access, app.Code())}}
		patch(apitest.Fields{"email": "bob2@example.test", "roles": []string{"editor"}}, with).Want(200, "")
		do := func(method, path string, body any) *apitest.Response {
			return s.Do(apitest.Request{Method: method, Path: "/v1/admin/users/" + bob.ID + path, Token: admin.Access,
				Body: body, Header: with})
		}
		do("PUT", "/roles/editor", nil).Want(200, "")
		do("DELETE", "/factors", nil).Want(204, "")
		do("DELETE", "/factors/nosuchfactor", nil).Want(404, "not_found")
		do("POST", "/password", apitest.Fields{"new_password": apitest.GoodPassword}).Want(204, "")
		s.Do(apitest.Request{Method: "PUT", Path: "/v1/admin/users/" + bob.ID + "/roles/editor", Token: admin.Access,
			Header: http.Header{"Signet-Proof": {with.Get("Signet-Proof"), with.Get("Signet-Proof")}},
		}).Want(400, "invalid_request")
		// Another session of the same admin needs a proof of its own.
		other := s.LoginByApp(root, app, apitest.Fields{"scope": "profile admin"})
		s.Do(apitest.Request{Method: "PUT", Path: "/v1/admin/users/" + bob.ID + "/roles/editor", Token: other.Access,
			Header: with}).Want(401, "recent_proof_required")
	})
}
