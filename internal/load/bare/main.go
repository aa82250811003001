// Command bare answers as Signet does, with nothing but the work that no server can avoid: the
// signatures, the password hash, the one row, and net/http around them. It decides nothing and
// checks no client. Setup arrives as one line of JSON on standard input, the address leaves as one
// on standard output, and the end of the input ends it.
//
// It uses pgx and argon2 themselves and not the packages of Signet that are their doors: what those
// cost is part of what is measured.
package main

import (
	"bufio"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/crypto/argon2"

	"github.com/signet-id/signet/internal/load"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	in := bufio.NewReader(os.Stdin)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return err
	}
	s := &server{slots: make(chan struct{}, runtime.GOMAXPROCS(0))}
	if err := json.Unmarshal(line, &s.BareSetup); err != nil {
		return err
	}
	if err := s.open(ctx); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	h := &http.Server{Handler: s.routes(), ReadHeaderTimeout: time.Minute}
	go func() { log.Fatal(h.Serve(listener)) }()
	fmt.Printf("{\"address\":%q}\n", listener.Addr())
	_, err = io.Copy(io.Discard, in)
	return err
}

// server has what the handlers need.
type server struct {
	load.BareSetup
	rsa   *rsa.PrivateKey
	ed    ed25519.PrivateKey
	pool  *pgxpool.Pool
	slots chan struct{} // of password hashes
}

// open reads the keys and fills the table.
func (s *server) open(ctx context.Context) error {
	r, err1 := x509.ParsePKCS8PrivateKey(s.RSA)
	e, err2 := x509.ParsePKCS8PrivateKey(s.Ed25519)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	s.rsa, s.ed = r.(*rsa.PrivateKey), e.(ed25519.PrivateKey)
	config, err := pgxpool.ParseConfig(s.Database)
	if err != nil {
		return err
	}
	config.MaxConns = 16 // as many as Signet has
	if s.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return err
	}
	for _, statement := range []string{
		`CREATE TABLE bare (id BIGINT PRIMARY KEY, generation BIGINT NOT NULL, name TEXT NOT NULL) WITH (fillfactor = 50)`,
		`INSERT INTO bare SELECT n, 0, 'Augusta Ada King' FROM generate_series(0, ` + strconv.Itoa(s.Rows-1) + `) n`,
	} {
		if _, err := s.pool.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	for _, alg := range []string{"RS256", "EdDSA"} {
		mux.HandleFunc("POST /token/"+alg, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			s.answer(w, `{"access_token":"`+s.sign(alg, s.Access[alg])+`","token_type":"Bearer","expires_in":600}`)
		})
		mux.HandleFunc("POST /refresh/"+alg, func(w http.ResponseWriter, r *http.Request) { s.refresh(w, r, alg) })
	}
	mux.HandleFunc("POST /login", s.login)
	mux.HandleFunc("GET /jwks", func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		for name, values := range s.JWKSHeader {
			h[name] = values
		}
		_, _ = w.Write(s.JWKS)
	})
	mux.HandleFunc("GET /userinfo", s.userinfo)
	return mux
}

// refresh verifies the refresh token, advances one row durably, and signs an access token and a
// refresh token.
func (s *server) refresh(w http.ResponseWriter, r *http.Request, alg string) {
	session, err := strconv.Atoi(r.PostFormValue("session"))
	if err != nil || !s.verifies(r.PostFormValue("refresh_token")) {
		http.Error(w, "no such session", http.StatusBadRequest)
		return
	}
	var generation int64
	if err := s.pool.QueryRow(r.Context(), `UPDATE bare SET generation = generation + 1 WHERE id = $1 RETURNING generation`,
		session).Scan(&generation); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	s.answer(w, `{"access_token":"`+s.sign(alg, s.Access[alg])+`","refresh_token":"`+s.sign("EdDSA", s.Refresh)+
		`","token_type":"Bearer","expires_in":600}`)
}

// login hashes a password, as many at once as there are processors.
func (s *server) login(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.slots <- struct{}{}
	argon2.IDKey(body, []byte("0123456789abcdef"), s.Argon2.Time, s.Argon2.MemoryKiB, s.Argon2.Threads, 32)
	<-s.slots
	s.answer(w, `{"access_token":"`+s.sign("EdDSA", s.Access["EdDSA"])+`","refresh_token":"`+s.sign("EdDSA", s.Refresh)+
		`","token_type":"Bearer","expires_in":600}`)
}

// userinfo verifies the access token and reads one row.
func (s *server) userinfo(w http.ResponseWriter, r *http.Request) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !s.verifies(token) {
		http.Error(w, "no such token", http.StatusUnauthorized)
		return
	}
	var name string
	if err := s.pool.QueryRow(r.Context(), `SELECT name FROM bare WHERE id = $1`, 1).Scan(&name); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	s.answer(w, `{"sub":"`+s.Subject+`","name":"`+name+`","email":"`+s.Email+`","email_verified":true}`)
}

func (s *server) answer(w http.ResponseWriter, body string) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	_, _ = io.WriteString(w, body)
}

// sign returns a signing input with its signature, a JWS in compact serialization.
func (s *server) sign(alg, input string) string {
	var signature []byte
	var err error
	if alg == "RS256" {
		digest := sha256.Sum256([]byte(input))
		signature, err = rsa.SignPKCS1v15(rand.Reader, s.rsa, crypto.SHA256, digest[:])
	} else {
		signature, err = s.ed.Sign(nil, []byte(input), crypto.Hash(0))
	}
	if err != nil {
		log.Fatal(err)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// verifies reports whether a token is signed with the Ed25519 key.
func (s *server) verifies(token string) bool {
	dot := strings.LastIndexByte(token, '.')
	if dot < 0 {
		return false
	}
	signature, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
	return err == nil && ed25519.Verify(s.ed.Public().(ed25519.PublicKey), []byte(token[:dot]), signature)
}
