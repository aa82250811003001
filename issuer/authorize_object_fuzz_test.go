package issuer

import (
	"encoding/json"
	"testing"
)

// FuzzRequestObject checks that the parameters of an object are its claims of those names, and that
// the answer to a refused object takes nothing else from it.
func FuzzRequestObject(f *testing.F) {
	for _, payload := range []string{
		`{"iss":"c","aud":["https://id.test"],"exp":1,"state":"s","scope":"openid","max_age":10}`,
		`{"claims":{"userinfo":{"name":null}},"resource":["https://a.test","https://b.test"]}`,
		`{"resource":"https://a.test","redirect_uri":"https://c.test/cb"}`, `{"state":"a","state":"b"}`, `{"request":"a.b.c"}`,
		`{"max_age":-1e5}`, `{"state":"\ud800"}`, `{"state":"\u0000"}`, `[]`, `{`, ``,
	} {
		f.Add([]byte(payload))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		r, err := readObjectParameters(payload)
		if err != nil {
			return
		}
		var claims map[string]json.RawMessage
		if err := json.Unmarshal(payload, &claims); err != nil {
			t.Fatalf("%q was read: %v", payload, err)
		}
		for _, p := range single {
			value := *p.of(&r)
			var text string
			switch raw, sent := claims[p.name]; {
			case !sent && value != "":
				t.Fatalf("%s is %q, and not in %q", p.name, value, payload)
			case sent && json.Unmarshal(raw, &text) == nil && text != value:
				t.Fatalf("%s is %q in %q", p.name, value, payload)
			case sent && len(raw) > 0 && raw[0] != '"' && p.name != "max_age" && p.name != "claims":
				t.Fatalf("%s was read from %q", p.name, payload)
			}
		}
		if _, sent := claims["resource"]; !sent && r.Resource != nil {
			t.Fatalf("resources %q, and none in %q", r.Resource, payload)
		}
	})
}
