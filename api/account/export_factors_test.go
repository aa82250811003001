package account_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
)

func TestExportHoldsSecondFactorsWithoutTheirSecrets(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		tokens := s.Login(alice)
		type document struct {
			Factors struct {
				SecondFactor    bool `json:"second_factor"`
				Authenticator   *struct{ ID string }
				Passkeys        []struct{ ID, Name string }
				RecoveryCodes   struct{ Left int } `json:"recovery_codes"`
				TrustedBrowsers []any              `json:"trusted_browsers"`
			}
		}
		var none, has document
		export(s, tokens.Access, proofFrom(s, tokens.Access, alice.Password)).Want(200, "").JSON(&none)
		if f := none.Factors; f.SecondFactor || f.Authenticator != nil || f.Passkeys == nil || f.TrustedBrowsers == nil {
			t.Errorf("of an account without any: %+v", f)
		}
		app, _ := s.WithApp(alice)
		s.WithPasskey(alice)
		var made struct{ Proof string }
		s.Do(apitest.Request{Method: "POST", Path: "/v1/profile/prove", Token: tokens.Access,
			Body: apitest.Fields{"code": app.Code()}}).Want(200, "").JSON(&made)
		res := export(s, tokens.Access, s.Secret(made.Proof)).Want(200, "")
		res.JSON(&has)
		row, err := s.DB.SecondFactors(t.Context(), alice.ID)
		if err != nil {
			t.Fatal(err)
		}
		f := has.Factors
		if !f.SecondFactor || f.Authenticator == nil || f.Authenticator.ID != row.App.ID || len(f.Passkeys) != 1 ||
			f.Passkeys[0].ID != row.Passkeys[0].ID || f.RecoveryCodes.Left != 10 {
			t.Errorf("%+v", f)
		}
		for name, secret := range map[string][]byte{"sealed secret": row.App.Sealed, "public key": row.Passkeys[0].PublicKey} {
			for _, text := range []string{string(secret), base64.StdEncoding.EncodeToString(secret), base64.RawURLEncoding.EncodeToString(secret)} {
				if strings.Contains(string(res.Body), text) {
					t.Errorf("the export holds the %s", name)
				}
			}
		}
	})
}
