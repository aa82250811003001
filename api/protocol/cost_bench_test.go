//go:build unix

package protocol_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/cputime"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// BenchmarkClientCredentialsCost measures what one token costs the process, from the request to the
// answer, without connections: memory, and the time of its cores.
func BenchmarkClientCredentialsCost(b *testing.B) {
	for engine, open := range sqltest.Engines {
		b.Run(engine, func(b *testing.B) {
			s := apitest.New(b, apitest.Options{DB: open(b), Configure: func(r *apitest.Replica) { // as served
				r.API.Log = slog.New(slog.NewJSONHandler(io.Discard, nil))
				r.API.Metrics = countNothing{}
				r.API.Now = time.Now
				r.Issuer.AccessAlg = jose.EdDSA
				r.Issuer.Cache = &issuer.ClientCache{MaxAge: time.Hour}
				r.Issuer.Admission = issuer.NewAdmission(0, 0)
			}})
			c := s.Register(userstore.Client{ID: "machine", GrantTypes: []string{userstore.GrantClientCredentials}})
			body := url.Values{"grant_type": {"client_credentials"}}.Encode()
			handler := s.Replicas[0].HTTP.Config.Handler
			cputime.Loop(b, func() {
				r := httptest.NewRequest(http.MethodPost, "https://id.test/oauth2/token", strings.NewReader(body))
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				r.SetBasicAuth(c.ID, c.Secret)
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, r)
				if w.Code != http.StatusOK {
					b.Fatalf("%d: %s", w.Code, w.Body)
				}
			})
		})
	}
}
