package password

import (
	"bytes"
	"strings"
	"testing"
)

const (
	phcSalt = "c29tZXNhbHRzb21lc2FsdA"                      // somesaltsomesalt
	phcTag  = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE" // 32 digits
	phcGood = "$argon2id$v=19$m=19456,t=2,p=1$" + phcSalt + "$" + phcTag
)

func TestParseArgon2id(t *testing.T) {
	h, err := parseArgon2id(phcGood)
	if err != nil {
		t.Fatal(err)
	}
	if h.MemoryKiB != 19456 || h.Time != 2 || h.Threads != 1 ||
		!bytes.Equal(h.Salt, []byte("somesaltsomesalt")) || string(h.Tag) != "01234567890123456789012345678901" {
		t.Errorf("read %+v", h)
	}
	if h.String() != phcGood {
		t.Errorf("written %s", h)
	}
}

func TestParseArgon2idRefuses(t *testing.T) {
	sub := func(old, new string) string {
		if !strings.Contains(phcGood, old) {
			t.Fatalf("%q is not in the good hash", old)
		}
		return strings.Replace(phcGood, old, new, 1)
	}
	for name, s := range map[string]string{
		"nothing":                              "",
		"a dollar":                             "$",
		"six empty parts":                      "$$$$$",
		"plain text":                           "correct horse battery staple",
		"another argon2":                       sub("argon2id", "argon2i"),
		"the scheme in capitals":               sub("argon2id", "Argon2id"),
		"a foreign hash":                       "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW",
		"Django's form":                        "argon2" + phcGood,
		"version 16, another function":         sub("v=19", "v=16"),
		"no version":                           sub("$v=19", ""),
		"costs in another order":               sub("m=19456,t=2,p=1", "t=2,m=19456,p=1"),
		"a cost twice":                         sub("t=2", "t=2,t=2"),
		"a cost missing":                       sub(",p=1", ""),
		"a fourth parameter":                   sub("p=1", "p=1,keyid=AAAA"),
		"a leading zero":                       sub("t=2", "t=02"),
		"a plus sign":                          sub("t=2", "t=+2"),
		"a negative cost":                      sub("t=2", "t=-2"),
		"no passes":                            sub("t=2", "t=0"),
		"no threads, which x/crypto panics on": sub("p=1", "p=0"),
		"256 threads":                          sub("p=1", "p=256"),
		"memory past 32 bits":                  sub("m=19456", "m=4294967296"),
		"less than 8 KiB a thread":             sub("m=19456,t=2,p=1", "m=15,t=2,p=2"),
		"a space in front":                     " " + phcGood,
		"a newline behind":                     phcGood + "\n",
		"a newline within":                     sub("c29t", "c29t\n"),
		"padding":                              sub(phcTag, phcTag+"="),
		"a second spelling of the same salt":   sub("c2FsdA", "c2FsdB"),
		"base64url":                            sub("MDEy", "-_Ey"),
		"a short salt":                         sub(phcSalt, "c2FsdA"),
		"a long salt":                          sub(phcSalt, strings.Repeat("c2Fs", 22)),
		"a short tag":                          sub(phcTag, "MDEyMw"),
		"a long tag":                           sub(phcTag, strings.Repeat("MDEy", 22)),
		"a seventh part":                       phcGood + "$",
		"a mebibyte of dollars":                strings.Repeat("$", 1<<20),
	} {
		if h, err := parseArgon2id(s); err == nil {
			t.Errorf("%s was read as %+v", name, h)
		}
	}
}

func TestPHCScheme(t *testing.T) {
	for s, want := range map[string]string{
		phcGood:                          "argon2id",
		"$2b$12$abc":                     "2b",
		"$pbkdf2-sha256$i=1$a$b":         "pbkdf2-sha256",
		"pbkdf2_sha256$600000$salt$hash": "", // Django's own form has no dollar in front
		"$argon2id":                      "",
		"":                               "",
	} {
		if got := phcScheme(s); got != want {
			t.Errorf("scheme of %q is %q, want %q", s, got, want)
		}
	}
}

func FuzzParsePHC(f *testing.F) {
	f.Add(phcGood)
	f.Add("$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA")
	f.Add("$argon2id$v=19$m=4294967295,t=4294967295,p=255$" + phcSalt + "$" + phcTag)
	f.Add("$argon2i$v=19$m=19456,t=2,p=1$" + phcSalt + "$" + phcTag)
	f.Add("$$$$$")
	f.Fuzz(func(t *testing.T, s string) {
		h, err := parseArgon2id(s)
		if err != nil {
			return
		}
		if h.String() != s {
			t.Errorf("%q was read but is written %q", s, h)
		}
		if h.Time == 0 || h.Threads == 0 || h.MemoryKiB < 8*uint32(h.Threads) {
			t.Errorf("%q would panic or be changed by argon2", s)
		}
		if phcScheme(s) != argon2Scheme {
			t.Errorf("%q is of scheme %q", s, phcScheme(s))
		}
	})
}
