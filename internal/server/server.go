// Package server joins the parts of a server in one place, for the command serve and for the tests
// that run a whole server. The caller sets each part's own settings; Compose sets the fields that
// parts share. A missing part fails the start with its name.
package server

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/signet-id/signet/api"
	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/internal/backchannel"
	"github.com/signet-id/signet/internal/logos"
	"github.com/signet-id/signet/internal/mail"
	"github.com/signet-id/signet/internal/required"
	"github.com/signet-id/signet/internal/webauthn"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/password"
	"github.com/signet-id/signet/userstore/registration"
)

// Store is the database as the server uses it.
type Store interface {
	userstore.Store
	keys.Store
}

// Parts are the parts of a server. All fields are required unless their comment says optional.
type Parts struct {
	Store  Store
	Keys   *keys.Manager
	Hasher *password.Hasher
	Pages  *web.Pages
	Now    func() time.Time
	Log    *slog.Logger

	// The limits are required too. For no limit set userstore.NoThrottle, issuer.NoAdmission or
	// issuer.NoClientCache.
	Throttle  *userstore.Throttle
	Admission *issuer.Admission
	Cache     *issuer.ClientCache

	// Mail sends the messages of the outbox once Run is called. Its Way is mail.Absent on a server
	// without mail.
	Mail *mail.Worker

	ClientKeys *issuer.ClientKeys          // optional; without it no client may have a jwks_uri
	Objects    *issuer.RequestObjects      // optional; without it no client may have request_uris
	Documents  *issuer.ClientDocuments     // optional; without it no client_id is an address
	Logouts    *backchannel.Sender         // optional; without it no client hears of logouts
	Ready      func(context.Context) error // the error says why the server is not ready; errors.Join joins several reasons
	Metrics    api.Metrics                 // optional; without it nothing is counted
	Traces     api.Traces                  // optional; without it no request is traced
	Logos      *logos.Cache                // optional; without it the pages show no logos of clients
	Issued     *issuer.Counts              // optional; without it no tokens are counted
	People     *userstore.Counts           // optional; without it no logins are counted
	Status     *issuer.StatusLists         // optional; without it tokens name no status list
	Random     io.Reader                   // optional; without it ids are drawn from the system's source

	// These hold their own settings; Compose sets their fields for the parts above.
	Accounts *userstore.Accounts
	Issuer   *issuer.Issuer
	Clients  *registration.Registry
	API      *api.Server
}

// rememberedTokens are the access tokens whose signature is not verified again: at 2 KB each, which
// holds for most, some 8 MB.
const rememberedTokens = 4096

// Compose joins the parts. After it, API.Handler returns the server's handler.
func Compose(p Parts) error {
	err := required.Missing(p, "ClientKeys", "Objects", "Documents", "Logouts", "Metrics", "Traces", "Logos", "Issued", "People",
		"Status", "Random")
	if err != nil {
		return err
	}
	if p.Issuer.URL == "" {
		return errors.New("the issuer has no URL")
	}

	m := p.Mail
	m.Store, m.Now, m.Log, m.Contents = p.Store, p.Store.Now, p.Log, p.Accounts.Contents
	if err := m.Complete(); err != nil {
		return err
	}

	if p.Throttle != userstore.NoThrottle {
		p.Throttle.Store, p.Throttle.Secret, p.Throttle.Log = p.Store, p.Keys.BudgetSecret, p.Log
	}

	a := p.Accounts
	a.Store, a.Hasher, a.Throttle = p.Store, p.Hasher, p.Throttle
	ids := source{p.Random}
	a.Now, a.NewID, a.Log, a.Counts = p.Now, ids.id, p.Log, p.People
	a.TokenSecret = func() ([]byte, error) { return p.Keys.Secret(keys.OneTime) }
	a.AppKey = func() ([]byte, error) { return p.Keys.FactorKey(keys.AuthenticatorApps) }
	a.RecoveryKey = func() ([]byte, error) { return p.Keys.FactorKey(keys.RecoveryCodes) }
	a.NoMail = m.Way == mail.Absent
	a.FactorIssuer = p.Pages.Service()
	a.Passkeys, err = webauthn.New(p.Issuer.URL, a.FactorIssuer, p.API.PasskeyOrigins)
	if err != nil && !errors.Is(err, webauthn.ErrNoPasskeys) {
		return err
	}

	i := p.Issuer
	i.Accounts, i.Keys, i.Counts = a, p.Keys, p.Issued
	i.Grants, i.Codes, i.Browsers, i.Consents = p.Store, p.Store, p.Store, p.Store
	documents := p.Documents
	if documents == nil {
		documents = &issuer.ClientDocuments{} // which still hides clients that came when it was on
	}
	documents.Clients, documents.Issuer, documents.Now = p.Store, i, p.Now
	i.Clients, i.ClientIDMetadata = documents, documents.On
	i.Pushed, i.RequestObjects = p.Store, p.Objects
	i.Devices, i.Proofs = p.Store, p.Store
	i.Subjects = p.Store
	i.Now, i.NewID, i.NewGrant, i.Log = p.Now, ids.id, ids.grant, p.Log
	i.Admission, i.Cache, i.ClientKeys = p.Admission, p.Cache, p.ClientKeys
	i.Tokens = issuer.NewTokenCache(rememberedTokens)
	i.FormSecret = func() ([]byte, error) { return p.Keys.Secret(keys.Forms) }

	i.StatusStore, i.Status = p.Store, p.Status
	if s := p.Status; s != nil {
		s.Store, s.Keys, s.Now, s.Log = p.Store, p.Keys, p.Now, p.Log
		s.URL, s.Alg, s.Sign = i.URL, i.AccessAlg, p.Admission.Sign
	}

	i.BackchannelLogout = p.Logouts != nil
	if l := p.Logouts; l != nil {
		l.Store, l.Clients, l.Token, l.Now, l.Log = p.Store, p.Store, i.LogoutToken, p.Store.Now, p.Log
		if err := l.Complete(); err != nil {
			return err
		}
	}

	c := p.Clients
	c.Store, c.Hasher = p.Store, p.Hasher
	c.Now, c.NewID, c.Log = p.Now, ids.id, p.Log
	c.Algorithms = func(context.Context) ([]string, error) { return p.Keys.ActiveAlgorithms(), nil }
	c.Resources = nil
	for _, resource := range i.Resources {
		c.Resources = append(c.Resources, resource.URI)
	}

	c.Throttle, c.UserScopes, c.SelfMadeScopes = p.Throttle, i.UserScopes(), i.SelfMadeScopes()
	i.Registry = c

	s := p.API
	s.Issuer, s.Accounts, s.Clients, s.Store, s.Pages = i, a, c, p.Store, p.Pages
	s.JWKS, s.Secret, s.Ready, s.Metrics = p.Keys.JWKS, p.Keys.Secret, p.Ready, p.Metrics
	s.Traces = p.Traces
	s.Logos = p.Logos
	s.Now, s.NewID, s.Log = p.Now, NewID, p.Log // of requests: answers about a failing source have one, too
	return nil
}

// ForInspection sets the fields of an issuer that only checks tokens. Such an issuer reads the
// store and changes nothing.
func ForInspection(
	i *issuer.Issuer, a *userstore.Accounts, store userstore.Store, ring issuer.Keys, now func() time.Time,
) {
	i.Accounts = a // for its policies
	i.Grants, i.Clients, i.StatusStore, i.Keys, i.Now = store, store, store, ring, now
}

// NewID returns 128 random bits in base64url. It draws until the text begins with a letter or
// digit, because an id that begins with a dash would look like a flag on a command line.
func NewID() string { return source{}.id() }

// NewGrantID returns a random id for a grant's row.
func NewGrantID() userstore.GrantID { return source{}.grant() }

// source draws ids. Nothing is issued without randomness: a reader that fails ends the request, by a
// panic that is ErrUnavailable and is answered with 503, and the system's source ends the process, as
// crypto/rand does. No caller can forget an error, and go on with an id that others can predict.
type source struct{ random io.Reader } // nil: the system's

func (s source) id() string {
	for {
		id := s.grant()
		var text [22]byte // as long as base64url of 16 bytes
		base64.RawURLEncoding.Encode(text[:], id[:])
		if text[0] != '-' && text[0] != '_' {
			return string(text[:])
		}
	}
}

func (s source) grant() (id userstore.GrantID) {
	if s.random == nil {
		rand.Read(id[:]) // keeps id on the stack, which the other reader cannot
		return id
	}
	return s.drawn()
}

func (s source) drawn() (id userstore.GrantID) {
	if _, err := io.ReadFull(s.random, id[:]); err != nil {
		panic(fmt.Errorf("%w: draw an id: %w", userstore.ErrUnavailable, err))
	}
	return id
}
