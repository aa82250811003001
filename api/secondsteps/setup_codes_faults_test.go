package secondsteps_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// afterSetup is a store that does something, or fails, right after the change that sets up a second
// factor.
type afterSetup struct {
	userstore.Store
	then  func() error // after a change of factors
	read  error        // of UserByID after that
	start error        // of StartGrant
	set   bool
}

func (s *afterSetup) ChangeFactors(ctx context.Context, c userstore.FactorChange, events ...audit.Event) error {
	err := s.Store.ChangeFactors(ctx, c, events...)
	if err == nil && s.then != nil {
		err = s.then()
	}
	s.set = s.set || err == nil
	return err
}

func (s *afterSetup) UserByID(ctx context.Context, id string) (userstore.User, error) {
	if s.set && s.read != nil {
		return userstore.User{}, s.read
	}
	return s.Store.UserByID(ctx, id)
}

func (s *afterSetup) StartGrant(ctx context.Context, g userstore.StartGrant) error {
	if s.start != nil {
		return s.start
	}
	return s.Store.StartGrant(ctx, g)
}

// F-16: where the login fails right after its second factor was set up, by a statement that fails or by
// a change of the account, the recovery codes come with the refusal: no other answer shows them, and
// they work.
func TestF16ASetupWhoseLoginFails(t *testing.T) {
	down := fmt.Errorf("%w: cut off", userstore.ErrUnavailable)
	for name, c := range map[string]struct {
		fail   func(t *testing.T, s *apitest.Server, u apitest.User) *afterSetup
		status int
		code   string
		scope  string
	}{
		"the grant": {func(*testing.T, *apitest.Server, apitest.User) *afterSetup {
			return &afterSetup{start: down}
		}, 503, "temporarily_unavailable", "profile"},
		"the read before it": {func(*testing.T, *apitest.Server, apitest.User) *afterSetup {
			return &afterSetup{read: down}
		}, 503, "temporarily_unavailable", "profile"},
		"a conflict": {func(*testing.T, *apitest.Server, apitest.User) *afterSetup {
			return &afterSetup{start: userstore.ErrConflict}
		}, 401, "login_expired", "profile"},
		"the role is taken away": {func(t *testing.T, s *apitest.Server, u apitest.User) *afterSetup {
			return &afterSetup{then: func() error {
				_, err := s.Replicas[0].Accounts.EditByOperator(t.Context(), u.ID, func(u *userstore.User) error {
					u.Roles = nil
					return nil
				})
				return err
			}}
		}, 400, "invalid_scope", "admin"},
	} {
		t.Run(name, func(t *testing.T) {
			apitest.Each(t, func(t *testing.T, s *apitest.Server) {
				accounts := s.Replicas[0].Accounts
				accounts.SecondFactor = userstore.SecondFactorOptional
				s.Admin("root") // so that there is another admin
				accounts.SecondFactor = userstore.SecondFactorRequired
				for _, way := range []string{"totp", "passkey"} {
					u := s.SignUp("of-" + way)
					s.Give(u, "admin")
					login := setupStep(s, u, apitest.Fields{"scope": c.scope})
					var finish func() *apitest.Response
					var b begun
					key := s.NewPasskey()
					var app *apitest.App
					if way == "totp" {
						post(s, "/v1/login/setup/totp", apitest.Fields{"login": login}).Want(200, "").JSON(&b)
						app = s.NewApp(s.Secret(b.Secret))
						finish = func() *apitest.Response {
							return post(s, "/v1/login/setup/totp/confirm", apitest.Fields{"login": b.Login, "code": app.Code()})
						}
					} else {
						options, next := passkeyOptions(s, "/v1/login/setup/passkeys/options", "", apitest.Fields{"login": login})
						finish = func() *apitest.Response {
							return post(s, "/v1/login/setup/passkeys", apitest.Fields{"login": next, "response": key.Create(options)})
						}
					}
					whole := accounts.Store
					cut := c.fail(t, s, u)
					cut.Store = whole
					accounts.Store = cut
					res := finish()
					accounts.Store = whole
					var refused struct {
						Detail string
						Codes  []string `json:"recovery_codes"`
						Access string   `json:"access_token"`
					}
					res.Want(c.status, c.code).JSON(&refused)
					if len(refused.Codes) != 10 || refused.Access != "" || !strings.Contains(refused.Detail, "recovery_codes") {
						t.Fatalf("%s: %d %s", way, res.Status, res.Body)
					}
					// The same request once more says that the login is over, and shows nothing.
					if again := finish().Want(401, "login_expired"); strings.Contains(string(again.Body), "recovery_codes") {
						t.Errorf("%s: %s", way, again.Body)
					}
					// The factor counts, and so do the codes.
					for _, code := range refused.Codes[:2] {
						body := apitest.Fields{"login": s.FirstStep(u), "code": code}
						post(s, "/v1/login/recovery-code", body).Want(200, "")
					}
					if way == "totp" {
						s.LoginByApp(u, app)
					}
				}
			}, apitest.WithoutMail, unlimited)
		})
	}
}

// A setup that fails itself shows no recovery codes: there are none.
func TestF16ASetupThatFails(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		accounts := s.Replicas[0].Accounts
		accounts.SecondFactor = userstore.SecondFactorRequired
		u := s.SignUp("alice")
		var b begun
		post(s, "/v1/login/setup/totp", apitest.Fields{"login": setupStep(s, u)}).Want(200, "").JSON(&b)
		app := s.NewApp(b.Secret)
		whole := accounts.Store
		accounts.Store = cutFactors{whole}
		confirm := func() *apitest.Response {
			return post(s, "/v1/login/setup/totp/confirm", apitest.Fields{"login": b.Login, "code": app.Code()})
		}
		s.Unchanged(func() {
			res := confirm().Want(503, "temporarily_unavailable")
			if strings.Contains(string(res.Body), "recovery_codes") {
				t.Errorf("%s", res.Body)
			}
		})
		accounts.Store = whole
		confirm().Want(200, "") // another try is good
	}, apitest.WithoutMail, unlimited)
}

// cutFactors is a store that cannot change factors.
type cutFactors struct{ userstore.Store }

func (cutFactors) ChangeFactors(context.Context, userstore.FactorChange, ...audit.Event) error {
	return fmt.Errorf("%w: cut off", userstore.ErrUnavailable)
}
