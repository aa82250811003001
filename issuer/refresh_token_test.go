package issuer_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/keys"
)

// T-27: only the genuine token is accepted.
func TestT27DamagedRefreshTokens(t *testing.T) {
	one(t, func(t *testing.T, w *world) {
		token := w.login("profile").RefreshToken
		refused := func(name, damaged string) {
			t.Helper()
			_, err := w.refresh(damaged)
			var e *issuer.Error
			if !errors.As(err, &e) || e.Code != issuer.InvalidGrant {
				t.Fatalf("%s: got %v, want invalid_grant for\n%s", name, err, damaged)
			}
		}
		w.untouched(token, func() {
			w.store.called()
			for n := range token {
				refused("truncated", token[:n])
				for _, c := range []byte{'A', '-', '.', token[n] ^ 0x20, token[n] ^ 1} {
					if c != token[n] {
						refused("one character changed", token[:n]+string(c)+token[n+1:])
					}
				}
			}
			parts := strings.Split(token, ".")
			for n, part := range parts {
				raw, err := base64.RawURLEncoding.DecodeString(part)
				w.must(err)
				padded := append([]string(nil), parts...)
				padded[n] = base64.URLEncoding.EncodeToString(append(raw, ' '))
				refused("base64 encoded anew with a space", strings.Join(padded, "."))
				padded[n] = part + "="
				refused("padded", strings.Join(padded, "."))
				padded[n] = part[:4] + "\n" + part[4:]
				refused("a line break within", strings.Join(padded, "."))
			}
			for name, damaged := range map[string]string{
				"empty": "", "appended": token + "A", "appended segment": token + ".A", "space after": token + " ",
				"space before": " " + token,
				"upper case":   strings.ToUpper(token), "lower case": strings.ToLower(token), "NUL after": token + "\x00",
				"NUL":   "\x00",
				"twice": token + token, "1 MiB of dots": strings.Repeat(".", 1<<20), "1 MiB": strings.Repeat("A", 1<<20),
				"a genuine token and 1 MiB": token + strings.Repeat("A", 1<<20),
				"JSON serialization": `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` +
					parts[2] + `"}`,
			} {
				refused(name, damaged)
			}
			w.wantCalls() // the store is not even asked
		})
		w.refreshed(token)
	})
}

// Tokens that are signed with a genuine key and wrong in one claim.
func TestRefreshTokensThatAreNot(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		r := w.login("openid profile")
		genuine := w.claims(r.RefreshToken)
		other := w.claims(w.login("profile").RefreshToken)
		rt := func(changes map[string]any) string {
			return w.forge(jose.EdDSA, issuer.TypeRefreshToken, with(genuine, changes))
		}
		payload, err := json.Marshal(genuine)
		w.must(err)
		text := string(payload)
		zeroth, err := w.ring.RefreshJTI(w.grantOf(r.RefreshToken), 0)
		w.must(err)
		before := w.log.String()
		w.untouched(r.RefreshToken, func() {
			for name, c := range map[string]struct {
				token string
				code  issuer.Code
			}{
				"an access token":         {r.AccessToken, issuer.InvalidGrant},
				"an ID token":             {r.IDToken, issuer.InvalidGrant},
				"typ at+jwt":              {w.forge(jose.EdDSA, issuer.TypeAccessToken, genuine), issuer.InvalidGrant},
				"typ JWT":                 {w.forge(jose.EdDSA, issuer.TypeIDToken, genuine), issuer.InvalidGrant},
				"another issuer":          {rt(map[string]any{"iss": "https://evil.test"}), issuer.InvalidGrant},
				"the issuer with a slash": {rt(map[string]any{"iss": issuerURL + "/"}), issuer.InvalidGrant},
				"no issuer":               {rt(map[string]any{"iss": nil}), issuer.InvalidGrant},
				"another audience":        {rt(map[string]any{"aud": apiURI}), issuer.InvalidGrant},
				"an array of audiences":   {rt(map[string]any{"aud": []string{issuerURL}}), issuer.InvalidGrant},
				"exp is now":              {rt(map[string]any{"exp": w.clock.Now().Unix()}), issuer.Expired},
				"exp is negative":         {rt(map[string]any{"exp": -1}), issuer.Expired},
				"no exp":                  {rt(map[string]any{"exp": nil}), issuer.Expired},
				"exp as a string":         {rt(map[string]any{"exp": "1999999999"}), issuer.InvalidGrant},
				"exp 1e400": {w.forgeRaw(jose.EdDSA, issuer.TypeRefreshToken,
					strings.Replace(text, `"exp":`, `"exp":1e400,"iat":`, 1)), issuer.InvalidGrant},
				"another generation under the jti of this": {rt(map[string]any{"gen": 2}), issuer.InvalidGrant},
				"generation 0":                        {rt(map[string]any{"gen": 0}), issuer.InvalidGrant},
				"generation 0 under a jti of its own": {rt(map[string]any{"gen": 0, "jti": zeroth}), issuer.InvalidGrant},
				"a generation below":                  {rt(map[string]any{"gen": -1}), issuer.InvalidGrant},
				"a generation beyond 64 bits": {rt(map[string]any{"gen": json.Number("18446744073709551617")}),
					issuer.InvalidGrant},
				"a broken generation":                 {rt(map[string]any{"gen": 1.5}), issuer.InvalidGrant},
				"another grant under the jti of this": {rt(map[string]any{"grant": other["grant"]}), issuer.InvalidGrant},
				"the jti of another":                  {rt(map[string]any{"jti": other["jti"]}), issuer.InvalidGrant},
				"no jti":                              {rt(map[string]any{"jti": nil}), issuer.InvalidGrant},
				"an empty jti":                        {rt(map[string]any{"jti": ""}), issuer.InvalidGrant},
				"no grant":                            {rt(map[string]any{"grant": nil}), issuer.InvalidGrant},
				"a grant of 17 bytes": {rt(map[string]any{"grant": "AAAAAAAAAAAAAAAAAAAAAAA"}),
					issuer.InvalidGrant},
				"a grant that is not base64url": {rt(map[string]any{"grant": "++++++++++++++++++++++"}),
					issuer.InvalidGrant},
				"a grant written another way": {rt(map[string]any{"grant": respell(genuine["grant"].(string))}),
					issuer.InvalidGrant},
				"a claim that refresh tokens do not have": {rt(map[string]any{"sub": w.alice.ID}), issuer.InvalidGrant},
				"J-21 a claim twice": {w.forgeRaw(jose.EdDSA, issuer.TypeRefreshToken, `{"gen":1,`+text[1:]),
					issuer.InvalidGrant},
				"J-22 a claim in capitals": {
					w.forgeRaw(jose.EdDSA, issuer.TypeRefreshToken, strings.Replace(text, `"gen"`, `"GEN"`, 1)), issuer.InvalidGrant},
				"a payload that is an array": {w.forgeRaw(jose.EdDSA, issuer.TypeRefreshToken, "["+text+"]"),
					issuer.InvalidGrant},
				"a payload that is null": {w.forgeRaw(jose.EdDSA, issuer.TypeRefreshToken, "null"),
					issuer.InvalidGrant},
				"a payload with something after": {w.forgeRaw(jose.EdDSA, issuer.TypeRefreshToken, text+"{}"),
					issuer.InvalidGrant},
			} {
				t.Run(name, func(t *testing.T) {
					w := w.in(t)
					_, err := w.refresh(c.token)
					w.refused(err, c.code)
				})
			}
		})
		if after := w.log.String(); after != before {
			t.Errorf("forged tokens were logged as events: %s", after[len(before):])
		}
		w.refreshed(r.RefreshToken)
	})
}

// respell sets bits that base64url does not use in the last character.
func respell(grant string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := len(grant) - 1
	return grant[:last] + string(alphabet[strings.IndexByte(alphabet, grant[last])|1])
}

// A token under a key that was never ours causes no read of the key set, unless its jti proves that
// it is ours.
func TestUnknownKeysCauseNoRead(t *testing.T) {
	one(t, func(t *testing.T, w *world) {
		genuine := w.login("profile").RefreshToken
		counted := &stepCounter{Manager: w.ring}
		w.Keys = counted
		private, err := w.ring.Generate(jose.EdDSA)
		w.must(err)
		signer, err := jose.NewSigner(private, "never-ours", jose.EdDSA, issuer.TokenTypes...)
		w.must(err)
		sign := func(claims map[string]any) string {
			payload, err := json.Marshal(claims)
			w.must(err)
			token, err := signer.Sign(issuer.TypeRefreshToken, payload)
			w.must(err)
			return token
		}
		w.untouched(genuine, func() {
			_, err = w.refresh(sign(with(w.claims(genuine), map[string]any{"gen": 7})))
			w.refused(err, issuer.InvalidGrant)
			if counted.steps != 0 {
				t.Error("a stranger made us read the key set")
			}
			_, err = w.refresh(sign(w.claims(genuine)))
			w.refused(err, issuer.InvalidGrant)
			if counted.steps != 1 {
				t.Errorf("%d looks, want one", counted.steps)
			}
		})
	})
}

type stepCounter struct {
	*keys.Manager
	steps int
}

func (s *stepCounter) Step(ctx context.Context) error { s.steps++; return s.Manager.Step(ctx) }
