package userstore_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/totp"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/userfile"
)

const importedSecret = "12345678901234567890"

// codeAt computes a code by RFC 6238, independently of internal/totp.
func codeAt(sum func() hash.Hash, secret string, digits int, counter int64) string {
	h := hmac.New(sum, []byte(secret))
	_ = binary.Write(h, binary.BigEndian, counter)
	b := h.Sum(nil)
	n := binary.BigEndian.Uint32(b[b[len(b)-1]&15:]) & math.MaxInt32
	return fmt.Sprintf("%0*d", digits, n%uint32(math.Pow10(digits)))
}

// sealing gives w the keys of second factors.
func sealing(w *world) {
	w.AppKey = func() ([]byte, error) { return bytes.Repeat([]byte{7}, 32), nil }
	w.RecoveryKey = func() ([]byte, error) { return bytes.Repeat([]byte{8}, 32), nil }
}

// importFile imports the accounts of a file.
func importFile(t *testing.T, i *userstore.Importer, text string) []userstore.Imported {
	t.Helper()
	users, _, err := userfile.Open(strings.NewReader(text), "")
	if err != nil {
		t.Fatal(err)
	}
	var batch []userstore.User
	factors := map[int]userstore.ImportedFactors{}
	for {
		_, account, err := users.Next()
		if err == io.EOF {
			break
		}
		if err != nil || len(account.LeftOut) > 0 {
			t.Fatalf("%v, %v", account.LeftOut, err)
		}
		factors[len(batch)] = account.Factors
		batch = append(batch, account.User)
	}
	done, err := i.Import(t.Context(), batch, factors)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// secondLogin takes both steps of a login.
func (w *world) secondLogin(t *testing.T, email string, p userstore.FactorProof) error {
	t.Helper()
	v, err := w.Authenticate(t.Context(), email, "", djangoPassword, userstore.FirstPartyClientID, nil)
	var second *userstore.SecondFactorError
	if !errors.As(err, &second) {
		t.Fatalf("the password alone: %v, %v", v.User.ID, err)
	}
	v, err = w.AuthenticateSecond(t.Context(), userstore.SecondLogin{
		UserID: second.User.ID, PasswordMark: second.User.PasswordMark(),
		FactorVersion: second.User.FactorVersion, At: second.At, ClientID: userstore.FirstPartyClientID}, p)
	if err != nil {
		return err
	}
	g := userstore.Grant{SessionID: newID(), UserID: v.User.ID, ClientID: userstore.FirstPartyClientID, Generation: 1,
		AuthTime: w.now, RotatedAt: w.now, CreatedAt: w.now, ExpiresAt: w.now.Add(time.Hour)}
	copy(g.ID[:], newID())
	return w.Store.StartGrant(t.Context(), userstore.StartGrant{
		Grant: g, PasswordHash: v.User.PasswordHash, Second: v.Second})
}

// importedHash is the hash that Django stores of djangoPassword.
const (
	djangoPassword = "lètmein"
	importedHash   = "pbkdf2_sha256$1000$seasalt$JgZryXe2Ga8ysg6XbzkLpTdyPQrHqsinbL9BnnhgX4A="
)

func keycloakAccount(t *testing.T, email string, codes ...string) string {
	t.Helper()
	text := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	var hashes []map[string]any
	for i, code := range codes {
		sum := sha512.Sum512([]byte(code))
		hashes = append(hashes, map[string]any{
			"number": i + 1, "encodedHashedValue": base64.StdEncoding.EncodeToString(sum[:])})
	}
	credentials := []map[string]string{
		{"type": "otp", "secretData": text(map[string]string{"value": importedSecret}),
			"credentialData": `{"subType":"totp","digits":8,"counter":0,"period":60,"algorithm":"HmacSHA512"}`},
	}
	if len(codes) > 0 {
		credentials = append(credentials, map[string]string{"type": "recovery-authn-codes",
			"secretData":     text(map[string]any{"codes": hashes}),
			"credentialData": `{"hashIterations":1,"algorithm":"RS512","totalCodes":12,"remainingCodes":2}`})
	}
	return text(map[string]any{
		"email": email, "password_hash": importedHash, "is_active": true, "credentials": credentials}) + "\n"
}

// P-05, P-07: an account keeps its second factor when it moves in. The app keeps its parameters, and
// a code that the other system took does not count again.
func TestP05P07ImportedAuthenticatorAppsLogIn(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		sealing(w)
		i := &userstore.Importer{Accounts: w.Accounts}
		now := w.now.Unix() / 30
		device := "email,password,is_active,key,step,t0,digits,drift,last_t,confirmed\n" +
			"ada@x.test," + importedHash + ",t,3132333435363738393031323334353637383930,30,0,6,0,%d,t\n"
		done := importFile(t, i, fmt.Sprintf(device, now))
		if u := done[0].User; done[0].Err != nil || !u.SecondFactor || !reflect.DeepEqual(w.read(t, u.ID), u) {
			t.Fatalf("imported %+v, stored %+v", done[0], w.read(t, u.ID))
		}
		code := func(counter int64) userstore.FactorProof {
			return userstore.FactorProof{Code: codeAt(sha1.New, importedSecret, 6, counter)}
		}
		for name, p := range map[string]userstore.FactorProof{
			"the code that Django took last": code(now), "one before it": code(now - 1), "a wrong code": {Code: "000000"},
			"a recovery code": {RecoveryCode: "ABCDEFGHJKLM"},
		} {
			if err := w.secondLogin(t, "ada@x.test", p); !errors.Is(err, userstore.ErrFactorRefused) {
				t.Errorf("P-07 %s: %v", name, err)
			}
		}
		if err := w.secondLogin(t, "ada@x.test", code(now+1)); err != nil {
			t.Errorf("the next code: %v", err)
		}
		if err := w.secondLogin(t, "ada@x.test", code(now+1)); !errors.Is(err, userstore.ErrFactorRefused) {
			t.Errorf("P-07 the next code twice: %v", err)
		}
		// Imported once more, the file changes nothing: not the counter either.
		if done = importFile(t, i, fmt.Sprintf(device, now-5)); !done[0].Existed || !done[0].User.SecondFactor {
			t.Errorf("imported again: %+v", done[0])
		}
		if err := w.secondLogin(t, "ada@x.test", code(now+1)); !errors.Is(err, userstore.ErrFactorRefused) {
			t.Errorf("P-07 after another import: %v", err)
		}
		w.now = w.now.Add(time.Minute)
		if err := w.secondLogin(t, "ada@x.test", code(now+2)); err != nil {
			t.Errorf("a later code: %v", err)
		}
	})
}

func TestP08ImportedRecoveryCodesLogIn(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		sealing(w)
		done := importFile(t, &userstore.Importer{Accounts: w.Accounts},
			keycloakAccount(t, "ada@x.test", "ABCDEFGHJKLM", "NPQRSTUVWXYZ")+keycloakAccount(t, "bob@x.test")+
				keycloakAccount(t, "eve@x.test", "234567892345"))
		for _, d := range done {
			if d.Err != nil || d.Existed || !d.User.SecondFactor {
				t.Fatalf("%+v", d)
			}
		}
		have, err := w.Store.SecondFactors(t.Context(), done[0].User.ID)
		if err != nil || have.RecoveryCodes != 2 || !slices.Equal(have.Methods(true), []string{"totp", "recovery_code"}) {
			t.Fatalf("%+v, %v", have, err)
		}
		for _, step := range []struct {
			who, code string
			want      error
		}{
			{"bob@x.test", "ABCDEFGHJKLM", userstore.ErrFactorRefused}, // of another account
			{"ada@x.test", "234567892345", userstore.ErrFactorRefused},
			{"ada@x.test", "abcd-efgh-jklm", nil}, // as people type them
			{"ada@x.test", "ABCDEFGHJKLM", userstore.ErrFactorRefused},
			{"ada@x.test", "NPQR STUV WXYZ", nil}, // the last one
			{"ada@x.test", "NPQRSTUVWXYZ", userstore.ErrFactorRefused},
			{"eve@x.test", "2345 6789 2345", nil},
		} {
			if err := w.secondLogin(t, step.who, userstore.FactorProof{RecoveryCode: step.code}); !errors.Is(err, step.want) {
				t.Errorf("P-08 %s %q: %v, want %v", step.who, step.code, err, step.want)
			}
		}
		// The hash itself, which another system kept, is no code.
		sum := userstore.HashImportedRecoveryCode("234567892345")
		for _, text := range []string{string(sum[:]), base64.StdEncoding.EncodeToString(sum[:])} {
			p := userstore.FactorProof{RecoveryCode: text}
			if err := w.secondLogin(t, "eve@x.test", p); !errors.Is(err, userstore.ErrFactorRefused) {
				t.Errorf("a hash logs in: %v", err)
			}
		}
		// The app keeps the parameters of the other system.
		p := userstore.FactorProof{Code: codeAt(sha512.New, importedSecret, 8, w.now.Unix()/60)}
		if err := w.secondLogin(t, "bob@x.test", p); err != nil {
			t.Errorf("a code of eight digits: %v", err)
		}
	})
}

// An account that was there already keeps what it has, also that it has no second factor. A dry run
// says so as well, and stores nothing.
func TestAnImportChangesNoFactorOfAnAccount(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		sealing(w)
		there := w.alice(t)
		for _, dry := range []bool{true, false} {
			i := &userstore.Importer{Accounts: w.Accounts, DryRun: dry}
			file := keycloakAccount(t, "alice@x.test", "ABCDEFGHJKLM")
			file = strings.Replace(file, "{", `{"preferred_username":"alice",`, 1) +
				keycloakAccount(t, "new@x.test", "ABCDEFGHJKLM") + `{"email":"new@x.test"}` + "\n"
			done := importFile(t, i, file)
			if !done[0].Existed || done[0].User.SecondFactor || done[0].User.ID != there.ID {
				t.Errorf("dry %v: an account without a factor: %+v", dry, done[0])
			}
			if done[1].Err != nil || done[1].Existed || !done[1].User.SecondFactor {
				t.Errorf("dry %v: a new account: %+v", dry, done[1])
			}
			if !done[2].Existed || !done[2].User.SecondFactor {
				t.Errorf("dry %v: the same account without its factor: %+v", dry, done[2])
			}
			have, err := w.Store.SecondFactors(t.Context(), there.ID)
			if err != nil || !reflect.DeepEqual(have, userstore.SecondFactors{}) {
				t.Errorf("dry %v: alice has %+v, %v", dry, have, err)
			}
			_, err = w.Store.UserByLogin(t.Context(), userstore.Login{EmailKey: "new@x.test"})
			if dry != errors.Is(err, userstore.ErrNotFound) {
				t.Errorf("dry %v: %v", dry, err)
			}
		}
	})
}

// A key that cannot be had stops the import before anything is stored, a dry run too. Files without
// second factors need none.
func TestAnImportWithoutTheKeyStoresNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		missing := errors.New("no key-encryption key")
		w.AppKey = func() ([]byte, error) { return nil, missing }
		app := userstore.ImportedFactors{TOTP: &userstore.ImportedTOTP{LastCounter: -1,
			Key: totp.Key{Secret: []byte(importedSecret), Algorithm: "SHA1", Digits: 6, Period: 30}}}
		batch := []userstore.User{{Email: "plain@x.test"}, {Email: "ada@x.test"}}
		for _, dry := range []bool{true, false} {
			i := &userstore.Importer{Accounts: w.Accounts, DryRun: dry}
			if _, err := i.Import(t.Context(), batch, map[int]userstore.ImportedFactors{1: app}); !errors.Is(err, missing) {
				t.Errorf("dry %v: %v", dry, err)
			}
		}
		if all, err := userstore.FullPage(t.Context(), w.Store, userstore.UserQuery{Limit: 10}); err != nil || len(all) > 0 {
			t.Errorf("%d accounts, %v", len(all), err)
		}
		done, err := (&userstore.Importer{Accounts: w.Accounts}).Import(t.Context(), batch,
			map[int]userstore.ImportedFactors{0: {}})
		if err != nil || done[0].Err != nil || done[1].Err != nil {
			t.Errorf("without a factor: %+v, %v", done, err)
		}
	})
}

func TestAnImportRefusesFactorsThatCannotBeChecked(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		sealing(w)
		key := totp.Key{Secret: []byte(importedSecret), Algorithm: "SHA1", Digits: 6, Period: 30}
		bad := key
		bad.Algorithm = "MD5"
		code := []userstore.ImportedRecoveryCode{userstore.HashImportedRecoveryCode("ABCDEFGHJKLM")}
		factors := map[int]userstore.ImportedFactors{
			0: {Recovery: code}, 1: {TOTP: &userstore.ImportedTOTP{Key: bad, LastCounter: -1}, Recovery: code},
			2: {TOTP: &userstore.ImportedTOTP{Key: key, LastCounter: -2}},
			3: {TOTP: &userstore.ImportedTOTP{Key: key, LastCounter: -1}},
		}
		batch := []userstore.User{{Email: "a@x.test"}, {Email: "b@x.test"}, {Email: "c@x.test"}, {Email: "d@x.test"}}
		done, err := (&userstore.Importer{Accounts: w.Accounts}).Import(t.Context(), batch, factors)
		if err != nil {
			t.Fatal(err)
		}
		for n, want := range []string{"recovery_codes not_allowed", "totp invalid", "totp invalid"} {
			if got := fields(t, done[n].Err); !slices.Equal(got, []string{want}) {
				t.Errorf("%d: %v, want %s", n, got, want)
			}
		}
		if done[3].Err != nil || !w.read(t, done[3].User.ID).SecondFactor {
			t.Errorf("the good one: %+v", done[3])
		}
		if all, err := userstore.FullPage(t.Context(), w.Store, userstore.UserQuery{Limit: 10}); err != nil || len(all) != 1 {
			t.Errorf("%d accounts, %v", len(all), err)
		}
	})
}
