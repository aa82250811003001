package issuer_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
	hashes "github.com/signet-id/signet/userstore/password"
)

func TestLoginAnswersWhatTheDesignNames(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		now := w.clock.Now().Unix()
		r := w.login("openid profile email")

		access := w.claims(r.AccessToken)
		for claim, want := range map[string]string{
			"iss": issuerURL, "sub": w.alice.ID, "aud": issuerURL, "exp": fmt.Sprint(now + 600), "iat": fmt.Sprint(now),
			"client_id": "app", "scope": "openid profile email", "auth_time": fmt.Sprint(now), "acr": "1", "amr": "[pwd]",
		} {
			if got := fmt.Sprint(access[claim]); got != want {
				t.Errorf("T-34 access token %s is %v, want %v", claim, got, want)
			}
		}
		only(t, "access token", access, "iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope", "sid",
			"auth_time", "acr", "amr")

		id := w.claims(r.IDToken)
		only(t, "ID token", id, "iss", "sub", "aud", "exp", "iat", "auth_time", "acr", "amr", "at_hash", "sid")
		sum := sha256.Sum256([]byte(r.AccessToken))
		for claim, want := range map[string]any{
			"iss": issuerURL, "sub": w.alice.ID, "aud": "app", "sid": access["sid"],
			"at_hash": base64.RawURLEncoding.EncodeToString(sum[:16]),
		} {
			if id[claim] != want {
				t.Errorf("ID token %s is %v, want %v", claim, id[claim], want)
			}
		}

		refresh := w.claims(r.RefreshToken)
		only(t, "refresh token", refresh, "iss", "aud", "client_id", "grant", "gen", "jti", "iat", "exp")
		for claim, want := range map[string]string{
			"iss": issuerURL, "aud": issuerURL, "client_id": "app", "gen": "1", "iat": fmt.Sprint(now),
			"exp": fmt.Sprint(now + 14*24*3600),
		} {
			if got := fmt.Sprint(refresh[claim]); got != want {
				t.Errorf("refresh token %s is %v, want %v", claim, got, want)
			}
		}
		for token, want := range map[string][2]string{
			r.AccessToken: {issuer.TypeAccessToken, jose.RS256}, r.IDToken: {issuer.TypeIDToken, jose.RS256},
			r.RefreshToken: {issuer.TypeRefreshToken, jose.EdDSA},
		} {
			parsed, err := jose.Parse(token)
			w.must(err)
			if parsed.Header.Type != want[0] || parsed.Header.Algorithm != want[1] {
				t.Errorf("header %+v, want typ %s and alg %s", parsed.Header, want[0], want[1])
			}
			key, ok := w.ring.PublishedKey(parsed.Header.KeyID)
			if !ok {
				t.Fatal("signed with a key that is not published")
			}
			w.must(parsed.Verify(key))
		}
		if r.TokenType != "Bearer" || r.ExpiresIn != 600 || r.Scope != "openid profile email" {
			t.Errorf("answer %s %d %q", r.TokenType, r.ExpiresIn, r.Scope)
		}
		if g := w.row(r.RefreshToken); g.SessionID != access["sid"] || g.Generation != 1 || g.UserID != w.alice.ID {
			t.Errorf("the row is %+v", g)
		}
		u, err := w.db.UserByID(t.Context(), w.alice.ID)
		w.must(err)
		if !u.LastLoginAt.Equal(w.clock.Now()) {
			t.Errorf("last_login_at is %v", u.LastLoginAt)
		}
	})
}

func only(t *testing.T, what string, claims map[string]any, names ...string) {
	t.Helper()
	if len(claims) != len(names) {
		t.Errorf("%s has claims %v, want exactly %v", what, claims, names)
	}
	for _, n := range names {
		if _, ok := claims[n]; !ok {
			t.Errorf("%s has no %s", what, n)
		}
	}
}

func TestLoginWithoutAClientOrScope(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		r, err := w.Login(audit.WithOrigin(t.Context(), audit.Origin{UserAgent: "curl", Address: "192.0.2.1"}),
			issuer.LoginRequest{Email: "ALICE@example.test", Password: password})
		w.must(err)
		if r.Scope != "profile email" || r.IDToken != "" || r.RefreshToken == "" {
			t.Errorf("answer %+v", r)
		}
		if g := w.row(r.RefreshToken); g.ClientID != userstore.FirstPartyClientID || g.UserAgent != "curl" ||
			g.Address != "192.0.2.1" {
			t.Errorf("row %+v", g)
		}
	})
}

// Nothing is hashed for a request that its client alone forbids: in these rows there is no hasher
// at all.
func TestLoginJudgesTheRequestBeforeHashing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.client(userstore.Client{ID: "confidential", FirstParty: true})
		w.client(userstore.Client{ID: "third", AuthMethod: userstore.AuthNone})
		w.client(userstore.Client{ID: "off", AuthMethod: userstore.AuthNone, FirstParty: true})
		w.client(userstore.Client{ID: "small", AuthMethod: userstore.AuthNone, FirstParty: true,
			Scopes: []string{"profile", "reports"}})
		w.must(w.db.SetClientActive(t.Context(), "off", false, w.clock.Now()))
		w.Accounts.Hasher = nil
		for name, c := range map[string]struct {
			client, scope string
			resource      []string
			code          issuer.Code
		}{
			"an unknown client":                  {"nobody", "", nil, issuer.InvalidClient},
			"a client id that no store can hold": {"a\x00b", "", nil, issuer.InvalidClient},
			"a client id of broken UTF-8":        {"\xff", "", nil, issuer.InvalidClient},
			"S-01 a client id that talks SQL":    {"' OR 1=1;--", "", nil, issuer.InvalidClient},
			"a disabled client":                  {"off", "", nil, issuer.InvalidClient},
			"a confidential client":              {"confidential", "", nil, issuer.UnauthorizedClient},
			"a third party's client":             {"third", "", nil, issuer.UnauthorizedClient},
			"A-24 an unknown scope":              {"app", "profile nosuch", nil, issuer.InvalidScope},
			"A-24 500 scopes": {"app", strings.Repeat("x ", 100) + many(500), nil,
				issuer.InvalidScope},
			"A-24 a scope that the client is not registered for":  {"small", "email", nil, issuer.InvalidScope},
			"A-24 scope admin for a client that does not list it": {"small", "admin", nil, issuer.InvalidScope},
			"a scope of 5,000 bytes":                              {"app", strings.Repeat("x", 5000), nil, issuer.InvalidScope},
			"a scope with a quotation mark":                       {"app", `profile "`, nil, issuer.InvalidScope},
			"a scope with a line break":                           {"app", "profile\nemail", nil, issuer.InvalidScope},
			"a scope with markup is not echoed":                   {"app", "<script>", nil, issuer.InvalidScope},
			"a resource's scope without the resource":             {"app", "api.read", nil, issuer.InvalidScope},
			"a scope of another resource":                         {"app", "files", []string{apiURI}, issuer.InvalidScope},
			"A-25 an unregistered resource": {"app", "", []string{"https://evil.test"},
				issuer.InvalidTarget},
			"A-25 a registered resource with a fragment": {"app", "", []string{apiURI + "#x"}, issuer.InvalidTarget},
			"A-25 a good and a bad resource": {"app", "", []string{apiURI, "https://evil.test"},
				issuer.InvalidTarget},
			"a resource with a slash too much": {"app", "", []string{apiURI + "//"}, issuer.InvalidTarget},
			"an empty resource":                {"app", "", []string{""}, issuer.InvalidTarget},
			"a resource that the client does not list": {userstore.FirstPartyClientID, "", []string{apiURI},
				issuer.InvalidTarget},
			"the default audience is not a resource":        {"app", "", []string{issuerURL}, issuer.InvalidTarget},
			"resources that take differently signed tokens": {"app", "", []string{apiURI, openURI}, issuer.InvalidTarget},
		} {
			t.Run(name, func(t *testing.T) {
				w := w.in(t)
				for _, email := range []string{"alice@example.test", "nobody@example.test"} {
					_, err := w.Login(t.Context(),
						issuer.LoginRequest{Email: email, Password: password, ClientID: c.client, Scope: c.scope, Resource: c.resource})
					w.refused(err, c.code)
					if strings.Contains(err.Error(), "script") || strings.Contains(err.Error(), "evil") {
						t.Errorf("the refusal repeats the request: %v", err)
					}
				}
			})
		}
		grants, err := w.db.ListGrants(t.Context(), w.alice.ID, w.clock.Now(), time.Time{})
		w.must(err)
		if len(grants) != 0 {
			t.Errorf("refused logins left %d grants", len(grants))
		}
	})
}

func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "s%d ", i)
	}
	return b.String()
}

func TestLoginNeedsOneNameAndAPassword(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for name, r := range map[string]issuer.LoginRequest{
			"no name":     {Password: password},
			"two names":   {Email: "alice@example.test", Username: "alice", Password: password},
			"no password": {Email: "alice@example.test"},
		} {
			t.Run(name, func(t *testing.T) {
				w := w.in(t)
				_, err := w.Login(t.Context(), r)
				w.refused(err, issuer.InvalidRequest)
				var v *userstore.ValidationError
				if !errors.As(err, &v) {
					t.Error("the fields at fault are not told")
				}
			})
		}
	})
}

// A login at raised costs replaces the stored hash, in the same batch, and ends no session.
func TestLoginUpgradesTheHash(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		before := w.login("profile").RefreshToken
		old, err := w.db.UserByID(t.Context(), w.alice.ID)
		w.must(err)
		w.Accounts.Hasher = hashes.New(hashes.Params{MemoryKiB: 128, Time: 1, Threads: 1}, 2, 8, 10*time.Second)
		w.store.called()
		w.login("profile")
		w.wantCalls("LoginView", "ReserveAttempt", "StartGrant")
		now, err := w.db.UserByID(t.Context(), w.alice.ID)
		w.must(err)
		if now.PasswordHash == old.PasswordHash || !strings.Contains(now.PasswordHash, "m=128,") {
			t.Errorf("the stored hash is %s", now.PasswordHash)
		}
		w.login("profile")
		w.refreshed(before)
	})
}

func TestLoginOfADisabledUserNeedsTheRightPassword(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.must(w.db.SetActive(t.Context(), w.alice.ID, false, w.clock.Now()))
		_, err := w.Login(t.Context(), issuer.LoginRequest{Email: "alice@example.test", Password: password})
		w.refused(err, issuer.AccountDisabled)
		_, err = w.Login(t.Context(), issuer.LoginRequest{Email: "alice@example.test", Password: "wrong but long enough"})
		w.refused(err, issuer.InvalidCredentials)
	})
}
