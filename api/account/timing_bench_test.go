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
	"github.com/signet-id/signet/userstore/password"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// BenchmarkKnownAndUnknown times failed logins to accounts that there are and to accounts that
// there are not, in turns of random order, over real connections and with the real cost of a hash.
// Each name is tried once, as by somebody who has a list of addresses and asks which have an
// account.
//
//	go test ./api/account -run '^$' -bench KnownAndUnknown -benchtime 2000x
//
// AUC is how often a known name takes longer than an unknown one, of all pairs: 0.5 when nothing
// can be told, 1 or 0 when everything can. The aim: between 0.45 and 0.55 with 2,000 samples each.
// A busy machine blurs it, so run it on a quiet one. With hashes that cost next to nothing, what
// else differs stands out.
func BenchmarkKnownAndUnknown(b *testing.B) {
	for name, fresh := range sqltest.Engines {
		for cost, hasher := range hashers {
			b.Run(name+"/hash="+cost, func(b *testing.B) {
				s := apitest.New(b, apitest.Options{DB: fresh(b), Configure: func(r *apitest.Replica) {
					if hasher != nil {
						r.Accounts.Hasher = hasher
					}
				}})
				// All have the hash of one password, so that there are thousands of them in a moment.
				hash, err := s.Replicas[0].Accounts.Hasher.Hash(b.Context(), "what nobody here types")
				if err != nil {
					b.Fatal(err)
				}
				now := s.Clock.Now()
				users := make([]userstore.User, b.N)
				for i := range users {
					email := fmt.Sprintf("user%06d@example.test", 2*i)
					users[i] = userstore.User{ID: fmt.Sprintf("user-number-%06d", i), Email: email, EmailKey: email,
						PasswordHash: hash, IsActive: true, CreatedAt: now, UpdatedAt: now, Version: 1}
				}
				for chunk := range slices.Chunk(users, 500) {
					if _, err := s.DB.CreateUsers(b.Context(), chunk, nil); err != nil {
						b.Fatal(err)
					}
				}
				client := &http.Client{}
				login := func(number int) float64 {
					body := fmt.Sprintf(`{"email":"user%06d@example.test","password":"not the right password"}`, number)
					return timed(b, client, s.Replicas[0].HTTP.URL+"/v1/login", body, http.StatusUnauthorized)
				}
				for i := range 20 { // connections, statements and the hasher's memory
					login(1000001 + 2*i)
				}
				known, unknown := make([]float64, b.N), make([]float64, b.N)
				b.ResetTimer()
				for i := range b.N {
					first := rand.N(2)
					for _, which := range []int{first, 1 - first} {
						took := login(2*i + which)
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

// hashers are what a hash costs in a benchmark; nil: as little as in the tests.
var hashers = map[string]*password.Hasher{"real": password.New(password.Default, 0, 0, 0), "least": nil}

// timed sends a request, and returns how many milliseconds its answer took. While all hashing is
// taken by what else the machine does, it waits and asks again.
func timed(b *testing.B, client *http.Client, url, body string, want int) float64 {
	for try := 0; ; try++ {
		began := time.Now()
		res, err := client.Post(url, "application/json", strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		took := time.Since(began)
		res.Body.Close()
		switch {
		case res.StatusCode == want:
			return took.Seconds() * 1000
		case res.StatusCode != http.StatusServiceUnavailable || try == 20:
			b.Fatalf("%s %s: %s", url, body, res.Status)
		}
		time.Sleep(time.Second)
	}
}

// auc is the share of pairs of which the first one is larger (Mann and Whitney's U).
func auc(a, b []float64) float64 {
	sorted := slices.Sorted(slices.Values(b))
	var wins float64
	for _, x := range a {
		below, _ := slices.BinarySearch(sorted, x)
		upTo := below
		for upTo < len(sorted) && sorted[upTo] == x {
			upTo++
		}
		wins += float64(below) + float64(upTo-below)/2
	}
	return wins / float64(len(a)*len(b))
}

func median(values []float64) float64 {
	return slices.Sorted(slices.Values(values))[len(values)/2]
}

func TestAUC(t *testing.T) {
	for _, c := range []struct {
		a, b []float64
		want float64
	}{
		{[]float64{1, 2, 3}, []float64{1, 2, 3}, 0.5},
		{[]float64{4, 5}, []float64{1, 2, 3}, 1},
		{[]float64{0}, []float64{1, 2}, 0},
		{[]float64{2}, []float64{1, 2, 3, 4}, 0.375},
	} {
		if got := auc(c.a, c.b); got != c.want {
			t.Errorf("%v against %v: %v, not %v", c.a, c.b, got, c.want)
		}
	}
}
