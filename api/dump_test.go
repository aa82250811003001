package api_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/keys/keystest"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// A copy of the database opens no account, session or key: none of more than a thousand live secret
// values is in it, in any form that anybody would look for.
func TestADumpHoldsNoLiveSecret(t *testing.T) {
	t.Parallel()
	sqltest.EachURL(t, func(t *testing.T, url string) {
		t.Parallel()
		db, err := sqlstore.Open(t.Context(), url, sqlstore.Options{MustExist: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(db.Close)
		s := apitest.New(t, apitest.Options{DB: db})
		hidden, public := liveSecrets(s)
		dump := sqltest.Dump(t, url)
		if hidden.count < 1000 {
			t.Fatalf("only %d secrets were made", hidden.count)
		}
		for _, what := range hidden.in(dump) {
			t.Errorf("the dump holds %s", what)
		}
		// The same search finds what is there, as text and as bytes: it is not blind.
		if found := public.in(dump); len(found) != public.count {
			t.Errorf("of %d things that are in the database the search finds %d: %q", public.count, len(found), found)
		}
		t.Logf("%d secrets, %d forms of them, %d KiB of dump", hidden.count, len(hidden.forms), len(dump)>>10)
	})
}

// liveSecrets has people sign up, log in, refresh, change passwords and mistype them, and returns
// every secret that is of use now, or was typed, and things that a dump does hold.
func liveSecrets(s *apitest.Server) (hidden, public *needles) {
	s.T.Helper()
	hidden, public = newNeedles(), newNeedles()
	keep := func(t apitest.Tokens) {
		for kind, token := range map[string]string{"an access token": t.Access, "a refresh token": t.Refresh,
			"an ID token": t.ID} {
			signature := token[strings.LastIndexByte(token, '.')+1:]
			raw, err := base64.RawURLEncoding.DecodeString(signature)
			if err != nil || len(raw) < 16 {
				s.T.Fatalf("%s without a signature: %v", kind, err)
			}
			hidden.add(kind, []byte(token))
			hidden.add("the signature of "+kind, raw)
		}
		sid, _ := apitest.Claims(t.Access)["sid"].(string)
		public.add("session "+sid, []byte(sid))
	}
	scope := apitest.Fields{"scope": "openid profile email"}
	for i := range 150 {
		u := s.SignUp(fmt.Sprintf("user-number-%04d", i))
		tokens := s.Login(u, scope)
		if i%2 == 0 {
			s.Refresh(tokens.Refresh).Want(200, "").JSON(&tokens)
		}
		switch i % 10 {
		case 1: // the one before is of no use any more, and still nobody's business
			next := s.Secret(fmt.Sprintf("another planted password %04d %s", i, tokens.Access[len(tokens.Access)-24:]))
			s.Do(apitest.Request{Method: "POST", Path: "/v1/profile/password", Token: tokens.Access,
				Body: apitest.Fields{"current_password": u.Password, "new_password": next}}).Want(204, "")
			hidden.add("a password", []byte(next))
		case 2:
			wrong := s.Secret(fmt.Sprintf("a mistyped password, number %04d", i))
			s.Do(apitest.Request{Method: "POST", Path: "/v1/login",
				Body: apitest.Fields{"email": u.Email, "password": wrong}}).Want(401, "invalid_credentials")
			hidden.add("a password that was mistyped", []byte(wrong))
		case 3: // people type passwords where names go
			typed := s.Secret(fmt.Sprintf("password.typed.as.a.name.%04d", i))
			s.Do(apitest.Request{Method: "POST", Path: "/v1/login",
				Body: apitest.Fields{"username": typed, "password": u.Password}}).Want(401, "invalid_credentials")
			hidden.add("a name that nobody has", []byte(typed))
		case 4:
			forged := s.Secret(fmt.Sprintf("a.forged.token-number-%04d", i))
			s.Do(apitest.Request{Path: "/v1/profile", Token: forged}).Want(401, "token_invalid")
			hidden.add("a forged token", []byte(forged))
		}
		keep(tokens)
		hidden.add("a password", []byte(u.Password))
		public.add(u.Email, []byte(u.Email))
	}

	kek, err := base64.RawURLEncoding.DecodeString(keystest.KEK)
	if err != nil {
		s.T.Fatal(err)
	}
	opener, err := jose.ParseKEK(keystest.KEK)
	if err != nil {
		s.T.Fatal(err)
	}
	hidden.add("the key-encryption key", kek)
	ring, err := s.DB.LoadRing(s.T.Context())
	if err != nil {
		s.T.Fatal(err)
	}
	secret, err := jose.Open(ring.RefreshSecret, "refresh-secret", opener)
	if err != nil {
		s.T.Fatal(err)
	}
	hidden.add("the refresh secret", secret)
	for _, purpose := range []keys.Purpose{keys.Budgets, keys.Cursors, keys.Forms} {
		derived, err := s.Replicas[0].Keys.Secret(purpose)
		if err != nil {
			s.T.Fatal(err)
		}
		hidden.add("a secret that is derived from it", derived)
	}
	if secret, err = jose.Open(ring.FactorSecret, "factor-secret", opener); err != nil {
		s.T.Fatal(err)
	}
	hidden.add("the factor secret", secret)
	for _, purpose := range []keys.FactorPurpose{keys.AuthenticatorApps, keys.RecoveryCodes} {
		derived, err := s.Replicas[0].Keys.FactorKey(purpose)
		if err != nil {
			s.T.Fatal(err)
		}
		hidden.add("a secret that is derived from it", derived)
	}
	if len(ring.Keys) < 2 {
		s.T.Fatalf("only %d signing keys", len(ring.Keys))
	}
	for _, k := range ring.Keys {
		der, err := jose.Open(k.Sealed, k.ID, opener)
		if err != nil {
			s.T.Fatal(err)
		}
		hidden.add("a private key", der)
		for member, value := range privateMembers(s.T, der) {
			hidden.add("the member "+member+" of a private key", value)
		}
		public.add("key "+k.ID, []byte(k.ID))
	}
	return hidden, public
}

// privateMembers are those of a private JWK (RFC 7518 sections 6.2.2 and 6.3.2, RFC 8037).
func privateMembers(t testing.TB, der []byte) map[string][]byte {
	t.Helper()
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		t.Fatal(err)
	}
	switch k := key.(type) {
	case ed25519.PrivateKey:
		return map[string][]byte{"d": k.Seed()}
	case *ecdsa.PrivateKey:
		d, err := k.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		return map[string][]byte{"d": d}
	case *rsa.PrivateKey:
		k.Precompute()
		return map[string][]byte{"d": k.D.Bytes(), "p": k.Primes[0].Bytes(), "q": k.Primes[1].Bytes(),
			"dp": k.Precomputed.Dp.Bytes(), "dq": k.Precomputed.Dq.Bytes(), "qi": k.Precomputed.Qinv.Bytes()}
	}
	t.Fatalf("a private key of type %T", key)
	return nil
}

// needles are looked for all at once: by the last bytes of each form, which are the random ones.
type needles struct {
	count int
	forms map[[needleSize]byte]string
}

const needleSize = 16

func newNeedles() *needles { return &needles{forms: map[[needleSize]byte]string{}} }

// add looks for value as it is, in hexadecimal and in base64, wherever in a longer text that is
// written so it may begin.
func (n *needles) add(what string, value []byte) {
	n.count++
	lower := hex.EncodeToString(value)
	all := [][]byte{value, []byte(lower), []byte(strings.ToUpper(lower))}
	for shift := range 3 {
		shifted := append(make([]byte, shift), value...)
		whole := shifted[:len(shifted)/3*3] // what no byte behind it changes
		for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
			text := encoding.EncodeToString(whole)
			all = append(all, []byte(text[(shift*8+5)/6:]))
		}
	}
	for _, form := range all {
		if len(form) < needleSize {
			panic(what + " is too short to be looked for")
		}
		n.forms[[needleSize]byte(form[len(form)-needleSize:])] = what
	}
}

// in names what of it a dump holds.
func (n *needles) in(dump []byte) (found []string) {
	seen := map[string]bool{}
	var window [needleSize]byte
	for i := 0; i+needleSize <= len(dump); i++ {
		copy(window[:], dump[i:])
		if what, ok := n.forms[window]; ok && !seen[what] {
			seen[what] = true
			found = append(found, what)
		}
	}
	return found
}

// The search finds what it must, in every form.
func TestTheSearchOfDumps(t *testing.T) {
	secret := []byte("the quick brown fox jumps over it")
	for _, dump := range [][]byte{
		secret,
		[]byte(hex.EncodeToString(secret)), bytes.ToUpper([]byte(hex.EncodeToString(secret))),
		[]byte(base64.StdEncoding.EncodeToString(secret)), []byte(base64.RawURLEncoding.EncodeToString(secret)),
		[]byte(base64.StdEncoding.EncodeToString(append([]byte("a"), secret...))),
		[]byte(base64.RawURLEncoding.EncodeToString(append([]byte("ab"), append(secret, "and more"...)...))),
		[]byte("before" + string(secret) + "after"),
	} {
		n := newNeedles()
		n.add("it", secret)
		if len(n.in(dump)) != 1 {
			t.Errorf("not found in %q", dump)
		}
	}
	n := newNeedles()
	n.add("it", secret)
	if found := n.in([]byte("the quick brown fox jumps over us, as it happens")); found != nil {
		t.Errorf("found where it is not: %q", found)
	}
}
