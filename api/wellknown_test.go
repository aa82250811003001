package api_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api"
	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/userstore"
)

func TestJWKS(t *testing.T) {
	s := apitest.New(t, apitest.Options{Replicas: 2})
	res := s.Do(apitest.Request{Path: "/.well-known/jwks.json"}).Want(200, "")
	if got := res.Header.Get("Content-Type"); got != "application/jwk-set+json" {
		t.Errorf("type %q", got)
	}
	if got := res.Header.Get("Cache-Control"); got != "public, max-age=300" {
		t.Errorf("Cache-Control %q", got)
	}
	if got := res.Header.Get("Access-Control-Allow-Origin"); got != "*" {
		t.Errorf("CORS %q", got)
	}
	if got := res.Header.Get("Vary"); got != "" {
		t.Errorf("Vary %q splits a CDN's copies for nothing", got)
	}
	var set struct {
		Keys []struct{ Kid, Alg, Use string }
	}
	res.JSON(&set)
	if len(set.Keys) != 4 { // an active key and its successor for each of two algorithms
		t.Errorf("%d keys, want 4", len(set.Keys))
	}
	other := s.Do(apitest.Request{Path: "/.well-known/jwks.json", Replica: 1}).Want(200, "")
	if string(other.Body) != string(res.Body) || other.Header.Get("ETag") != res.Header.Get("ETag") {
		t.Error("replicas differ")
	}

	etag := res.Header.Get("ETag")
	for _, row := range []struct {
		name   string
		values []string
		status int
	}{
		{"the tag", []string{etag}, 304},
		{"the tag, weak", []string{"W/" + etag}, 304},
		{"any", []string{"*"}, 304},
		{"last of a list", []string{`"x", "a,b" ,W/"y",` + etag}, 304},
		{"in a second header", []string{`"x"`, etag}, 304},
		{"another tag", []string{`"x"`}, 200},
		{"inside another tag", []string{`"x,` + strings.Trim(etag, `"`) + `"`}, 200},
		{"without quotes", []string{strings.Trim(etag, `"`)}, 200},
		{"cut off", []string{etag[:len(etag)-1]}, 200},
		{"W/ alone", []string{"W/"}, 200},
		{"nothing", []string{""}, 200},
		{"commas", []string{",,,"}, 200},
	} {
		t.Run("If-None-Match: "+row.name, func(t *testing.T) {
			s := s.With(t)
			for _, method := range []string{"GET", "HEAD"} {
				res := s.Do(apitest.Request{Method: method, Path: "/.well-known/jwks.json",
					Header: http.Header{"If-None-Match": row.values}}).Want(row.status, "")
				if res.Header.Get("ETag") != etag || res.Header.Get("Cache-Control") != "public, max-age=300" {
					t.Errorf("%s: %v", method, res.Header)
				}
				if row.status == 304 && len(res.Body) > 0 {
					t.Error("a body with 304")
				}
			}
		})
	}
	t.Run("the tag changes with the set", func(t *testing.T) {
		s := s.With(t)
		if _, err := s.Replicas[0].Keys.Revoke(t.Context(), nil, true); err != nil {
			t.Fatal(err)
		}
		s.Advance(time.Second)
		if res := s.Do(apitest.Request{Path: "/.well-known/jwks.json",
			Header: http.Header{"If-None-Match": {etag}}}).Want(200, ""); res.Header.Get("ETag") == etag {
			t.Error("same tag")
		}
	})
}

func TestJWKSThatIsTooOldToBeShown(t *testing.T) {
	s := apitest.New(t, apitest.Options{Configure: func(r *apitest.Replica) {
		r.API.JWKS = func() (*keys.Document, error) { return nil, keys.ErrNotReady }
	}})
	for _, header := range []http.Header{nil, {"If-None-Match": {"*"}}} {
		res := s.Do(apitest.Request{Path: "/.well-known/jwks.json", Header: header}).Want(503, "temporarily_unavailable")
		if res.Header.Get("Retry-After") == "" || res.Header.Get("ETag") != "" {
			t.Errorf("%v", res.Header)
		}
	}
}

func TestD27Discovery(t *testing.T) {
	for _, issuer := range []string{"https://id.test", "https://id.test/p", "https://id.test/a/b",
		"http://localhost:8080"} {
		t.Run(issuer, func(t *testing.T) {
			s := apitest.New(t, apitest.Options{Replicas: 2, IssuerURL: issuer})
			path := strings.TrimPrefix(strings.TrimPrefix(issuer, "https://id.test"), "http://localhost:8080")
			paths := []string{"/.well-known/openid-configuration" + path, "/.well-known/oauth-authorization-server" + path}
			if path != "" {
				paths = append(paths, path+"/.well-known/openid-configuration")
			}
			var first string
			for _, p := range paths {
				for replica := range s.Replicas {
					res := get(t, s, p, replica)
					if first == "" {
						first = string(res.Body)
					}
					if string(res.Body) != first {
						t.Errorf("%s differs:\n%s\n%s", p, res.Body, first)
					}
				}
			}
			var doc apitest.Fields
			get(t, s, paths[0], 0).JSON(&doc)
			if doc["issuer"] != issuer {
				t.Errorf("issuer %v", doc["issuer"])
			}
			jwks, _ := doc["jwks_uri"].(string)
			for name, value := range doc {
				if text, ok := value.(string); ok && !strings.HasPrefix(text, issuer) {
					t.Errorf("%s is %q", name, text)
				}
			}
			at := strings.TrimPrefix(strings.TrimPrefix(jwks, "https://id.test"), "http://localhost:8080")
			get(t, s, at, 0)
			endpoints := 0
			for name, value := range doc {
				if !strings.HasSuffix(name, "_endpoint") {
					continue
				}
				endpoints++
				at := strings.TrimPrefix(strings.TrimPrefix(value.(string), "https://id.test"), "http://localhost:8080")
				if res := s.Do(apitest.Request{Method: "OPTIONS", Path: at}); res.Status != 204 ||
					!strings.Contains(res.Header.Get("Allow"), "POST") {
					t.Errorf("%s is announced at %s: %d, Allow %q", name, at, res.Status, res.Header.Get("Allow"))
				}
			}
			if endpoints != 8 {
				t.Errorf("%d endpoints", endpoints)
			}
		})
	}
}

func TestReadiness(t *testing.T) {
	var reason error
	s := apitest.New(t, apitest.Options{Configure: func(r *apitest.Replica) {
		r.API.Ready = func(context.Context) error { return reason }
	}})
	for _, row := range []struct {
		name    string
		err     error
		reasons string
	}{
		{"the store is down", fmtErr("dial tcp 10.0.0.7:5432: password=hunter2", userstore.ErrUnavailable),
			"store:unavailable"},
		{"the store takes no writes", fmtErr("/var/lib/hunter2 is full", userstore.ErrUnwritable), "store:unwritable"},
		{"the store hangs", context.DeadlineExceeded, "store:unavailable"},
		{"the keys are not ready", keys.ErrNotReady, "keys:not_ready"},
		{"the keys are too old", errors.Join(keys.ErrNotReady, keys.ErrStale), "keys:stale"},
		{"the clock is off", errors.Join(keys.ErrNotReady, keys.ErrClock), "keys:clock_off"},
		{"the keys are sealed under another key", errors.Join(keys.ErrNotReady, keys.ErrSealed), "keys:sealed"},
		{"the server drains", api.ErrStopping, "server:stopping"},
		{"store and keys", errors.Join(keys.ErrNotReady, userstore.ErrUnavailable), "store:unavailable keys:not_ready"},
		{"something that is not known", errors.New("hunter2"), "server:not_ready"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := s.With(t)
			reason = row.err
			res := s.Do(apitest.Request{Path: "/readyz"}).Want(503, "temporarily_unavailable")
			var body struct {
				Reasons []struct{ Field, Code string }
			}
			res.JSON(&body)
			var got []string
			for _, r := range body.Reasons {
				got = append(got, r.Field+":"+r.Code)
			}
			if strings.Join(got, " ") != row.reasons || strings.Contains(string(res.Body), "hunter2") ||
				strings.Contains(string(res.Body), "5432") {
				t.Errorf("got %s", res.Body)
			}
			s.Do(apitest.Request{Path: "/healthz"}).Want(200, "")
			reason = nil
			s.Do(apitest.Request{Path: "/readyz"}).Want(200, "")
		})
	}
}

// fmtErr joins a private text to a sentinel.
func fmtErr(text string, err error) error { return errors.Join(errors.New(text), err) }
