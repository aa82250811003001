package devices_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/dpop/dpoptest"
)

// The token request of a device may bring a DPoP proof: its tokens are then bound to the key of the
// proof, and no wrong proof uses up the device code.
func TestDevicesWithKeys(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		all := newStandard(s)
		for _, c := range []apitest.Client{all.box, all.tv} {
			t.Run(c.ID, func(t *testing.T) { deviceWithKey(t, all.with(s.With(t)), c) })
		}
	})
}

func deviceWithKey(t *testing.T, f standard, c apitest.Client) {
	key, other := dpoptest.NewKey(t), dpoptest.NewKey(t)
	claims := func() dpoptest.Claims { return dpoptest.For("POST", apitest.IssuerURL+"/oauth2/token", f.Clock.Now()) }
	send := func(q apitest.Request, proofs ...string) *apitest.Response {
		t.Helper()
		q.Header = http.Header{"Dpop": proofs}
		return f.Do(q)
	}
	b := f.SignedIn(f.alice)

	// Only a request that gets something uses up its proof.
	asked, proof := f.ask(c), key.Proof(t, claims())
	send(f.PollRequest(c, asked.DeviceCode), proof).Want(400, "authorization_pending")
	b.AllowDevice(asked.UserCode)
	send(f.PollRequest(c, asked.DeviceCode), proof).Want(200, "")

	asked = f.ask(c)
	b.AllowDevice(asked.UserCode)
	for name, wrong := range map[string][]string{
		"used before":         {proof},
		"for another address": {key.Proof(t, dpoptest.With(claims(), "htu", apitest.IssuerURL+"/oauth2/device"))},
		"too old":             {key.Proof(t, dpoptest.With(claims(), "iat", f.Clock.Now().Add(-5*time.Minute).Unix()))},
		"two proofs":          {key.Proof(t, claims()), key.Proof(t, claims())},
		"no proof":            {"x"},
	} {
		f.Unchanged(func() {
			if res := send(f.PollRequest(c, asked.DeviceCode), wrong...); res.Status != 400 || res.Code() != "invalid_dpop_proof" {
				t.Errorf("%s: %d %s", name, res.Status, res.Code())
			}
		})
	}
	var tokens apitest.Tokens
	send(f.PollRequest(c, asked.DeviceCode), key.Proof(t, claims())).Want(200, "").JSON(&tokens)
	if cnf, _ := apitest.Claims(tokens.Access)["cnf"].(map[string]any); tokens.Type != "DPoP" || cnf["jkt"] != key.Thumbprint {
		t.Errorf("a token of type %s, bound to %v", tokens.Type, cnf)
	}

	// The refresh token of a public client is bound as well.
	if c.ID == f.tv.ID {
		f.Do(f.RefreshRequest(c, tokens.Refresh)).Want(400, "invalid_grant")
		send(f.RefreshRequest(c, tokens.Refresh), other.Proof(t, claims())).Want(400, "invalid_grant")
	}
	send(f.RefreshRequest(c, tokens.Refresh), key.Proof(t, claims())).Want(200, "").JSON(&tokens)
	if tokens.Type != "DPoP" {
		t.Errorf("refreshed: a token of type %s", tokens.Type)
	}
}
