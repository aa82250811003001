package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/signet-id/signet/userstore"
)

// Nobody remembers the URN of the grant type of devices, so the command takes device_code for it. A
// client of that grant needs no redirect URI, and may refresh.
func TestClientsOfTheDeviceGrant(t *testing.T) {
	do := onNewStore(t)
	want := []string{userstore.GrantDeviceCode, userstore.GrantRefreshToken}
	for id, line := range map[string]string{
		"short": "clients create --json --name TV --client-id short --auth-method none --grant-type device_code --grant-type refresh_token",
		"urn":   "clients create --json --name TV --client-id urn --grant-type " + userstore.GrantDeviceCode + " --grant-type refresh_token",
	} {
		code, out, said := do("", strings.Fields(line)...)
		var made struct {
			GrantTypes []string `json:"grant_types"`
		}
		if err := json.Unmarshal([]byte(out), &made); code != exitOK || err != nil || !slices.Equal(made.GrantTypes, want) {
			t.Errorf("%s: %d %s%s", id, code, out, said)
		}
	}
	code, out, said := do("", "clients", "update", "urn", "--grant-type", "device_code", "--json")
	if code != exitOK || !strings.Contains(out, userstore.GrantDeviceCode) || strings.Contains(out, "refresh_token") {
		t.Errorf("%d %s%s", code, out, said)
	}
	if code, _, said := do("", strings.Fields("clients create --name Bad --grant-type refresh_token --grant-type client_credentials")...); code != exitMisused {
		t.Errorf("refresh_token with nothing to refresh: %d %s", code, said)
	}
}
