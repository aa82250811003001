package apitest

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/descope/virtualwebauthn"

	"github.com/signet-id/signet/userstore"
)

// WithoutPasskeys is an option of Each: the issuer's host is an IP address.
func WithoutPasskeys(o *Options) { o.IssuerURL = "https://192.0.2.7" }

// AddressProved declares the address of a user proved, as an operator would.
func (s *Server) AddressProved(u User) {
	s.T.Helper()
	_, err := s.Replicas[0].Accounts.EditByOperator(s.T.Context(), u.ID, func(u *userstore.User) error {
		u.EmailVerified = true
		return nil
	})
	if err != nil {
		s.T.Fatalf("declare an address proved: %v", err)
	}
}

// App is an authenticator app, which shows codes by the clock of the tests. The code is RFC 6238's,
// written anew.
type App struct {
	server *Server
	secret []byte
	last   int64 // step of the last code that Code returned
}

// NewApp is the app that a user scanned or typed a secret into (base32, in groups).
func (s *Server) NewApp(secret string) *App {
	s.T.Helper()
	raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(secret, " ", ""))
	if err != nil {
		s.T.Fatalf("the secret of an authenticator app: %v", err)
	}
	return &App{server: s, secret: raw}
}

const appPeriod = 30 // seconds

func (a *App) step() int64 { return a.server.Clock.Now().Unix() / appPeriod }

// Code returns a code that was not returned before. Where that has to be one of a later step, the
// clock moves there.
func (a *App) Code() string {
	if a.last >= a.step() {
		a.server.Advance(time.Unix((a.last+1)*appPeriod, 0).Sub(a.server.Clock.Now()))
	}
	a.last = a.step()
	return a.at(a.last)
}

// Shown returns the code of so many steps from now.
func (a *App) Shown(steps int64) string { return a.at(a.step() + steps) }

// Wrong returns a code of six digits that is not right, nor will be or was a moment ago.
func (a *App) Wrong() string {
	for n := 0; ; n++ {
		code, right := fmt.Sprintf("%06d", n), false
		for step := int64(-3); step <= 3; step++ {
			right = right || a.Shown(step) == code
		}
		if !right {
			return code
		}
	}
}

func (a *App) at(step int64) string {
	h := hmac.New(sha1.New, a.secret)
	_ = binary.Write(h, binary.BigEndian, step) // a hash takes everything
	sum := h.Sum(nil)
	at := sum[len(sum)-1] & 0xf
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[at:at+4])&0x7fffffff%1000000)
}

// user reads a user as the store has it, whose address it first declares proved: factors need that
// where there is mail.
func (s *Server) userForFactors(u User) userstore.User {
	s.T.Helper()
	s.AddressProved(u)
	stored, err := s.DB.UserByID(s.T.Context(), u.ID)
	if err != nil {
		s.T.Fatal(err)
	}
	return stored
}

// WithApp gives a user an authenticator app, and returns it with the recovery codes; none if the
// user had a second factor before. Sessions and grants go on. What it says by mail is sent.
func (s *Server) WithApp(u User) (app *App, recovery []string) {
	s.T.Helper()
	stored, accounts := s.userForFactors(u), s.Replicas[0].Accounts
	begun, err := accounts.BeginApp(s.T.Context(), stored)
	if err != nil {
		s.T.Fatalf("begin an authenticator app: %v", err)
	}
	app = s.NewApp(s.Secret(begun.Secret))
	recovery, err = accounts.ConfirmApp(s.T.Context(), stored, app.Code(), userstore.KeepAll)
	if err != nil {
		s.T.Fatalf("confirm an authenticator app: %v", err)
	}
	for _, code := range recovery {
		s.Secret(code)
	}
	s.Letters()
	return app, recovery
}

// Passkey is an authenticator with one passkey, and the browser in which it is used. Its fields say
// what the browser and the authenticator claim.
type Passkey struct {
	Party         virtualwebauthn.RelyingParty // by default the issuer's
	Authenticator virtualwebauthn.Authenticator
	Credential    virtualwebauthn.Credential

	server *Server
}

// NewPasskey makes a passkey that no account knows.
func (s *Server) NewPasskey() *Passkey {
	s.T.Helper()
	relying := s.Replicas[0].Accounts.Passkeys
	if relying == nil {
		s.T.Fatal("this issuer has no passkeys")
	}
	p := &Passkey{
		Party:         virtualwebauthn.RelyingParty{ID: relying.ID(), Name: "Test", Origin: s.Browser().origin},
		Authenticator: virtualwebauthn.NewAuthenticator(), server: s,
	}
	// The library writes coordinates without their leading zeros, which COSE forbids.
	for p.Credential.Key == nil || len(p.Credential.Key.AttestationData()) != 77 {
		p.Credential = virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
	}
	return p
}

// Create answers options of the server with a new passkey, as a browser does.
func (p *Passkey) Create(options json.RawMessage) json.RawMessage {
	p.server.T.Helper()
	o, err := virtualwebauthn.ParseAttestationOptions(string(options))
	if err != nil {
		p.server.T.Fatalf("options of a new passkey: %v: %s", err, options)
	}
	p.Authenticator.Options.UserHandle = []byte(o.UserID)
	return json.RawMessage(virtualwebauthn.CreateAttestationResponse(p.Party, p.Authenticator, p.Credential, *o))
}

// Get answers options of the server with the passkey, as a browser does.
func (p *Passkey) Get(options json.RawMessage) json.RawMessage {
	p.server.T.Helper()
	o, err := virtualwebauthn.ParseAssertionOptions(string(options))
	if err != nil {
		p.server.T.Fatalf("options of a passkey: %v: %s", err, options)
	}
	return json.RawMessage(virtualwebauthn.CreateAssertionResponse(p.Party, p.Authenticator, p.Credential, *o))
}

// Allowed reports whether the options let a browser use this passkey.
func (p *Passkey) Allowed(options json.RawMessage) bool {
	o, err := virtualwebauthn.ParseAssertionOptions(string(options))
	return err == nil && (len(o.AllowCredentials) == 0 || p.Credential.IsAllowedForAssertion(*o))
}

// WithPasskey gives a user a passkey, and returns it with the recovery codes; none if the user had a
// second factor before. Sessions and grants go on. What it says by mail is sent.
func (s *Server) WithPasskey(u User) (p *Passkey, recovery []string) {
	s.T.Helper()
	stored, accounts := s.userForFactors(u), s.Replicas[0].Accounts
	challenge := []byte("a challenge of thirty-two bytes!")
	options, handle, err := accounts.PasskeyCreation(s.T.Context(), stored, challenge, time.Minute)
	if err != nil {
		s.T.Fatalf("begin a passkey: %v", err)
	}
	p = s.NewPasskey()
	_, recovery, err = accounts.AddPasskey(s.T.Context(), stored, userstore.NewPasskey{
		Challenge: challenge, UserHandle: handle, Response: p.Create(options), Name: "a key", Keep: userstore.KeepAll,
	})
	if err != nil {
		s.T.Fatalf("add a passkey: %v", err)
	}
	for _, code := range recovery {
		s.Secret(code)
	}
	s.Letters()
	return p, recovery
}

// FirstStep sends the right password of a user who has a second factor, and returns the handle of the
// login; more is merged into the request.
func (s *Server) FirstStep(u User, more ...Fields) (login string) {
	s.T.Helper()
	body := Fields{"email": u.Email, "password": u.Password}
	for _, m := range more {
		for name, value := range m {
			body[name] = value
		}
	}
	var answer struct{ Login string }
	s.Do(Request{Method: "POST", Path: "/v1/login", Body: body}).
		Want(http.StatusUnauthorized, "second_factor_required").JSON(&answer)
	return answer.Login
}

// LoginByApp signs a user in by the password and a code of the authenticator app.
func (s *Server) LoginByApp(u User, app *App, more ...Fields) (tokens Tokens) {
	s.T.Helper()
	login := s.FirstStep(u, more...)
	s.Do(Request{Method: "POST", Path: "/v1/login/totp", Body: Fields{"login": login, "code": app.Code()}}).
		Want(http.StatusOK, "").JSON(&tokens)
	return tokens
}
