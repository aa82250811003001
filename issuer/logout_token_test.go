package issuer_test

import (
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

func header(t *testing.T, token string) (h map[string]any) {
	t.Helper()
	text, _, _ := strings.Cut(token, ".")
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(b, &h)
	}
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// A logout token has what Back-Channel Logout section 2.4 wants, and nothing else; each attempt has a
// token of its own with the one jti of the session.
func TestLogoutToken(t *testing.T) {
	one(t, func(t *testing.T, w *world) {
		s := userstore.AppSession{SessionID: "sid-1", UserID: w.alice.ID, ClientID: "app"}
		for alg, want := range map[string]string{"": jose.RS256, jose.RS256: jose.RS256, jose.EdDSA: jose.EdDSA} {
			c := userstore.Client{ID: "app", IDTokenAlg: alg}
			token, err := w.LogoutToken(s, c)
			w.must(err)
			h := header(t, token)
			if len(h) != 3 || h["alg"] != want || h["typ"] != "logout+jwt" || h["kid"] == "" {
				t.Errorf("header %v", h)
			}
			now := w.clock.Now().Unix()
			number := func(n int64) json.Number { return json.Number(strconv.FormatInt(n, 10)) }
			claims := w.claims(token)
			jti, _ := claims["jti"].(string)
			expected := map[string]any{
				"iss": issuerURL, "sub": w.alice.ID, "aud": "app", "iat": number(now), "exp": number(now + 120), "jti": jti, "sid": "sid-1",
				"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
			}
			if len(jti) < 22 || strings.Contains(token, "nonce") || !reflect.DeepEqual(claims, expected) {
				t.Errorf("claims %v\nwant %v", claims, expected)
			}
			w.wait(10 * time.Minute)
			later, err := w.LogoutToken(s, c)
			w.must(err)
			if again := w.claims(later); again["jti"] != jti || again["iat"] != number(now+600) || again["exp"] != number(now+720) {
				t.Errorf("the next attempt: %v", again)
			}
			pairwise, err := w.LogoutToken(userstore.AppSession{SessionID: "s", UserID: w.alice.ID, Subject: "pairwise"}, c)
			w.must(err)
			if sub := w.claims(pairwise)["sub"]; sub != "pairwise" {
				t.Errorf("the sub of a pairwise client is %v", sub)
			}
			other, err := w.LogoutToken(userstore.AppSession{SessionID: "sid-2", UserID: w.alice.ID, ClientID: "app"}, c)
			w.must(err)
			if w.claims(other)["jti"] == jti {
				t.Error("two sessions have one jti")
			}
		}
	})
}

// J-13, J-16: a logout token is accepted in no other token's place, and no other one in its place.
func TestJ13LogoutTokenIsNothingElse(t *testing.T) {
	one(t, func(t *testing.T, w *world) {
		r := w.login("openid profile")
		id := w.claims(r.IDToken)
		sid, _ := id["sid"].(string)
		token, err := w.LogoutToken(userstore.AppSession{SessionID: sid, UserID: w.alice.ID, ClientID: userstore.FirstPartyClientID},
			userstore.Client{ID: userstore.FirstPartyClientID})
		w.must(err)
		// The claims of other tokens under the type of a logout token help neither.
		access := w.forge(jose.RS256, issuer.TypeLogoutToken, w.claims(r.AccessToken))
		hint := w.forge(jose.RS256, issuer.TypeLogoutToken, id)
		refresh := w.forge(jose.EdDSA, issuer.TypeLogoutToken, w.claims(r.RefreshToken))
		for _, token := range []string{token, access, hint, refresh} {
			_, err := w.Bearer(t.Context(), token)
			w.refused(err, issuer.InvalidToken)
			_, err = w.refresh(token)
			w.refused(err, issuer.InvalidGrant)
			p, err := w.Logout(t.Context(), issuer.LogoutRequest{IDTokenHint: token}, nil)
			w.must(err)
			if p.ClientID != "" {
				t.Errorf("J-16 as a hint it proves %+v", p)
			}
		}
		if p, err := w.Logout(t.Context(), issuer.LogoutRequest{IDTokenHint: r.IDToken}, nil); err != nil || p.ClientID == "" {
			t.Errorf("the ID token itself proves %+v, %v", p, err)
		}
	})
}

// A key stays published for as long as ID tokens may be used, so logout tokens live no longer.
func TestLogoutTokensLiveNoLongerThanIDTokens(t *testing.T) {
	one(t, func(t *testing.T, w *world) {
		for lifetime, want := range map[time.Duration]int64{10 * time.Second: 10, time.Hour: 120} {
			w.IDLifetime = lifetime
			token, err := w.LogoutToken(userstore.AppSession{SessionID: "sid", UserID: w.alice.ID, ClientID: "app"}, userstore.Client{ID: "app"})
			w.must(err)
			if got := w.claims(token)["exp"]; got != json.Number(strconv.FormatInt(w.clock.Now().Unix()+want, 10)) {
				t.Errorf("with ID tokens of %s: %v", lifetime, got)
			}
		}
	})
}
