package api

import (
	"encoding/json"
	"strings"
	"testing"
)

// What is not described leaves the rest as it was, in its order.
func TestTheDescriptionKeepsItsOrder(t *testing.T) {
	text := `{"openapi": "3.1.0", "paths": {
		"/z": {"get": {"summary": "\"ä\" <&>"}},
		"/mail": {"x-needs": "mail", "get": {}},
		"/origins": {"x-needs": "passkeys.origins", "get": {}},
		"/a/{id}": {"get": {}}
	}, "components": {"x-needs": "mail"}, "a": 1.50}`
	compact := func(text []byte) string {
		return strings.NewReplacer("\n", "", "  ", "", `": `, `":`).Replace(string(text))
	}
	for want, needs := range map[string][]string{
		`"/z":{"get":{"summary":"\"ä\" <&>"}},"/mail":{"x-needs":"mail","get":{}},"/a/{id}":{"get":{}}`: {
			needsPasskeyOrigins,
		},
		`"/z":{"get":{"summary":"\"ä\" <&>"}},"/a/{id}":{"get":{}}`: {needsMail, needsPasskeyOrigins},
	} {
		got, err := without([]byte(text), needs...)
		if err != nil || !json.Valid(got) {
			t.Fatalf("%q: %v in %s", needs, err, got)
		}
		want = `{"openapi":"3.1.0","paths":{` + want + `},"components":{"x-needs":"mail"},"a":1.50}`
		if compact(got) != want {
			t.Errorf("%q: %s\nwant %s", needs, compact(got), want)
		}
	}
	if got, err := without([]byte(text)); err != nil || string(got) != text {
		t.Errorf("without nothing: %v %s", err, got)
	}
	if _, err := without([]byte(`{"paths": {`), needsMail); err == nil {
		t.Error("a broken text was taken")
	}
}
