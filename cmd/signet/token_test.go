package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/internal/server"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/keys/keystest"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
)

// installation is a store with keys, a user and grants, without a server.
type installation struct {
	dir   string
	db    *sqlstore.DB
	ring  *keys.Manager
	user  userstore.User
	grant userstore.Grant // of the first-party client
	env   []string
}

const inspectedIssuer = "https://id.example.com"

func install(t *testing.T) *installation {
	t.Helper()
	in := &installation{dir: t.TempDir()}
	path := filepath.Join(in.dir, "signet.db")
	var err error
	if in.db, err = sqlstore.Open(t.Context(), path, sqlstore.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(in.db.Close)
	if err := in.db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	kek, err := jose.ParseKEK(keystest.KEK)
	if err != nil {
		t.Fatal(err)
	}
	policy := keys.Policy{Algorithms: []string{"RS256", "EdDSA"}, Rotation: 720 * time.Hour, Propagation: time.Hour,
		JWKSMaxAge: 5 * time.Minute,
		ClockSkew:  time.Minute, LongestLifetime: 10 * time.Minute, RefreshAbsolute: 720 * time.Hour}
	in.ring = &keys.Manager{Store: in.db, Policy: policy, KEKs: []jose.KEK{kek}, Now: time.Now, DatabaseNow: in.db.Now,
		Generate: keystest.Generator(), TypesToSign: issuer.TokenTypes}
	if err := in.ring.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	in.user = userstore.User{ID: server.NewID(), Email: "ada@example.com", EmailKey: "ada@example.com", IsActive: true,
		PasswordHash: "x", CreatedAt: time.Now(), UpdatedAt: time.Now()}
	if err := in.db.CreateUser(t.Context(), in.user); err != nil {
		t.Fatal(err)
	}
	in.grant = in.begin(t, userstore.FirstPartyClientID)
	in.env = []string{"SIGNET_DATABASE_URL=" + path, "SIGNET_ISSUER=" + inspectedIssuer,
		"SIGNET_KEYS_ENCRYPTION_KEY=" + keystest.KEK}
	return in
}

func (in *installation) begin(t *testing.T, client string) userstore.Grant {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Microsecond)
	g := userstore.Grant{ID: server.NewGrantID(), SessionID: server.NewID(), UserID: in.user.ID, ClientID: client,
		Scopes:   []string{"profile"},
		AuthTime: now, Generation: 1, RotatedAt: now, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}
	if err := in.db.StartGrant(t.Context(), userstore.StartGrant{Grant: g, PasswordHash: "x"}); err != nil {
		t.Fatal(err)
	}
	return g
}

func (in *installation) sign(t *testing.T, typ string, claims map[string]any, change map[string]any) string {
	t.Helper()
	claims = maps.Clone(claims)
	for name, value := range change {
		claims[name] = value
		if value == nil {
			delete(claims, name)
		}
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := in.ring.Signer("RS256")
	if err != nil {
		t.Fatal(err)
	}
	token, err := signer.Sign(typ, payload)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (in *installation) access(g userstore.Grant) map[string]any {
	now := time.Now().Unix()
	return map[string]any{"iss": inspectedIssuer, "sub": in.user.ID, "aud": inspectedIssuer, "exp": now + 600, "iat": now,
		"jti":       server.NewID(),
		"client_id": g.ClientID, "scope": "profile", "sid": g.SessionID}
}

func (in *installation) refresh(t *testing.T, g userstore.Grant, gen int64) map[string]any {
	t.Helper()
	jti, err := in.ring.RefreshJTI(g.ID, gen)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().Unix()
	return map[string]any{"iss": inspectedIssuer, "aud": inspectedIssuer, "client_id": g.ClientID,
		"grant": grantText(g.ID), "gen": gen,
		"jti": jti, "iat": now, "exp": now + 3600}
}

// inspected runs `signet token inspect` in this process.
func (in *installation) inspected(t *testing.T, token string, args ...string) (code int, out string) {
	t.Helper()
	t.Chdir(in.dir)
	var text, problems bytes.Buffer
	code = run(context.Background(), append([]string{"token", "inspect"}, args...), in.env, strings.NewReader(token),
		&text, &problems)
	return code, text.String() + problems.String()
}

func TestInspectSaysWhatWouldHappen(t *testing.T) {
	in := install(t)
	foreign := userstore.Client{ID: "partner", Name: "Partner", AuthMethod: userstore.AuthNone,
		GrantTypes: []string{"refresh_token"}, CreatedAt: time.Now()}
	if err := in.db.CreateClient(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	partner, replayed, ahead, resource := in.begin(t, "partner"), in.begin(t, "signet"), in.begin(t, "signet"),
		in.begin(t, "signet")
	for _, row := range []struct {
		name, typ string
		claims    map[string]any
		change    map[string]any
		want      string // empty: accepted
	}{
		{"an access token", "at+jwt", in.access(in.grant), nil, ""},
		{"one that is bound to a key", "at+jwt", in.access(in.grant), map[string]any{"cnf": map[string]any{"jkt": "x"}},
			"bound to the key with this thumbprint"},
		{"one that is bound in another way", "at+jwt", in.access(in.grant),
			map[string]any{"cnf": map[string]any{"x5t#S256": "x"}}, "✗  cnf"},
		{"one that is bound in two ways", "at+jwt", in.access(in.grant),
			map[string]any{"cnf": map[string]any{"jkt": "x", "x5t#S256": "x"}}, "✗  cnf"},
		{"one that is bound to a text", "at+jwt", in.access(in.grant), map[string]any{"cnf": "jkt"}, "✗  cnf"},
		{"one with a status that leads nowhere", "at+jwt", in.access(in.grant), map[string]any{"status": map[string]any{}},
			"✗  status"},
		{"one with a status list's index below zero", "at+jwt", in.access(in.grant), map[string]any{"status": map[string]any{
			"status_list": map[string]any{"uri": "https://id.example.com/1", "idx": -1}}}, "✗  status"},
		{"one of tomorrow", "at+jwt", in.access(in.grant), map[string]any{"nbf": time.Now().Add(time.Hour).Unix()}, "✗  nbf"},
		{"one with nbf in the past", "at+jwt", in.access(in.grant), map[string]any{"nbf": time.Now().Add(-time.Hour).Unix()},
			""},
		{"one with a member of the wrong case", "at+jwt", in.access(in.grant), map[string]any{"Aud": "https://evil.example"},
			"✗  Aud"},
		{"one of a type that is none of ours", "at+jwt", in.access(in.grant), map[string]any{"scope": 5}, "✗  verifier"},
		{"one that ends before it begins", "at+jwt", in.access(in.grant),
			map[string]any{"iat": time.Now().Unix() + 30, "exp": time.Now().Unix() + 20}, "✗  verifier"},
		{"one with a time in quotes", "at+jwt", in.access(in.grant), map[string]any{"exp": "9999999999"}, "✗  exp"},
		{"one without a jti", "at+jwt", in.access(in.grant), map[string]any{"jti": nil}, "✗  jti"},
		{"one without a user at /v1", "at+jwt", in.access(in.grant), map[string]any{"sid": nil}, "✗  issuer"},
		{"one of a client that is not first-party", "at+jwt", in.access(partner), nil, "✗  client"},
		{"the same for a resource server", "at+jwt", in.access(partner), map[string]any{"aud": "https://api.example.com"},
			""},
		{"one of another user's session", "at+jwt", in.access(in.grant), map[string]any{"sub": "eve"}, "✗  session"},
		{"a refresh token", "rt+jwt", in.refresh(t, in.grant, 1), nil, ""},
		{"one whose jti is of another generation", "rt+jwt", in.refresh(t, in.grant, 1), map[string]any{"gen": 2}, "✗  jti"},
		{"one with a member too many", "rt+jwt", in.refresh(t, in.grant, 1), map[string]any{"sub": "ada"}, "✗  sub"},
		{"one with a gen in quotes", "rt+jwt", in.refresh(t, in.grant, 1), map[string]any{"gen": "1"}, "✗"},
		{"one of a client that is not first-party", "rt+jwt", in.refresh(t, partner, 1), nil, "✗  client"},
		{"one of a generation that is to come", "rt+jwt", in.refresh(t, ahead, 3), nil, "the store has lost writes"},
		{"one of two generations ago", "rt+jwt", in.refresh(t, replayed, 1), nil, "would end the session as a replay"},
		{"one whose row is another client's", "rt+jwt", in.refresh(t, resource, 1), map[string]any{"client_id": "partner"},
			"✗  session"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if strings.HasPrefix(row.want, "would end") {
				for gen := range int64(2) {
					if _, err := in.db.AdvanceGrant(t.Context(),
						userstore.Advance{ID: replayed.ID, Generation: gen + 1, ClientID: "signet", FirstParty: true,
							Now: time.Now(), IdleSince: time.Now().Add(-time.Hour)}); err != nil {
						t.Fatal(err)
					}
				}
			}
			code, out := in.inspected(t, in.sign(t, row.typ, row.claims, row.change))
			if want := map[bool]int{true: exitOK, false: exitFailed}[row.want == ""]; code != want ||
				!strings.Contains(out, row.want) {
				t.Errorf("exit %d, wanted %q:\n%s", code, row.want, out)
			}
			if jti, _ := row.claims["jti"].(string); row.typ == "rt+jwt" && strings.Contains(out, jti) {
				t.Errorf("O-03: it shows what proves the token:\n%s", out)
			}
		})
	}
	t.Run("where the status is said", func(t *testing.T) {
		_, out := in.inspected(t, in.sign(t, "at+jwt", in.access(in.grant), map[string]any{"status": map[string]any{
			"status_list": map[string]any{"uri": "https://id.example.com/1", "idx": 5}}}))
		if !strings.Contains(out, "status_list uri https://id.example.com/1 idx 5") || strings.Contains(out, "✗  status") {
			t.Errorf("%s", out)
		}
	})
	t.Run("it changed nothing", func(t *testing.T) {
		for _, g := range []userstore.Grant{in.grant, ahead, replayed, partner} {
			if view, err := in.db.GrantByID(t.Context(), g.ID); err != nil || !view.Grant.RevokedAt.IsZero() {
				t.Errorf("%+v, %v", view.Grant, err)
			}
		}
	})
	t.Run("offline, the verifier has the last word", func(t *testing.T) {
		document, err := in.ring.JWKS()
		if err != nil {
			t.Fatal(err)
		}
		set := filepath.Join(in.dir, "jwks.json")
		if err := os.WriteFile(set, document.Body, 0o600); err != nil {
			t.Fatal(err)
		}
		token := in.sign(t, "at+jwt", in.access(in.grant), map[string]any{"scope": "a  b"})
		if code, out := in.inspected(t, token, "--jwks", set); code != exitFailed || !strings.Contains(out, "✗  verifier") {
			t.Errorf("exit %d:\n%s", code, out)
		}
	})
}

func grantText(id userstore.GrantID) string { return base64.RawURLEncoding.EncodeToString(id[:]) }
