package password

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/text/unicode/norm"
)

type foreignVector struct {
	By, Password, Sent, Stored string
}

// foreignVectors were made by Django and passlib: see testdata/foreign.py.
var foreignVectors = sync.OnceValues(func() (v []foreignVector, err error) {
	text, err := os.ReadFile("testdata/foreign.json")
	if err == nil {
		err = json.Unmarshal(text, &v)
	}
	return v, err
})

func vectors(tb testing.TB) []foreignVector {
	tb.Helper()
	v, err := foreignVectors()
	if err != nil || len(v) < 70 {
		tb.Fatalf("%d vectors, %v", len(v), err)
	}
	return v
}

func TestHashesOfOtherSystems(t *testing.T) {
	h := New(cheap, 2, 200, time.Minute)
	for _, v := range vectors(t) {
		what := v.By + ", " + v.Password
		if err := h.Accept(v.Stored); err != nil {
			t.Errorf("%s: %v: %s", what, err, v.Stored)
			continue
		}
		if atDefault := strings.Contains(v.By, "default"); atDefault && !strings.Contains(v.By, "PBKDF2") {
			continue // accepted; to run them takes the race detector ten seconds, of the same code
		}
		if ok, stale := matches(t, h, v.Stored, v.Sent); !ok || !stale {
			t.Errorf("%s: ok %v, stale %v", what, ok, stale)
		}
		if strings.Contains(v.By, "default") {
			continue
		}
		wrong := []string{"", "x" + v.Sent, v.Sent[:6] + "?" + v.Sent[6:]}
		if s := norm.NFKC.String(v.Sent); s != v.Sent {
			wrong = append(wrong, s) // checked as it was sent
		}
		truncating := strings.Contains(v.By, "crypt 2") || strings.HasSuffix(v.By, "BCrypt")
		if truncating && len(v.Sent) >= maxBcrypt {
			// What bcrypt never saw cannot be wrong.
			for _, same := range []string{v.Sent[:maxBcrypt], v.Sent + "more"} {
				if ok, _ := matches(t, h, v.Stored, same); !ok {
					t.Errorf("%s: bcrypt looks at more than %d bytes", what, maxBcrypt)
				}
			}
			wrong = append(wrong, v.Sent[:maxBcrypt-3])
		} else {
			wrong = append(wrong, v.Sent+" ", v.Sent[:len(v.Sent)-1]+"\u00ff")
			if len(v.Sent) > maxBcrypt {
				wrong = append(wrong, v.Sent[:maxBcrypt])
			}
		}
		for _, w := range wrong {
			if !hashable(w) {
				continue
			}
			if ok, stale := matches(t, h, v.Stored, w); ok || stale {
				t.Errorf("%s: %q matches, stale %v", what, w, stale)
			}
		}
	}
}

// foreignGood has one of each form, of low cost.
var foreignGood = map[string]string{
	"pbkdf2":        "pbkdf2_sha256$1000$seasalt$MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
	"argon2id":      "argon2$argon2id$v=19$m=64,t=2,p=2$" + phcSalt + "$" + phcTag,
	"argon2i":       "argon2$argon2i$v=19$m=64,t=2,p=2$" + phcSalt + "$" + phcTag,
	"bcrypt":        "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW",
	"bcrypt_sha256": "bcrypt_sha256$$2b$04$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW",
	"Django bcrypt": "bcrypt$$2b$04$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW",
	"scrypt":        "$scrypt$ln=4,r=8,p=1$" + phcSalt + "$" + phcTag,
	"Django scrypt": "scrypt$16$seasalt$8$1$MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
}

func TestParseForeignRefuses(t *testing.T) {
	sub := func(form, old, new string) string {
		good := foreignGood[form]
		if _, err := parseForeign(good); err != nil || !strings.Contains(good, old) {
			t.Fatalf("%s: %v, or without %q", form, err, old)
		}
		return strings.Replace(good, old, new, 1)
	}
	for name, s := range map[string]string{
		"nothing":                        "",
		"a dollar":                       "$",
		"plain text":                     "correct horse battery staple",
		"Django's mark of no password":   "!u6gGbGQYBqsOqz5WjwVgOGbUQWwpFUyUQhe0TjuZ",
		"MD5":                            "md5$seasalt$3f86d0d3d465b7b458c231bf3555c0e3",
		"SHA-1":                          "sha1$seasalt$cff36ea83f5706ce9aa7454e63e431fc726b2dc8",
		"crypt(3)":                       "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjlO/O817G3uBnIFNjnQJuesI68OTLiBFdcbYEdFCoEOfaS35inz1",
		"capitals":                       sub("pbkdf2", "pbkdf2", "PBKDF2"),
		"no iterations":                  sub("pbkdf2", "$1000$", "$0$"),
		"iterations with a leading zero": sub("pbkdf2", "$1000$", "$01000$"),
		"iterations with a sign":         sub("pbkdf2", "$1000$", "$+1000$"),
		"iterations past 32 bits":        sub("pbkdf2", "$1000$", "$4294967296$"),
		"no salt":                        sub("pbkdf2", "seasalt", ""),
		"a salt with a space":            sub("pbkdf2", "seasalt", "sea salt"),
		"a salt beyond ASCII":            sub("pbkdf2", "seasalt", "seasält"),
		"a long salt":                    sub("pbkdf2", "seasalt", strings.Repeat("s", maxTextSalt+1)),
		"a fourth part":                  sub("pbkdf2", "seasalt", "sea$salt"),
		"no padding":                     sub("pbkdf2", "=", ""),
		"a second spelling of a hash":    sub("pbkdf2", "DE=", "DF="),
		"a newline behind":               sub("pbkdf2", "=", "=\n"),
		"a newline within":               sub("pbkdf2", "MDEy", "MDEy\n"),
		"half a hash": sub("pbkdf2", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
			"MDEyMzQ1Njc4OTAxMjM0NQ=="),
		"argon2d":                                sub("argon2id", "argon2id", "argon2d"),
		"argon2 of version 16":                   sub("argon2id", "v=19", "v=16"),
		"argon2 with a dollar more":              sub("argon2id", "argon2$", "argon2$$"),
		"argon2i alone, which no Django writes":  sub("argon2i", "argon2$", "$"),
		"argon2 with too little memory":          sub("argon2i", "m=64", "m=15"),
		"bcrypt before its sign was mended":      sub("bcrypt", "2b", "2x"),
		"bcrypt of 1999":                         sub("bcrypt", "2b", "2"),
		"bcrypt of a later version":              sub("bcrypt", "2b", "3b"),
		"bcrypt cost of one digit":               sub("bcrypt", "$12$", "$4$"),
		"bcrypt cost 03":                         sub("bcrypt", "$12$", "$03$"),
		"bcrypt cost 00":                         sub("bcrypt", "$12$", "$00$"),
		"bcrypt cost 32":                         sub("bcrypt", "$12$", "$32$"),
		"bcrypt cost in hex":                     sub("bcrypt", "$12$", "$0x$"),
		"bcrypt without its last character":      sub("bcrypt", "MUW", "MU"),
		"bcrypt with one character more":         sub("bcrypt", "MUW", "MUWW"),
		"bcrypt with bits that are never set":    sub("bcrypt", "MUW", "MUX"),
		"bcrypt with base64 of others":           sub("bcrypt", "R9h/", "R9h+"),
		"bcrypt_sha256 with one dollar":          sub("bcrypt_sha256", "$$", "$"),
		"bcrypt_sha256 of passlib":               "$bcrypt-sha256$v=2,t=2b,r=12$n79VH.0Q2TMWmt3Oqt9uku$Kq4Noyk3094Y2QlB8NdRT8SvGiI4ft2",
		"scrypt's costs in another order":        sub("scrypt", "ln=4,r=8", "r=8,ln=4"),
		"scrypt without a cost":                  sub("scrypt", ",p=1", ""),
		"scrypt with ln=0":                       sub("scrypt", "ln=4", "ln=0"),
		"scrypt with ln=63":                      sub("scrypt", "ln=4", "ln=63"),
		"scrypt with padding":                    sub("scrypt", phcTag, phcTag+"="),
		"scrypt without a salt":                  sub("scrypt", phcSalt, ""),
		"scrypt with N that is no power of two":  sub("Django scrypt", "$16$", "$17$"),
		"scrypt with N of one":                   sub("Django scrypt", "$16$", "$1$"),
		"scrypt with N past 63 bits":             sub("Django scrypt", "$16$", "$9223372036854775808$"),
		"a mebibyte of dollars":                  strings.Repeat("$", 1<<20),
		"ours, which is not foreign":             phcGood,
		"ours with a form of others in its salt": sub("argon2id", phcSalt, "2b"),
	} {
		if _, err := parseForeign(s); !errors.Is(err, ErrForm) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestU36ForeignHashOfAbsurdCostIsRefusedNotExecuted(t *testing.T) {
	h, spent := counted(cheap)
	for name, c := range map[string]struct{ form, old, absurd, most string }{
		"pbkdf2":                 {"pbkdf2", "$1000$", "$5000001$", "$5000000$"},
		"pbkdf2 of four billion": {"pbkdf2", "$1000$", "$4294967295$", ""},
		"argon2id of 4 GiB":      {"argon2id", "m=64,t=2", "m=4194304,t=1", "m=262144,t=4"},
		"argon2i of much both":   {"argon2i", "m=64,t=2", "m=262144,t=5", "m=65536,t=16"},
		"bcrypt":                 {"bcrypt", "$12$", "$15$", "$14$"},
		"bcrypt of 31":           {"bcrypt_sha256", "$04$", "$31$", ""},
		"scrypt of 1 GiB":        {"scrypt", "ln=4,r=8,p=1", "ln=20,r=8,p=1", "ln=18,r=8,p=1"},
		"scrypt often":           {"scrypt", "ln=4,r=8,p=1", "ln=17,r=8,p=3", ""},
		"scrypt beyond 64 bits":  {"scrypt", "ln=4,r=8,p=1", "ln=62,r=4294967295,p=4294967295", ""},
		"scrypt in one lane": {"Django scrypt", "$16$seasalt$8$1$", "$16$seasalt$4294967295$4294967295$",
			"$16384$seasalt$8$5$"},
	} {
		with := func(cost string) string {
			s := strings.Replace(foreignGood[c.form], c.old, cost, 1)
			if _, err := parseForeign(s); err != nil {
				t.Fatalf("U-36 %s: the test's own hash is malformed: %s", name, s)
			}
			return s
		}
		if c.most != "" {
			if err := h.Accept(with(c.most)); err != nil {
				t.Errorf("U-36 %s: %s: %v", name, c.most, err)
			}
		}
		absurd := with(c.absurd)
		if err := h.Accept(absurd); !errors.Is(err, ErrCost) {
			t.Errorf("U-36 %s: accepted: %v", name, err)
		}
		start := time.Now()
		if ok, stale := matches(t, h, absurd, "x"); ok || stale {
			t.Errorf("U-36 %s: ok %v, stale %v", name, ok, stale)
		}
		// The decoy in its place, of 8 KiB, takes microseconds; the cheapest of these seconds.
		if calls, work := spent(); calls != 1 || work != cheap.work() {
			t.Errorf("U-36 %s: %d derivations of %d KiB after %v, want one of the configured cost", name, calls, work,
				time.Since(start))
		}
	}
}

func TestForeignHashIsCheckedInASlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := blocking(1, 5, time.Second)
		go h.Hash(t.Context(), "pw")
		synctest.Wait()
		for form, stored := range foreignGood {
			start := time.Now()
			if _, _, err := h.Verify(t.Context(), stored, "pw"); !errors.Is(err, ErrOverloaded) ||
				time.Since(start) != time.Second {
				t.Errorf("%s: %v after %v", form, err, time.Since(start))
			}
		}
		time.Sleep(time.Minute)
	})
	h := New(cheap, 1, 0, 0)
	for form, stored := range foreignGood {
		if _, _, err := h.Verify(context.Background(), stored, strings.Repeat("x", MaxBytes+1)); !errors.Is(err, ErrInput) {
			t.Errorf("%s, a long password: %v", form, err)
		}
	}
	if h.Stats().Started != 0 {
		t.Errorf("%+v", h.Stats())
	}
}

func FuzzParseForeign(f *testing.F) {
	for _, s := range foreignGood {
		f.Add(s, "password")
	}
	for _, v := range vectors(f) {
		if !strings.Contains(v.By, "default") {
			f.Add(v.Stored, v.Sent)
		}
	}
	f.Add("$scrypt$ln=62,r=4294967295,p=4294967295$"+phcSalt+"$"+phcTag, "")
	h := New(cheap, 1, 0, 0)
	f.Fuzz(func(t *testing.T, s, password string) {
		hash, err := parseForeign(s)
		if err != nil {
			return
		}
		if len(s) > maxPHC || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) {
			t.Errorf("%q was read", s)
		}
		if _, err := parseArgon2id(s); err == nil {
			t.Errorf("%q is ours and foreign", s)
		}
		// Run what is so cheap that the fuzzer stays fast: it must not panic.
		small := hash.memory <= 64 && !strings.HasPrefix(s, "pbkdf2") && !strings.Contains(s, ",t=") &&
			!strings.Contains(s, "scrypt") &&
			strings.Contains(s, "$04$")
		if hash.affordable && small {
			hash.check(h, password)
		}
	})
}
