//go:build unix

package protocol_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
)

// BenchmarkRefreshEndpoints refreshes over 16 connections at once on a PostgreSQL whose commits
// reach the disk, in turn with a bare net/http handler that does only what no refresh can do
// without: it verifies an Ed25519 signature of the token that it is sent, updates one row by its
// key through pgx over as many connections, and makes two Ed25519 signatures over what we signed.
// The load generator is in the same process. ratio is ours against the bare one (the aim: 0.85).
func BenchmarkRefreshEndpoints(b *testing.B) {
	for _, e := range []refreshEndpoint{
		{"/oauth2/token", "application/x-www-form-urlencoded", func(token string) string {
			return url.Values{"grant_type": {userstore.GrantRefreshToken}, "client_id": {userstore.FirstPartyClientID},
				"refresh_token": {token}}.Encode()
		}},
		{"/v1/refresh", "application/json", func(token string) string { return `{"refresh_token":"` + token + `"}` }},
	} {
		b.Run(e.path[1:], func(b *testing.B) { benchmarkRefresh(b, e) })
	}
}

type refreshEndpoint struct {
	path, contentType string
	body              func(token string) string
}

func (e refreshEndpoint) request(token string) []byte {
	body := e.body(token)
	return []byte("POST " + e.path + " HTTP/1.1\r\nHost: id.test\r\nUser-Agent: bench\r\nContent-Type: " +
		e.contentType + "\r\nContent-Length: " + fmt.Sprint(len(body)) + "\r\n\r\n" + body)
}

const (
	refreshing = 16 // connections
	grantsEach = 40 // of a connection: 16 rows alone would share two pages, and contend for them
)

func benchmarkRefresh(b *testing.B, e refreshEndpoint) {
	address := pgtest.Start(b, pgtest.Options{Durable: true}).URL(b)
	db, err := sqlstore.Open(b.Context(), address, sqlstore.Options{MaxConns: refreshing})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(db.Close)
	if err := db.Migrate(b.Context()); err != nil {
		b.Fatal(err)
	}
	s := apitest.New(b, apitest.Options{DB: db, Configure: func(r *apitest.Replica) { // as served
		r.API.Log = slog.New(slog.NewJSONHandler(io.Discard, nil))
		r.API.Metrics = countNothing{}
		r.API.Now = time.Now
		r.Issuer.AccessAlg = jose.EdDSA
		r.Issuer.Cache = &issuer.ClientCache{MaxAge: time.Second}
		r.Issuer.Admission = issuer.NewAdmission(0, 0)
		r.Issuer.Counts = &issuer.Counts{}
	}})
	defer ticking(s)()
	var tokens [refreshing][grantsEach]string
	var first apitest.Tokens
	for n := range tokens {
		user := s.SignUp(fmt.Sprint("user", n))
		for m := range tokens[n] {
			first = s.Login(user)
			tokens[n][m] = first.Refresh
		}
	}
	var turn [refreshing]int
	ours := newLoad(b, s.Replicas[0].HTTP.Config.Handler, refreshing, func(n int) []byte {
		turn[n] = (turn[n] + 1) % grantsEach
		return e.request(tokens[n][turn[n]])
	}, func(n int, body []byte) { tokens[n][turn[n]] = refreshTokenIn(body) })

	_, key := s.Key(jose.EdDSA)
	handler := rotating(b, address, key.(ed25519.PrivateKey), first)
	request := e.request(first.Refresh)
	bare := newLoad(b, handler, refreshing, func(int) []byte { return request },
		func(_ int, body []byte) { refreshTokenIn(body) })
	compare(b, ours, bare, "refreshes/s")
}

// refreshTokenIn finds the refresh token of an answer; tokens hold no quotes.
func refreshTokenIn(body []byte) string {
	_, rest, _ := bytes.Cut(body, []byte(`"refresh_token":"`))
	token, _, _ := bytes.Cut(rest, []byte(`"`))
	return string(token)
}

// rotating is the bare handler. It answers with the tokens of a login signed anew.
func rotating(b *testing.B, address string, key ed25519.PrivateKey, of apitest.Tokens) http.Handler {
	config, err := pgxpool.ParseConfig(address)
	if err != nil {
		b.Fatal(err)
	}
	config.MaxConns = refreshing
	pool, err := pgxpool.NewWithConfig(b.Context(), config)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	for _, sql := range []string{
		`CREATE TABLE bare (id BIGINT PRIMARY KEY, generation BIGINT NOT NULL) WITH (fillfactor = 50)`,
		fmt.Sprintf(`INSERT INTO bare SELECT n, 0 FROM generate_series(1, %d) n`, refreshing*grantsEach),
	} {
		if _, err := pool.Exec(b.Context(), sql); err != nil {
			b.Fatal(err)
		}
	}
	public := key.Public().(ed25519.PublicKey)
	signed := func(token string) []byte { return []byte(token[:strings.LastIndex(token, ".")]) }
	sign := func(input []byte) string {
		return string(input) + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(key, input))
	}
	access, refresh := signed(of.Access), signed(of.Refresh)
	var row atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		signature, err := base64.RawURLEncoding.AppendDecode(nil, sentSignature(body))
		if err != nil || !ed25519.Verify(public, refresh, signature) {
			panic("the bare handler was sent another token")
		}
		if _, err := pool.Exec(r.Context(), `UPDATE bare SET generation = generation + 1 WHERE id = $1`,
			row.Add(1)%(refreshing*grantsEach)+1); err != nil {
			panic(err)
		}
		answer, _ := json.Marshal(issuer.TokenResponse{AccessToken: sign(access), TokenType: "Bearer", ExpiresIn: 600,
			RefreshToken: sign(refresh), Scope: of.Scope})
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer)
	})
}

// sentSignature returns the signature at the end of the token in a request, form or JSON.
func sentSignature(body []byte) []byte {
	_, token, _ := bytes.Cut(body, []byte("refresh_token"))
	signature := token[bytes.LastIndexByte(token, '.')+1:]
	return bytes.TrimSuffix(signature, []byte(`"}`))
}
