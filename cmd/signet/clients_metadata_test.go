package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
)

// The commands take a client_id that is an address as any other.
func TestClientsOfMetadataDocuments(t *testing.T) {
	eachURL(t, func(t *testing.T, env []string, db *sqlstore.DB) {
		const id = "https://editor.example.com:8443/oauth/client.json"
		now := time.Now().UTC().Truncate(time.Microsecond)
		err := db.CreateClient(context.Background(), userstore.Client{
			ID: id, Name: "Editor", AuthMethod: userstore.AuthNone, Kind: userstore.KindMetadata, DocumentAt: now, CreatedAt: now, UpdatedAt: now,
			GrantTypes:     []string{userstore.GrantAuthorizationCode},
			ClientMetadata: userstore.ClientMetadata{RedirectURIs: []string{"https://editor.example.com/cb"}, ResponseTypes: []string{"code"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		want := func(code int, text string, args ...string) string {
			t.Helper()
			got, out, errOut := cli(t, env, args...)
			if got != code || !strings.Contains(out+errOut, text) {
				t.Errorf("%q: %d %s%s, want %d with %q", args, got, out, errOut, code, text)
			}
			return out
		}
		if out := want(0, id, "clients", "list", "--kind", "metadata"); strings.Contains(out, "signet ") {
			t.Errorf("the list has clients of another kind: %s", out)
		}
		if out := want(0, "signet", "clients", "list", "--kind", "operator"); strings.Contains(out, id) {
			t.Errorf("the list of operators' clients has %s", out)
		}
		want(0, "described by", "clients", "show", id)
		var shown userstore.ClientDocument
		if err := json.Unmarshal([]byte(want(0, `"kind": "metadata"`, "clients", "show", id, "--json")), &shown); err != nil || shown.ClientID != id {
			t.Errorf("shown: %+v, %v", shown, err)
		}
		for _, flag := range [][]string{
			{"--name", "Google"}, {"--redirect-uri", "https://evil.example.com/cb"}, {"--auth-method", "client_secret_basic"}, {"--scope", "openid"},
			{"--first-party"},
		} {
			want(2, "metadata document", append([]string{"clients", "update", id}, flag...)...)
		}
		want(0, "also in its ID tokens", "clients", "update", id, "--id-token-claims")
		want(0, "is disabled", "clients", "disable", id)
		want(0, "disabled", "clients", "list", "--kind", "metadata")
		want(0, "may be used again", "clients", "enable", id)
		want(0, "is deleted", "clients", "delete", id, "--yes")
		want(1, "oauth.client_id_metadata_hosts.deny", "clients", "show", id)
		want(1, "oauth.client_id_metadata_hosts.deny", "clients", "disable", id)
		want(2, "A client_id has 1 to 64 letters", "clients", "create", "--name", "Editor", "--client-id", id, "--redirect-uri", "https://editor.example.com/cb")
	})
}
