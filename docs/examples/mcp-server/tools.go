package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/signet-id/signet/verifier"
)

const (
	readScope  = "tools:read"  // for every request
	writeScope = "tools:write" // for the tools in toolScopes that change something
)

// toolScopes are the scopes that a tool needs beside readScope.
var toolScopes = map[string][]string{"note": {writeScope}}

// tools is an MCP server with two tools, and the notes of all users.
type tools struct {
	mu    sync.Mutex
	notes map[string][]string // by issuer and subject; of each user the last ones
}

const (
	maxNotes = 20
	maxNote  = 1000 // bytes
)

func newTools() *mcp.Server {
	t := &tools{notes: map[string][]string{}}
	server := mcp.NewServer(&mcp.Implementation{Name: "signet-example", Version: "1.0.0"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "whoami", Description: "Says who is logged in, and what the app may do.",
		Annotations: &mcp.ToolAnnotations{ReadOnlyHint: true}}, t.whoami)
	mcp.AddTool(server, &mcp.Tool{Name: "note", Description: "Keeps a note, and answers all notes of the user."}, t.note)
	return server
}

type identity struct {
	Subject  string `json:"sub"`
	ClientID string `json:"client_id"`
	Scope    string `json:"scope"`
}

func (t *tools) whoami(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, identity, error) {
	token, err := allowed(ctx, "whoami")
	if err != nil {
		return nil, identity{}, err
	}
	return nil, identity{token.Subject, token.ClientID, strings.Join(token.Scopes, " ")}, nil
}

type newNote struct {
	Text string `json:"text" jsonschema:"what to keep"`
}

type notes struct {
	Notes []string `json:"notes"`
}

func (t *tools) note(ctx context.Context, _ *mcp.CallToolRequest, n newNote) (*mcp.CallToolResult, notes, error) {
	token, err := allowed(ctx, "note")
	if err != nil {
		return nil, notes{}, err
	}
	if n.Text == "" || len(n.Text) > maxNote {
		return nil, notes{}, fmt.Errorf("a note has 1 to %d bytes", maxNote)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	user := token.Issuer + " " + token.Subject
	all := append(t.notes[user], n.Text)
	t.notes[user] = append([]string(nil), all[max(0, len(all)-maxNotes):]...)
	return nil, notes{t.notes[user]}, nil
}

// allowed returns the token of the request, if it was granted what the tool needs. The middleware
// in http.go refuses earlier, with a challenge; a tool does not depend on what that reads in the
// request's body.
//
// The token is the one of this request because the server has no sessions. In a session it would be
// the token of the request that opened it.
func allowed(ctx context.Context, tool string) (*verifier.Token, error) {
	token, ok := verifier.TokenFrom(ctx)
	if !ok {
		return nil, errors.New("there is no access token")
	}
	for _, scope := range append([]string{readScope}, toolScopes[tool]...) {
		if !token.HasScope(scope) {
			return nil, fmt.Errorf("the access token was not granted %s", scope)
		}
	}
	return token, nil
}
