//go:build unix

package protocol_test

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/cputime"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// BenchmarkUserinfo asks for the claims of a user over one connection and over sixteen, in turn
// with a bare net/http handler that verifies the same signature, reads the id of the user from the
// grant's row and writes the same bytes. ratio is our rate against that one; ratio-cpu is the same
// by the time that the cores spent on this process, the load generator included and PostgreSQL not.
func BenchmarkUserinfo(b *testing.B) {
	for _, engine := range []string{"postgres", "sqlite"} {
		for _, connections := range []int{1, 16} {
			b.Run(fmt.Sprintf("%s/%d", engine, connections), func(b *testing.B) {
				asked := newAsked(b, engine)
				request := []byte("GET /oauth2/userinfo HTTP/1.1\r\nHost: id.test\r\nUser-Agent: bench\r\nAuthorization: Bearer " +
					asked.token + "\r\n\r\n")
				same := func(int) []byte { return request }
				ours := newLoad(b, asked.handler, connections, same, nil)
				bare := newLoad(b, asked.bare(b), connections, same, nil)
				ours.run(b, 200*time.Millisecond)
				bare.run(b, 200*time.Millisecond)
				var ratios, costs, rates []float64
				for b.Loop() {
					mine, theirs := ours.run(b, 400*time.Millisecond), bare.run(b, 400*time.Millisecond)
					ratios, costs = append(ratios, mine.rate/theirs.rate), append(costs, theirs.cpu/mine.cpu)
					rates = append(rates, mine.rate)
				}
				b.ReportMetric(median(ratios), "ratio")
				b.ReportMetric(median(costs), "ratio-cpu")
				b.ReportMetric(median(rates), "answers/s")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// BenchmarkUserinfoCost measures what one answer costs the process, without connections.
func BenchmarkUserinfoCost(b *testing.B) {
	for _, engine := range []string{"postgres", "sqlite"} {
		asked := newAsked(b, engine)
		bare := asked.bare(b)
		for name, handler := range map[string]http.Handler{"ours": asked.handler, "bare": bare} {
			b.Run(engine+"/"+name, func(b *testing.B) {
				cputime.Loop(b, func() {
					r := httptest.NewRequest(http.MethodGet, "https://id.test/oauth2/userinfo", nil)
					r.Header.Set("Authorization", "Bearer "+asked.token)
					w := httptest.NewRecorder()
					handler.ServeHTTP(w, r)
					if w.Code != http.StatusOK {
						b.Fatalf("%d: %s", w.Code, w.Body)
					}
				})
			})
		}
	}
}

// asked is a server with a token for its userinfo endpoint.
type asked struct {
	engine, url    string
	s              *apitest.Server
	handler        http.Handler
	token, session string
	body           []byte
}

func newAsked(b *testing.B, engine string) asked {
	a := asked{engine: engine}
	a.url = sqltest.SQLitePath(b)
	if engine == "postgres" {
		a.url = sqltest.PostgresURL(b)
	}
	db, err := sqlstore.Open(b.Context(), a.url, sqlstore.Options{MustExist: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(db.Close)
	a.s = apitest.New(b, apitest.Options{DB: db, Configure: func(r *apitest.Replica) { // as served
		r.API.Log = slog.New(slog.NewJSONHandler(io.Discard, nil))
		r.API.Metrics = countNothing{}
		r.API.Timeout = 0
		r.Issuer.AccessAlg = jose.EdDSA
	}})
	f := newStandard(a.s)
	a.token = a.s.Redeem(f.alice, f.web).Access
	a.session, _ = apitest.Claims(a.token)["sid"].(string)
	a.body = a.s.Do(apitest.Request{Path: "/oauth2/userinfo", Token: a.token}).Want(200, "").Body
	a.handler = a.s.Replicas[0].HTTP.Config.Handler
	return a
}

// bare returns the bare handler.
func (a asked) bare(b *testing.B) http.Handler {
	_, key := a.s.Key(jose.EdDSA)
	public := key.Public().(ed25519.PublicKey)
	read := a.reader(b)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		end := strings.LastIndexByte(token, '.')
		signature, err := base64.RawURLEncoding.DecodeString(token[end+1:])
		if err != nil || !ed25519.Verify(public, []byte(token[:end]), signature) {
			panic("the signature is not valid")
		}
		if user, err := read(r.Context()); err != nil || user == "" {
			panic(err)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(a.body)
	})
}

// reader returns the bare read, by the drivers that the store uses.
func (a asked) reader(b *testing.B) func(context.Context) (string, error) {
	const read = `SELECT user_id FROM grants WHERE session_id = $1`
	if a.engine == "postgres" {
		pool, err := pgxpool.New(b.Context(), a.url)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(pool.Close)
		return func(ctx context.Context) (user string, err error) {
			err = pool.QueryRow(ctx, read, a.session).Scan(&user)
			return user, err
		}
	}
	db, err := sql.Open("sqlite", a.url)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	statement, err := db.PrepareContext(b.Context(), read)
	if err != nil {
		b.Fatal(err)
	}
	return func(ctx context.Context) (user string, err error) {
		err = statement.QueryRowContext(ctx, a.session).Scan(&user)
		return user, err
	}
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}
