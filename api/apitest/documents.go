package apitest

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/signet-id/signet/internal/outbound"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// DocumentHost is a web server that serves metadata documents of clients, at any path.
type DocumentHost struct {
	*httptest.Server

	mu    sync.Mutex
	serve map[string]http.HandlerFunc
	asked []string // the paths of all requests
	uris  []string // that documents named
}

// NewDocumentHost starts one, which answers 404 until it is told otherwise.
func NewDocumentHost(t testing.TB) *DocumentHost {
	h := &DocumentHost{serve: map[string]http.HandlerFunc{}}
	h.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		h.asked = append(h.asked, r.URL.Path)
		serve := h.serve[r.URL.Path]
		h.mu.Unlock()
		if serve == nil {
			serve = http.NotFound
		}
		serve(w, r)
	}))
	t.Cleanup(h.Close)
	return h
}

// Serve answers requests for a path.
func (h *DocumentHost) Serve(path string, serve http.HandlerFunc) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.serve[path] = serve
}

// Asked returns how often a path was requested; empty: any.
func (h *DocumentHost) Asked(path string) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, asked := range h.asked {
		if path == "" || asked == path {
			n++
		}
	}
	return n
}

// Metadata is the document of a public client at a path.
func (h *DocumentHost) Metadata(path string) Fields {
	return Fields{
		"client_id": h.URL + path, "client_name": "Editor", "redirect_uris": []string{"https://editor.test/cb"},
		"grant_types": []string{"authorization_code", "refresh_token"}, "token_endpoint_auth_method": "none",
	}
}

// Document answers with a document, without headers for caches.
func Document(document any) http.HandlerFunc {
	body, text := document.(string)
	if !text {
		b, err := json.Marshal(document)
		if err != nil {
			panic(err)
		}
		body = string(b)
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(body))
	}
}

// Publish serves a document, and returns its client as requests name it.
func (h *DocumentHost) Publish(path string, document Fields) Client {
	h.Serve(path, Document(document))
	uris, _ := document["redirect_uris"].([]string)
	h.mu.Lock()
	h.uris = append(h.uris, uris...)
	h.mu.Unlock()
	method, _ := document["token_endpoint_auth_method"].(string)
	return Client{Client: userstore.Client{
		ID: h.URL + path, AuthMethod: method, ClientMetadata: userstore.ClientMetadata{RedirectURIs: uris},
	}}
}

// ClientDocuments is what a replica knows of metadata documents.
func (r *Replica) ClientDocuments() *issuer.ClientDocuments {
	return r.Issuer.Clients.(*issuer.ClientDocuments)
}

// Documents makes a replica take metadata documents, which it fetches from h as cmd/signet has it.
func (r *Replica) Documents(t testing.TB, h *DocumentHost) {
	t.Helper()
	client, err := outbound.New(outbound.Options{
		AllowHosts: []string{strings.TrimPrefix(h.URL, "https://")},
		CAs:        pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.Certificate().Raw}),
	})
	if err != nil {
		t.Fatal(err)
	}
	r.documents = h
	r.FetchDocuments(client)
}

// DocumentHost is the web server whose metadata documents a replica takes; nil: none.
func (r *Replica) DocumentHost() *DocumentHost { return r.documents }

// FetchDocuments makes a replica take metadata documents, which client fetches.
func (r *Replica) FetchDocuments(client *outbound.Client) {
	d := r.ClientDocuments()
	d.On, r.Issuer.ClientIDMetadata = true, true
	d.Fetch = func(ctx context.Context, address string) (issuer.FetchedDocument, error) {
		a, err := client.Answer(ctx, address, outbound.Document{Accept: "application/json", MaxBytes: issuer.MaxDocument})
		if errors.Is(err, outbound.ErrTooLarge) {
			err = issuer.ErrDocumentTooLarge
		}
		return issuer.FetchedDocument(a), err
	}
}

// published reports whether a document of h ever named a redirect URI.
func (h *DocumentHost) published(uri string) bool {
	if h == nil {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Contains(h.uris, uri)
}
