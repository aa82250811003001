package issuer_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/crypto/argon2"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/keys/keystest"
	hashes "github.com/signet-id/signet/userstore/password"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
)

// durable is a world on a PostgreSQL whose commits reach the disk.
func durable(b *testing.B, conns int) (*world, string) {
	b.Helper()
	url := pgtest.Start(b, pgtest.Options{Durable: true}).URL(b)
	db, err := sqlstore.Open(b.Context(), url, sqlstore.Options{MaxConns: conns})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	if err := db.Migrate(b.Context()); err != nil {
		b.Fatal(err)
	}
	return newWorld(b, db), url
}

// rate is how often per second n workers get f done, in slices, so that the compared operations
// meet the same machine in turns.
type rate struct {
	done int64
	took time.Duration
}

func (r *rate) slice(n int, d time.Duration, f func(worker int)) {
	start := time.Now()
	var wg sync.WaitGroup
	var done atomic.Int64
	for worker := range n {
		wg.Go(func() {
			for time.Since(start) < d {
				f(worker)
				done.Add(1)
			}
		})
	}
	wg.Wait()
	r.done += done.Load()
	r.took += time.Since(start)
}

func (r *rate) perSecond() float64 { return float64(r.done) / r.took.Seconds() }
func (r *rate) seconds() float64   { return r.took.Seconds() / float64(r.done) }

// BenchmarkRefresh compares refreshes on PostgreSQL, 16 at once over 16 durable
// connections, with 1 ÷ (1/U + (V + S)/cores): U is the rate of a bare one-row
// UPDATE, V and S the time of raw signatures, measured in turns and on all cores,
// as refreshes are. A refresh
// verifies one refresh token and signs one access and one refresh token; by
// default the refresh token is Ed25519 whatever the access token is.
//
// ×bound counts all of these: V is the refresh token's verification, S both
// signatures. ×strict counts one verification and one signature of the named
// algorithm only. The aim is 0.75 of either.
func BenchmarkRefresh(b *testing.B) {
	const workers, rounds, slice = 16, 6, 700 * time.Millisecond
	const each = 40 // grants of a worker: 16 rows alone would share two pages, and contend for them
	cores := runtime.GOMAXPROCS(0)
	for _, alg := range []string{jose.RS256, jose.EdDSA} {
		b.Run(alg, func(b *testing.B) {
			w, url := durable(b, workers)
			w.AccessAlg = alg
			ctx := context.Background()

			config, err := pgxpool.ParseConfig(url)
			w.must(err)
			config.MaxConns = workers
			pool, err := pgxpool.NewWithConfig(ctx, config)
			w.must(err)
			b.Cleanup(pool.Close)
			_, err = pool.Exec(ctx,
				`CREATE TABLE bare (id BIGINT PRIMARY KEY, generation BIGINT NOT NULL) WITH (fillfactor = 50)`)
			w.must(err)
			_, err = pool.Exec(ctx, `INSERT INTO bare SELECT n, 0 FROM generate_series(0, $1::INT - 1) n`, workers*each)
			w.must(err)

			var tokens [workers * each]string
			for n := range tokens {
				if n%each == 0 {
					w.another() // a user has a hundred sessions at most
				}
				tokens[n] = w.login("profile email").RefreshToken
			}
			var turns [workers]int
			next := func(worker int) int {
				turns[worker] = (turns[worker] + 1) % each
				return worker*each + turns[worker]
			}
			access, refresh := newRaw(b, alg), newRaw(b, jose.EdDSA)
			var u, sign, verify, signRefresh, verifyRefresh, refreshes rate
			for range b.N {
				for range rounds {
					u.slice(workers, slice, func(worker int) {
						n := next(worker)
						if _, err := pool.Exec(ctx, `UPDATE bare SET generation = generation + 1 WHERE id = $1`, n); err != nil {
							b.Error(err)
						}
					})
					refreshes.slice(workers, slice, func(worker int) {
						n := next(worker)
						r, err := w.refresh(tokens[n])
						if err != nil {
							b.Error(err)
							return
						}
						tokens[n] = r.RefreshToken
					})
					sign.slice(cores, slice/8, func(int) { access.sign() })
					verify.slice(cores, slice/8, func(int) { access.verify() })
					signRefresh.slice(cores, slice/8, func(int) { refresh.sign() })
					verifyRefresh.slice(cores, slice/8, func(int) { refresh.verify() })
				}
			}
			bound := func(perSignature ...*rate) float64 {
				all := u.seconds()
				for _, r := range perSignature {
					all += r.seconds() // of all cores together: already divided by them
				}
				return 1 / all
			}
			full, strict := bound(&verifyRefresh, &sign, &signRefresh), bound(&verify, &sign)
			b.ReportMetric(refreshes.perSecond(), "refreshes/s")
			b.ReportMetric(u.perSecond(), "updates/s")
			b.ReportMetric(refreshes.perSecond()/full, "×bound")
			b.ReportMetric(refreshes.perSecond()/strict, "×strict")
		})
	}
}

// raw is a signature without anything around it, over as much as a token has.
type raw struct {
	key       crypto.Signer
	message   []byte
	digest    [32]byte
	signature []byte
}

func newRaw(b *testing.B, alg string) *raw {
	key, err := keystest.Generator()(alg)
	if err != nil {
		b.Fatal(err)
	}
	r := &raw{key: key, message: make([]byte, 640)}
	rand.Read(r.message)
	r.digest = sha256.Sum256(r.message)
	r.sign()
	return r
}

func (r *raw) sign() {
	var err error
	if key, ok := r.key.(*rsa.PrivateKey); ok {
		r.signature, err = rsa.SignPKCS1v15(nil, key, crypto.SHA256, r.digest[:])
	} else {
		r.signature, err = r.key.Sign(nil, r.message, crypto.Hash(0))
	}
	if err != nil {
		panic(err)
	}
}

func (r *raw) verify() {
	ok := false
	switch key := r.key.Public().(type) {
	case *rsa.PublicKey:
		ok = rsa.VerifyPKCS1v15(key, crypto.SHA256, r.digest[:], r.signature) == nil
	case ed25519.PublicKey:
		ok = ed25519.Verify(key, r.message, r.signature)
	}
	if !ok {
		panic("the signature does not verify")
	}
}

// BenchmarkLogin compares logins, 200 in flight, with bare argon2id at the same
// cost on as many goroutines as there are cores: the aim is 0.90.
func BenchmarkLogin(b *testing.B) {
	const inFlight, rounds, slice = 200, 4, 3 * time.Second
	w, _ := durable(b, 16)
	cores := runtime.GOMAXPROCS(0)
	w.Accounts.Hasher = hashes.New(hashes.Default, cores, inFlight, time.Minute)
	w.Accounts.Throttle.FailuresPerNetwork = 0 // all of them come from nowhere
	var emails [inFlight / 5]string            // of one account ten attempts at most are under way
	for n := range emails {
		w.another()
		emails[n] = w.alice.Email
	}

	var logins, bare rate
	for range b.N {
		for range rounds {
			bare.slice(cores, slice, func(int) {
				p := hashes.Default
				argon2.IDKey([]byte(password), []byte("0123456789abcdef"), p.Time, p.MemoryKiB, p.Threads, 32)
			})
			logins.slice(inFlight, slice, func(worker int) {
				email := emails[worker%len(emails)]
				if _, err := w.Login(context.Background(), issuer.LoginRequest{Email: email, Password: password}); err != nil {
					b.Error(err)
				}
			})
		}
	}
	b.ReportMetric(logins.perSecond(), "logins/s")
	b.ReportMetric(bare.perSecond(), "argon2id/s")
	b.ReportMetric(logins.perSecond()/bare.perSecond(), "×argon2id")
}
