//go:build unix

package protocol_test

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// BenchmarkClientCredentials asks for tokens over many connections at once, in turn with a bare
// net/http handler that does nothing but sign the same bytes with the same key, the load generator
// in the same process. ratio is ours against that one (the aims: 0.9 for RS256, 0.6 for EdDSA); p99
// is ours.
func BenchmarkClientCredentials(b *testing.B) {
	for store, open := range sqltest.Engines {
		for _, alg := range []string{jose.RS256, jose.EdDSA} {
			for _, connections := range []int{16, 64} {
				b.Run(fmt.Sprintf("%s/%s/%d", store, alg, connections), func(b *testing.B) {
					benchmarkClientCredentials(b, open(b), alg, connections)
				})
			}
		}
	}
}

func benchmarkClientCredentials(b *testing.B, db *sqlstore.DB, alg string, connections int) {
	s := apitest.New(b, apitest.Options{DB: db, Configure: func(r *apitest.Replica) { // as served
		r.API.Log = slog.New(slog.NewJSONHandler(io.Discard, nil))
		r.API.Metrics = countNothing{}
		r.API.Now = time.Now
		r.Issuer.AccessAlg = alg
		r.Issuer.Cache = &issuer.ClientCache{MaxAge: time.Second}
		r.Issuer.Admission = issuer.NewAdmission(0, 0)
	}})
	c := s.Register(userstore.Client{ID: "machine", GrantTypes: []string{userstore.GrantClientCredentials}})
	q := s.Authenticated(c, "/oauth2/token", url.Values{"grant_type": {"client_credentials"}})
	var first apitest.Tokens
	s.Do(q).Want(200, "").JSON(&first)

	defer ticking(s)()

	body := q.Form.Encode()
	request := []byte("POST /oauth2/token HTTP/1.1\r\nHost: id.test\r\nUser-Agent: bench\r\nAuthorization: Basic " +
		base64.StdEncoding.EncodeToString([]byte(c.ID+":"+c.Secret)) +
		"\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: " +
		fmt.Sprint(len(body)) + "\r\n\r\n" + body)
	_, key := s.Key(alg)
	signed := []byte(first.Access[:strings.LastIndex(first.Access, ".")])
	same := func(int) []byte { return request }
	compare(b, newLoad(b, s.Replicas[0].HTTP.Config.Handler, connections, same, nil),
		newLoad(b, signing(key, alg, signed), connections, same, nil), "tokens/s")
}

// ticking moves the clock of the server, and so of its cache and its key set, until it is stopped.
func ticking(s *apitest.Server) (stop func()) {
	end := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		for tick := time.NewTicker(time.Second); ; {
			select {
			case <-end:
				return
			case <-tick.C:
				s.Advance(time.Second)
			}
		}
	})
	return func() {
		close(end)
		wait.Wait()
	}
}

// compare runs both loads in turns, and reports the medians: ratio is of the rates, cpu-ratio of
// what the cores spent on this process for one answer, the load generator included, bare against
// ours. Both are 1 for a server that does nothing but what the bare one does.
func compare(b *testing.B, ours, bare *load, unit string) {
	const turn = 400 * time.Millisecond
	var ratios, cpuRatios, rates, cpu, bareRates, took []float64
	for b.Loop() {
		mine, theirs := ours.run(b, turn), bare.run(b, turn)
		ratios, cpuRatios = append(ratios, mine.rate/theirs.rate), append(cpuRatios, theirs.cpu/mine.cpu)
		rates, bareRates = append(rates, mine.rate), append(bareRates, theirs.rate)
		cpu, took = append(cpu, mine.cpu), append(took, mine.p99)
	}
	for name, list := range map[string][]float64{
		"ratio": ratios, "cpu-ratio": cpuRatios, unit: rates, "bare/s": bareRates, "cpu-µs": cpu, "p99-ms": took,
	} {
		slices.Sort(list)
		b.ReportMetric(list[len(list)/2], name)
	}
	b.ReportMetric(0, "ns/op")
}

// signing is the bare handler.
func signing(key crypto.Signer, alg string, input []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		var signature []byte
		var err error
		if alg == jose.EdDSA {
			signature, err = key.Sign(rand.Reader, input, crypto.Hash(0))
		} else {
			digest := sha256.Sum256(input)
			signature, err = key.Sign(rand.Reader, digest[:], crypto.SHA256)
		}
		if err != nil {
			panic(err)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"access_token":"`+string(input)+"."+base64.RawURLEncoding.EncodeToString(signature)+
			`","token_type":"Bearer","expires_in":600}`)
	})
}

type countNothing struct{}

func (countNothing) Request(string, string, int, time.Duration) {}
