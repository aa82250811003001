package issuer_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

func TestBearerIsOneRead(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		r := w.login("openid profile")
		w.store.called()
		s, err := w.Bearer(t.Context(), r.AccessToken)
		w.must(err)
		w.wantCalls("GrantBySession")
		if s.View.User.ID != w.alice.ID || s.View.Client.ID != "app" || !s.HasScope("profile") || s.HasScope("email") ||
			s.HasScope("") {
			t.Errorf("session %+v", s)
		}
		if s.View.Grant.ID != w.grantOf(r.RefreshToken) {
			t.Error("another grant")
		}
	})
}

func TestBearerRefusals(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		r := w.login("openid profile")
		genuine := w.claims(r.AccessToken)
		at := func(changes map[string]any) string {
			return w.forge(jose.RS256, issuer.TypeAccessToken, with(genuine, changes))
		}
		w.client(userstore.Client{ID: "third", AuthMethod: userstore.AuthNone, GrantTypes: []string{"refresh_token"}})
		third := w.grantFor("third")
		thirds, err := w.Refresh(t.Context(), issuer.RefreshRequest{RefreshToken: third, ClientID: "third"})
		w.must(err)
		now := w.clock.Now().Unix()
		skew := int64(w.ClockSkew.Seconds())
		payload, err := json.Marshal(genuine)
		w.must(err)
		text := string(payload)
		raw := func(old, replacement string) string {
			if !strings.Contains(text, old) {
				t.Fatalf("no %s in %s", old, text)
			}
			return w.forgeRaw(jose.RS256, issuer.TypeAccessToken, strings.Replace(text, old, replacement, 1))
		}
		exp := fmt.Sprintf(`"exp":%v`, genuine["exp"])
		for name, c := range map[string]struct {
			token string
			code  issuer.Code // empty: accepted
		}{
			"the genuine one":          {r.AccessToken, ""},
			"nothing":                  {"", issuer.InvalidToken},
			"a refresh token":          {r.RefreshToken, issuer.InvalidToken},
			"J-13 an ID token":         {r.IDToken, issuer.InvalidToken},
			"J-15 typ JWT":             {w.forge(jose.RS256, issuer.TypeIDToken, genuine), issuer.InvalidToken},
			"J-18 another issuer":      {at(map[string]any{"iss": issuerURL + "/"}), issuer.InvalidToken},
			"J-18 no issuer":           {at(map[string]any{"iss": nil}), issuer.InvalidToken},
			"U-24 another audience":    {at(map[string]any{"aud": apiURI}), issuer.InvalidToken},
			"no audience":              {at(map[string]any{"aud": nil}), issuer.InvalidToken},
			"audience null":            {raw(`"aud":"`+issuerURL+`"`, `"aud":null`), issuer.InvalidToken},
			"audience of numbers":      {at(map[string]any{"aud": []int{1}}), issuer.InvalidToken},
			"an audience among others": {at(map[string]any{"aud": []string{apiURI, issuerURL}}), ""},
			"an issuer URL within an audience": {at(map[string]any{"aud": []string{issuerURL + "/x"}}),
				issuer.InvalidToken},
			"U-24 a third party's client":      {thirds.AccessToken, issuer.InvalidToken},
			"J-19 past exp, inside the skew":   {at(map[string]any{"exp": now - skew + 1}), ""},
			"J-19 past the skew":               {at(map[string]any{"exp": now - skew - 1}), issuer.Expired},
			"J-19 at the skew":                 {at(map[string]any{"exp": now - skew}), issuer.Expired},
			"J-19 no exp":                      {at(map[string]any{"exp": nil}), issuer.InvalidToken},
			"J-19 negative exp":                {at(map[string]any{"exp": -5}), issuer.InvalidToken},
			"J-19 exp in a string":             {at(map[string]any{"exp": "1999999999"}), issuer.InvalidToken},
			"J-19 exp 1e400":                   {raw(exp, `"exp":1e400`), issuer.InvalidToken},
			"J-19 exp 2^63":                    {raw(exp, `"exp":9223372036854775808`), issuer.InvalidToken},
			"J-19 exp NaN":                     {raw(exp, `"exp":NaN`), issuer.InvalidToken},
			"J-21 a claim twice":               {raw(`"sub":`, `"sub":"bob","sub":`), issuer.InvalidToken},
			"J-22 a claim in capitals as well": {raw(`"aud":`, `"AUD":"x","aud":`), issuer.InvalidToken},
			"another subject":                  {at(map[string]any{"sub": w.root.ID}), issuer.InvalidToken},
			"another client": {at(map[string]any{"client_id": userstore.FirstPartyClientID}),
				issuer.InvalidToken},
			"an unknown session":                    {at(map[string]any{"sid": newID()}), issuer.InvalidToken},
			"S-01 a session that no store can hold": {at(map[string]any{"sid": "a\x00b"}), issuer.InvalidToken},
			"no user behind it":                     {at(map[string]any{"sid": nil}), issuer.InsufficientScope},
			"bound to a key": {at(map[string]any{"cnf": map[string]string{"jkt": "x"}}),
				issuer.InvalidToken},
			"an unknown claim": {at(map[string]any{"x": []int{1}}), ""},
			"an unknown key": {strings.Replace(r.AccessToken, r.AccessToken[:strings.Index(r.AccessToken, ".")],
				"eyJhbGciOiJSUzI1NiIsImtpZCI6Im5ldmVyLW91cnMiLCJ0eXAiOiJhdCtqd3QifQ", 1), issuer.InvalidToken},
			"J-12 another signature": {r.AccessToken[:len(r.AccessToken)-8] + "AAAAAAAA", issuer.InvalidToken},
		} {
			t.Run(name, func(t *testing.T) {
				w := w.in(t)
				for range 2 { // an accepted token is remembered
					s, err := w.Bearer(t.Context(), c.token)
					if c.code == "" {
						w.must(err)
						continue
					}
					w.refused(err, c.code)
					if s.View.User.ID != "" || s.Scopes != nil {
						t.Errorf("J-36 a refusal came with %+v", s)
					}
				}
			})
		}
	})
}

func TestBearerMediaTypes(t *testing.T) {
	one(t, func(t *testing.T, w *world) {
		claims := w.claims(w.login("profile").AccessToken)
		payload, err := json.Marshal(claims)
		w.must(err)
		private, err := w.ring.Generate(jose.EdDSA)
		w.must(err)
		for typ, code := range map[string]issuer.Code{
			"at+jwt": "", "AT+JWT": "", "application/at+jwt": "", "rt+jwt": issuer.InvalidToken, "jwt": issuer.InvalidToken,
			"at": issuer.InvalidToken,
		} {
			signer, err := jose.NewSigner(private, "ours", jose.EdDSA, typ)
			w.must(err)
			token, err := signer.Sign(typ, payload)
			w.must(err)
			w.Keys = oneKey{w.ring, jose.PublicKey{ID: "ours", Algorithm: jose.EdDSA, Key: private.Public()}}
			_, err = w.Bearer(t.Context(), token)
			if code == "" {
				w.must(err)
			} else {
				w.refused(err, code)
			}
		}
	})
}

// oneKey publishes one key more than a key set has.
type oneKey struct {
	issuer.Keys
	key jose.PublicKey
}

func (k oneKey) PublishedKey(kid string) (jose.PublicKey, bool) {
	if kid == k.key.ID {
		return k.key, true
	}
	return k.Keys.PublishedKey(kid)
}

func TestBearerSeesWhatChangedSince(t *testing.T) {
	rows := map[string]struct {
		change func(w *world, g userstore.Grant) error
		code   issuer.Code
	}{
		"logout": {func(w *world, g userstore.Grant) error { return w.db.RevokeGrant(w.Context(), g.ID, w.clock.Now()) },
			issuer.InvalidToken},
		"logout by session": {func(w *world, g userstore.Grant) error {
			return w.db.RevokeSession(w.Context(), g.UserID, g.SessionID, w.clock.Now())
		}, issuer.InvalidToken},
		"user disabled": {func(w *world, g userstore.Grant) error {
			return w.db.SetActive(w.Context(), g.UserID, false, w.clock.Now())
		}, issuer.InvalidToken},
		"user deleted": {func(w *world, g userstore.Grant) error { return w.db.DeleteUser(w.Context(), g.UserID) },
			issuer.InvalidToken},
		"the token's own end": {func(w *world, g userstore.Grant) error { w.wait(11 * time.Minute); return nil },
			issuer.Expired},
		"the grant's end": {func(w *world, g userstore.Grant) error { w.RefreshIdle = 0; return nil }, issuer.Expired},
		"the store is down": {func(w *world, g userstore.Grant) error {
			w.store.on("GrantBySession", func() error { return userstore.ErrUnavailable }, nil)
			return nil
		}, issuer.Unavailable},
		"its key is revoked": {func(w *world, g userstore.Grant) error { w.revokeKeys(); return nil },
			issuer.InvalidToken},
		"nothing of importance": {func(w *world, g userstore.Grant) error { w.wait(9 * time.Minute); return nil }, ""},
	}
	each(t, func(t *testing.T, w *world) {
		for name, c := range rows {
			t.Run(name, func(t *testing.T) {
				w := w.in(t)
				w.another()
				defer w.store.on("GrantBySession", nil, nil)
				r := w.login("profile")
				w.must(c.change(w, w.row(r.RefreshToken)))
				_, err := w.Bearer(t.Context(), r.AccessToken)
				if c.code == "" {
					w.must(err)
				} else {
					w.refused(err, c.code)
				}
			})
		}
	})
}
