package issuer

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/userstore"
)

// A forgotten Admission or ClientCache does not mean "no limit": nothing is signed, no client is
// read.
func TestForgottenLimitsLetNothingThrough(t *testing.T) {
	i, _ := oneRefreshToken(t)
	i.Admission = nil
	s, err := i.Keys.Signer(jose.EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := i.Admission.enter(t.Context()); err == nil || !strings.Contains(err.Error(), "Admission is missing") {
		t.Errorf("enter: %v", err)
	}
	if token, err := i.Admission.sign(s, TypeAccessToken, []byte("{}")); token != "" || err == nil ||
		!strings.Contains(err.Error(), "Admission is missing") {
		t.Errorf("sign: %q, %v", token, err)
	}
	read := func(context.Context, string) (userstore.Client, error) {
		t.Error("a client was read")
		return userstore.Client{}, nil
	}
	var forgotten *ClientCache
	if _, _, err := forgotten.get(t.Context(), "app", time.Now(), read); err == nil ||
		!strings.Contains(err.Error(), "ClientCache is missing") {
		t.Errorf("get: %v", err)
	}
}
