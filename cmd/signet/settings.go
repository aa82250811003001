package main

import (
	"context"
	"errors"
	"time"

	"github.com/signet-id/signet/configs"
	"github.com/signet-id/signet/internal/logos"
	"github.com/signet-id/signet/internal/outbound"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/password"
	"github.com/signet-id/signet/userstore/registration"
)

// verification returns what sign-ups have to prove.
func verification(c configs.Config) userstore.Verification {
	switch c.EmailVerification() {
	case configs.VerificationRequired:
		return userstore.VerificationRequired
	case configs.VerificationOff:
		return userstore.VerificationOff
	}
	return userstore.VerificationOptional
}

// secondFactor returns who has to have a second factor.
func secondFactor(c configs.Config) userstore.SecondFactorPolicy {
	if c.Accounts.SecondFactor == configs.SecondFactorOptional {
		return userstore.SecondFactorOptional
	}
	return userstore.SecondFactorPolicy(c.Accounts.SecondFactor)
}

// issuerSettings returns an issuer with the settings of the configuration. bound is the address of
// the listener.
func issuerSettings(c configs.Config, bound string) *issuer.Issuer {
	return &issuer.Issuer{
		URL:             c.IssuerURL(bound),
		Audience:        c.Tokens.Audience,
		AccessAlg:       c.Tokens.AccessAlg,
		AccessLifetime:  c.Tokens.AccessLifetime,
		IDLifetime:      c.Tokens.IDLifetime,
		RefreshAbsolute: c.Refresh.Absolute,
		RefreshIdle:     c.Refresh.Idle,
		ReuseWindow:     c.Refresh.ReuseWindow,
		ClockSkew:       c.ClockSkew,
		Resources:       resources(c),
		Claims:          claims(c),
		RequirePKCE:     c.OAuth.RequirePKCE,
		RequirePushed:   c.OAuth.RequirePushed,
		DPoPNonces:      c.OAuth.DPoPNonce,
		ResponseTypes:   c.OAuth.Types(),
		UILocales:       c.Pages.Languages,
		Registration:    c.OAuth.Registration,
		OpenToPublic:    c.MCP.OpenRegistration,
		SessionAbsolute: c.Sessions.Absolute,
		SessionIdle:     c.Sessions.Idle,
		TrustedBrowser:  c.Sessions.TrustedBrowser,
	}
}

// accountSettings returns accounts with the settings of the configuration. bound is the address of
// the listener; empty: there is none.
func accountSettings(c configs.Config, bound string) *userstore.Accounts {
	return &userstore.Accounts{
		MinPassword:   c.Passwords.MinLength,
		Service:       serviceNames(c, bound),
		BreachRange:   breachRange(c.Passwords.BreachCheckURL),
		NoMail:        !c.HasMail(),
		SignupEnabled: c.Accounts.Signup,
		Verification:  verification(c),
		SecondFactor:  secondFactor(c),

		NotifyNewDevice: c.Accounts.NotifyNewDevice,
	}
}

// fetchFunc fetches a document.
type fetchFunc = func(ctx context.Context, uri string) ([]byte, error)

// sectorsBy returns a function that fetches the document at a sector_identifier_uri.
func sectorsBy(fetcher *outbound.Client) fetchFunc {
	return func(ctx context.Context, uri string) ([]byte, error) {
		return fetcher.Fetch(ctx, uri, outbound.Document{Accept: "application/json", MaxBytes: 64 << 10})
	}
}

// logosBy returns a function that fetches the logo of a client.
func logosBy(fetcher *outbound.Client) fetchFunc {
	picture := outbound.Document{Accept: "image/png, image/webp, image/jpeg, image/gif", MaxBytes: logos.MaxBytes}
	return func(ctx context.Context, uri string) ([]byte, error) { return fetcher.Fetch(ctx, uri, picture) }
}

// documentSettings returns the clients of metadata documents with the settings of the configuration.
func documentSettings(c configs.Config, fetch documentFunc) *issuer.ClientDocuments {
	hosts := c.OAuth.ClientIDMetadataHosts
	return &issuer.ClientDocuments{On: c.ClientIDMetadata(), Allow: hosts.Allow, Deny: hosts.Deny, Fetch: fetch}
}

// documentFunc fetches a metadata document.
type documentFunc = func(ctx context.Context, address string) (issuer.FetchedDocument, error)

// documentsBy returns a function that fetches the metadata document of a client.
func documentsBy(fetcher *outbound.Client) documentFunc {
	document := outbound.Document{Accept: "application/json", MaxBytes: issuer.MaxDocument}
	return func(ctx context.Context, address string) (issuer.FetchedDocument, error) {
		a, err := fetcher.Answer(ctx, address, document)
		if errors.Is(err, outbound.ErrTooLarge) {
			err = issuer.ErrDocumentTooLarge
		}
		return issuer.FetchedDocument(a), err
	}
}

// clientSettings returns a client registry with the settings of the configuration.
func clientSettings(c configs.Config, sectors fetchFunc) *registration.Registry {
	r := &registration.Registry{
		RedirectSchemes: c.OAuth.Schemes(), ResponseTypes: c.OAuth.Types(), SectorDocument: sectors, UnusedFor: c.OAuth.UnusedClients,
	}
	for _, resource := range c.AllResources() {
		r.Resources = append(r.Resources, resource.URI)
	}
	return r
}

func resources(c configs.Config) []issuer.Resource {
	var list []issuer.Resource
	for n, r := range c.AllResources() {
		list = append(list, issuer.Resource{
			URI: r.URI, Scopes: r.Scopes, AccessAlg: r.AccessAlg, AccessLifetime: r.AccessLifetime,
			IntrospectionClients: r.Introspection, SelfMade: n >= len(c.Resources),
		})
	}
	return list
}

func claims(c configs.Config) []issuer.CustomClaim {
	var list []issuer.CustomClaim
	for _, claim := range c.Claims {
		list = append(list, issuer.CustomClaim(claim))
	}
	return list
}

func storeName(c configs.Config) string {
	if c.IsPostgres() {
		return "postgres"
	}
	return c.Database()
}

func newHasher(c configs.Config, slots int) *password.Hasher {
	p := c.Passwords.Argon2
	return password.New(password.Params{
		MemoryKiB: uint32(p.Memory.KiB()),
		Time:      uint32(p.Time),
		Threads:   uint8(p.Threads),
	}, slots, 0, hashWait)
}

// hashWait is how long a login waits for a hash slot. It leaves enough of the request's five
// seconds for the hash itself and the store: a login that is hashed too late is refused anyway, and
// has kept another login waiting.
const hashWait = 3 * time.Second
