package issuer

import (
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/keys/keystest"
	"github.com/signet-id/signet/userstore"
)

// fixedKeys is a key set of one key, for tests that need no store.
type fixedKeys struct {
	alg    string
	signer *jose.Signer
	public jose.PublicKey
}

func newFixedKeys(tb testing.TB, alg string, key crypto.Signer) fixedKeys {
	const kid = "0123456789012345678901234567890123456789012"
	signer, err := jose.NewSigner(key, kid, alg, TokenTypes...)
	if err != nil {
		tb.Fatal(err)
	}
	return fixedKeys{alg, signer, jose.PublicKey{ID: kid, Algorithm: alg, Key: key.Public()}}
}

func (k fixedKeys) Signer(string) (*jose.Signer, error) { return k.signer, nil }

func (k fixedKeys) KnownKey(kid string) (jose.PublicKey, bool) { return k.public, kid == k.public.ID }

func (k fixedKeys) HintKey(kid string) (jose.PublicKey, bool) { return k.KnownKey(kid) }

func (k fixedKeys) PublishedKey(kid string) (jose.PublicKey, bool) { return k.KnownKey(kid) }

func (k fixedKeys) RefreshJTI(grant [16]byte, generation int64) (string, error) {
	mac := hmac.New(sha256.New, []byte("secret"))
	mac.Write(binary.BigEndian.AppendUint64(grant[:], uint64(generation)))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)), nil
}

func (k fixedKeys) RefreshAlgorithm() string   { return k.alg }
func (k fixedKeys) ActiveAlgorithms() []string { return []string{k.alg} }
func (k fixedKeys) Step(context.Context) error { return nil }

// FuzzRefreshToken and FuzzBearer have no store at all: any text but the genuine token is refused
// before the store is asked.
func FuzzRefreshToken(f *testing.F) {
	i, token := oneRefreshToken(f)
	seed(f, i, token.RefreshToken, token.AccessToken)
	f.Fuzz(func(t *testing.T, raw string) {
		if raw == token.RefreshToken {
			return
		}
		_, err := i.Refresh(context.Background(), RefreshRequest{RefreshToken: raw, FirstParty: true})
		var e *Error
		if !errors.As(err, &e) || e.Code != InvalidGrant {
			t.Fatalf("got %v", err)
		}
	})
}

func FuzzBearer(f *testing.F) {
	i, token := oneRefreshToken(f)
	seed(f, i, token.AccessToken, token.RefreshToken)
	f.Fuzz(func(t *testing.T, raw string) {
		if raw == token.AccessToken {
			return
		}
		s, err := i.Bearer(context.Background(), raw)
		var e *Error
		if !errors.As(err, &e) || e.Code != InvalidToken || s.Scopes != nil {
			t.Fatalf("got %v, %v", s, err)
		}
	})
}

func oneRefreshToken(tb testing.TB) (*Issuer, TokenResponse) {
	tb.Helper()
	key, err := keystest.Generator()(jose.EdDSA)
	if err != nil {
		tb.Fatal(err)
	}
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	i := &Issuer{
		Admission: NoAdmission, Cache: NoClientCache,
		URL: "https://id.test", Keys: newFixedKeys(tb, jose.EdDSA, key), Now: func() time.Time { return now },
		NewID:          randomID,
		AccessLifetime: 10 * time.Minute, RefreshIdle: time.Hour,
	}
	g := userstore.Grant{ID: userstore.GrantID{1, 2, 3}, ClientID: "app", SessionID: "s", UserID: "u", Generation: 1,
		RotatedAt: now, ExpiresAt: now.Add(time.Hour)}
	s, err := i.signers()
	if err != nil {
		tb.Fatal(err)
	}
	jti, err := i.Keys.RefreshJTI(g.ID, g.Generation)
	if err != nil {
		tb.Fatal(err)
	}
	r, err := i.mint(tb.Context(), now, s, Authorization{Grant: g, Client: userstore.Client{FirstParty: true}, RefreshJTI: jti})
	if err != nil {
		tb.Fatal(err)
	}
	return i, r
}

func seed(f *testing.F, i *Issuer, token, other string) {
	for _, raw := range []string{token, token[1:], token[:len(token)-1], token + ".", other, "", ".."} {
		f.Add(raw)
	}
	signer, err := i.Keys.Signer("")
	if err != nil {
		f.Fatal(err)
	}
	for _, typ := range TokenTypes {
		for _, payload := range []string{`{}`, `{"grant":1}`, `{"gen":1e400}`, `[]`,
			`{"iss":"https://id.test","aud":[null]}`} {
			raw, err := signer.Sign(typ, []byte(payload))
			if err != nil {
				f.Fatal(err)
			}
			f.Add(raw)
		}
	}
}
