package outbound

import (
	"context"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestPublic(t *testing.T) {
	for _, a := range []string{"1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1"} {
		if !Public(netip.MustParseAddr(a)) {
			t.Errorf("%s is public", a)
		}
	}
	for _, a := range []string{
		"127.0.0.1", "127.8.9.1", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "192.168.1.1",
		"169.254.169.254", "100.64.0.1",
		"192.0.0.192", "198.18.0.1", "224.0.0.1", "255.255.255.255", "240.0.0.1",
		"::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::a00:1",
		"2002:7f00:1::", "2001:0:7f00::1",
		"fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "2001:db8::1",
	} {
		if Public(netip.MustParseAddr(a)) {
			t.Errorf("%s is not public", a)
		}
	}
	if Public(netip.Addr{}) {
		t.Error("no address is not public")
	}
}

func TestCheckURL(t *testing.T) {
	if err := CheckURL("https://app.test/jwks.json?x=1"); err != nil {
		t.Error(err)
	}
	for _, u := range []string{"", "http://app.test/", "file:///etc/passwd", "https://", "https:///x",
		"https://a@app.test/", "https://app.test/#x", "https://app.test/#",
		"gopher://app.test/", "//app.test/", "https://app.test/" + strings.Repeat("x", maxURL), "https://[::1"} {
		if CheckURL(u) == nil {
			t.Errorf("%q was taken", u)
		}
	}
}

// stand returns a server on loopback, a client whose operator allows it, a client whose operator
// does not, and the number of requests that the server got.
func stand(t *testing.T, h http.HandlerFunc) (server *httptest.Server, open, closed *Client, asked *int) {
	t.Helper()
	asked = new(int)
	server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { *asked++; h(w, r) }))
	t.Cleanup(server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	u, _ := url.Parse(server.URL)
	var err error
	if open, err = New(Options{CAs: ca, AllowHosts: []string{"other.test", u.Host}}); err != nil {
		t.Fatal(err)
	}
	if closed, err = New(Options{CAs: ca, AllowHosts: []string{"127.0.0.1:1"}}); err != nil {
		t.Fatal(err)
	}
	return server, open, closed, asked
}

func TestGet(t *testing.T) {
	server, open, closed, asked := stand(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/good":
			_, _ = w.Write([]byte(`{"keys":[]}`))
		case "/long":
			_, _ = w.Write(make([]byte, clientDocument.MaxBytes+1))
		case "/redirect":
			http.Redirect(w, r, "/good", http.StatusFound)
		case "/missing":
			w.WriteHeader(http.StatusNotFound)
		}
	})
	if body, err := open.Get(t.Context(), server.URL+"/good"); err != nil || string(body) != `{"keys":[]}` {
		t.Errorf("%q, %v", body, err)
	}
	for _, path := range []string{"/long", "/redirect",
		"/missing"} { // the redirect leads to an answer that would be taken
		if body, err := open.Get(t.Context(), server.URL+path); err == nil {
			t.Errorf("%s: answered %d bytes", path, len(body))
		}
	}
	before := *asked
	if _, err := closed.Get(t.Context(), server.URL+"/good"); !errors.Is(err, ErrAddress) {
		t.Errorf("R-04 a loopback address: %v", err)
	}
	// The name is public and its address is not. The guard checks the address.
	u, _ := url.Parse(server.URL)
	if _, err := closed.Get(t.Context(), "https://localhost:"+u.Port()+"/good"); !errors.Is(err, ErrAddress) {
		t.Errorf("R-04 a name of a loopback address: %v", err)
	}
	if *asked != before {
		t.Error("the server was asked")
	}
}

func TestAServerThatWeDoNotTrust(t *testing.T) {
	server, _, _, _ := stand(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) })
	u, _ := url.Parse(server.URL)
	c, err := New(Options{AllowHosts: []string{u.Hostname()}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Get(t.Context(), server.URL); err == nil {
		t.Error("its certificate was believed")
	}
	if _, err := New(Options{CAs: []byte("no certificate")}); err == nil {
		t.Error("a file without a certificate was taken")
	}
}

func TestAServerThatNeverEnds(t *testing.T) {
	server, open, _, _ := stand(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		panic(http.ErrAbortHandler) // a return would end the answer, which the client may then read as a whole one
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := open.Get(ctx, server.URL); err == nil {
		t.Error("answered")
	}
}

func TestFetchHoldsItsOwnLimit(t *testing.T) {
	server, open, _, _ := stand(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(r.Header.Get("Accept")))
	})
	kind := Document{Accept: "image/png", MaxBytes: 9}
	if body, err := open.Fetch(t.Context(), server.URL, kind); err != nil || string(body) != "image/png" {
		t.Errorf("%q, %v", body, err)
	}
	kind.MaxBytes = 8
	if body, err := open.Fetch(t.Context(), server.URL, kind); err == nil {
		t.Errorf("answered %q", body)
	}
	if body, err := open.Fetch(t.Context(), server.URL, Document{Accept: "image/png"}); err == nil {
		t.Errorf("a forgotten limit allowed %q", body)
	}
}

func TestPost(t *testing.T) {
	var got string
	server, open, closed, asked := stand(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Method + " " + r.Header.Get("Content-Type") + " " + r.FormValue("logout_token")
		switch r.URL.Path {
		case "/redirect":
			http.Redirect(w, r, "/good", http.StatusTemporaryRedirect)
		case "/refused":
			w.WriteHeader(http.StatusBadRequest)
		}
	})
	form := url.Values{"logout_token": {"a+b"}}
	for path, want := range map[string]int{"/good": 200, "/refused": 400, "/redirect": 307} { // not followed
		status, err := open.Post(t.Context(), server.URL+path, form)
		if err != nil || status != want || got != "POST application/x-www-form-urlencoded a+b" {
			t.Errorf("%s: %d, %v, the server saw %q", path, status, err, got)
		}
	}
	before := *asked
	if _, err := closed.Post(t.Context(), server.URL+"/good", form); !errors.Is(err, ErrAddress) || *asked != before {
		t.Errorf("R-04 a loopback address: %v", err)
	}
	if _, err := open.Post(t.Context(), "http://app.test/", form); err == nil {
		t.Error("a form went out in clear")
	}
}
