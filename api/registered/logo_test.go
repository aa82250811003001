package registered_test

import (
	"bytes"
	"context"
	"image"
	"image/png"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/logos"
	"github.com/signet-id/signet/internal/outbound"
	"github.com/signet-id/signet/userstore"
)

func aPNG(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := png.Encode(&out, image.NewGray(image.Rect(0, 0, 7, 5))); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// showing is an option of servers that fetch logos by fetch.
func showing(fetch func(ctx context.Context, address string) ([]byte, error)) func(*apitest.Options) {
	return apitest.Configured(func(r *apitest.Replica) { r.API.Logos = logos.New(fetch, r.API.Now) })
}

// logoOn returns the address of the client's logo on a page; empty: there is none.
func logoOn(p *apitest.Page) string {
	_, rest, ok := strings.Cut(string(p.Body), `<img class="app-logo" src="`)
	if !ok {
		return ""
	}
	address, _, _ := strings.Cut(rest, `"`)
	return strings.ReplaceAll(address, "&amp;", "&")
}

// OIDCC registration-logo-uri, registration-policy-uri, registration-tos-uri: login and consent page
// show what the client registered; the logo comes from our own origin.
func TestA34PagesShowWhatAClientRegistered(t *testing.T) {
	picture := aPNG(t)
	var fetched atomic.Int64
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		fetched.Store(0)
		alice := s.SignUp("alice")
		c := s.Register(userstore.Client{ID: "web", Name: "Shop", ClientMetadata: userstore.ClientMetadata{
			LogoURI: "https://cdn.shop.test/logo.png", PolicyURI: "https://shop.test/privacy", TOSURI: "https://shop.test/terms"}})
		b := s.Browser()
		login := b.Open(authorizePath(c)).WantPage(200, "login-submit")
		signup := b.Open(login.Link("/signup")).WantPage(200, "signup-submit")
		consent := login.Submit("login-submit", alice.Credentials()).WantPage(200, "consent-approve")
		if fetched.Load() != 0 {
			t.Error("a page waited for the logo")
		}
		for name, p := range map[string]*apitest.Page{"login": login, "signup": signup, "consent": consent} {
			if p.Link("https://shop.test/privacy") == "" || p.Link("https://shop.test/terms") == "" ||
				!strings.Contains(p.Text(), "Not verified") || !strings.Contains(p.Text(), "web.test") {
				t.Errorf("%s lacks links, the host or the mark: %.600s", name, p.Text())
			}
			if strings.Contains(string(p.Body), "cdn.shop.test") || !strings.Contains(p.Header.Get("Content-Security-Policy"), "img-src 'self';") {
				t.Errorf("%s loads from elsewhere: %s", name, p.Header.Get("Content-Security-Policy"))
			}
			logo := logoOn(p)
			if !strings.HasPrefix(logo, "/client-logo?") {
				t.Errorf("%s shows the logo %q", name, logo)
			}
			a := s.Do(apitest.Request{Path: logo}).Want(200, "")
			for header, want := range map[string]string{
				"Content-Type": "image/png", "X-Content-Type-Options": "nosniff", "Cache-Control": "public, max-age=86400",
				"Content-Security-Policy":      "default-src 'none'; style-src 'unsafe-inline'; sandbox",
				"Cross-Origin-Resource-Policy": "same-origin",
			} {
				if got := a.Header.Get(header); got != want {
					t.Errorf("%s: %q, want %q", header, got, want)
				}
			}
			if !bytes.Equal(a.Body, picture) {
				t.Errorf("%s: a logo of %d bytes", name, len(a.Body))
			}
		}
		if n := fetched.Load(); n != 1 {
			t.Errorf("fetched %d times", n)
		}
	}, showing(func(_ context.Context, address string) ([]byte, error) {
		if address != "https://cdn.shop.test/logo.png" {
			t.Errorf("fetched %s", address)
		}
		fetched.Add(1)
		return picture, nil
	}))
}

// Only the logos of enabled clients are fetched, as they are registered now.
func TestA34WhichLogosAreServed(t *testing.T) {
	picture := aPNG(t)
	bodies := map[string]string{"https://cdn.test/good": string(picture), "https://cdn.test/html": "<script>alert(1)</script>",
		"https://cdn.test/svg": `<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`}
	var asked []string
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		path := map[string]string{}
		for _, name := range []string{"good", "html", "svg", "down"} {
			c := s.Register(userstore.Client{ID: name, ClientMetadata: userstore.ClientMetadata{LogoURI: "https://cdn.test/" + name}})
			path[name] = logoOn(s.Browser().Open(authorizePath(c)))
		}
		none := s.Register(userstore.Client{ID: "none"})
		if got := logoOn(s.Browser().Open(authorizePath(none))); got != "" {
			t.Errorf("a client without a logo shows %s", got)
		}
		s.Do(apitest.Request{Path: path["good"]}).Want(200, "")
		for _, name := range []string{"html", "svg", "down"} {
			a := s.Do(apitest.Request{Path: path[name]}).Want(404, "invalid_request")
			if strings.Contains(string(a.Body), "alert") {
				t.Errorf("%s is served: %s", name, a.Body)
			}
		}
		asked = nil
		q := func(pairs ...string) string {
			v := url.Values{}
			for n := 0; n < len(pairs); n += 2 {
				v.Set(pairs[n], pairs[n+1])
			}
			return "/client-logo?" + v.Encode()
		}
		version := path["good"][strings.LastIndex(path["good"], "v=")+2:]
		for _, p := range []string{"/client-logo", q("client_id", "good"), q("client_id", "good", "v", "AAAA"), q("client_id", "nobody", "v", version),
			q("client_id", "none", "v", ""), q("client_id", "none", "v", version), q("client_id", "signet", "v", version),
			q("client_id", "good\x00", "v", version), q("client_id", "https://cdn.test/good", "v", version),
			q("client_id", "good", "v", version, "logo_uri", "https://cdn.test/html") + "x"} {
			s.Do(apitest.Request{Path: p}).Want(404, "invalid_request")
		}
		if err := s.DB.SetClientActive(t.Context(), "good", false, s.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		s.Do(apitest.Request{Path: path["good"]}).Want(404, "invalid_request")
		if len(asked) != 0 {
			t.Errorf("fetched %v", asked)
		}
		if !strings.Contains(s.Log.String(), "it is no picture in PNG, JPEG, GIF or WebP") {
			t.Error("the log does not say why a logo is not shown")
		}
	}, showing(func(_ context.Context, address string) ([]byte, error) {
		asked = append(asked, address)
		if body, ok := bodies[address]; ok {
			return []byte(body), nil
		}
		return nil, http.ErrHandlerTimeout
	}))
}

// the address of a logo may lead anywhere. The server connects to public addresses only,
// unless its operator allows a host, and follows no redirect.
func TestR03LogosThatLeadToOurOwnNetwork(t *testing.T) {
	picture := aPNG(t)
	f := newFar(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/good", "/canary":
			_, _ = w.Write(picture)
		case "/away":
			http.Redirect(w, r, "/canary", http.StatusFound)
		case "/long":
			_, _ = w.Write(append(bytes.Clone(picture), make([]byte, logos.MaxBytes)...))
		}
	})
	serve := func(paths []string, allowed ...string) (status []int) {
		client := f.client(t, allowed...)
		o := apitest.Options{}
		showing(func(ctx context.Context, address string) ([]byte, error) {
			return client.Fetch(ctx, address, outbound.Document{MaxBytes: logos.MaxBytes})
		})(&o)
		s := apitest.New(t, o)
		for _, address := range paths {
			c := s.Register(userstore.Client{ID: "c" + strings.Repeat("x", len(status)), ClientMetadata: userstore.ClientMetadata{LogoURI: address}})
			status = append(status, s.Do(apitest.Request{Path: logoOn(s.Browser().Open(authorizePath(c)))}).Status)
		}
		return status
	}
	port := f.URL[strings.LastIndex(f.URL, ":"):]
	for n, status := range serve([]string{f.URL + "/good", "https://localhost" + port + "/good", "https://[::1]:1/", "https://10.0.0.1/",
		"https://169.254.169.254/latest"}) {
		if status != 404 {
			t.Errorf("R-04: address %d answers %d", n, status)
		}
	}
	if n := f.connections.Load(); n != 0 {
		t.Errorf("R-04: %d connections to an address that is not public", n)
	}
	if got := serve([]string{f.URL + "/good", f.URL + "/away", f.URL + "/long"}, strings.TrimPrefix(f.URL, "https://")); got[0] != 200 ||
		got[1] != 404 || got[2] != 404 {
		t.Errorf("R-03: %v", got)
	}
	if f.canary.Load() != 0 {
		t.Error("R-03: a redirect was followed")
	}
}
