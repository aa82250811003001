package crashes_test

import (
	"encoding/json"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// proof is what proves the account: the handle that a request with body is answered with.
func (b bearer) proof(body apitest.Fields) string {
	b.s.T.Helper()
	var answer struct{ Proof string }
	b.do("POST", "/v1/profile/prove", body).Want(200, "").JSON(&answer)
	return answer.Proof
}

// mailProof is a proof of the password and the mailbox, which the first second factor needs.
func (b bearer) mailProof(u apitest.User) string {
	b.s.T.Helper()
	var asked struct{ Handle string }
	b.do("POST", "/v1/profile/factors/code", apitest.Fields{"current_password": u.Password}).Want(202, "").JSON(&asked)
	return b.proof(apitest.Fields{"current_password": u.Password, "handle": asked.Handle,
		"mail_code": mailed(b.s, outbox.FactorCode, u.Email).Code})
}

// fresh are the options of a passkey, and the handle that comes with them.
type fresh struct {
	Options       json.RawMessage
	Login, Handle string
}

func (b bearer) options(path string, body any) (f fresh) {
	b.s.T.Helper()
	b.do("POST", path, body).Want(200, "").JSON(&f)
	return f
}

// demanded is an option of a journey: every account has to have a second factor.
func demanded(o *apitest.Options) {
	apitest.Configured(func(r *apitest.Replica) { r.Accounts.SecondFactor = userstore.SecondFactorRequired })(o)
}

// setupOf begins a login that has to set up a second factor, and proves the mailbox.
func setupOf(s *apitest.Server, u apitest.User) (fields apitest.Fields) {
	s.T.Helper()
	var first struct{ Login string }
	post(s, "/v1/login", apitest.Fields{"email": u.Email, "password": u.Password}).
		Want(401, "second_factor_setup_required").JSON(&first)
	var asked struct{ Handle string }
	post(s, "/v1/login/setup/code", apitest.Fields{"login": first.Login}).Want(202, "").JSON(&asked)
	return apitest.Fields{"login": first.Login, "handle": asked.Handle, "mail_code": mailed(s, outbox.FactorCode,
		u.Email).Code}
}

// factorJourneys are those of second factors by JSON.
var factorJourneys = []journey{
	{"an authenticator app by JSON", nil, func(s *apitest.Server, name string) {
		u, me := proved(s, name)
		var begun struct{ Secret string }
		proof := me.mailProof(u)
		me.do("POST", "/v1/profile/factors/totp", apitest.Fields{"proof": proof}).Want(200, "").JSON(&begun)
		app := s.NewApp(s.Secret(begun.Secret))
		var made struct {
			Codes []string `json:"recovery_codes"`
		}
		me.do("POST", "/v1/profile/factors/totp/confirm", apitest.Fields{"proof": proof, "code": app.Code()}).Want(200, "").
			JSON(&made)
		me.do("GET", "/v1/profile/factors", nil).Want(200, "")
		proof = me.proof(apitest.Fields{"code": app.Code()})
		me.do("POST", "/v1/profile/factors/recovery-codes", apitest.Fields{"proof": proof}).Want(200, "")
	}},
	{"a removed authenticator app by JSON", nil, func(s *apitest.Server, name string) {
		u, me := proved(s, name)
		_, recovery := quiet(s).WithApp(u)
		proof := me.proof(apitest.Fields{"recovery_code": recovery[0]})
		me.do("DELETE", "/v1/profile/factors/totp", apitest.Fields{"proof": proof}).Want(204, "")
	}},
	{"login with an app or a recovery code", nil, func(s *apitest.Server, name string) {
		u := quiet(s).Operated(name+"@example.test", true)
		app, recovery := quiet(s).WithApp(u)
		post(s, "/v1/login/totp", apitest.Fields{"login": s.FirstStep(u), "code": app.Code()}).Want(200, "")
		post(s, "/v1/login/recovery-code", apitest.Fields{"login": quiet(s).FirstStep(u), "code": recovery[0]}).Want(200, "")
	}},
	{"a passkey by JSON", nil, func(s *apitest.Server, name string) {
		u, me := proved(s, name)
		key := s.NewPasskey()
		f := me.options("/v1/profile/factors/passkeys/options", apitest.Fields{"proof": me.mailProof(u)})
		var made struct{ ID string }
		me.do("POST", "/v1/profile/factors/passkeys", apitest.Fields{"handle": f.Handle, "response": key.Create(f.Options),
			"name": "phone"}).Want(201, "").JSON(&made)
		f = me.options("/v1/profile/prove/passkey/options", nil)
		proof := me.proof(apitest.Fields{"handle": f.Handle, "response": key.Get(f.Options)})
		passkey := "/v1/profile/factors/passkeys/" + made.ID
		me.do("PATCH", passkey, apitest.Fields{"proof": proof, "name": "tablet"}).Want(200, "")
		me.do("DELETE", passkey, apitest.Fields{"proof": proof}).Want(204, "")
	}},
	{"login with a passkey", nil, func(s *apitest.Server, name string) {
		u := quiet(s).Operated(name+"@example.test", true)
		key, _ := quiet(s).WithPasskey(u)
		nobody := bearer{s, ""}
		f := nobody.options("/v1/passkey/login/options", apitest.Fields{})
		post(s, "/v1/passkey/login", apitest.Fields{"login": f.Login, "response": key.Get(f.Options)}).Want(200, "")
		login := quiet(s).FirstStep(u)
		f = nobody.options("/v1/login/passkey/options", apitest.Fields{"login": login})
		post(s, "/v1/login/passkey", apitest.Fields{"login": login, "response": key.Get(f.Options)}).Want(200, "")
	}},
	{"a demanded authenticator app", with(demanded), func(s *apitest.Server, name string) {
		u := quiet(s).Operated(name+"@example.test", true)
		var begun struct{ Secret, Login string }
		post(s, "/v1/login/setup/totp", setupOf(s, u)).Want(200, "").JSON(&begun)
		app := s.NewApp(s.Secret(begun.Secret))
		post(s, "/v1/login/setup/totp/confirm", apitest.Fields{"login": begun.Login, "code": app.Code()}).Want(200, "")
	}},
	{"a demanded passkey", with(demanded), func(s *apitest.Server, name string) {
		u := quiet(s).Operated(name+"@example.test", true)
		key := s.NewPasskey()
		f := bearer{s, ""}.options("/v1/login/setup/passkeys/options", setupOf(s, u))
		post(s, "/v1/login/setup/passkeys", apitest.Fields{"login": f.Login, "response": key.Create(f.Options),
			"name": "phone"}).
			Want(200, "")
	}},
	{"a forgotten password with a second factor", nil, func(s *apitest.Server, name string) {
		u := quiet(s).Operated(name+"@example.test", true)
		key, _ := quiet(s).WithPasskey(u)
		post(quiet(s), "/v1/password/forgot", apitest.Fields{"email": u.Email}).Want(202, "")
		next := s.Secret(apitest.NextPassword)
		var first struct{ Login string }
		post(s, "/v1/password/reset", apitest.Fields{"token": mailed(s, outbox.ResetPassword, u.Email).
			Token(), "new_password": next}).
			Want(401, "second_factor_required").JSON(&first)
		f := bearer{s, ""}.options("/v1/password/reset/passkey/options", apitest.Fields{"login": first.Login})
		post(s, "/v1/password/reset/second", apitest.Fields{"login": first.Login, "new_password": next,
			"response": key.Get(f.Options)}).Want(204, "")
	}},
	{"a trusted browser by JSON", with(apitest.Configured(apitest.Trusting)), func(s *apitest.Server, name string) {
		u, me := proved(s, name)
		app, _ := quiet(s).WithApp(u)
		trusting(quiet(s), u, app)
		var have struct {
			Trusted []struct{ ID string } `json:"trusted_browsers"`
		}
		me.do("GET", "/v1/profile/factors", nil).Want(200, "").JSON(&have)
		me.do("DELETE", "/v1/profile/factors/trusted-browsers/"+have.Trusted[0].ID, nil).Want(204, "")
	}},
}

// trusting is a browser that a user with an authenticator app trusts.
func trusting(s *apitest.Server, u apitest.User, app *apitest.App) *apitest.Browser {
	s.T.Helper()
	b := s.Browser()
	b.SignIn("/account", u).Submit("second-submit", map[string]string{"code": app.Code(), "trust": "yes"}).
		WantPage(200, "to-security")
	return b
}
