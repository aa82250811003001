package jose

import (
	"strings"
	"testing"
)

func TestATokenWithoutSignature(t *testing.T) {
	payload := b64(`{"a":1}`)
	for _, row := range []struct {
		name, compact string
		good          bool
	}{
		{"alg none", b64(`{"alg":"none"}`) + "." + payload + ".", true},
		{"with typ and kid", b64(`{"alg":"none","typ":"JWT","kid":"k"}`) + "." + payload + ".", true},
		{"with a member that nobody knows", b64(`{"alg":"none","x":1}`) + "." + payload + ".", true},
		{"with a signature", b64(`{"alg":"none"}`) + "." + payload + ".AA", false},
		{"without the last dot", b64(`{"alg":"none"}`) + "." + payload, false},
		{"with a dot more", b64(`{"alg":"none"}`) + "." + payload + "..", false},
		{"a signed token's header", b64(`{"alg":"RS256"}`) + "." + payload + ".", false},
		{"a symmetric one's", b64(`{"alg":"HS256"}`) + "." + payload + ".", false},
		{"None", b64(`{"alg":"None"}`) + "." + payload + ".", false},
		{"no alg", b64(`{}`) + "." + payload + ".", false},
		{"alg twice", b64(`{"alg":"none","alg":"none"}`) + "." + payload + ".", false},
		{"a key of its own", b64(`{"alg":"none","jwk":{}}`) + "." + payload + ".", false},
		{"crit", b64(`{"alg":"none","crit":["x"]}`) + "." + payload + ".", false},
		{"an empty header", "." + payload + ".", false},
		{"an empty payload", b64(`{"alg":"none"}`) + "..", false},
		{"padding", b64(`{"alg":"none"}`) + "." + payload + "=.", false},
		{"a line break", b64(`{"alg":"none"}`) + ".\n" + payload + ".", false},
		{"nothing", "", false},
		{"dots", "..", false},
		{"a header beyond measure", b64(`{"alg":"none","x":"`+strings.Repeat("x", 9<<10)+`"}`) + "." + payload + ".", false},
		{"more than a token may have", b64(`{"alg":"none"}`) + "." + b64(strings.Repeat("x", 16<<10)) + ".", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			token, err := ParseUnsigned(row.compact)
			switch {
			case row.good && (err != nil || string(token.Payload) != `{"a":1}` || token.Header.Algorithm != None):
				t.Errorf("%v: %v", token, err)
			case !row.good && err == nil:
				t.Errorf("read as %q", token.Payload)
			}
			if !row.good {
				return
			}
			if _, err := ParseForeign(row.compact); err == nil {
				t.Error("it passes for a signed token")
			}
			for _, alg := range []string{None, "", RS256, ES256, EdDSA} {
				if token.Verify(PublicKey{Algorithm: alg}) == nil {
					t.Errorf("it is verified under a key for %q", alg)
				}
			}
		})
	}
}
