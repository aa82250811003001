package factorseal

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

const (
	user   = "01JD0000000000000000000001"
	factor = "01JD0000000000000000000002"
)

func key(b byte) []byte { return bytes.Repeat([]byte{b}, KeySize) }

func TestASealedSecretOpens(t *testing.T) {
	for _, secret := range []string{"", "x", "12345678901234567890", strings.Repeat("long ", 1000)} {
		sealed := Seal(key(1), user, factor, []byte(secret))
		if got, err := Open(key(1), user, factor, sealed); err != nil || string(got) != secret {
			t.Errorf("%q, %v", got, err)
		}
		if len(secret) > 1 && bytes.Contains(sealed, []byte(secret)) {
			t.Errorf("%q is not sealed", secret)
		}
	}
}

func TestNoTwoSealsAreAlike(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		sealed := Seal(key(1), user, factor, []byte("12345678901234567890"))
		if nonce := string(sealed[:12]); seen[nonce] {
			t.Fatal("a nonce came twice")
		} else {
			seen[nonce] = true
		}
	}
}

func TestASealedSecretOpensNowhereElse(t *testing.T) {
	sealed := Seal(key(1), user, factor, []byte("12345678901234567890"))
	for name, tt := range map[string]struct {
		key          []byte
		user, factor string
	}{
		"another key":                {key(2), user, factor},
		"another user":               {key(1), user + "x", factor},
		"another factor":             {key(1), user, factor + "x"},
		"user and factor exchanged":  {key(1), factor, user},
		"a longer user":              {key(1), user + factor[:1], factor[1:]},
		"a shorter user":             {key(1), user[:25], user[25:] + factor},
		"all of it as the user":      {key(1), user + factor, ""},
		"all of it as the factor":    {key(1), "", user + factor},
		"no user":                    {key(1), "", factor},
		"no factor":                  {key(1), user, ""},
		"the user in lower case":     {key(1), strings.ToLower(user), factor},
		"a user with a zero byte":    {key(1), user + "\x00", factor},
		"a factor with a zero byte":  {key(1), user, factor + "\x00"},
		"a factor with a space":      {key(1), user, " " + factor},
		"the length moved to a name": {key(1), user + "\x00\x00\x00\x00\x00\x00\x00\x1a" + factor, ""},
	} {
		got, err := Open(tt.key, tt.user, tt.factor, sealed)
		if !errors.Is(err, ErrOpen) || got != nil {
			t.Errorf("%s opens it: %q, %v", name, got, err)
		}
	}
	if _, err := Open(key(1), user, factor, sealed); err != nil {
		t.Error(err)
	}
}

func TestADamagedSecretDoesNotOpen(t *testing.T) {
	sealed := Seal(key(1), user, factor, []byte("12345678901234567890"))
	refused := func(what string, damaged []byte) {
		t.Helper()
		got, err := Open(key(1), user, factor, damaged)
		if !errors.Is(err, ErrOpen) || got != nil {
			t.Errorf("%s opens: %q, %v", what, got, err)
		}
	}
	refused("nothing", nil)
	for n := range sealed {
		refused("a beginning", sealed[:n])
		refused("an end", sealed[n+1:])
		for bit := range 8 {
			damaged := bytes.Clone(sealed)
			damaged[n] ^= 1 << bit
			refused("a changed bit", damaged)
		}
	}
	refused("more", append(bytes.Clone(sealed), 0))
	refused("twice", append(bytes.Clone(sealed), sealed...))
	refused("zeros", make([]byte, len(sealed)))
	other := Seal(key(1), user, factor, []byte("09876543210987654321"))
	refused("the nonce of another", append(bytes.Clone(other[:12]), sealed[12:]...))
}

// An error about a sealed secret goes to the log.
func TestTheErrorNamesNoSecret(t *testing.T) {
	sealed := Seal(key('k'), user, factor, []byte("12345678901234567890"))
	_, err := Open(key('k'), factor, user, sealed)
	for _, secret := range []string{"12345678901234567890", "kkkk"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%v", err)
		}
	}
}

// A key that a caller forgot must not become a seal that anybody opens.
func TestOnlyAWholeKeySeals(t *testing.T) {
	for _, size := range []int{0, 16, 24, 31, 33} {
		for name, use := range map[string]func(){
			"seals": func() { Seal(make([]byte, size), user, factor, []byte("secret")) },
			"opens": func() { _, _ = Open(make([]byte, size), user, factor, make([]byte, 64)) },
		} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("a key of %d bytes %s", size, name)
					}
				}()
				use()
			}()
		}
	}
}
