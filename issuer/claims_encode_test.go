package issuer

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/signet-id/signet/internal/strictjson"
)

// Each set of claims encodes itself to the bytes that encoding/json makes of its fields.
func TestClaimsAsEncodingJSONWritesThem(t *testing.T) {
	text := rapid.OneOf(rapid.Just(""), rapid.String(), rapid.StringMatching(`[a-z<>&"\\/\x00-\x1f\x7f\x{2028}é]{1,8}`),
		rapid.Just("\xff\"<"))
	texts := rapid.SliceOfN(text, 0, 3)
	number := rapid.OneOf(rapid.Just(int64(0)), rapid.Int64())
	rapid.Check(t, func(t *rapid.T) {
		for _, claims := range []claimSet{&accessClaims{}, &idClaims{}, &refreshClaims{}, &logoutClaims{}} {
			v := reflect.ValueOf(claims).Elem()
			for n := range v.NumField() {
				switch field := v.Field(n).Addr().Interface().(type) {
				case *string:
					*field = text.Draw(t, v.Type().Field(n).Name)
				case *int64:
					*field = number.Draw(t, v.Type().Field(n).Name)
				case *[]string:
					*field = texts.Draw(t, v.Type().Field(n).Name)
				case *audience:
					*field = append(texts.Draw(t, "aud"), text.Draw(t, "aud"))
				case **statusClaim:
					if rapid.Bool().Draw(t, "status") {
						*field = &statusClaim{statusReference{number.Draw(t, "idx"), text.Draw(t, "uri")}}
					}
				case **confirmation:
					if rapid.Bool().Draw(t, "cnf") {
						*field = &confirmation{text.Draw(t, "jkt")}
					}
				case *logoutEvents: // holds nothing
				default:
					t.Fatalf("a field of type %T: draw it here", field)
				}
			}
			encoded, err := json.Marshal(claims)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(claims.append(nil)); got != string(encoded) {
				t.Fatalf("%T\n%s, want\n%s", claims, got, encoded)
			}
			got, err := appendClaims(claims.append([]byte(nil)), map[string]any{"more": "<", "most": 1})
			if want := strings.TrimSuffix(string(encoded), "}") + `,"more":"\u003c","most":1}`; err != nil || string(got) != want {
				t.Fatalf("%s, %v, want %s", got, err, want)
			}
		}
	})
}

// MarshalJSON is for this comparison; tokens are not encoded by encoding/json.
func (a audience) MarshalJSON() ([]byte, error) {
	if len(a) == 1 {
		return json.Marshal(a[0])
	}
	return json.Marshal([]string(a))
}

// FuzzRefreshClaims: what is read by hand is what strictjson.Unmarshal reads, and nothing else is
// accepted.
func FuzzRefreshClaims(f *testing.F) {
	whole := string((&refreshClaims{"https://id.test", "https://id.test", "app", "AAAA", 7, "x", 1, 2}).append(nil))
	for _, seed := range []string{
		whole, "{}", "[]", "null", `{"gen":1,"gen":2}`, `{"Gen":1}`, `{"gen":1.0}`, `{"gen":1e3}`, `{"gen":"1"}`, `{"gen":-0}`, `{"gen":null}`,
		`{"iss":null}`, `{"iss":1}`, `{"iss":"\u0041\n"}`, `{"iss":["a"]}`, `{"more":1}`, `{"gen":9223372036854775807}`, `{"exp":9223372036854775808}`,
		` { "iat" : 5 } `, whole + "x", strings.Replace(whole, `"gen":7`, `"gen":+7`, 1), strings.Replace(whole, `"gen":7`, `"gen":0x7`, 1),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, payload string) {
		var want refreshClaims
		wanted := strictjson.Unmarshal([]byte(payload), &want, strictjson.RefuseUnknown)
		got, err := readRefreshClaims([]byte(payload))
		switch {
		case (err == nil) != (wanted == nil):
			t.Fatalf("%q: %v, want %v", payload, err, wanted)
		case err == nil && got != want:
			t.Fatalf("%q: %+v, want %+v", payload, got, want)
		}
	})
}
