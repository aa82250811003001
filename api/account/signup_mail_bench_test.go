package account_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/mail"
	"github.com/signet-id/signet/internal/mail/mailtest"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/password"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// BenchmarkSignUpAndTheMailServer times sign-ups, in turns of random order, at servers that differ
// in nothing but mail: one whose mail server takes everything, one whose mail server refuses
// connections, one whose mail server says nothing, and one without mail. Each has a database of its
// own and a worker that sends meanwhile.
//
//	go test ./api/account -run '^$' -bench SignUpAndTheMailServer -benchtime 1000x
//
// The aim: p99 with a dead mail server is within a tenth of p99 with a live one. On a busy machine
// the other programs make the p99, and AUC tells more: how often a sign-up with a dead one takes
// longer (see BenchmarkKnownAndUnknown). What the row in the outbox costs is live-ms against
// none-ms: with the real cost of a hash, and with hashes that cost next to nothing.
func BenchmarkSignUpAndTheMailServer(b *testing.B) {
	for engine, fresh := range sqltest.Engines {
		for cost, hasher := range hashers {
			b.Run(engine+"/hash="+cost, func(b *testing.B) {
				names := []string{"none", "live", "refusing", "silent"}
				signUp := make([]func(number int) float64, len(names))
				var live *mail.Worker
				for n, name := range names {
					var w *mail.Worker
					if signUp[n], w = signUpAt(b, name, fresh(b), hasher); name == "live" {
						live = w
					}
				}
				for i := range 20 {
					for n := range names {
						signUp[n](1_000_000 + i)
					}
				}
				for end := time.Now().Add(time.Minute); live.Stats().Sent == 0; time.Sleep(10 * time.Millisecond) {
					if time.Now().After(end) {
						b.Fatalf("nothing is sent: %+v", live.Stats())
					}
				}
				took := make([][]float64, len(names))
				b.ResetTimer()
				for i := range b.N {
					for _, n := range rand.Perm(len(names)) {
						took[n] = append(took[n], signUp[n](i))
					}
				}
				b.StopTimer()
				for n, name := range names {
					b.ReportMetric(median(took[n]), name+"-ms")
					b.ReportMetric(quantile(took[n], 0.99), name+"-p99-ms")
				}
				b.ReportMetric(quantile(took[2], 0.99)/quantile(took[1], 0.99), "refusing/live-p99")
				b.ReportMetric(quantile(took[3], 0.99)/quantile(took[1], 0.99), "silent/live-p99")
				b.ReportMetric(auc(took[2], took[1]), "refusing/live-AUC")
				b.ReportMetric(auc(took[3], took[1]), "silent/live-AUC")
				b.ReportMetric(median(took[1])/median(took[0]), "live/none")
			})
		}
	}
}

// signUpAt starts a server, and returns what times one sign-up there, in milliseconds, and what
// sends its mail.
func signUpAt(b *testing.B, name string, db *sqlstore.DB,
	hasher *password.Hasher) (func(number int) float64, *mail.Worker) {
	s := apitest.New(b, apitest.Options{DB: db, Configure: func(r *apitest.Replica) {
		r.Accounts.Verification = userstore.VerificationOptional
		if r.Accounts.NoMail = name == "none"; r.Accounts.NoMail {
			r.Accounts.Verification = userstore.VerificationOff
		}
		if hasher != nil {
			r.Accounts.Hasher = hasher
		}
	}})
	w := s.Replicas[0].Mail
	if name != "none" {
		urls := map[string]string{"live": (&mailtest.Server{NoTLS: true}).Start(b).URL(), "refusing": "smtp://127.0.0.1:1",
			"silent": mailtest.Script(b, func(string) string { return "…" })}
		way, err := mail.ParseSMTP(urls[name])
		if err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		w.Way, w.Now = way, func(context.Context) (time.Time, error) { return s.Clock.Now().Add(time.Since(began)), nil }
		ctx, stop := context.WithCancel(b.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			w.Run(ctx)
		}()
		b.Cleanup(func() {
			stop()
			<-ended
		})
	}
	client := &http.Client{}
	return func(number int) float64 {
		body := fmt.Sprintf(`{"email":"user%07d@example.test","password":"what person %d types here"}`, number, number)
		return timed(b, client, s.Replicas[0].HTTP.URL+"/v1/signup", body, http.StatusCreated)
	}, w
}

func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}
