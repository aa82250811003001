package sqlstore

import (
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"testing"
)

// recovered says of each table what `signet recover` does with its rows. A table that is new has to
// be thought about.
var recovered = map[string]string{
	"trusted_browsers": "ended", "recovery_codes": "ended", "one_time_tokens": "ended",
	"retired_apps": "ended", "retired_passkeys": "ended", "retired_codes": "ended",
	"authenticator_apps": "ended", // those whose setup waits
	"grants":             "revoked", "browser_sessions": "deleted", "app_sessions": "ended: the apps are told",
	"codes": "forgotten", "pushed_requests": "forgotten", "pending_signups": "forgotten", "outbox": "forgotten",
	"registration_tokens": "forgotten", "device_authorizations": "forgotten",
	"key_ring": "its secrets are replaced", "signing_keys": "revoked or retired",

	"users": "kept", "clients": "kept", "consents": "kept", "passkeys": "kept", "subjects": "kept", "audit_events": "kept",
	"mail_requests": "kept: budgets", "throttle_attempts": "kept: budgets", "throttle_networks": "kept: budgets",
	"client_assertions": "kept: what was used stays used", "dpop_proofs": "kept: what was used stays used", "spent_handles": "kept: what was used stays used",
	"status_lists": "all places revoked", "status_ended": "kept: what is revoked stays revoked", "status_clients": "kept: the same",
	"signet_schema": "kept", "write_probe": "kept",
	"search_roles": "kept: of the users", "search_names": "kept: the same", "search_todo": "kept: the same", "search_before": "kept: the same",
}

func TestF35RecoverKnowsEveryTable(t *testing.T) {
	tables := map[string]bool{}
	create := regexp.MustCompile(`(?m)^CREATE TABLE ([a-z_]+)`)
	for _, folder := range []string{"sqlite", "postgres"} {
		files, err := fs.Glob(migrations, "migrations/"+folder+"/*.sql")
		if err != nil || len(files) == 0 {
			t.Fatalf("%d migrations, %v", len(files), err)
		}
		for _, file := range files {
			text, err := fs.ReadFile(migrations, file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range create.FindAllStringSubmatch(string(text), -1) {
				tables[m[1]] = true
				if recovered[m[1]] == "" {
					t.Errorf("%s: say what a recovery does with the rows of %s", file, m[1])
				}
			}
		}
	}
	for table := range recovered {
		if !tables[table] {
			t.Errorf("there is no table %s", table)
		}
	}
	var ended, lost []string
	for table, how := range recovered {
		switch how {
		case "ended":
			ended = append(ended, table)
		case "forgotten":
			lost = append(lost, table)
		}
	}
	inCode := map[string]bool{}
	for _, e := range endsWithAccess {
		inCode[e.table] = true
	}
	slices.Sort(ended)
	slices.Sort(lost)
	if got := slices.Sorted(maps.Keys(inCode)); !slices.Equal(got, ended) {
		t.Errorf("EndAccess deletes from %q, want %q", got, ended)
	}
	if got := slices.Sorted(slices.Values(forgotten)); !slices.Equal(got, lost) {
		t.Errorf("ForgetWaiting empties %q, want %q", got, lost)
	}
}
