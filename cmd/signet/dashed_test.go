package main

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/signet-id/signet/configs"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/internal/server"
	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
)

// dashed runs the program on an embedded database in folder.
func dashed(t *testing.T, folder string, args ...string) (code int, out, said string) {
	t.Helper()
	var o, e bytes.Buffer
	env := []string{"SIGNET_DATA_DIR=" + folder, "SIGNET_LISTEN=127.0.0.1:0", "SIGNET_METRICS_LISTEN="}
	code = run(t.Context(), args, env, strings.NewReader(""), &o, &e)
	return code, o.String(), e.String()
}

// arguments that are no ids.
var otherArguments = []string{"FILE", "[FILE]", "-", "ROLE", "[COMMAND]", "ADDRESS", "URL"}

// Every command that takes an id accepts an id that begins with a dash, before and after its flags.
// An unknown flag is a misuse in every one of these commands.
func TestEveryCommandTakesIDsThatBeginWithADash(t *testing.T) {
	folder := t.TempDir()
	if code, _, said := dashed(t, folder, "migrate", "up"); code != exitOK {
		t.Fatal(said)
	}
	ids := []string{
		"-kP93jZ8sM0X2yq7r5t1uA", "-_P93jZ8sM0X2yq7r5t1uA", "--P93jZ8sM0X2yq7r5t1uA", "---93jZ8sM0X2yq7r5t1uA",
		"-kP93jZ8sM0X2yq7r5t1uAkP93jZ8sM0X2yq7r5t1uA", "--P93jZ8sM0X2yq7r5t1uAkP93jZ8sM0X2yq7r5t1uA",
		"-hP93jZ8sM0X2yq7r5t1uAkP93jZ8sM0X2yq7r5t1uA",
		"-V1StGXR8_Z5jdHi6B-my", "-ada@example.com",
	}
	unknown := []string{"--nonesuch", "--nonesuch=1", "-x", "-xyz", "--no-such-flag-at-all-here", "--privateKey", "---",
		"--all=", "-json", "--a"}

	seen := map[string]bool{}
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
		path := strings.Fields(cmd.CommandPath())[1:]
		for _, word := range strings.Fields(cmd.Use)[1:] {
			if word == strings.ToUpper(word) && !strings.HasPrefix(word, "-") && !takesIDs(cmd) &&
				!strings.Contains(cmd.Use, "--") &&
				!slices.Contains(otherArguments, word) {
				t.Errorf("%s takes %s: is it an id? then name it in idArguments", cmd.CommandPath(), word)
			}
		}
		if !takesIDs(cmd) {
			return
		}
		seen[cmd.CommandPath()] = true
		var also []string
		if strings.HasSuffix(cmd.Use, " ROLE") {
			also = []string{"editor"}
		}
		switch name := cmd.CommandPath(); {
		case strings.HasSuffix(name, " update"):
			also = []string{"--name", "N"}
		case strings.HasSuffix(name, " delete"), strings.HasSuffix(name, " remove-factors"):
			also = []string{"--yes"}
		case strings.HasSuffix(name, " set-password"):
			also = []string{"--password-file", "-"}
		}
		for n, id := range ids {
			if strings.Contains(cmd.Use, "CLIENT_ID") && strings.Contains(id, "@") || strings.Contains(cmd.Use, "KID") &&
				strings.Contains(id, "@") {
				continue
			}
			for form, args := range [][]string{
				append(append(append([]string{}, path...), id), also...),
				append(append(append([]string{}, path...), "--json", id), also...),
				append(append(append([]string{}, path...), id), append(slices.Clone(also), "--json")...),
				append(append(append([]string{"--json"}, path...), id), also...),
				append(append(append(slices.Clone(path), flagsOf(also)...), "--", id), argumentsOf(also)...),
			} {
				if n > 0 && n%5 != form { // each way for one of them
					continue
				}
				code, out, said := dashed(t, folder, args...)
				if code != exitFailed || !strings.Contains(said, "no ") || strings.Contains(said, "no flag") || out != "" {
					t.Errorf("%q: exit %d, %q %q", args, code, out, said)
				}
			}
		}
		for _, flag := range unknown {
			for _, args := range [][]string{
				append(append(append([]string{}, path...), "somebody", flag), also...),
				append(append(append([]string{}, path...), ids[0], flag), also...),
			} {
				if code, _, said := dashed(t, folder, args...); code != exitMisused {
					t.Errorf("%q: exit %d, %q", args, code, said)
				}
			}
		}
		if code, out, _ := dashed(t, folder, append(path, "-h")...); code != exitOK || !strings.Contains(out, "Usage:") {
			t.Errorf("%s -h: exit %d", cmd.CommandPath(), code)
		}
	}
	walk((&app{}).root())
	if len(seen) < 15 {
		t.Errorf("only %d commands take ids: %v", len(seen), seen)
	}
}

// flagsOf returns list if it begins with a flag, and argumentsOf returns list if it does not.
func flagsOf(list []string) []string {
	if len(list) > 0 && strings.HasPrefix(list[0], "-") {
		return list
	}
	return nil
}

func argumentsOf(list []string) []string {
	if flagsOf(list) == nil {
		return list
	}
	return nil
}

// Keys and accounts with such ids are found by these ids.
func TestIDsThatBeginWithADashAreFound(t *testing.T) {
	folder := t.TempDir()
	if code, _, said := dashed(t, folder, "migrate", "up"); code != exitOK {
		t.Fatal(said)
	}
	db, err := sqlstore.Open(t.Context(), filepath.Join(folder, "signet.db"), sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	kekText := jose.NewKEK()
	kek, err := jose.ParseKEK(kekText)
	if err != nil {
		t.Fatal(err)
	}
	manager := &keys.Manager{Store: db, Policy: configs.Default().KeyPolicy(), KEKs: []jose.KEK{kek}, Now: time.Now,
		DatabaseNow: db.Now}
	if err := manager.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	key := dashedKey(t)
	ring, err := db.LoadRing(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	key.CreatedAt, key.ActivateAt, key.Seq = time.Now().UTC(), time.Now().UTC().Add(time.Hour), 77
	key.Sealed = ring.Keys[0].Sealed // the key is revoked before it would be opened
	if err := db.ChangeRing(t.Context(), ring.Version, keys.Change{Insert: []keys.Key{key}}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "signet.db.kek"), []byte(kekText+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}

	code, out, said := dashed(t, folder, "keys", "revoke", key.ID, "--json")
	var report keys.Report
	if code != exitOK || json.Unmarshal([]byte(out), &report) != nil || !report.Changed {
		t.Fatalf("keys revoke %s: exit %d, %s%s", key.ID, code, out, said)
	}
	for _, k := range report.Keys {
		if (k.KeyID == key.ID) == k.RevokedAt.IsZero() {
			t.Errorf("%s revoked at %v", k.KeyID, k.RevokedAt)
		}
	}

	user := userstore.User{ID: "-V1StGXR8_Z5jdHi6B-my", Email: "-ada@example.com", EmailKey: "-ada@example.com",
		IsActive: true, Version: 1,
		CreatedAt: time.Now().UTC(), UpdatedAt: time.Now().UTC()}
	if taken, err := db.CreateUsers(t.Context(), []userstore.User{user}, nil); err != nil || len(taken) > 0 {
		t.Fatal(taken, err)
	}
	for _, name := range []string{user.ID, user.Email} {
		if code, out, said := dashed(t, folder, "users", "show", name); code != exitOK || !strings.Contains(out, user.ID) {
			t.Errorf("users show %s: exit %d, %s%s", name, code, out, said)
		}
	}
	// The value of a flag may begin with a dash.
	if code, _, said := dashed(t, folder, "users", "revoke-sessions", user.ID, "--session",
		"-kP93jZ8sM0X2yq7r5t1uA"); code != exitFailed ||
		!strings.Contains(said, "has no such session") {
		t.Errorf("revoke-sessions: exit %d, %s", code, said)
	}
	if code, out, said := dashed(t, folder, "users", "delete", user.ID, "--yes"); code != exitOK {
		t.Errorf("users delete: exit %d, %s%s", code, out, said)
	}
}

// dashedKey is a key whose thumbprint begins with a dash.
func dashedKey(t *testing.T) keys.Key {
	for {
		public, _, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		kid, err := jose.Thumbprint(crypto.PublicKey(public))
		if err != nil {
			t.Fatal(err)
		}
		if kid[0] == '-' {
			jwk, err := jose.MarshalPublic(jose.PublicKey{ID: kid, Algorithm: jose.EdDSA, Key: public})
			if err != nil {
				t.Fatal(err)
			}
			return keys.Key{ID: kid, Algorithm: jose.EdDSA, Public: jwk}
		}
	}
}

func TestNewIDsBeginWithALetterOrDigit(t *testing.T) {
	seen := map[string]bool{}
	for range 5000 {
		id := server.NewID()
		if len(id) != 22 || id[0] == '-' || id[0] == '_' || seen[id] {
			t.Fatalf("%q", id)
		}
		seen[id] = true
	}
}
