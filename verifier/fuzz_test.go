package verifier_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/verifier"
)

// FuzzVerify gives strangers' tokens to Verify, and tokens with any header and payload that the
// issuer's own key signed, so that the fuzzer comes further than to the signature. What is accepted
// must hold by encoding/json and the bare signature check, too; once more, by memory, the answer is
// the same; and the middleware's is.
func FuzzVerify(f *testing.F) {
	const issuer, kid = "https://id.example.com", "key-1"
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	now := time.Unix(1_800_000_000, 0)
	set := publicSet(f, key, kid, "EdDSA")
	config := verifier.Config{
		Issuer: issuer, Audience: []string{audience}, Offline: true, CacheSize: 64, Now: func() time.Time { return now },
		Bundle: bundleOf(f, issuer, now, week, set, key, kid, "EdDSA"), Logger: slog.New(slog.DiscardHandler),
	}
	v := newVerifier(f, config)
	handler := v.Middleware(status(http.StatusNoContent))

	const header = `{"alg":"EdDSA","kid":"key-1","typ":"at+jwt"}`
	const payload = `{"iss":"https://id.example.com","sub":"a","aud":["b","https://api.example.com"],"exp":1800000600,"nbf":1800000000,"iat":1800000000,"jti":"j","client_id":"c","scope":"x y","sid":"s","auth_time":1800000000,"acr":"1","amr":["pwd"],"roles":["admin"],"x":{"y":[1]}}`
	genuine := mk(f, header, payload, key)
	if _, err := v.Verify(f.Context(), genuine); err != nil {
		f.Fatal(err) // otherwise nothing would be proved
	}
	for _, raw := range []string{genuine, "", "..", genuine + ".x", "a.b.c", genuine[:len(genuine)-2]} {
		f.Add(raw, []byte(header), []byte(payload))
	}
	for _, h := range []string{`{"alg":"none"}`, `{"alg":"EdDSA","alg":"none","kid":"key-1","typ":"at+jwt"}`,
		`{"typ":"application/AT+JWT","kid":"key-1","alg":"EdDSA"}`, `{"alg":"EdDSA","kid":"\u006bey-1","typ":"at+jwt","crit":[]}`} {
		f.Add("", []byte(h), []byte(payload))
	}
	for _, change := range [][2]string{
		{`"https://api.example.com"`, `"x"`}, {`1800000600`, `1800000600.5`}, {`1800000600`, `1e10`}, {`"sub"`, `"Sub"`},
		{`"x":{`, `"cnf":{`}, {`"sub":"a"`, `"sub":"a","sub":"b"`}, {`["b","https://api.example.com"]`, `"https://api.example.com"`},
	} {
		f.Add("", []byte(header), []byte(strings.Replace(payload, change[0], change[1], 1)))
	}
	f.Fuzz(func(t *testing.T, raw string, header, payload []byte) {
		for _, raw := range []string{raw, mk(t, string(header), string(payload), key)} {
			token, err := v.Verify(t.Context(), raw)
			again, errAgain := v.Verify(t.Context(), raw)
			if (token == nil) != (err != nil) || (again == nil) != (token == nil) || (err != nil) && err.Error() != errAgain.Error() {
				t.Fatalf("%q: %v, %v, and once more %v, %v", raw, token, err, again, errAgain)
			}
			if !strings.ContainsAny(raw, " \t\r\n") && raw != "" {
				if w := serve(handler, request("GET", "/", "Bearer "+raw)); (w.Code == http.StatusNoContent) != (err == nil) {
					t.Fatalf("%q: %v, but the middleware answers %d", raw, err, w.Code)
				}
			}
			if err != nil {
				var e *verifier.Error
				if !errors.As(err, &e) || !errors.Is(err, verifier.ErrInvalid) && !isUnavailable(err) ||
					len(raw) > 40 && strings.Contains(err.Error(), raw[:40]) {
					t.Fatalf("%q: %v", raw, err)
				}
				continue
			}
			accepted(t, raw, key.Public().(ed25519.PublicKey), now)
		}
	})
}

// accepted checks an accepted token by other means than the verifier's.
func accepted(t *testing.T, raw string, key ed25519.PublicKey, now time.Time) {
	t.Helper()
	part := strings.Split(raw, ".")
	if len(part) != 3 {
		t.Fatalf("%q has %d parts", raw, len(part))
	}
	var decoded [3][]byte
	for i := range part {
		var err error
		if decoded[i], err = base64.RawURLEncoding.Strict().DecodeString(part[i]); err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
	}
	if !ed25519.Verify(key, []byte(part[0]+"."+part[1]), decoded[2]) {
		t.Fatalf("%q is not signed", raw)
	}
	var header struct{ Alg, Kid, Typ string }
	var claims struct {
		Iss, Sub, Jti string
		ClientID      string `json:"client_id"`
		Aud           any
		Exp, Iat, Nbf float64
	}
	if err := errors.Join(json.Unmarshal(decoded[0], &header), json.Unmarshal(decoded[1], &claims)); err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	typ := strings.ToLower(header.Typ)
	if header.Alg != "EdDSA" || header.Kid != "key-1" || typ != "at+jwt" && typ != "application/at+jwt" {
		t.Fatalf("header %+v", header)
	}
	list, _ := claims.Aud.([]any)
	if one, ok := claims.Aud.(string); ok {
		list = []any{one}
	}
	at := float64(now.Unix())
	if claims.Iss != "https://id.example.com" || claims.Sub == "" || claims.Jti == "" || claims.ClientID == "" ||
		!slices.Contains(list, any(audience)) || at >= claims.Exp+60 || claims.Iat > at+61 || claims.Nbf > at+61 {
		t.Fatalf("claims %s", decoded[1])
	}
}
