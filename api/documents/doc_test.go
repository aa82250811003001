// Package documents_test holds tests of clients whose client_id is the address of their metadata
// document. It has no code, and tests of its own only so that no package takes too long.
package documents_test

import (
	"context"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// each runs fn on both engines, with a host whose documents the server may fetch.
func each(t *testing.T, fn func(t *testing.T, s *apitest.Server, h *apitest.DocumentHost), options ...func(*apitest.Options)) {
	h := apitest.NewDocumentHost(t)
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		fn(t, s, h)
	}, append(options, apitest.Configured(func(r *apitest.Replica) { r.Documents(t, h) }))...)
}

// one is each on SQLite alone, for what no store decides.
func one(t *testing.T, configure ...func(*apitest.Replica)) (*apitest.Server, *apitest.DocumentHost) {
	h := apitest.NewDocumentHost(t)
	return apitest.New(t, apitest.Options{Configure: func(r *apitest.Replica) {
		r.Documents(t, h)
		for _, fn := range configure {
			fn(r)
		}
	}}), h
}

// rows returns the clients of metadata documents that have a row.
func rows(s *apitest.Server) (ids []string) {
	s.T.Helper()
	all, err := s.DB.ListClients(context.Background(), nil, 100)
	if err != nil {
		s.T.Fatal(err)
	}
	for _, c := range all {
		if c.Kind == userstore.KindMetadata {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// row returns the row of a client.
func row(s *apitest.Server, c apitest.Client) userstore.Client {
	s.T.Helper()
	r, err := s.DB.ClientByID(context.Background(), c.ID)
	if err != nil {
		s.T.Fatalf("the row of %s: %v", c.ID, err)
	}
	return r
}

// refused opens an authorization request, which ends at an error page that names the fault.
func refused(s *apitest.Server, c apitest.Client, fault string) {
	s.T.Helper()
	p := s.Browser().Open(apitest.AuthorizePath(c))
	p.WantPage(400, "fault")
	if got := p.ElementText("fault"); got != fault || p.To != "" {
		s.T.Errorf("%s: the fault is %q, and the browser is sent to %q; want %q and nowhere", c.ID, got, p.To, fault)
	}
}

// keysToo lets replicas fetch keys with the client that fetches documents.
func keysToo() func(*apitest.Options) {
	return apitest.Configured(func(r *apitest.Replica) {
		r.Issuer.ClientKeys = &issuer.ClientKeys{Fetch: func(ctx context.Context, address string) ([]byte, error) {
			a, err := r.ClientDocuments().Fetch(ctx, address)
			return a.Body, err
		}}
	})
}
