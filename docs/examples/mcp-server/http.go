package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/signet-id/signet/verifier"
)

// handler is the whole server: metadata for everybody, and /mcp for requests with a token. Package
// auth of the SDK has a middleware and a metadata handler, too. The verifier's know Signet's tokens,
// find the keys, and name in one challenge all that a call needs.
func handler(v *verifier.Verifier) http.Handler {
	server := newTools()
	streamable := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server },
		&mcp.StreamableHTTPOptions{Stateless: true, JSONResponse: true})
	mux := http.NewServeMux()
	mux.Handle("/mcp", v.RequireScope(readScope)(requireToolScopes(v, streamable)))
	return cors(v.WithMetadata(mux))
}

// requireToolScopes answers 403 insufficient_scope to calls of tools for which the token lacks a
// scope. A client that reads the challenge asks the user for the scope and repeats the call; of the
// error of a tool it could make nothing.
func requireToolScopes(v *verifier.Verifier, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mcp.DefaultMaxRequestBodyBytes))
		if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
			http.Error(w, "The body is too large.", http.StatusRequestEntityTooLarge)
			return
		} else if err != nil {
			http.Error(w, "The body ended early.", http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		v.RequireScope(scopesOf(body)...)(next).ServeHTTP(w, r)
	})
}

// scopesOf returns the scopes that the tools need that a JSON-RPC body calls. What is not JSON-RPC
// calls none; the SDK refuses it.
func scopesOf(body []byte) []string {
	type call struct {
		Method string
		Params json.RawMessage
	}
	calls := make([]call, 1)
	if json.Unmarshal(body, &calls[0]) != nil && json.Unmarshal(body, &calls) != nil { // one, or a batch
		return nil
	}
	var scopes []string
	for _, c := range calls {
		var params struct{ Name string }
		if c.Method != "tools/call" || json.Unmarshal(c.Params, &params) != nil {
			continue
		}
		for _, scope := range toolScopes[params.Name] {
			if !slices.Contains(scopes, scope) {
				scopes = append(scopes, scope)
			}
		}
	}
	return scopes
}

// cors lets pages of every origin use the server. They send their token themselves: no cookie could
// be abused. A page reads the challenge only because WWW-Authenticate is exposed.
func cors(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Access-Control-Expose-Headers", "WWW-Authenticate, Mcp-Session-Id")
		if r.Method == http.MethodOptions {
			h.Set("Access-Control-Allow-Methods", "GET, POST, DELETE")
			h.Set("Access-Control-Allow-Headers", "Authorization, *") // * does not cover Authorization
			h.Set("Access-Control-Max-Age", "600")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}
