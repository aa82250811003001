package userstore

import (
	"bytes"
	"compress/gzip"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"
)

var ada = User{Email: "Ada.Lovelace@Bücher.example", EmailKey: "ada.lovelace@xn--bcher-kva.example",
	Username: "Enchantress", UsernameKey: "enchantress",
	Claims: Claims{GivenName: "Augusta Ada", FamilyName: "King-Noel"}}

func TestU09WhatIsGuessedFirstIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		password string
		least    int
		code     string
	}{
		"7 characters":                       {"xkcdqwz", 8, CodeTooShort},
		"8 characters where 8 are the least": {"xkcdqwzb", 8, ""},
		"14 characters":                      {"jqkwmzrtpxyvbn", 15, CodeTooShort},
		"15 characters, all lower-case":      {"jqkwmzrtpxyvbnh", 15, ""},
		"15 digits":                          {"582093746151838", 15, ""},
		"64 characters": {
			"It was a bright cold day in April, and the clocks struck thirteen", 15, ""},
		"128 characters":                                {strings.Repeat("never the same twice, ", 5) + "and on", 15, ""},
		"one letter":                                    {"aaaaaaaaaaaaaaa", 15, CodeTooSimple},
		"one space":                                     {"               ", 15, CodeTooSimple},
		"one mark":                                      {"!!!!!!!!!!!!!!!", 15, CodeTooSimple},
		"one letter, 1024 times":                        {strings.Repeat("a", 1024), 15, CodeTooSimple},
		"one emoji":                                     {strings.Repeat("😀", 15), 15, CodeTooSimple},
		"two letters":                                   {"abababababababa", 15, CodeTooSimple},
		"four letters, cut off":                         {"blahblahblahbla", 15, CodeTooSimple},
		"four digits":                                   {"1984198419841984", 15, CodeTooSimple},
		"the digits":                                    {"123456789012345", 15, CodeTooSimple},
		"the digits backwards":                          {"987654321098765", 15, CodeTooSimple},
		"the digits with dashes":                        {"123-456-789-012-345", 15, CodeTooSimple},
		"the alphabet":                                  {"abcdefghijklmnop", 15, CodeTooSimple},
		"the alphabet in capitals":                      {"ABCDEFGHIJKLMNOP", 15, CodeTooSimple},
		"the alphabet, full-width":                      {"ａｂｃｄｅｆｇｈｉｊｋｌｍｎｏ", 15, CodeTooSimple},
		"a row of keys":                                 {"qwertyuiopasdfgh", 15, CodeTooSimple},
		"a row of keys and digits":                      {"qwertz123456789", 15, CodeTooSimple},
		"columns of keys":                               {"1qaz2wsx3edc4rfv", 15, CodeTooCommon}, // it is on the list
		"more columns of keys":                          {"1qaz2wsx3edc4rfv5tgb", 15, CodeTooSimple},
		"Russian keys":                                  {"йцукенгшщзхъфыва", 15, CodeTooSimple},
		"runs of letters":                               {"aaabbbcccdddeee", 15, CodeTooSimple},
		"on the list":                                   {"polniypizdec0211", 15, CodeTooCommon},
		"on the list, in capitals":                      {"PolniyPizdec0211", 15, CodeTooCommon},
		"on the list, where 8 are the least":            {"password", 8, CodeTooCommon},
		"on the list, with a capital":                   {"Password1", 8, CodeTooCommon},
		"on the list, full-width":                       {"ｐａｓｓｗｏｒｄ", 8, CodeTooCommon},
		"a common word twice":                           {"passwordpassword", 15, CodeTooCommon},
		"a common word three times, apart":              {"Monkey monkey monkey!", 15, CodeTooCommon},
		"a common word and digits":                      {"password123456789", 15, CodeTooCommon},
		"a common word between digits":                  {"1234-iloveyou-1234", 15, CodeTooCommon},
		"a common word and an own name":                 {"adalovelacesunshine", 15, CodeTooCommon},
		"two common words make no passphrase of 15":     {"monkey dragon 77", 15, ""},
		"a passphrase of common words":                  {"purple monkey dishwasher", 15, ""},
		"the passphrase of our own documents":           {"correct horse battery staple", 15, ""},
		"a common word and something else":              {"password of the duke", 15, ""},
		"the address":                                   {"Ada.Lovelace@Bücher.example", 15, CodeOwnName},
		"the address as others write it":                {"ADA.LOVELACE@XN--BCHER-KVA.EXAMPLE", 15, CodeOwnName},
		"what is before the @, twice":                   {"ada.lovelaceada.lovelace", 15, CodeOwnName},
		"what is before the @, without dot, and digits": {"AdaLovelace1234", 15, CodeOwnName},
		"the username and a mark":                       {"Enchantress!!!!", 15, CodeOwnName},
		"the names":                                     {"augusta ada king", 15, CodeOwnName},
		"the names in another order":                    {"KingNoelAugusta", 15, CodeOwnName},
		"more than the names":                           {"augusta ada king of spades", 15, ""},
		"the product's name":                            {"signetsignetsignet", 15, CodeServiceName},
		"the product's name and digits":                 {"Signet-1234567890", 15, CodeServiceName},
		"the issuer's host":                             {"login.acme.test", 15, CodeServiceName},
		"the issuer's host, apart":                      {"acme login acme", 15, CodeServiceName},
		"the issuer's host and port":                    {"login.acme.test:8080", 15, CodeServiceName},
		"the issuer's port between":                     {"acme8080acme8080", 15, CodeServiceName},
		"the issuer's host, its port and digits":        {"login.acme.test:8080-123", 15, CodeServiceName},
		"another port":                                  {"login.acme.test:8671", 15, ""},
		"the service's name in a sentence":              {"acme makes anvils", 15, ""},
	} {
		f := checkNew(c.password, c.least, ada, "login.acme.test:8080")
		if f.Code != c.code {
			t.Errorf("U-09 %s: %q, want %q (%s)", name, f.Code, c.code, f.Message)
		}
		if f.Code != "" && f.Message == "" {
			t.Errorf("U-09 %s: refused without a reason", name)
		}
		if c.least == 15 && strings.Contains(f.Message, c.password) {
			t.Errorf("U-09 %s: the reason repeats the password", name)
		}
	}
}

// A service's name is refused with and without its port.
func TestU09TheServiceHasAPort(t *testing.T) {
	for _, row := range []struct{ service, password, code string }{
		{"localhost:8080", "localhost:8080!", CodeServiceName},
		{"localhost:8080", "localhost:8080localhost:8080", CodeServiceName},
		{"localhost:8080", "LOCALHOST localhost", CodeServiceName},
		{"localhost:8080", "localhost:9443 and", ""},
		{"localhost:8080", "http://localhost:8080", CodeTooCommon}, // http is a common word
		{"id.acme.io:8443", "id.acme.io:8443", CodeServiceName},
		{"id.acme.io:8443", "idacmeio8443-123", CodeServiceName},
		{"id.acme.io:8443", "id.acme.io id.acme.io", CodeServiceName},
		{"[2001:db8::1]:8443", "correct horse battery", ""},
	} {
		if f := checkNew(row.password, 14, ada, row.service); f.Code != row.code {
			t.Errorf("U-09 %s at %s: %q, want %q", row.password, row.service, f.Code, row.code)
		}
	}
}

func TestU09EveryCommonPasswordIsRefused(t *testing.T) {
	z, err := gzip.NewReader(bytes.NewReader(commonGzip))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(lines) != 19640 || lines[0] != "123456" {
		t.Fatalf("%d lines, first %q", len(lines), lines[0])
	}
	refused := 0
	for i, p := range lines {
		for _, least := range []int{8, 15} {
			f := checkNew(p, least, User{}, "")
			switch short := utf8.RuneCountInString(p) < least; {
			case short && f.Code == CodeTooShort, !short && f.Code == CodeTooCommon:
				refused++
			default:
				t.Errorf("U-09 number %d, %q, least %d: %q", i+1, p, least, f.Code)
			}
		}
	}
	if refused != 2*len(lines) {
		t.Errorf("U-09 %d of %d refused", refused, 2*len(lines))
	}
}

// Random passwords are never refused: a false alarm here would send a person away.
func TestRandomPasswordsAreAllowed(t *testing.T) {
	source := rand.New(rand.NewPCG(8, 15)) // always the same, so that chance fails no run
	for range 5000 {
		for _, alphabet := range []string{"abcdefghijklmnopqrstuvwxyz", "0123456789"} {
			var p strings.Builder
			for range 15 {
				p.WriteByte(alphabet[source.IntN(len(alphabet))])
			}
			if f := checkNew(p.String(), 15, ada, "login.acme.test"); f.Code != "" {
				t.Errorf("%s: %s", p.String(), f.Code)
			}
		}
	}
}

func BenchmarkChosen(b *testing.B) {
	commonPasswords()
	for name, password := range map[string]string{
		"a passphrase": "correct horse battery staple",
		"64 letters":   strings.Repeat("passwordmonkey", 5)[:63] + "!",
		"1 KiB":        strings.Repeat("abcdefgh1234567x", 64),
		"1 KiB of a":   strings.Repeat("a", 1023) + "b",
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				checkNew(password, 15, ada, "login.acme.test")
			}
		})
	}
}
