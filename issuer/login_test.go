package issuer_test

import (
	"context"
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

// A login is a read, a reservation that counts it before anything is hashed, and the batch, which
// returns the reservation. A wrong password keeps the attempt counted; a throttled login is not
// hashed, and asks once more to say until when.
func TestLoginIsOneReadOneReservationAndOneBatch(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.store.called()
		w.login("openid")
		w.wantCalls("LoginView", "ReserveAttempt", "StartGrant")
		_, err := w.Login(t.Context(), issuer.LoginRequest{Email: "alice@example.test", Password: "wrong but long enough"})
		w.refused(err, issuer.InvalidCredentials)
		w.wantCalls("LoginView", "ReserveAttempt", "FailAttempt")
		unknown := issuer.LoginRequest{Email: "nobody@example.test", Password: password}
		for range 10 {
			_, err = w.Login(t.Context(), unknown)
			w.refused(err, issuer.InvalidCredentials)
			w.wantCalls("LoginView", "ReserveAttempt", "FailAttempt")
		}
		hashed := w.Accounts.Hasher.Stats().Started
		_, err = w.Login(t.Context(), unknown)
		w.refused(err, issuer.RateLimited)
		w.wantCalls("LoginView", "ReserveAttempt", "Tallies")
		var limited *userstore.RateLimitedError
		if !errors.As(err, &limited) || limited.RetryAfter != time.Minute {
			t.Errorf("refused with %v", limited)
		}
		if now := w.Accounts.Hasher.Stats().Started; now != hashed {
			t.Errorf("a refused login started %d hashes", now-hashed)
		}
	})
}

// A failure of ours costs no user an attempt, and lets no attempt through uncounted.
func TestLoginGivesBackWhatFailedOnOurSide(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		down := func() error { return fmt.Errorf("dial: %w", userstore.ErrUnavailable) }
		login := func() error {
			_, err := w.Login(audit.WithOrigin(t.Context(), audit.Origin{Address: "192.0.2.7"}),
				issuer.LoginRequest{Email: w.alice.Email, Password: password})
			return err
		}
		for name, fault := range map[string]struct {
			method        string
			before, after func() error
		}{
			"the reservation is refused":                {"ReserveAttempt", down, nil},
			"the answer to the reservation is lost":     {"ReserveAttempt", nil, down},
			"the batch is refused":                      {"StartGrant", down, nil},
			"the answer to the batch is lost":           {"StartGrant", nil, down},
			"the batch is refused, nor can be returned": {"both", down, nil},
		} {
			t.Run(name, func(t *testing.T) {
				w := w.in(t)
				methods := []string{fault.method}
				if fault.method == "both" {
					methods = []string{"StartGrant", "ReturnAttempt"}
				}
				for _, m := range methods {
					w.store.on(m, fault.before, fault.after)
				}
				hashed := w.Accounts.Hasher.Stats().Started
				w.Accounts.Throttle.Wait = 10 * time.Millisecond
				for range 25 { // more than any budget holds
					// Overloaded, once attempts that could not be returned stand in the way; both
					// are 503.
					var e *issuer.Error
					if err := login(); !errors.As(err, &e) || e.Code != issuer.Unavailable && e.Code != issuer.Overloaded {
						t.Errorf("got %v, want a failure of ours", err)
					}
				}
				w.Accounts.Throttle.Wait = 0
				if fault.method == "ReserveAttempt" && w.Accounts.Hasher.Stats().Started != hashed {
					t.Error("a password was checked that nobody counted")
				}
				for _, m := range methods {
					w.store.on(m, nil, nil)
				}
				w.must(login())
			})
		}
	})
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

func TestScopeAdmin(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		login := func(email string) (issuer.TokenResponse, error) {
			return w.Login(t.Context(), issuer.LoginRequest{Email: email, Password: password, Scope: "openid admin"})
		}
		_, err := login("alice@example.test")
		w.refused(err, issuer.InvalidScope)
		_, err = w.Login(t.Context(),
			issuer.LoginRequest{Email: "alice@example.test", Password: "wrong but long enough", Scope: "admin"})
		w.refused(err, issuer.InvalidCredentials) // others must not learn who is an admin

		r, err := login("root@example.test")
		w.must(err)
		if r.Scope != "openid admin" || fmt.Sprint(w.claims(r.AccessToken)["roles"]) != "[admin]" {
			t.Fatalf("answer %+v", r)
		}
		s, err := w.Bearer(t.Context(), r.AccessToken)
		w.must(err)
		if !s.HasScope("admin") {
			t.Error("the admin's token has no scope admin")
		}

		w.user("another@example.test", issuer.RoleAdmin) // one admin has to stay
		// The role is removed; the scope that needs it goes at once, the session stays.
		_, err = w.Accounts.Edit(t.Context(), w.root.ID, func(u *userstore.User) error { u.Roles = nil; return nil })
		w.must(err)
		s, err = w.Bearer(t.Context(), r.AccessToken)
		w.must(err)
		if s.HasScope("admin") || !s.HasScope("openid") {
			t.Errorf("after the role is gone the token has scopes %v", s.Scopes)
		}
		w.untouched(r.RefreshToken, func() {
			_, err := w.Refresh(t.Context(),
				issuer.RefreshRequest{RefreshToken: r.RefreshToken, Scope: "admin", FirstParty: true})
			w.refused(err, issuer.InvalidScope)
		})
		next := w.refreshed(r.RefreshToken)
		if c := w.claims(next.AccessToken); next.Scope != "openid" || c["scope"] != "openid" || c["roles"] != nil {
			t.Errorf("refresh answers scope %q and claims %v", next.Scope, c)
		}
	})
}

func TestAudienceAlgorithmAndLifetime(t *testing.T) {
	one(t, func(t *testing.T, w *world) {
		for name, c := range map[string]struct {
			audience []string
			resource []string
			scope    string
			aud      string
			alg      string
			lifetime int64
		}{
			"the issuer by default": {nil, nil, "profile", issuerURL, jose.RS256, 600},
			"a configured audience has the issuer added": {[]string{"https://x.test"}, nil, "profile",
				"[https://x.test " + issuerURL + "]", jose.RS256, 600},
			"a configured audience that holds the issuer": {[]string{issuerURL, "https://x.test"}, nil, "profile",
				"[" + issuerURL + " https://x.test]", jose.RS256, 600},
			"a configured audience that is a resource is treated as it": {[]string{apiURI}, nil, "profile api.read",
				"[" + apiURI + " " + issuerURL + "]", jose.EdDSA, 300},
			"one resource, and nothing else": {[]string{"https://x.test"}, []string{apiURI},
				"profile api.read", apiURI, jose.EdDSA, 300},
			"a resource named twice": {nil, []string{apiURI, apiURI}, "api.read", apiURI,
				jose.EdDSA, 300},
			"two resources, the shorter lifetime": {nil, []string{filesURI, apiURI}, "files api.write",
				"[" + filesURI + " " + apiURI + "]", jose.EdDSA, 300},
			"a resource without scopes takes any": {nil, []string{openURI}, "api.read files email",
				openURI, jose.RS256, 600},
		} {
			t.Run(name, func(t *testing.T) {
				w := w.in(t)
				w.Audience = c.audience
				r := w.login(c.scope, c.resource...)
				claims := w.claims(r.AccessToken)
				parsed, _ := jose.Parse(r.AccessToken)
				if got := fmt.Sprint(claims["aud"]); got != c.aud {
					t.Errorf("aud is %s, want %s", got, c.aud)
				}
				if parsed.Header.Algorithm != c.alg || r.ExpiresIn != c.lifetime {
					t.Errorf("alg %s for %d s, want %s for %d s", parsed.Header.Algorithm, r.ExpiresIn, c.alg, c.lifetime)
				}
				if r.Scope != c.scope {
					t.Errorf("scope %q, want %q", r.Scope, c.scope)
				}
			})
		}
	})
}

func TestIDTokenAlgIsTheClients(t *testing.T) {
	one(t, func(t *testing.T, w *world) {
		w.client(userstore.Client{ID: "ed", AuthMethod: userstore.AuthNone, FirstParty: true, IDTokenAlg: jose.EdDSA,
			GrantTypes: []string{"refresh_token"}})
		w.client(userstore.Client{ID: "es", AuthMethod: userstore.AuthNone, FirstParty: true, IDTokenAlg: jose.ES256})
		for client, want := range map[string]string{"ed": jose.EdDSA,
			"es": jose.RS256} { // ES256 is not on: the first algorithm stands in
			r, err := w.Login(t.Context(),
				issuer.LoginRequest{Email: "alice@example.test", Password: password, ClientID: client, Scope: "openid"})
			w.must(err)
			parsed, err := jose.Parse(r.IDToken)
			w.must(err)
			if parsed.Header.Algorithm != want {
				t.Errorf("client %s got an ID token with alg %s, want %s", client, parsed.Header.Algorithm, want)
			}
			if client == "ed" {
				next := w.refreshed(r.RefreshToken)
				parsed, err := jose.Parse(next.IDToken)
				w.must(err)
				if parsed.Header.Algorithm != want {
					t.Errorf("refreshed: alg %s, want %s", parsed.Header.Algorithm, want)
				}
			} else if r.RefreshToken != "" {
				t.Error("a client that is not registered for refresh_token got one")
			}
		}
	})
}

// A change between the read of a login and its batch decides the answer.
func TestLoginThatLosesARace(t *testing.T) {
	rows := map[string]struct {
		change func(w *world) error
		always bool
		code   issuer.Code // empty: the login works
	}{
		"the user is disabled": {func(w *world) error {
			return w.db.SetActive(w.Context(), w.alice.ID, false, w.clock.Now())
		}, false, issuer.AccountDisabled},
		"the user is deleted": {func(w *world) error { return w.db.DeleteUser(w.Context(), w.alice.ID) }, false,
			issuer.InvalidCredentials},
		"the client is disabled": {func(w *world) error {
			return w.db.SetClientActive(w.Context(), "app", false, w.clock.Now())
		}, false, issuer.InvalidClient},
		"the password is changed": {func(w *world) error {
			return w.Accounts.SetPassword(w.Context(), w.alice.ID, "another password of alice")
		}, false, issuer.InvalidCredentials},
		"another login upgrades the hash": {rehash, false, ""},
		"the hash never stays":            {rehash, true, issuer.Unavailable},
	}
	each(t, func(t *testing.T, w *world) {
		for name, c := range rows {
			t.Run(name, func(t *testing.T) {
				w := w.in(t)
				w.another()
				defer func() { w.must(w.db.SetClientActive(context.Background(), "app", true, w.clock.Now())) }()
				hook := func() error { return c.change(w) }
				if !c.always {
					hook = once(hook)
				}
				w.store.on("LoginView", nil, hook)
				_, err := w.Login(t.Context(), issuer.LoginRequest{Email: w.alice.Email, Password: password, ClientID: "app"})
				if c.code == "" {
					w.must(err)
				} else {
					w.refused(err, c.code)
				}
			})
		}
	})
}

// rehash stores another hash of the same password, as a login does when the costs were raised.
func rehash(w *world) error {
	hash, err := w.Accounts.Hasher.Hash(w.Context(), password)
	if err != nil {
		return err
	}
	return w.db.SetPassword(w.Context(), userstore.PasswordChange{UserID: w.alice.ID, NewHash: hash, At: w.clock.Now()})
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

func TestLoginWhenSomethingOfOursFails(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		down := func() error { return fmt.Errorf("dial: %w", userstore.ErrUnavailable) }
		login := func() error {
			_, err := w.Login(t.Context(), issuer.LoginRequest{Email: "alice@example.test", Password: password, ClientID: "app"})
			return err
		}
		for _, method := range []string{"LoginView", "StartGrant"} {
			w.store.on(method, down, nil)
			w.refused(login(), issuer.Unavailable)
			w.store.on(method, nil, nil)
		}
		// Keys that this replica may not sign with stop a login before its first permanent write.
		w.clock.add(time.Hour)
		w.store.called()
		w.refused(login(), issuer.Unavailable)
		w.wantCalls("LoginView", "ReserveAttempt", "ReturnAttempt")
		grants, err := w.db.ListGrants(t.Context(), w.alice.ID, w.clock.Now(), time.Time{})
		w.must(err)
		if len(grants) != 0 {
			t.Errorf("failed logins left %d grants", len(grants))
		}
		w.wait(0)
		w.must(login())
	})
}

func TestAccessTokensHaveDistinctIDs(t *testing.T) {
	one(t, func(t *testing.T, w *world) {
		seen := map[any]bool{}
		token := w.login("").RefreshToken
		for range 50 {
			r := w.refreshed(token)
			if jti := w.claims(r.AccessToken)["jti"]; seen[jti] {
				t.Fatalf("T-34 jti %v twice", jti)
			} else {
				seen[jti] = true
			}
			token = r.RefreshToken
		}
	})
}
