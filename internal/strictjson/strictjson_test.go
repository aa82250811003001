package strictjson

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

type address struct {
	Street string `json:"street"`
	Number int    `json:"number"`
}

type base struct {
	ID string `json:"id"`
}

type person struct {
	base
	Email    string            `json:"email"`
	Password *string           `json:"password"`
	Address  address           `json:"address"`
	Friends  []address         `json:"friends"`
	Tags     []string          `json:"tags"`
	Labels   map[string]string `json:"labels"`
	Age      uint8             `json:"age"`
	Score    float64           `json:"score"`
	Admin    bool              `json:"admin"`
	Raw      json.RawMessage   `json:"raw"`
	Any      any               `json:"any"`
	When     time.Time         `json:"when"`
	Key      []byte            `json:"key"`
	Pair     [2]int            `json:"pair"`
	Hidden   string            `json:"-"`
}

func problems(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	var e *Error
	if !errors.As(err, &e) || len(e.Problems) == 0 {
		t.Fatalf("want an *Error that names problems, got %#v", err)
	}
	var list []string
	for _, p := range e.Problems {
		if p.Message == "" {
			t.Errorf("problem without a message: %+v", p)
		}
		list = append(list, p.Field+":"+p.Code)
	}
	return list
}

func TestUnmarshalRefuses(t *testing.T) {
	deep := func(n int) string { return strings.Repeat(`[`, n) + strings.Repeat(`]`, n) }
	for _, c := range []struct{ name, in, want string }{
		{"an empty document", ``, ":malformed"},
		{"white space only", " \n", ":malformed"},
		{"H-19 a byte order mark", "\ufeff{}", ":malformed"},
		{"H-19 trailing data", `{} {`, ":trailing_data"},
		{"a second document", `{}{}`, ":trailing_data"},
		{"a NUL after the document", "{}\x00", ":trailing_data"},
		{"H-19 NaN", `{"score":NaN}`, "score:malformed"},
		{"infinity", `{"score":-Infinity}`, "score:malformed"},
		{"a comment", `{/**/}`, ":malformed"},
		{"single quotes", `{'email':1}`, ":malformed"},
		{"a trailing comma", `{"email":"a",}`, ":malformed"},
		{"a leading zero", `{"age":01}`, ":malformed"},
		{"a leading plus", `{"age":+1}`, "age:malformed"},
		{"a number cut off", `{"score":1.}`, "score:malformed"},
		{"an exponent cut off", `{"score":1e}`, "score:malformed"},
		{"a document cut off", `{"email":"a`, "email:malformed"},
		{"an object cut off", `{"email":"a"`, ":malformed"},
		{"a control character", "{\"email\":\"a\nb\"}", "email:malformed"},
		{"invalid UTF-8 in a value", "{\"email\":\"\xff\"}", "email:malformed"},
		{"overlong UTF-8", "{\"email\":\"\xc0\xaf\"}", "email:malformed"},
		{"UTF-8 of a surrogate", "{\"email\":\"\xed\xa0\x80\"}", "email:malformed"},
		{"invalid UTF-8 in a name", "{\"\xff\":1}", ":malformed"},
		{"half of a surrogate pair", `{"email":"\ud800"}`, "email:malformed"},
		{"the low half alone", `{"email":"\udc00x"}`, "email:malformed"},
		{"two high halves", `{"email":"\ud800\ud800"}`, "email:malformed"},
		{"an unknown escape", `{"email":"\x41"}`, "email:malformed"},
		{"a short escape", `{"email":"\u00"}`, "email:malformed"},
		{"an unknown member", `{"is_staf":true}`, "is_staf:unknown_field"},
		{"__proto__ is just unknown", `{"__proto__":{"admin":true}}`, "__proto__:unknown_field"},
		{"an unknown nested member", `{"address":{"zip":1}}`, "address.zip:unknown_field"},
		{"an unknown member in a list", `{"friends":[{},{"zip":1}]}`, "friends.1.zip:unknown_field"},
		{"a member that the struct hides", `{"Hidden":"x"}`, "Hidden:unknown_field"},
		{"an untagged Go name", `{"base":{}}`, "base:unknown_field"},
		{"a duplicate", `{"email":"a","email":"b"}`, "email:duplicate_field"},
		{"a duplicate written with an escape", `{"email":"a","\u0065mail":"b"}`, "email:duplicate_field"},
		{"a nested duplicate", `{"address":{"street":"a","street":"b"}}`, "address.street:duplicate_field"},
		{"a duplicate inside a raw value", `{"raw":[{"a":1,"a":2}]}`, "raw.0.a:duplicate_field"},
		{"a duplicate in a map", `{"labels":{"a":"1","a":"2"}}`, "labels.a:duplicate_field"},
		{"wrong case", `{"Email":"a"}`, "Email:wrong_case"},
		{"wrong case beside the right one", `{"email":"a","EMAIL":"b"}`, "EMAIL:wrong_case"},
		{"wrong case by a Kelvin sign", "{\"\u212aey\":\"\"}", "\u212aey:wrong_case"},
		{"wrong case of an embedded member", `{"ID":"a"}`, "ID:wrong_case"},
		{"a number for a string", `{"email":1}`, "email:wrong_type"},
		{"null for a string", `{"email":null}`, "email:wrong_type"},
		{"null for an object", `{"address":null}`, "address:wrong_type"},
		{"an object for a string", `{"email":{"$ne":""}}`, "email:wrong_type"},
		{"a list for a string", `{"email":["a"]}`, "email:wrong_type"},
		{"a string for a number", `{"age":"1"}`, "age:wrong_type"},
		{"a fraction for a whole number", `{"age":1.0}`, "age:wrong_type"},
		{"a number that is too large", `{"age":256}`, "age:wrong_type"},
		{"a negative unsigned number", `{"age":-1}`, "age:wrong_type"},
		{"H-19 1e400", `{"score":1e400}`, "score:wrong_type"},
		{"1e400 where anything may stand", `{"any":1e400}`, "any:wrong_type"},
		{"a string for a truth value", `{"admin":"true"}`, "admin:wrong_type"},
		{"a string for a list", `{"tags":"a"}`, "tags:wrong_type"},
		{"a wrong element", `{"tags":["a",2]}`, "tags.1:wrong_type"},
		{"a wrong map value", `{"labels":{"a":1}}`, "labels.a:wrong_type"},
		{"a time that is none", `{"when":"yesterday"}`, "when:wrong_type"},
		{"base64 that is none", `{"key":"*"}`, "key:wrong_type"},
		{"a list too long for its array", `{"pair":[1,2,3]}`, "pair:wrong_type"},
		{"a list too short for its array", `{"pair":[1]}`, "pair:wrong_type"},
		{"a list for the document", `[]`, ":wrong_type"},
		{"null for the document", `null`, ":wrong_type"},
		{"H-19 17 levels", `{"raw":` + deep(16) + `}`, "raw.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0:too_deep"},
		{"a million levels", deep(1_000_000), strings.TrimSuffix(strings.Repeat("0.", 16), ".") + ":too_deep"},
		{"several problems at once", `{"email":1,"EMAIL":2,"x":3,"email":4}`,
			"email:wrong_type EMAIL:wrong_case x:unknown_field email:duplicate_field email:wrong_type"},
		{"problems before a syntax error", `{"email":1,`, "email:wrong_type :malformed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var p person
			if got := strings.Join(problems(t, Unmarshal([]byte(c.in), &p, RefuseUnknown)), " "); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestUnmarshalAccepts(t *testing.T) {
	in := ` {"id":"1", "email":"\u0061\ud83d\ude00\u0000", "password":null, "address":{"street":"s","number":-3},
		"friends":[{"street":"f"}], "tags":null, "labels":{"a":"1","A":"2"}, "age":255, "score":-1.5e+3, "admin":true,
		"raw":{"Email":[null]}, "any":{"x":[1,false]}, "when":"2026-01-02T03:04:05Z", "key":"AQI=", "pair":[1,2]}` + "\n"
	var got, want person
	if err := Unmarshal([]byte(in), &got, RefuseUnknown); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(in), &want); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if got.Email != "a\U0001f600\x00" || got.ID != "1" || got.Labels["A"] != "2" {
		t.Errorf("decoded wrongly: %+v", got)
	}
}

func TestIgnoringUnknownMembersStillRefusesAmbiguousOnes(t *testing.T) {
	var p person
	if err := Unmarshal([]byte(`{"email":"a","x":{"y":[1]}}`), &p, IgnoreUnknown); err != nil || p.Email != "a" {
		t.Errorf("an unknown member: %v", err)
	}
	for in, want := range map[string]string{
		`{"x":1,"x":2}`:         "x:duplicate_field",
		`{"x":{"y":1,"y":2}}`:   "x.y:duplicate_field",
		`{"EMAIL":"a","x":"b"}`: "EMAIL:wrong_case",
	} {
		if got := strings.Join(problems(t, Unmarshal([]byte(in), &p, IgnoreUnknown)), " "); got != want {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
	}
}

func TestManyMembersAreStillUniqueAndTheReportIsBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{`)
	for i := range 20_000 {
		fmt.Fprintf(&b, `"k%d":0,`, i)
	}
	body := b.String() + `"k19999":1}`
	if got := problems(t, Object([]byte(body), func(_, _ []byte) {})); len(got) != 1 ||
		got[0] != "k19999:duplicate_field" {
		t.Errorf("got %q", got)
	}
	var p person
	if got := problems(t, Unmarshal([]byte(body), &p, RefuseUnknown)); len(got) != maxProblems {
		t.Errorf("%d problems reported", len(got))
	}
	long := `{"` + strings.Repeat("é", 5000) + `":1}`
	if got := problems(t, Unmarshal([]byte(long), &p, RefuseUnknown)); len(got[0]) > 100 {
		t.Errorf("a field name of %d bytes", len(got[0]))
	}
}

func TestErrorsNeverRepeatValues(t *testing.T) {
	var p person
	for _, in := range []string{`{"age":"s3cret"}`, `{"when":"s3cret"}`, `{"key":"s3cret"}`, `{"email":"s3cret`,
		`{"tags":"s3cret","any":1e400}`} {
		err := Unmarshal([]byte(in), &p, RefuseUnknown)
		if err == nil || strings.Contains(fmt.Sprintf("%v %+v", err, err.(*Error).Problems), "s3cret") {
			t.Errorf("%s: %v", in, err)
		}
	}
}

func TestTargetMustBeAPointer(t *testing.T) {
	for _, v := range []any{nil, person{}, (*person)(nil)} {
		if err := Unmarshal([]byte(`{}`), v, RefuseUnknown); err == nil {
			t.Errorf("%T was accepted", v)
		}
	}
}

func TestMembersKeepsOrderAndTellsNullFromAbsence(t *testing.T) {
	got, err := Members([]byte(` {"b": null , "\u0061":{"x": 1}} `))
	want := []Member{{"b", json.RawMessage(`null`)}, {"a", json.RawMessage(`{"x": 1}`)}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, %v", got, err)
	}
	for in, want := range map[string]string{
		`{"a":1,"a":2}`: "a:duplicate_field", `[]`: ":wrong_type", `"a"`: ":wrong_type", `null`: ":wrong_type",
		`{"a":1}x`: ":trailing_data",
	} {
		members, err := Members([]byte(in))
		if got := strings.Join(problems(t, err), " "); got != want || members != nil {
			t.Errorf("%s: got %q %q, want %q", in, members, got, want)
		}
	}
}

func TestString(t *testing.T) {
	for in, want := range map[string]string{`"a"`: "a", `""`: "", `"\"\u0061"`: `"a`} {
		if got, ok := String([]byte(in)); !ok || got != want {
			t.Errorf("%s: got %q, %v", in, got, ok)
		}
	}
	for _, in := range []string{``, `1`, `null`, `{}`} {
		if got, ok := String([]byte(in)); ok {
			t.Errorf("%s: got %q", in, got)
		}
	}
}

func TestAppendString(t *testing.T) {
	for _, s := range []string{"", "plain", "a\"b", `a\b`, "<>&", "\x00\x1f\x7f", "é", "\u2028\u2029", "\xff", "ends in <", "😀"} {
		want, _ := json.Marshal(s)
		if got := string(AppendString([]byte("before"), s)); got != "before"+string(want) {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
	}
}

// A scanner that is used again keeps nothing of the document before, also where one is read within
// another.
func TestScannersKeepNothing(t *testing.T) {
	for range 3 {
		if err := Unmarshal([]byte(`{"a":1,"a":2}`), new(any), RefuseUnknown); err == nil {
			t.Error("a duplicate was accepted")
		}
		var names []string
		err := Object([]byte(`{"a":{"b":1},"c":null}`), func(name, value []byte) {
			names = append(names, string(name))
			if value[0] == '{' {
				if err := Object(value, func(name, _ []byte) { names = append(names, string(name)) }); err != nil {
					t.Error(err)
				}
			}
		})
		if got := strings.Join(names, " "); err != nil || got != "a b c" {
			t.Errorf("%q, %v", got, err)
		}
		if err := UnmarshalPatch([]byte(`{"id":null}`), &base{}, RefuseUnknown); err != nil {
			t.Error(err)
		}
		if err := Unmarshal([]byte(`{"id":null}`), &base{}, RefuseUnknown); err == nil {
			t.Error("null was accepted for a string")
		}
	}
}

func TestStrings(t *testing.T) {
	for in, want := range map[string][]string{`[]`: {}, ` [ ]`[1:]: {}, `["a"]`: {"a"}, `["a" , "\u0062"]`: {"a", "b"},
		`[ "", "c" ]`: {"", "c"}} {
		if got, ok := Strings([]byte(in)); !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %q, %v", in, got, ok)
		}
	}
	for _, in := range []string{``, `"a"`, `[1]`, `["a",null]`, `[["a"]]`, `{}`, `null`, `["a"`, `["a",`, `[`} {
		if got, ok := Strings([]byte(in)); ok {
			t.Errorf("%s: got %q", in, got)
		}
	}
}

// encoding/json reads every accepted document as the same value — into the struct, into a map, and
// once more after encoding — and nothing panics.
func FuzzUnmarshal(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"email":"a","password":null,"address":{"street":"s"},"tags":["a"],"age":1,"score":1e3}`,
		`{"email":"a","email":"b"}`, `{"EMAIL":"a"}`, `{"raw":[[[[]]]]}`, "\ufeff{}", `{"a":1}{`, `{"email":"\ud800\udc00"}`,
		`{"when":"2026-01-02T03:04:05Z","key":"AQI="}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var got, want person
		if Unmarshal(data, &got, IgnoreUnknown) == nil {
			if err := json.Unmarshal(data, &want); err != nil {
				t.Fatalf("encoding/json refuses what was accepted: %v", err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("got %+v, want %+v", got, want)
			}
		}
		members, err := Members(data)
		if err != nil {
			return
		}
		if !json.Valid(data) {
			t.Fatal("accepted, and not JSON")
		}
		reference := map[string]json.RawMessage{}
		if err := json.Unmarshal(data, &reference); err != nil {
			t.Fatal(err)
		}
		if len(reference) != len(members) {
			t.Fatalf("%d members, encoding/json has %d", len(members), len(reference))
		}
		for _, m := range members {
			if string(reference[m.Name]) != string(m.Value) {
				t.Fatalf("%q: %s, encoding/json has %s", m.Name, m.Value, reference[m.Name])
			}
			if list, ok := Strings(m.Value); ok {
				var want []string
				if json.Unmarshal(m.Value, &want) != nil || !reflect.DeepEqual(list, want) {
					t.Fatalf("%s decoded as %q, encoding/json says %q", m.Value, list, want)
				}
			}
			if s, ok := String(m.Value); ok {
				var want string
				if json.Unmarshal(m.Value, &want) != nil || s != want {
					t.Fatalf("%s decoded as %q, encoding/json says %q", m.Value, s, want)
				}
			}
		}
	})
}

func BenchmarkObject(b *testing.B) {
	body := []byte(`{"iss":"https://issuer.example","sub":"248289761001","aud":["https://api.example"],"exp":1799999999,"iat":1799999399,"jti":"5b1rEWqRRkJeLT8nAx9Zbg","client_id":"signet","scope":"openid profile email","sid":"5b1rEWqRRkJeLT8nAx9Zbg","auth_time":1799999000,"acr":"1","amr":["pwd"],"roles":["admin"]}`)
	b.ReportAllocs()
	for b.Loop() {
		if err := Object(body, func(_, _ []byte) {}); err != nil {
			b.Fatal(err)
		}
	}
}

func TestUnmarshalPatch(t *testing.T) {
	type inner struct{ Text string }
	v := struct {
		Text  string
		Yes   bool
		Inner inner
	}{Text: "before", Yes: true}
	if err := UnmarshalPatch([]byte(`{"Text":null,"Yes":null,"Inner":{"Text":"x"}}`), &v, RefuseUnknown); err != nil {
		t.Fatal(err)
	}
	if v.Text != "before" || !v.Yes || v.Inner.Text != "x" {
		t.Errorf("got %+v", v)
	}
	for _, text := range []string{`{"Inner":{"Text":null}}`, `{"Other":null}`, `{"Text":null,"Text":null}`, `null`, `{"Text":1}`} {
		if err := UnmarshalPatch([]byte(text), &v, RefuseUnknown); err == nil {
			t.Errorf("%s was accepted", text)
		}
	}
}
