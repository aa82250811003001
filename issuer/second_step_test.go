package issuer_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"

	"github.com/signet-id/signet/internal/webauthn"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// eachSecond is each, with all that second factors need.
func eachSecond(t *testing.T, fn func(t *testing.T, w *world)) {
	each(t, func(t *testing.T, w *world) {
		w.second()
		w.client(userstore.Client{ID: "web", AuthMethod: userstore.AuthNone, FirstParty: true,
			GrantTypes:     []string{userstore.GrantAuthorizationCode, userstore.GrantRefreshToken},
			ClientMetadata: userstore.ClientMetadata{RedirectURIs: []string{"https://web.test/cb"}}})
		fn(t, w)
	})
}

// second gives the issuer of w what second factors and browsers need.
func (w *world) second() {
	w.Helper()
	party, err := webauthn.New(issuerURL, "Lantern", nil)
	w.must(err)
	a := w.Accounts
	a.Passkeys, a.FactorIssuer, a.NoMail = party, "Lantern", true
	a.AppKey = func() ([]byte, error) { return make([]byte, 32), nil }
	a.RecoveryKey = func() ([]byte, error) { return make([]byte, 32), nil }
	w.FormSecret = func() ([]byte, error) { return make([]byte, 32), nil }
	w.SessionAbsolute, w.SessionIdle, w.TrustedBrowser = 720*time.Hour, 168*time.Hour, 720*time.Hour
}

// owner is a user with an authenticator app or a passkey.
type owner struct {
	userstore.User
	secret   []byte
	recovery []string
	passkey  virtualwebauthn.Credential
	by       virtualwebauthn.Authenticator
}

func (w *world) owner(roles ...string) *owner {
	w.Helper()
	o := &owner{User: w.user(newID()+"@example.test", roles...)}
	w.read(o)
	return o
}

func (w *world) read(o *owner) {
	w.Helper()
	var err error
	o.User, err = w.db.UserByID(w.Context(), o.ID)
	w.must(err)
}

func (w *world) withApp(o *owner) *owner {
	w.Helper()
	begun, err := w.Accounts.BeginApp(w.Context(), o.User)
	w.must(err)
	o.secret, err = base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(begun.Secret, " ", ""))
	w.must(err)
	o.recovery, err = w.Accounts.ConfirmApp(w.Context(), o.User, w.code(o), userstore.KeepAll)
	w.must(err)
	w.wait(time.Minute)
	w.read(o)
	return o
}

var party = virtualwebauthn.RelyingParty{ID: "id.test", Name: "Lantern", Origin: issuerURL}

func (w *world) withPasskey(o *owner, synced bool) *owner {
	w.Helper()
	o.passkey = virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
	for len(o.passkey.Key.AttestationData()) != 77 { // the library leaves leading zeros out
		o.passkey = virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
	}
	challenge := []byte("a challenge of thirty-two bytes!")
	options, handle, err := w.Accounts.PasskeyCreation(w.Context(), o.User, challenge, time.Minute)
	w.must(err)
	parsed, err := virtualwebauthn.ParseAttestationOptions(string(options))
	w.must(err)
	raw, err := base64.RawURLEncoding.DecodeString(handle)
	w.must(err)
	o.by = virtualwebauthn.NewAuthenticatorWithOptions(virtualwebauthn.AuthenticatorOptions{
		UserHandle: raw, BackupEligible: synced, BackupState: synced,
	})
	_, _, err = w.Accounts.AddPasskey(w.Context(), o.User, userstore.NewPasskey{Challenge: challenge, UserHandle: handle,
		Response: json.RawMessage(virtualwebauthn.CreateAttestationResponse(party, o.by, o.passkey, *parsed)),
		Name:     "Phone", Keep: userstore.KeepAll})
	w.must(err)
	w.read(o)
	return o
}

// answer is what the passkey of o answers to options.
func (w *world) answer(o *owner, options json.RawMessage) json.RawMessage {
	w.Helper()
	parsed, err := virtualwebauthn.ParseAssertionOptions(string(options))
	w.must(err)
	return json.RawMessage(virtualwebauthn.CreateAssertionResponse(party, o.by, o.passkey, *parsed))
}

// code is what the authenticator app of o shows now (RFC 6238).
func (w *world) code(o *owner) string {
	var step [8]byte
	binary.BigEndian.PutUint64(step[:], uint64(w.clock.Now().Unix()/30))
	mac := hmac.New(sha1.New, o.secret)
	mac.Write(step[:])
	sum := mac.Sum(nil)
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[sum[len(sum)-1]&15:])&0x7fffffff%1000000)
}

func (w *world) proof(o *owner) userstore.FactorProof { return userstore.FactorProof{Code: w.code(o)} }

// firstStep logs o in with the password, and returns the handle for the second step.
func (w *world) firstStep(o *owner, scope string, resource ...string) string {
	w.Helper()
	_, err := w.Login(w.Context(),
		issuer.LoginRequest{Email: o.Email, Password: password, ClientID: "app", Scope: scope, Resource: resource})
	w.refused(err, issuer.SecondFactorRequired)
	step := errorOf(err).Step
	if step == nil || step.ExpiresIn != 300 || len(step.Methods) == 0 {
		w.Fatalf("the first step answers %+v", step)
	}
	return step.Login
}

func errorOf(err error) *issuer.Error {
	var e *issuer.Error
	errors.As(err, &e)
	return e
}

// P-05, P-10: a login in two steps, by everything that can be the second, with the claims that it
// gives. The second step comes two minutes later, at another replica.
func TestTheSecondStepOfALogin(t *testing.T) {
	eachSecond(t, func(t *testing.T, w *world) {
		for what, c := range map[string]struct {
			synced bool
			step   func(o *owner, login string) (issuer.TokenResponse, error)
			amr    string
			newest bool // auth_time is that of the second step
		}{
			"a code": {step: func(o *owner, login string) (issuer.TokenResponse, error) {
				return w.LoginSecond(t.Context(), login, w.proof(o))
			}, amr: "[pwd otp mfa]"},
			"a recovery code": {step: func(o *owner, login string) (issuer.TokenResponse, error) {
				return w.LoginSecond(t.Context(), login, userstore.FactorProof{RecoveryCode: o.recovery[3]})
			}, amr: "[pwd otp mfa]"},
			"a passkey of one device": {step: func(o *owner, login string) (issuer.TokenResponse, error) {
				options, err := w.LoginPasskeyOptions(t.Context(), login)
				w.must(err)
				return w.LoginSecond(t.Context(), login, userstore.FactorProof{Passkey: w.answer(o, options)})
			}, amr: "[pwd pop user mfa]", newest: true},
			"a synced passkey": {synced: true, step: func(o *owner, login string) (issuer.TokenResponse, error) {
				options, err := w.LoginPasskeyOptions(t.Context(), login)
				w.must(err)
				return w.LoginSecond(t.Context(), login, userstore.FactorProof{Passkey: w.answer(o, options)})
			}, amr: "[pwd pop user swk mfa]", newest: true},
			"a passkey alone": {step: func(o *owner, _ string) (issuer.TokenResponse, error) {
				login, options, err := w.BeginPasskeyLogin(t.Context(), issuer.PasskeyLoginRequest{ClientID: "app", Scope: "openid api.read", Resource: []string{apiURI}})
				w.must(err)
				return w.PasskeyLogin(t.Context(), login.Login, w.answer(o, options))
			}, amr: "[pop user mfa]", newest: true},
		} {
			o := w.withPasskey(w.withApp(w.owner()), c.synced)
			typed := w.clock.Now().Unix()
			login := w.firstStep(o, "openid api.read", apiURI)
			w.read(o)
			if !o.LastLoginAt.IsZero() {
				t.Errorf("%s: the first step is a login", what)
			}
			w.wait(2 * time.Minute)
			w.replica()
			w.second()
			r, err := c.step(o, login)
			if err != nil {
				t.Fatalf("%s: %v %v", what, err, errorOf(err).Cause)
			}
			if c.newest {
				typed += 120
			}
			for token, claims := range map[string]map[string]any{"access": w.claims(r.AccessToken), "ID": w.claims(r.IDToken)} {
				got := fmt.Sprint(claims["acr"], " ", claims["amr"], " ", claims["auth_time"])
				if want := fmt.Sprintf("2 %s %d", c.amr, typed); got != want {
					t.Errorf("%s, %s token: %s, want %s", what, token, got, want)
				}
			}
			if got := w.claims(r.AccessToken); got["scope"] != "openid api.read" || got["aud"] != apiURI || got["client_id"] != "app" {
				t.Errorf("%s: the token is for %v", what, got)
			}
			again := w.claims(w.refreshed(r.RefreshToken).AccessToken)
			if again["acr"] != "2" || fmt.Sprint(again["amr"]) != c.amr {
				t.Errorf("%s, refreshed: %v", what, again)
			}
		}
	})
}

// P-10: handles that are of no use for a second step, with a right code.
func TestP10HandlesOfLogins(t *testing.T) {
	eachSecond(t, func(t *testing.T, w *world) {
		o := w.withApp(w.owner())
		second := func(login string) error {
			_, err := w.LoginSecond(t.Context(), login, w.proof(o))
			return err
		}
		for what, c := range map[string]struct {
			login func() string
			want  issuer.Code
		}{
			"none":             {func() string { return "" }, issuer.LoginOver},
			"a word":           {func() string { return "login" }, issuer.LoginOver},
			"much":             {func() string { return strings.Repeat("A", 1<<20) }, issuer.LoginOver},
			"one that was cut": {func() string { l := w.firstStep(o, ""); return l[:len(l)-4] }, issuer.LoginOver},
			"one of 5 minutes": {func() string { l := w.firstStep(o, ""); w.wait(5 * time.Minute); return l }, issuer.LoginOver},
			"one of a passkey": {func() string {
				s, _, err := w.BeginPasskeyLogin(t.Context(), issuer.PasskeyLoginRequest{})
				w.must(err)
				return s.Login
			}, issuer.LoginOver},
			"another purpose's": {func() string { s, err := w.Seal("proof", []byte(`{"for":"second_step"}`)); w.must(err); return s }, issuer.LoginOver},
			"one of a setup": {func() string {
				w.Accounts.SecondFactor = userstore.SecondFactorRequired
				defer func() { w.Accounts.SecondFactor = userstore.SecondFactorOptional }()
				_, err := w.Login(t.Context(), issuer.LoginRequest{Email: w.owner().Email, Password: password})
				w.refused(err, issuer.SecondFactorSetup)
				return errorOf(err).Step.Login
			}, issuer.LoginOver},
			"one of a client that was disabled": {func() string {
				l := w.firstStep(o, "")
				w.must(w.db.SetClientActive(t.Context(), "app", false, w.clock.Now()))
				return l
			}, issuer.InvalidClient},
		} {
			if err := second(c.login()); errorOf(err) == nil || errorOf(err).Code != c.want {
				t.Errorf("%s: %v, want %s", what, err, c.want)
			}
			_ = w.db.SetClientActive(t.Context(), "app", true, w.clock.Now())
		}
		login := w.firstStep(o, "")
		if _, err := w.PasskeyLogin(t.Context(), login, nil); errorOf(err).Code != issuer.LoginOver {
			t.Errorf("as a login by passkey: %v", err)
		}
		w.must(second(login))
		w.wait(30 * time.Second)
		w.refused(second(login), issuer.LoginOver)
		// A replica whose clock is behind does not take a handle again that another has forgotten.
		w.clock.add(-30 * time.Second)
		_, err := w.db.RemoveSpentHandles(t.Context(), w.clock.Now().Add(5*time.Minute), 100)
		w.must(err)
		w.wait(time.Minute)
		w.refused(second(login), issuer.LoginOver)
		factors, err := w.db.SecondFactors(t.Context(), o.ID)
		w.must(err)
		if factors.WrongCodes != 0 {
			t.Errorf("%d of the right codes are counted as wrong", factors.WrongCodes)
		}

		// The account was deleted.
		login = w.firstStep(o, "")
		w.must(w.db.DeleteUser(t.Context(), o.ID))
		w.refused(second(login), issuer.LoginOver)
		_, err = w.LoginPasskeyOptions(t.Context(), login)
		w.refused(err, issuer.LoginOver)
	})
}

// A login whose account changed between the check and the batch is checked once more, with the same
// proof: nothing was spent. A role that is missing refuses the login, and counts no code.
func TestASecondStepAfterAConflict(t *testing.T) {
	eachSecond(t, func(t *testing.T, w *world) {
		o := w.withPasskey(w.withApp(w.owner()), false)
		conflict := func() error { return userstore.ErrConflict }
		for what, proof := range map[string]func(login string) userstore.FactorProof{
			"a code":          func(string) userstore.FactorProof { return w.proof(o) },
			"a recovery code": func(string) userstore.FactorProof { return userstore.FactorProof{RecoveryCode: o.recovery[0]} },
			"a passkey": func(login string) userstore.FactorProof {
				options, err := w.LoginPasskeyOptions(t.Context(), login)
				w.must(err)
				return userstore.FactorProof{Passkey: w.answer(o, options)}
			},
		} {
			login := w.firstStep(o, "")
			w.store.on("StartGrant", once(conflict), nil)
			if _, err := w.LoginSecond(t.Context(), login, proof(login)); err != nil {
				t.Errorf("%s, after one conflict: %v", what, errorOf(err).Reason())
			}
			w.store.on("StartGrant", nil, nil)
		}
		w.wait(time.Minute)
		login := w.firstStep(o, "")
		w.store.on("StartGrant", conflict, nil)
		_, err := w.LoginSecond(t.Context(), login, w.proof(o))
		w.refused(err, issuer.Unavailable)
		w.store.on("StartGrant", nil, nil)
		_, err = w.LoginSecond(t.Context(), login, w.proof(o))
		w.must(err)

		w.wait(time.Minute)
		for range 3 {
			_, err := w.LoginSecond(t.Context(), w.firstStep(o, "admin"), w.proof(o))
			w.refused(err, issuer.InvalidScope)
		}
		_, err = w.LoginSecond(t.Context(), w.firstStep(o, ""), w.proof(o))
		w.must(err)
	})
}

// P-10, P-07: three replicas get the second step of one login at once.
func TestP10OneLoginAtThreeReplicas(t *testing.T) {
	eachSecond(t, func(t *testing.T, w *world) {
		o := w.withApp(w.owner())
		login := w.firstStep(o, "")
		var replicas []*issuer.Issuer
		for range 3 {
			w.replica()
			w.second()
			replicas = append(replicas, w.Issuer)
		}
		errs := make([]error, 3)
		var all sync.WaitGroup
		for n, i := range replicas {
			all.Go(func() { _, errs[n] = i.LoginSecond(context.Background(), login, w.proof(o)) })
		}
		all.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else if code := errorOf(err).Code; code != issuer.LoginOver && code != issuer.FactorRefused {
				t.Errorf("refused by %v", errorOf(err).Reason())
			}
		}
		if won != 1 {
			t.Errorf("%d logins, want 1", won)
		}
	})
}

// Policies at their next use: grants from before, of users without and with a second factor.
func TestPoliciesMeetOldGrants(t *testing.T) {
	eachSecond(t, func(t *testing.T, w *world) {
		old := func(o *owner, scope string) issuer.TokenResponse {
			w.Accounts.SecondFactor = userstore.SecondFactorOptional
			r, err := w.Login(t.Context(), issuer.LoginRequest{Email: o.Email, Password: password, ClientID: "app", Scope: scope})
			w.must(err)
			return r
		}
		off, optional, admins, required := userstore.SecondFactorOff, userstore.SecondFactorOptional,
			userstore.SecondFactorAdmins, userstore.SecondFactorRequired
		for _, c := range []struct {
			policy      userstore.SecondFactorPolicy
			admin, late bool // role admin; a factor that came after the grant
			login       issuer.Code
			grant       bool // goes on
			scopes      string
		}{
			{off, true, false, "", true, "profile admin"},
			{optional, true, false, "", true, "profile admin"},
			{admins, false, false, "", true, "profile"},
			{admins, true, false, issuer.SecondFactorSetup, false, ""},
			{required, false, false, issuer.SecondFactorSetup, false, ""},
			{required, true, false, issuer.SecondFactorSetup, false, ""},
			{off, true, true, issuer.SecondFactorRequired, true, "profile admin"},
			{optional, true, true, issuer.SecondFactorRequired, true, "profile admin"},
			{admins, true, true, issuer.SecondFactorRequired, true, "profile"},
			{required, true, true, issuer.SecondFactorRequired, true, "profile"},
			{required, false, true, issuer.SecondFactorRequired, true, "profile"},
		} {
			what := fmt.Sprintf("policy %q, admin %v, a factor since then %v", c.policy, c.admin, c.late)
			roles, scope := []string(nil), "profile"
			if c.admin {
				roles, scope = []string{issuer.RoleAdmin}, "profile admin"
			}
			o := w.owner(roles...)
			r, narrowed := old(o, scope), old(o, scope)
			if c.late {
				w.withApp(o)
			}
			w.Accounts.SecondFactor = c.policy
			_, err := w.Login(t.Context(), issuer.LoginRequest{Email: o.Email, Password: password, ClientID: "app"})
			if got := errorOf(err); c.login == "" && err != nil || c.login != "" && (got == nil || got.Code != c.login) {
				t.Errorf("%s: a login: %v, want %q", what, err, c.login)
			}
			session, err := w.Bearer(t.Context(), r.AccessToken)
			if (err == nil) != c.grant || strings.Join(session.Scopes, " ") != c.scopes {
				t.Errorf("%s: a request with scopes %q: %v", what, session.Scopes, err)
			}
			for how, request := range map[string]issuer.RefreshRequest{
				"at /v1/refresh":  {RefreshToken: r.RefreshToken, FirstParty: true},
				"of a part of it": {RefreshToken: narrowed.RefreshToken, ClientID: "app", Scope: "profile admin"},
			} {
				before := w.row(request.RefreshToken)
				next, err := w.Refresh(t.Context(), request)
				if !c.grant {
					w.refused(err, issuer.InvalidGrant)
					if after := w.row(request.RefreshToken); after.Generation != before.Generation || !after.RevokedAt.IsZero() {
						t.Errorf("%s: a refresh %s changed the grant", what, how)
					}
					continue
				}
				if err != nil || next.Scope != c.scopes {
					t.Errorf("%s: a refresh %s gives scope %q: %v", what, how, next.Scope, err)
				}
			}
			if !c.grant { // with the factor the same grant goes on
				w.Accounts.SecondFactor = userstore.SecondFactorOptional
				w.withApp(o)
				w.Accounts.SecondFactor = c.policy
				if next, err := w.refresh(r.RefreshToken); err != nil || next.Scope != "profile" {
					t.Errorf("%s: after a factor was set up, scope %q: %v", what, next.Scope, err)
				}
			}
		}
		// Scope admin with two factors, and in no other way.
		w.Accounts.SecondFactor = userstore.SecondFactorAdmins
		o := w.withPasskey(w.withApp(w.owner(issuer.RoleAdmin)), false)
		r, err := w.LoginSecond(t.Context(), w.firstStep(o, "profile admin"), w.proof(o))
		w.must(err)
		for name, token := range map[string]string{"issued": r.AccessToken, "refreshed": w.refreshed(r.RefreshToken).AccessToken} {
			session, err := w.Bearer(t.Context(), token)
			if err != nil || !session.HasScope("admin") {
				t.Errorf("with two factors, %s: %q %v", name, session.Scopes, err)
			}
		}
	})
}

// browser logs o in at the pages, with all factors that it has.
func (w *world) browser(o *owner, replaces string) (issuer.Browser, string) {
	w.Helper()
	b, secret, err := w.StartBrowserSession(w.Context(), issuer.PageLogin{Name: o.Email, Password: password, Replaces: replaces})
	if err == nil {
		return b, secret
	}
	w.refused(err, issuer.SecondFactorRequired)
	b, secret, _, err = w.StartSecondSession(w.Context(), w.waiting(o, w.clock.Now()), w.proof(o), false, issuer.PageLogin{Replaces: replaces})
	w.must(err)
	return b, secret
}

// waiting is a login of o whose password was proved at typed.
func (w *world) waiting(o *owner, typed time.Time) userstore.SecondLogin {
	return userstore.SecondLogin{UserID: o.ID, PasswordMark: o.PasswordMark(), FactorVersion: o.FactorVersion, At: typed}
}

// A trusted browser skips the second factor with acr 1; a step-up in it keeps the session, gives it a
// new cookie and the strength that was proved; and trust that is turned off is of no use.
func TestTrustAndStepUp(t *testing.T) {
	eachSecond(t, func(t *testing.T, w *world) {
		o := w.withApp(w.owner())
		first := w.clock.Now()
		_, _, trusted, err := w.StartSecondSession(t.Context(), w.waiting(o, first), w.proof(o), true, issuer.PageLogin{})
		w.must(err)
		if trusted == "" {
			t.Fatal("the browser is not trusted")
		}
		w.wait(24 * time.Hour)
		ctx := userstore.WithTrust(t.Context(), trusted)
		login := issuer.PageLogin{Name: o.Email, Password: password}
		b, secret, err := w.StartBrowserSession(ctx, login)
		w.must(err)
		typed := b.Session.AuthTime
		if b.Session.ACR != "1" || !slices.Equal(b.Session.AMR, []string{"pwd"}) || !typed.Equal(w.clock.Now()) {
			t.Errorf("a login in a trusted browser: %+v", b.Session)
		}
		if _, err := w.Login(ctx, issuer.LoginRequest{Email: o.Email, Password: wrongPassword}); errorOf(err).Code != issuer.InvalidCredentials {
			t.Errorf("a wrong password in a trusted browser: %v", err)
		}
		w.TrustedBrowser = 0
		_, _, err = w.StartBrowserSession(ctx, login)
		w.refused(err, issuer.SecondFactorRequired)
		_, _, none, err := w.StartSecondSession(t.Context(), w.waiting(o, w.clock.Now()), w.proof(o), true, issuer.PageLogin{})
		w.must(err)
		if none != "" {
			t.Error("a browser is trusted although trust is off")
		}
		w.TrustedBrowser = 720 * time.Hour

		w.wait(10 * time.Minute)
		up, changed, none, err := w.StartSecondSession(t.Context(), w.waiting(o, typed), w.proof(o), false, issuer.PageLogin{Replaces: secret})
		w.must(err)
		s := up.Session
		if s.ID != b.Session.ID || changed == secret || none != "" || s.ACR != "2" || !s.AuthTime.Equal(typed) ||
			!slices.Equal(s.AMR, []string{"pwd", "otp", "mfa"}) {
			t.Errorf("after the step-up: %+v", s)
		}
		if b, err := w.BrowserOf(t.Context(), secret); b != nil || err != nil {
			t.Errorf("the cookie of before is of use: %+v %v", b, err)
		}
		// A wrong proof returns no cookie of trust.
		_, _, none, err = w.StartSecondSession(t.Context(), w.waiting(o, typed), w.proof(o), true, issuer.PageLogin{})
		w.refused(err, issuer.FactorRefused)
		if none != "" {
			t.Error("a wrong proof returns a cookie of trust")
		}
	})
}

const wrongPassword = "not the password of anybody"

// What a request asks of the strength and the age of a login (OIDC Core sections 3.1.2.1 and 5.5.1.1,
// RFC 9470), for browsers that are as strong and as old as the table says.
func TestStrengthThatARequestAsksFor(t *testing.T) {
	const (
		code     = "code"
		logIn    = "log in"
		again    = "log in again"
		stepUp   = "step up"
		required = "login_required"
		unmet    = "unmet_authentication_requirements"
	)
	essential := func(values string) string { return `{"id_token":{"acr":{"essential":true,` + values + `}}}` }
	eachSecond(t, func(t *testing.T, w *world) {
		weak, app := w.owner(), w.withApp(w.owner())
		admin := w.withApp(w.owner(issuer.RoleAdmin))
		trusted := func(o *owner) *issuer.Browser { // a session of the password alone
			b, _, err := w.StartProvedSession(t.Context(), userstore.User{ID: o.ID, PasswordHash: o.PasswordHash,
				FactorVersion: o.FactorVersion}, w.clock.Now(), issuer.PageLogin{})
			if err != nil { // the store lets nobody in who has a second factor
				_, _, cookie, err := w.StartSecondSession(t.Context(), w.waiting(o, w.clock.Now()), w.proof(o), true, issuer.PageLogin{})
				w.must(err)
				b, _, err = w.StartBrowserSession(userstore.WithTrust(t.Context(), cookie), issuer.PageLogin{Name: o.Email, Password: password})
				w.must(err)
			}
			w.wait(time.Minute)
			return &b
		}
		strong := func(o *owner) *issuer.Browser {
			b, _ := w.browser(o, "")
			w.wait(time.Minute)
			return &b
		}
		one, two, skipped := strong(weak), strong(app), trusted(app)
		adminOne, adminTwo := trusted(admin), strong(admin)
		if skipped.Session.ACR != "1" || two.Session.ACR != "2" || adminOne.Session.ACR != "1" || adminTwo.Session.ACR != "2" {
			t.Fatalf("the browsers are %q %q %q %q", skipped.Session.ACR, two.Session.ACR, adminOne.Session.ACR, adminTwo.Session.ACR)
		}
		w.wait(20 * time.Minute)
		type request = issuer.AuthorizationRequest
		for _, c := range []struct {
			what    string
			policy  userstore.SecondFactorPolicy
			b       *issuer.Browser
			request request
			want    string
			none    string // under prompt=none
		}{
			{"nothing, one factor", "", one, request{}, code, code},
			{"nothing, a trusted browser", "", skipped, request{}, code, code},
			{"nothing, nobody", "", nil, request{}, logIn, required},
			{"acr_values=1, one factor", "", one, request{ACRValues: "1"}, code, code},
			{"acr_values=2, one factor of a user who has no other", "", one, request{ACRValues: "2"}, code, code},
			{"acr_values=2, a trusted browser", "", skipped, request{ACRValues: "2"}, stepUp, required},
			{"acr_values=2, two factors", "", two, request{ACRValues: "2"}, code, code},
			{"acr_values of others, a trusted browser", "", skipped, request{ACRValues: "gold urn:mace:silver 3"}, code, code},
			{"acr_values of others and 2, a trusted browser", "", skipped, request{ACRValues: "gold 2 1"}, stepUp, required},
			{"acr_values=1 2, a trusted browser", "", skipped, request{ACRValues: "1 2"}, code, code},
			{"essential acr 2, one factor of a user who has no other", "", one, request{Claims: essential(`"value":"2"`)}, unmet, unmet},
			{"essential acr 2, a trusted browser", "", skipped, request{Claims: essential(`"values":["3","2"]`)}, stepUp, required},
			{"essential acr 2, two factors", "", two, request{Claims: essential(`"value":"2"`)}, code, code},
			{"essential acr 2, nobody", "", nil, request{Claims: essential(`"value":"2"`)}, logIn, required},
			{"essential acr 1 or 2, one factor", "", one, request{Claims: essential(`"values":["2","1"]`)}, code, code},
			{"essential acr 1, acr_values=2, one factor of a user who has no other", "", one,
				request{Claims: essential(`"value":"1"`), ACRValues: "2"}, code, code},
			{"essential acr 1, acr_values=2, a trusted browser", "", skipped,
				request{Claims: essential(`"value":"1"`), ACRValues: "2"}, stepUp, required},
			{"essential acr 1, two factors, which include it", "", two, request{Claims: essential(`"value":"1"`)}, code, code},
			{"essential acr without a value, one factor", "", one, request{Claims: essential(`"x":1`)}, code, code},
			{"voluntary acr 2, one factor", "", one, request{Claims: `{"id_token":{"acr":{"value":"2"}}}`}, code, code},
			{"max_age that is over, two factors", "", two, request{MaxAge: "600"}, again, required},
			{"max_age that is not, two factors", "", two, request{MaxAge: "7200", ACRValues: "2"}, code, code},
			{"max_age that is not, acr_values=2, a trusted browser", "", skipped, request{MaxAge: "7200", ACRValues: "2"}, stepUp, required},
			{"max_age that is over, acr_values=2, a trusted browser", "", skipped, request{MaxAge: "600", ACRValues: "2"}, again, required},
			{"prompt=login, two factors", "", two, request{Prompt: "login"}, again, ""},
			{"the policy wants a factor, one factor", userstore.SecondFactorRequired, one, request{}, again, required},
			{"the policy wants a factor of admins only, one factor", userstore.SecondFactorAdmins, one, request{}, code, code},
			{"the policy wants a factor, a trusted browser", userstore.SecondFactorRequired, skipped, request{}, code, code},
			{"scope admin, a trusted browser", userstore.SecondFactorAdmins, adminOne, request{Scope: "openid admin"}, stepUp, required},
			{"scope admin, a trusted browser, no policy", "", adminOne, request{Scope: "openid admin"}, code, code},
			{"scope admin, two factors", userstore.SecondFactorAdmins, adminTwo, request{Scope: "openid admin"}, code, code},
		} {
			w.Accounts.SecondFactor = c.policy
			for _, prompt := range []string{c.request.Prompt, "none"} {
				want := c.want
				if prompt == "none" {
					if want = c.none; want == "" {
						continue
					}
				}
				r := c.request
				r.ClientID, r.RedirectURI, r.ResponseType, r.Prompt = "web", "https://web.test/cb", "code", prompt
				r.CodeChallenge, r.CodeChallengeMethod = base64.RawURLEncoding.EncodeToString(make([]byte, 32)), "S256"
				if r.Scope == "" {
					r.Scope = "openid"
				}
				p, refused, err := w.Authorize(t.Context(), r)
				if err != nil || refused != nil {
					t.Fatalf("%s: %v %+v", c.what, err, refused)
				}
				d, err := w.Consider(t.Context(), p, c.b)
				w.must(err)
				if got := stepOf(d); got != want {
					t.Errorf("%s, prompt %q: %s, want %s", c.what, prompt, got, want)
				}
			}
		}
		w.Accounts.SecondFactor = userstore.SecondFactorOptional
	})
}

// stepOf names a decision.
func stepOf(d issuer.Decision) string {
	switch {
	case d.Step == issuer.IssueCode:
		return "code"
	case d.Step == issuer.LogIn && d.StepUp && !d.Reauthenticate:
		return "step up"
	case d.Step == issuer.LogIn && d.Reauthenticate && !d.StepUp:
		return "log in again"
	case d.Step == issuer.LogIn && !d.StepUp:
		return "log in"
	case d.Step == issuer.Respond:
		for _, p := range d.Response.Parameters {
			if p[0] == "error" {
				return p[1]
			}
		}
	}
	return fmt.Sprintf("%+v", d)
}

// prompt=login and max_age ask for all factors again: a password alone does not answer them, neither
// beside a second factor that was proved before nor in a trusted browser.
func TestAllFactorsAgain(t *testing.T) {
	eachSecond(t, func(t *testing.T, w *world) {
		o := w.withApp(w.owner())
		_, secret, cookie, err := w.StartSecondSession(t.Context(), w.waiting(o, w.clock.Now()), w.proof(o), true, issuer.PageLogin{})
		w.must(err)
		w.wait(time.Hour)
		request := func(prompt, maxAge string) issuer.Pending {
			p, refused, err := w.Authorize(t.Context(), issuer.AuthorizationRequest{ClientID: "web", RedirectURI: "https://web.test/cb",
				ResponseType: "code", Scope: "openid", Prompt: prompt, MaxAge: maxAge, CodeChallengeMethod: "S256",
				CodeChallenge: base64.RawURLEncoding.EncodeToString(make([]byte, 32))})
			if err != nil || refused != nil {
				t.Fatal(err, refused)
			}
			return p
		}
		requests := map[string]issuer.Pending{"prompt=login": request("login", ""), "max_age=0": request("", "0")}
		aged := map[string]issuer.Pending{"max_age=600": request("", "600")}
		relaxed := map[string]issuer.Pending{"prompt=select_account": request("select_account", ""), "max_age=7200": request("", "7200")}
		decide := func(when string, b issuer.Browser, all map[string]issuer.Pending, want string) {
			t.Helper()
			for what, p := range all {
				p.Proved = b.Session.ID
				d, err := w.Consider(t.Context(), p, &b)
				w.must(err)
				if got := stepOf(d); got != want {
					t.Errorf("%s, %s: %s, want %s", what, when, got, want)
				}
			}
		}
		w.wait(time.Second)
		ctx := userstore.WithTrust(t.Context(), cookie)
		login := issuer.PageLogin{Name: o.Email, Password: password}
		fresh, _, err := w.StartBrowserSession(ctx, login)
		w.must(err)
		decide("the password in a trusted browser", fresh, requests, "log in again")
		decide("the password in a trusted browser", fresh, relaxed, "code")
		decide("the password in a trusted browser, which is all that acr 1 rests on", fresh, aged, "code")
		login.Replaces = secret
		merged, secret, err := w.StartBrowserSession(ctx, login)
		w.must(err)
		if merged.Session.ACR != "2" {
			t.Fatalf("the session has acr %q", merged.Session.ACR)
		}
		decide("the password beside an old code", merged, requests, "log in again")
		decide("the password beside an old code", merged, aged, "log in again")
		decide("the password beside an old code", merged, relaxed, "code")
		all, _ := w.browser(o, secret)
		decide("all factors", all, requests, "code")
		decide("all factors", all, aged, "code")
		decide("all factors", all, relaxed, "code")
	})
}

// A code that was issued before the policy, or the role that it is for, came is not redeemed without
// the second factor.
func TestACodeMeetsThePolicy(t *testing.T) {
	eachSecond(t, func(t *testing.T, w *world) {
		o := w.owner()
		b, _ := w.browser(o, "")
		verifier := strings.Repeat("v", 43)
		challenge := sha256.Sum256([]byte(verifier))
		redeem := func() error {
			p, refused, err := w.Authorize(t.Context(), issuer.AuthorizationRequest{ClientID: "web", RedirectURI: "https://web.test/cb",
				ResponseType: "code", Scope: "openid", CodeChallengeMethod: "S256", CodeChallenge: base64.RawURLEncoding.EncodeToString(challenge[:])})
			if err != nil || refused != nil {
				t.Fatal(err, refused)
			}
			d, err := w.Decide(t.Context(), p, &b)
			w.must(err)
			var code string
			for _, p := range d.Response.Parameters {
				if p[0] == "code" {
					code = p[1]
				}
			}
			w.Accounts.SecondFactor = userstore.SecondFactorRequired
			defer func() { w.Accounts.SecondFactor = userstore.SecondFactorOptional }()
			_, err = w.Token(t.Context(), issuer.TokenRequest{Auth: issuer.ClientAuth{ClientID: "web"}, GrantType: "authorization_code",
				Code: code, RedirectURI: "https://web.test/cb", CodeVerifier: verifier})
			return err
		}
		w.refused(redeem(), issuer.InvalidGrant)
		w.withApp(o)
		w.must(redeem())
	})
}
