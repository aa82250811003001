package main

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/signet-id/signet/verifier"
	"github.com/signet-id/signet/verifier/issuertest"
)

func TestRoutes(t *testing.T) {
	issuer := issuertest.New(t)
	v, err := verifier.New(issuer.Config("https://api.example.com"))
	if err != nil {
		t.Fatal(err)
	}
	token := func(ago time.Duration, claims map[string]any) string {
		claims["aud"] = "https://api.example.com"
		return "Bearer " + issuer.LoginToken("1", ago, claims)
	}
	reader := token(0, map[string]any{"sub": "alice"})
	writer := token(0, map[string]any{"sub": "alice", "scope": "notes:write"})
	admin := token(time.Minute, map[string]any{"sub": "alice", "roles": []string{"admin"}})
	tired := token(time.Hour, map[string]any{"sub": "alice", "roles": []string{"admin"}})
	for _, c := range []struct {
		method, path, token string
		status              int
	}{
		{"GET", "/", "", 200}, {"GET", "/notes", "", 401}, {"GET", "/notes", "Bearer x", 401}, {"GET", "/notes", reader, 200},
		{"POST", "/notes", "", 401}, {"POST", "/notes", reader, 403}, {"POST", "/notes", writer, 200},
		{"DELETE", "/notes/1", "", 401}, {"DELETE", "/notes/1", reader, 403}, {"DELETE", "/notes/1", tired, 401},
		{"DELETE", "/notes/1", admin, 200},
	} {
		r := httptest.NewRequest(c.method, c.path, nil)
		if c.token != "" {
			r.Header.Set("Authorization", c.token)
		}
		w := httptest.NewRecorder()
		routes(v).ServeHTTP(w, r)
		if w.Code != c.status || c.status == 200 && c.token != "" && w.Body.String() != "Notes of alice\n" {
			t.Errorf("%s %s: %d %s, want %d", c.method, c.path, w.Code, w.Body, c.status)
		}
	}
}
