package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/verifier/issuertest"
)

func TestTheExampleServesAndStops(t *testing.T) {
	issuer := issuertest.New(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	read, write := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx,
			[]string{"-issuer", issuer.URL, "-audience", "https://api.example.com", "-listen", "127.0.0.1:0"}, write)
	}()
	line, err := bufio.NewReader(read).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	url := strings.Fields(line)[2]

	get := func(path, token string) (int, map[string]any) {
		t.Helper()
		r, err := http.NewRequest("GET", url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var body map[string]any
		if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, body
	}
	good, narrow := issuer.Token(nil), issuer.Token(map[string]any{"scope": "profile"})
	if code, body := get("/whoami", good); code != 200 || body["sub"] != "alice" {
		t.Errorf("%d %v", code, body)
	}
	issuer.Close() // from here on it is offline
	if code, body := get("/email", good); code != 200 || body["allowed"] != true {
		t.Errorf("%d %v", code, body)
	}
	if code, body := get("/email", narrow); code != 403 || body["code"] != "insufficient_scope" {
		t.Errorf("%d %v", code, body)
	}
	if code, body := get("/whoami", ""); code != 401 || body["code"] != "missing_token" {
		t.Errorf("%d %v", code, body)
	}
	if code, body := get("/whoami", good+"A"); code != 401 || body["code"] != "token_invalid" {
		t.Errorf("%d %v", code, body)
	}
	if code, body := get("/payslip", issuer.LoginToken("2", time.Minute, nil)); code != 200 || body["of"] != "alice" || body["acr"] != "2" {
		t.Errorf("%d %v", code, body)
	}
	for _, raw := range []string{issuer.LoginToken("1", time.Minute, nil), issuer.LoginToken("2", 2*time.Hour, nil), good} {
		if code, body := get("/payslip", raw); code != 401 || body["code"] != "insufficient_user_authentication" {
			t.Errorf("%d %v", code, body)
		}
	}
	if code, body := get("/payslip", issuer.ClientToken(nil)); code != 403 || body["code"] != "insufficient_scope" {
		t.Errorf("%d %v", code, body)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestTheExampleRefusesToStartWrongly(t *testing.T) {
	for _, args := range [][]string{{"-issuer", "nonsense"}, {"-audience", ""}, {"-listen", "nowhere:http:1"},
		{"-nonsense"}} {
		if err := run(t.Context(), args, io.Discard); err == nil {
			t.Errorf("%v was accepted", args)
		}
	}
}
