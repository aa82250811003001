package totp

import (
	"encoding/base32"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/pquerna/otp"
)

func TestURI(t *testing.T) {
	k := Key{Secret: []byte("12345678901234567890"), Algorithm: "SHA1", Digits: 6, Period: 30}
	const want = "otpauth://totp/ACME%20Co:ada%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=ACME%20Co" +
		"&algorithm=SHA1&digits=6&period=30"
	if got := k.URI("ACME Co", "ada@example.com"); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

// plainURI matches the only characters that an app has to understand.
var plainURI = regexp.MustCompile(`^otpauth://totp/([A-Za-z0-9._~%-]+:)?[A-Za-z0-9._~%-]*\?secret=[A-Z2-7]+` +
	`(&issuer=[A-Za-z0-9._~%-]+)?&algorithm=[A-Z0-9]+&digits=\d&period=\d+$`)

func TestEveryNameIsReadBack(t *testing.T) {
	for _, row := range []struct{ issuer, account, wantIssuer, wantAccount string }{
		{"Acme", "ada", "Acme", "ada"},
		{"Acme & Söhne", "zoë@x.test", "Acme & Söhne", "zoë@x.test"},
		{"100 % = a+b?#/", "ada+test@x.test", "100 % = a+b?#/", "ada+test@x.test"},
		{"%3A%20", "a%40b", "%3A%20", "a%40b"},
		{"日本語", "🙂 x", "日本語", "🙂 x"},
		{`"><script>`, `';\`, `"><script>`, `';\`},
		// A colon separates the names.
		{"Acme: sign in", "a:b", "Acme sign in", "a b"},
		{"localhost:8080", "::ada::", "localhost 8080", "ada"},
		{"  Acme \t\r\n Co ", "a\x00b\u0085c\x1b", "Acme Co", "a b c"},
		{"", "ada", "", "ada"},
		{":", "ada", "", "ada"},
		{"a\xffb", "\xff", "a\ufffdb", "\ufffd"},
		// 200 bytes of percent-encoding are the most: é takes 6, … takes 9, 🙂 takes 12.
		{strings.Repeat("é", 200), strings.Repeat("x", 201), strings.Repeat("é", 31) + "…", strings.Repeat("x", 191) + "…"},
		{strings.Repeat("é", 33), strings.Repeat("x", 200), strings.Repeat("é", 33), strings.Repeat("x", 200)},
		{"x", strings.Repeat("🙂", 17), "x", strings.Repeat("🙂", 15) + "…"},
	} {
		for _, k := range []Key{ascii20, {Secret: seed(33), Algorithm: "SHA512", Digits: 8, Period: 60}} {
			text := k.URI(row.issuer, row.account)
			if !plainURI.MatchString(text) || !utf8.ValidString(text) {
				t.Errorf("%q, %q: %s", row.issuer, row.account, text)
			}
			back, err := otp.NewKeyFromURL(text)
			if err != nil {
				t.Fatal(err)
			}
			secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(back.Secret())
			if err != nil || string(secret) != string(k.Secret) || back.Type() != "totp" ||
				back.Issuer() != row.wantIssuer || back.AccountName() != row.wantAccount ||
				back.Algorithm().String() != k.Algorithm || back.Digits().Length() != k.Digits ||
				back.Period() != uint64(k.Period) || back.Encoder() != otp.EncoderDefault {
				t.Errorf("%s\nis read as %q %q %s %s %d %v", text, back.Issuer(), back.AccountName(), back.Algorithm(),
					back.Digits(), back.Period(), err)
			}
			// Some apps refuse a key whose two issuers differ.
			u, err := url.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			prefix, _, found := strings.Cut(strings.TrimPrefix(u.Path, "/"), ":")
			if parameter := u.Query().Get("issuer"); found != (row.wantIssuer != "") || found && prefix != parameter {
				t.Errorf("%s: the issuers are %q and %q", text, prefix, parameter)
			}
		}
	}
}
