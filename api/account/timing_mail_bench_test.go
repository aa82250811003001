package account_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// BenchmarkKnownAndUnknownByMail times requests for messages, and sign-ups where addresses have to
// be proved, with addresses that have an account and with addresses that have none, as
// BenchmarkKnownAndUnknown does logins. Nothing is sent meanwhile: what a worker does, no request
// waits for (P-01).
//
//	go test ./api/account -run '^$' -bench KnownAndUnknownByMail -benchtime 2000x
func BenchmarkKnownAndUnknownByMail(b *testing.B) {
	for engine, fresh := range sqltest.Engines {
		for _, path := range []string{"/v1/password/forgot", "/v1/email/verification", "/v1/signup"} {
			b.Run(engine+strings.ReplaceAll(path, "/", "-"), func(b *testing.B) {
				o := apitest.Options{DB: fresh(b)}
				apitest.Requiring(&o)
				s := apitest.New(b, o)
				more := ""
				if path == "/v1/signup" {
					more = `,"password":"` + s.Secret("planted password of many sign-ups") + `"`
				}
				now := s.Clock.Now()
				users := make([]userstore.User, b.N)
				for i := range users {
					email := fmt.Sprintf("user%06d@example.test", 2*i)
					users[i] = userstore.User{ID: fmt.Sprintf("user-number-%06d", i), Email: email, EmailKey: email, PasswordHash: "x",
						IsActive: true, CreatedAt: now, UpdatedAt: now, Version: 1}
				}
				for chunk := range slices.Chunk(users, 500) {
					if _, err := s.DB.CreateUsers(b.Context(), chunk, nil); err != nil {
						b.Fatal(err)
					}
				}
				client := &http.Client{}
				ask := func(number int) float64 {
					began := time.Now()
					res, err := client.Post(s.Replicas[0].HTTP.URL+path, "application/json",
						strings.NewReader(fmt.Sprintf(`{"email":"user%06d@example.test"%s}`, number, more)))
					if err != nil {
						b.Fatal(err)
					}
					_, _ = io.Copy(io.Discard, res.Body)
					took := time.Since(began)
					res.Body.Close()
					if res.StatusCode != http.StatusAccepted {
						b.Fatalf("user %d: %s", number, res.Status)
					}
					return took.Seconds() * 1000
				}
				for i := range 20 {
					ask(1000001 + 2*i)
				}
				known, unknown := make([]float64, b.N), make([]float64, b.N)
				b.ResetTimer()
				for i := range b.N {
					first := rand.N(2)
					for _, which := range []int{first, 1 - first} {
						took := ask(2*i + which)
						if which == 0 {
							known[i] = took
						} else {
							unknown[i] = took
						}
					}
				}
				b.StopTimer()
				b.ReportMetric(auc(known, unknown), "AUC")
				b.ReportMetric(median(known), "known-ms")
				b.ReportMetric(median(unknown), "unknown-ms")
			})
		}
	}
}
