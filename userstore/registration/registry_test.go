package registration_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
	hashes "github.com/signet-id/signet/userstore/password"
	"github.com/signet-id/signet/userstore/registration"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// newRegistry returns a registry on a store, and its log.
func newRegistry(db registration.Store) (*registration.Registry, *bytes.Buffer) {
	log := new(bytes.Buffer)
	return &registration.Registry{
		Store:      db,
		Hasher:     hashes.New(cheap, 2, 200, time.Minute),
		Now:        func() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 123456789, time.UTC) },
		NewID:      newID,
		Log:        slog.New(slog.NewTextHandler(log, nil)),
		Resources:  []string{"https://api.test", "https://other.test"},
		Algorithms: func(context.Context) ([]string, error) { return []string{"RS256", "EdDSA"}, nil },
	}, log
}

// app returns a valid client.
func app() userstore.Client {
	return userstore.Client{Name: "App",
		ClientMetadata: userstore.ClientMetadata{RedirectURIs: []string{"https://app.test/cb"}}}
}

func public(uris ...string) userstore.Client {
	c := app()
	c.AuthMethod, c.RedirectURIs = userstore.AuthNone, uris
	return c
}

// clientEvents returns the audit entries of a client, oldest first, as "name field=before>after …".
func clientEvents(t *testing.T, db userstore.Audit, id string) (out []string) {
	t.Helper()
	events, err := db.ListEvents(t.Context(), userstore.EventQuery{Limit: 1000, TargetID: id})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range slices.Backward(events) {
		line := string(e.Name)
		for _, c := range e.Changes {
			line += " " + c.Field + "=" + c.Before + ">" + c.After
		}
		if e.Target != (audit.Target{Type: audit.OnClient, ID: id}) {
			line += fmt.Sprint(e.Target)
		}
		out = append(out, line)
	}
	return out
}

// TestRegistryEvents follows a client through its life: its state after each act, and the audit
// entries (O-10).
func TestRegistryEvents(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		r, log := newRegistry(db)
		ctx := t.Context()
		at := r.Now()
		r.Now = func() time.Time { at = at.Add(time.Minute); return at }
		c := app()
		c.ID = "web"
		c, secret, err := r.Create(ctx, c, "")
		if err != nil {
			t.Fatal(err)
		}
		if raw, err := base64.RawURLEncoding.DecodeString(secret); err != nil || len(raw) != 32 ||
			c.SecretHash != userstore.ClientSecretHash(secret) {
			t.Errorf("a secret of %d bytes, stored as %q (%v)", len(raw), c.SecretHash, err)
		}
		if c.AuthMethod != userstore.AuthBasic || !reflect.DeepEqual(c.GrantTypes, []string{"authorization_code"}) ||
			!reflect.DeepEqual(c.ResponseTypes, []string{"code"}) {
			t.Errorf("not what RFC 7591 presumes: %+v", c)
		}
		if _, _, err := r.Create(ctx, c, ""); !errors.Is(err, userstore.ErrExists) {
			t.Errorf("made twice: %v", err)
		}
		edit := func(chosen string, change func(*userstore.Client)) (userstore.Client, string) {
			t.Helper()
			c, secret, err := r.Edit(ctx, "web", chosen, func(c *userstore.Client) error { change(c); return nil })
			if err != nil {
				t.Fatal(err)
			}
			if stored, err := db.ClientByID(ctx, "web"); err != nil || !reflect.DeepEqual(stored, c) {
				t.Errorf("stored %+v\nanswered %+v (%v)", stored, c, err)
			}
			return c, secret
		}
		edit("", func(c *userstore.Client) { c.Name = "Shop"; c.Scopes = []string{"openid", "email"} })
		if unchanged, _ := edit("", func(*userstore.Client) {}); unchanged.Version != 2 {
			t.Error("an edit of nothing was stored")
		}
		before, _ := edit("", func(c *userstore.Client) { c.AuthMethod = userstore.AuthNone })
		if before.SecretHash != "" {
			t.Error("a public client keeps a secret")
		}
		c, secret = edit("", func(c *userstore.Client) { c.AuthMethod = userstore.AuthPost })
		if secret == "" || c.SecretHash != userstore.ClientSecretHash(secret) {
			t.Error("a client that needs a secret was given none")
		}
		c, secret = edit("a secret of my own", func(*userstore.Client) {})
		if secret != "" || !strings.HasPrefix(c.SecretHash, "$argon2id$") {
			t.Errorf("a chosen secret: answered %q, stored %q", secret, c.SecretHash)
		}
		c, secret, err = r.RotateSecret(ctx, "web", "")
		if err != nil || secret == "" || c.SecretHash != userstore.ClientSecretHash(secret) {
			t.Errorf("rotated to %q, stored %q (%v)", secret, c.SecretHash, err)
		}
		edit("", func(c *userstore.Client) { c.GrantTypes, c.RedirectURIs = []string{"client_credentials"}, nil })
		for _, active := range []bool{false, false, true, true} {
			if err := r.SetActive(ctx, "web", active); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Delete(ctx, "web"); err != nil {
			t.Fatal(err)
		}
		want := []string{
			"client_created client_name=>App token_endpoint_auth_method=>client_secret_basic grant_types=>authorization_code response_types=>code redirect_uris=>https://app.test/cb",
			"client_updated client_name=App>Shop scope=>openid email",
			"client_updated token_endpoint_auth_method=client_secret_basic>none",
			"client_updated token_endpoint_auth_method=none>client_secret_post",
			"client_secret_rotated",
			"client_secret_rotated",
			"client_secret_rotated",
			"client_updated grant_types=authorization_code>client_credentials response_types=code> redirect_uris=https://app.test/cb>",
			"client_updated disabled=false>true",
			"client_updated disabled=true>false",
			"client_deleted",
		}
		got := clientEvents(t, db, "web")
		slices.Sort(got[3:5]) // of one instant
		if !reflect.DeepEqual(got, append(slices.Clone(want[:3]), append([]string{want[4], want[3]}, want[5:]...)...)) {
			t.Errorf("%s", strings.Join(got, "\n"))
		}
		for _, hash := range []string{"argon2id", "my own", secret, before.SecretHash} {
			if hash != "" && strings.Contains(log.String(), hash) {
				t.Errorf("the log holds %q", hash)
			}
		}

		for name, act := range map[string]func() error{
			"edit": func() error {
				_, _, err := r.Edit(ctx, "web", "", func(*userstore.Client) error { return nil })
				return err
			},
			"rotate":  func() error { _, _, err := r.RotateSecret(ctx, "web", ""); return err },
			"disable": func() error { return r.SetActive(ctx, "web", false) },
			"delete":  func() error { return r.Delete(ctx, "web") },
		} {
			if err := act(); !errors.Is(err, userstore.ErrNotFound) {
				t.Errorf("%s of a client that is gone: %v", name, err)
			}
		}
	})
}

// TestIDsThatAreMadeCanBeNamedOnACommandLine: an id that begins with - would be taken for a flag.
func TestIDsThatAreMadeCanBeNamedOnACommandLine(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		r, _ := newRegistry(db)
		ids := []string{"--help", "-B", "ok"}
		r.NewID = func() string {
			id := ids[0]
			ids = ids[1:]
			return id
		}
		if c, _, err := r.Create(t.Context(), app(), ""); err != nil || c.ID != "ok" {
			t.Errorf("%q %v", c.ID, err)
		}
	})
}

// TestRegistryRefusals lists what no edit may do.
func TestRegistryRefusals(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		r, _ := newRegistry(db)
		ctx := t.Context()
		spa := public("https://spa.test/cb")
		spa.ID = "spa"
		if _, _, err := r.Create(ctx, spa, ""); err != nil {
			t.Fatal(err)
		}
		t.Run("the built-in client stays", func(t *testing.T) {
			if err := r.Delete(ctx, userstore.FirstPartyClientID); !errors.Is(err, registration.ErrBuiltIn) {
				t.Error(err)
			}
			for _, change := range []func(*userstore.Client){
				func(c *userstore.Client) { c.FirstParty = false },
				func(c *userstore.Client) { c.AuthMethod = userstore.AuthBasic },
			} {
				_, _, err := r.Edit(ctx, userstore.FirstPartyClientID, "", func(c *userstore.Client) error {
					change(c)
					return nil
				})
				if got := fields(t, err); !slices.Contains(got, "client_id not_allowed") {
					t.Error(got)
				}
			}
			c, secret, err := r.Edit(ctx, userstore.FirstPartyClientID, "", func(c *userstore.Client) error {
				c.Name = "Acme"
				return nil
			})
			if err != nil || secret != "" || c.Name != "Acme" {
				t.Error("it cannot be renamed:", err)
			}
		})
		t.Run("a public client has no secret to rotate", func(t *testing.T) {
			_, _, err := r.RotateSecret(ctx, "spa", "")
			if got := fields(t, err); !reflect.DeepEqual(got, []string{"token_endpoint_auth_method not_allowed"}) {
				t.Error(got)
			}
		})
		t.Run("a chosen secret that is short", func(t *testing.T) {
			_, _, err := r.RotateSecret(ctx, "spa", "short")
			if got := fields(t, err); !reflect.DeepEqual(got, []string{"client_secret too_short"}) {
				t.Error(got)
			}
		})
		t.Run("identity is not an edit's to change", func(t *testing.T) {
			for name, change := range map[string]func(*userstore.Client){
				"id":       func(c *userstore.Client) { c.ID = "x" },
				"hash":     func(c *userstore.Client) { c.SecretHash = "x" },
				"activity": func(c *userstore.Client) { c.DisabledAt = r.Now() },
				"creation": func(c *userstore.Client) { c.CreatedAt = r.Now().Add(time.Hour) },
			} {
				if _, _, err := r.Edit(ctx, "spa", "", func(c *userstore.Client) error {
					change(c)
					return nil
				}); err == nil {
					t.Errorf("%s was changed", name)
				}
			}
		})
		t.Run("what the configuration took away does not stand in the way of another edit", func(t *testing.T) {
			edit := func(change func(*userstore.Client)) error {
				_, _, err := r.Edit(ctx, "spa", "", func(c *userstore.Client) error { change(c); return nil })
				return err
			}
			if err := edit(func(c *userstore.Client) {
				c.Resources, c.IDTokenAlg = []string{"https://api.test"}, "EdDSA"
			}); err != nil {
				t.Fatal(err)
			}
			r.Resources = []string{"https://other.test"}
			r.Algorithms = func(context.Context) ([]string, error) { return []string{"RS256"}, nil }
			if err := edit(func(c *userstore.Client) { c.Name = "Renamed" }); err != nil {
				t.Error(err)
			}
			if err := edit(func(c *userstore.Client) {
				c.Resources = append(c.Resources, "https://other.test")
			}); err != nil {
				t.Error(err)
			}
			if err := edit(func(c *userstore.Client) { c.Resources = nil }); err != nil {
				t.Error(err)
			}
			if got := fields(
				t, edit(func(c *userstore.Client) { c.Resources = []string{"https://api.test"} }),
			); !reflect.DeepEqual(got, []string{"resources.0 not_allowed"}) {
				t.Error(got)
			}
		})
		t.Run("when nobody knows which algorithms there are, nothing is registered", func(t *testing.T) {
			down := errors.New("down")
			r.Algorithms = func(context.Context) ([]string, error) { return nil, down }
			c := app()
			c.IDTokenAlg = "RS256"
			if _, _, err := r.Create(ctx, c, ""); !errors.Is(err, down) {
				t.Error(err)
			}
		})
	})
}

// TestRegistryEditsAtOnce: concurrent edits are each applied whole, and none is lost.
func TestRegistryEditsAtOnce(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		r, _ := newRegistry(db)
		c, _, err := r.Create(t.Context(), app(), "")
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		done := 0
		for n := range 6 {
			wg.Go(func() {
				_, _, err := r.Edit(t.Context(), c.ID, "", func(c *userstore.Client) error {
					c.Scopes = append(c.Scopes, fmt.Sprintf("s%d", n))
					return nil
				})
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					done++
				case !errors.Is(err, userstore.ErrConflict):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		got, err := db.ClientByID(t.Context(), c.ID)
		if err != nil || len(got.Scopes) != done || done == 0 || got.Version != int64(1+done) {
			t.Errorf("%d edits were answered, %v were kept, version %d (%v)", done, got.Scopes, got.Version, err)
		}
		if n := len(clientEvents(t, db, c.ID)); n != 1+done {
			t.Errorf("%d events of %d acts", n, 1+done)
		}
	})
}
