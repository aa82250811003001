package registered_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbound"
)

// far is a server of a stranger: it counts connections, and requests that a redirect led to.
type far struct {
	*httptest.Server
	connections, canary atomic.Int64
}

func newFar(t *testing.T, answer http.HandlerFunc) *far {
	t.Helper()
	f := &far{}
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/canary" {
			f.canary.Add(1)
		}
		answer(w, r)
	}))
	f.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { f.connections.Add(1); return nil, nil }}
	f.StartTLS()
	t.Cleanup(f.Close)
	return f
}

// client returns a guarded client whose operator allows these hosts.
func (f *far) client(t *testing.T, allowed ...string) *outbound.Client {
	t.Helper()
	c, err := outbound.New(outbound.Options{AllowHosts: allowed,
		CAs: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Certificate().Raw})})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// the address of a sector may lead anywhere. The server connects to public
// addresses only, unless its operator allows a host, and follows no redirect.
func TestR03SectorsThatLeadToOurOwnNetwork(t *testing.T) {
	const redirect = "https://one.test/cb"
	f := newFar(t, func(w http.ResponseWriter, r *http.Request) {
		document, _ := json.Marshal([]string{redirect, "https://two.test/cb"})
		switch r.URL.Path {
		case "/good", "/canary":
			_, _ = w.Write(document)
		case "/away":
			http.Redirect(w, r, "/canary", http.StatusFound)
		case "/long":
			_, _ = w.Write([]byte(`["` + redirect + `"` + strings.Repeat(" ", 64<<10) + `]`))
		default:
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write(document)
		}
	})
	serve := func(allowed ...string) (*apitest.Server, apitest.Tokens) {
		client := f.client(t, allowed...)
		s := apitest.New(t, apitest.Options{Configure: func(r *apitest.Replica) {
			r.API.Clients.SectorDocument = func(ctx context.Context, uri string) ([]byte, error) {
				return client.Fetch(ctx, uri, outbound.Document{MaxBytes: 64 << 10})
			}
		}})
		_, tokens := s.Admin("root")
		return s, tokens
	}
	make1 := func(s *apitest.Server, admin apitest.Tokens, id, uri string) *apitest.Response {
		return s.Do(apitest.Request{Method: "POST", Path: "/v1/admin/clients", Token: admin.Access, Body: apitest.Fields{
			"client_id": id, "client_name": id, "token_endpoint_auth_method": "none", "subject_type": "pairwise",
			"redirect_uris": []string{redirect, "https://two.test/cb"}, "sector_identifier_uri": uri}})
	}
	port := f.URL[strings.LastIndex(f.URL, ":"):]
	s, admin := serve()
	for _, uri := range []string{f.URL + "/good", "https://localhost" + port + "/good", "https://[::1]:1/", "https://10.0.0.1/",
		"https://169.254.169.254/latest/meta-data"} {
		a := make1(s, admin, "inside", uri).Want(http.StatusBadRequest, "validation_error")
		if !strings.Contains(a.Faults(), "sector_identifier_uri:invalid") {
			t.Errorf("R-04 %s: %s", uri, a.Faults())
		}
	}
	if n := f.connections.Load(); n != 0 {
		t.Errorf("R-04: %d connections to an address that is not public", n)
	}
	if clients := s.Do(apitest.Request{Path: "/v1/admin/clients/inside", Token: admin.Access}); clients.Status != 404 {
		t.Errorf("a refused client is there: %d", clients.Status)
	}

	s, admin = serve(strings.TrimPrefix(f.URL, "https://"))
	for _, path := range []string{"/away", "/long", "/missing"} {
		make1(s, admin, "inside", f.URL+path).Want(http.StatusBadRequest, "validation_error")
	}
	if f.canary.Load() != 0 {
		t.Error("R-03: a redirect was followed")
	}
	make1(s, admin, "good", f.URL+"/good").Want(http.StatusCreated, "")
}

// An admin finds the user of a complaint by the sub that the app knows.
func TestAnAdminFindsAUserByAPairwiseSub(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		_, admin := s.Admin("root")
		alice, bob := s.SignUp("alice"), s.SignUp("bob")
		c := pairwise(s, "one", "https://one.test/cb")
		mine := logIn(s, s.SignedIn(alice), c)
		logIn(s, s.SignedIn(bob), c)
		find := func(text string) (ids []string) {
			var page struct {
				Users []struct {
					Sub string `json:"sub"`
				} `json:"users"`
			}
			s.Do(apitest.Request{Path: "/v1/admin/users?search=" + text, Token: admin.Access}).Want(200, "").JSON(&page)
			for _, u := range page.Users {
				ids = append(ids, u.Sub)
			}
			return ids
		}
		if got := find(subOf(mine)); len(got) != 1 || got[0] != alice.ID {
			t.Errorf("found %v, want alice", got)
		}
		if got := find(subOf(mine)[:12]); len(got) != 0 {
			t.Errorf("found %v by part of a sub", got)
		}

		// The user's own export says it, too.
		var export struct {
			Subjects []struct{ Sector, Sub string } `json:"subjects"`
		}
		token := s.Login(alice).Access
		var proof struct{ Proof string }
		s.Do(apitest.Request{Method: "POST", Path: "/v1/profile/prove", Token: token,
			Body: apitest.Fields{"current_password": alice.Password}}).Want(200, "").JSON(&proof)
		s.Do(apitest.Request{Path: "/v1/profile/export", Token: token,
			Header: http.Header{"Signet-Proof": {s.Secret(proof.Proof)}}}).Want(200, "").JSON(&export)
		if len(export.Subjects) != 1 || export.Subjects[0].Sector != "one.test" || export.Subjects[0].Sub != subOf(mine) {
			t.Errorf("the export says %+v", export.Subjects)
		}
	})
}
