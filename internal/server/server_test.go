package server_test

import (
	"context"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api"
	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/internal/mail"
	"github.com/signet-id/signet/internal/server"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/password"
	"github.com/signet-id/signet/userstore/registration"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

func parts(t *testing.T) server.Parts {
	pages, err := web.New(web.Options{Service: "Test"})
	if err != nil {
		t.Fatal(err)
	}
	return server.Parts{
		Store: sqltest.SQLite(t), Keys: &keys.Manager{}, Pages: pages, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Hasher:   password.New(password.Params{MemoryKiB: 8, Time: 1, Threads: 1}, 1, 1, time.Second),
		Throttle: &userstore.Throttle{}, Admission: issuer.NewAdmission(0, 0),
		Cache:    &issuer.ClientCache{MaxAge: time.Second},
		Mail:     &mail.Worker{Way: mail.Absent},
		Ready:    func(context.Context) error { return nil },
		Accounts: &userstore.Accounts{}, Issuer: &issuer.Issuer{URL: "https://id.test"}, Clients: &registration.Registry{},
		API: &api.Server{},
	}
}

// Any forgotten part fails the start, and the error names the part.
func TestAMissingPartFailsTheStart(t *testing.T) {
	optional := map[string]bool{"ClientKeys": true, "Objects": true, "Documents": true, "Logouts": true, "Metrics": true, "Logos": true,
		"Issued": true, "People": true, "Traces": true, "Random": true, "Status": true}
	fields := reflect.TypeFor[server.Parts]()
	for n := range fields.NumField() {
		name := fields.Field(n).Name
		p := parts(t)
		reflect.ValueOf(&p).Elem().Field(n).SetZero()
		err := server.Compose(p)
		switch {
		case optional[name] && err != nil:
			t.Errorf("without %s: %v", name, err)
		case !optional[name] && (err == nil || !strings.HasSuffix(err.Error(), "is made without "+name)):
			t.Errorf("without %s: %v", name, err)
		}
	}
	p := parts(t)
	p.Issuer.URL = ""
	if err := server.Compose(p); err == nil || !strings.Contains(err.Error(), "URL") {
		t.Errorf("without a URL: %v", err)
	}
}

// A server with mail fails to start without a part that its letters need.
func TestMailNeedsEveryPart(t *testing.T) {
	p := parts(t)
	if err := server.Compose(p); err != nil || !p.Accounts.NoMail {
		t.Errorf("without mail: %v, and messages would be written: %t", err, !p.Accounts.NoMail)
	}
	texts, err := mail.LoadTexts(nil)
	if err != nil {
		t.Fatal(err)
	}
	from, err := mail.ParseAddress("signet@example.com")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		worker *mail.Worker
		want   string
	}{
		{&mail.Worker{}, "mail.Worker is made without Way, Compose"},
		{&mail.Worker{Way: &mail.Files{Folder: "x"}}, "mail.Worker is made without Compose"},
		{&mail.Worker{Way: &mail.Files{Folder: "x"}, Compose: &mail.Composer{From: from, Service: "S",
			Issuer: "https://id.test"}}, "mail.Composer is made without Texts"},
		{&mail.Worker{Way: &mail.Files{Folder: "x"}, Compose: &mail.Composer{Service: "S", Issuer: "https://id.test",
			Texts: texts}}, "mail.Composer is made without From"},
		{&mail.Worker{Way: &mail.Files{Folder: "x"},
			Compose: &mail.Composer{From: from, Service: "S", Issuer: "https://id.test", Texts: texts}}, ""},
	} {
		p := parts(t)
		p.Mail = c.worker
		err := server.Compose(p)
		if c.want == "" && (err != nil || p.Accounts.NoMail) ||
			c.want != "" && (err == nil || !strings.HasSuffix(err.Error(), c.want)) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

// After Compose no part of the API is missing. Without Compose the handler names the missing parts.
func TestTheHandlerNeedsEveryPart(t *testing.T) {
	p := parts(t)
	if _, err := p.API.Handler(); err == nil ||
		!strings.Contains(err.Error(), "Issuer, Accounts, Clients, Store, Pages, JWKS, Secret, Ready, Now, NewID, Log") {
		t.Errorf("before: %v", err)
	}
	if err := server.Compose(p); err != nil {
		t.Fatal(err)
	}
	if _, err := p.API.Handler(); err != nil {
		t.Errorf("after: %v", err)
	}
	p.API.TrustedProxies = []string{"10.0.0.0/8", "10.1"}
	if _, err := p.API.Handler(); err == nil || !strings.Contains(err.Error(), `"10.1"`) {
		t.Errorf("a proxy that is none: %v", err)
	}
}
