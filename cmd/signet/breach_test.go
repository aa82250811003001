package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/configs"
)

func TestBreachRange(t *testing.T) {
	if breachRange("") != nil {
		t.Error("somebody is asked by default")
	}
	serve := func(behave http.HandlerFunc) string {
		list := httptest.NewServer(behave)
		t.Cleanup(list.Close)
		return list.URL + "/range"
	}
	good := serve(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != "GET" || r.RequestURI != "/range/5BAA6" || r.Header.Get("Add-Padding") != "true" ||
			r.Header.Get("User-Agent") == "" {
			t.Errorf("asked %s %s, %v", r.Method, r.RequestURI, r.Header)
		}
		w.Write([]byte("1E4C9B93F3F0682250B6CF8331B7EE68FD8:1\r\n"))
	})
	for _, address := range []string{good, good + "/"} {
		if answer, err := breachRange(address)(t.Context(), "5BAA6"); err != nil || !strings.HasPrefix(answer, "1E4C9") {
			t.Errorf("%q, %v", answer, err)
		}
	}
	for name, b := range map[string]struct {
		behave http.HandlerFunc
		says   string
	}{
		"an error": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, "it answers 500"},
		"a redirect, which could lead anywhere": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/"+r.URL.Path, http.StatusFound)
		}, "redirects"},
		"more than any range": {func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, maxBreachRange+1)) },
			"longer than"},
		"nothing for too long": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "deadline"},
	} {
		patience := time.Minute
		if b.says == "deadline" {
			patience = 200 * time.Millisecond
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		_, err := breachRange(serve(b.behave))(ctx, "5BAA6")
		cancel()
		if err == nil || !strings.Contains(err.Error(), b.says) || strings.Contains(err.Error(), "5BAA6") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestServiceNames(t *testing.T) {
	for issuer, want := range map[string]string{
		"http://localhost:8080": "localhost:8080", "https://id.acme.test": "id.acme.test",
		"https://id.acme.test:8443/a": "id.acme.test:8443",
	} {
		if got := serviceNames(configs.Config{Issuer: issuer}, ""); got != want {
			t.Errorf("%s: %q", issuer, got)
		}
	}
}
