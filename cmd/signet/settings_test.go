package main

import (
	"testing"
	"time"

	"github.com/signet-id/signet/configs"
	"github.com/signet-id/signet/userstore"
)

// The settings of second factors reach the rules.
func TestSettingsOfSecondFactors(t *testing.T) {
	for policy, want := range map[string]userstore.SecondFactorPolicy{
		"off": userstore.SecondFactorOff, "optional": userstore.SecondFactorOptional,
		"admins": userstore.SecondFactorAdmins, "required": userstore.SecondFactorRequired,
	} {
		c := configs.Default()
		c.Accounts.SecondFactor = policy
		if got := accountSettings(c, "").SecondFactor; got != want {
			t.Errorf("accounts.second_factor %s: %q, want %q", policy, got, want)
		}
	}
	c := configs.Default()
	for _, d := range []time.Duration{c.Sessions.TrustedBrowser, time.Hour, 0} {
		c.Sessions.TrustedBrowser = d
		if got := issuerSettings(c, "").TrustedBrowser; got != d {
			t.Errorf("sessions.trusted_browser %s: %s", d, got)
		}
	}
}
