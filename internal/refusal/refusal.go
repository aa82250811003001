// Package refusal records, for the one log line of a request, which client was refused and why. The
// answer says as little as its standard allows; an operator finds the rest by the answer's request
// id.
//
//	api (pipeline)   With → the request's context holds a Note
//	api, issuer      Client, RedirectURI, Because → fill it in where the facts are known
//	api (pipeline)   Attrs → the log line
//
// Strangers write most of these texts. So each is made printable and bounded, an address loses its
// query, and a text with the shape of a secret is not repeated.
package refusal

import (
	"context"
	"log/slog"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/signet-id/signet/internal/printable"
)

// Note holds the facts about one request. The zero value is ready; only the request's goroutine
// uses it.
type Note struct {
	clientID    string // as the request has it; Attrs makes it safe, since few requests are refused
	redirectURI string // likewise
	code        string
	reason      string
}

type noteKey struct{}

// With returns ctx with n; the functions below fill n.
func With(ctx context.Context, n *Note) context.Context { return context.WithValue(ctx, noteKey{}, n) }

func of(ctx context.Context) *Note {
	n, _ := ctx.Value(noteKey{}).(*Note)
	return n
}

// Client records the client that a request names, verified or not. The first name stays: a client
// may later ask about a token that names another client.
func Client(ctx context.Context, id string) {
	if n := of(ctx); n != nil && n.clientID == "" {
		n.clientID = id
	}
}

// name returns the id of a client. A text that no client can be called is not repeated: people type
// passwords there.
func name(id string) string {
	if strings.HasPrefix(id, "https://") { // the address of a metadata document
		return address(id)
	}
	if id != "" && !nameable.MatchString(id) {
		return unnamed
	}
	return text(id, maxName)
}

// nameable matches the ids that a registered client may have (registration.Registry has the rule), and
// a few more.
var nameable = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._~:-]{0,127}$`)

const unnamed = "(withheld: no client can have this name)"

// RedirectURI records the redirect URI of a request.
func RedirectURI(ctx context.Context, uri string) {
	if n := of(ctx); n != nil {
		n.redirectURI = uri
	}
}

// Because records a refusal that is not an error of the request's handler: a redirect carries it to
// the client, or it only leaves something out.
func Because(ctx context.Context, code, reason string) {
	if n := of(ctx); n != nil {
		n.code, n.reason = text(code, maxName), text(reason, maxReason)
	}
}

// Refused reports whether Because was called.
func (n *Note) Refused() bool { return n.code != "" }

// Code returns the code that Because recorded.
func (n *Note) Code() string { return n.code }

// Attrs returns the attributes of the log line of a refused request. reason is why its handler
// failed; empty: the reason that Because recorded.
func (n *Note) Attrs(reason string) []slog.Attr {
	if reason == "" {
		reason = n.reason
	}
	attrs := make([]slog.Attr, 0, 3)
	for _, a := range [...]struct{ name, value string }{
		{"client_id", name(n.clientID)}, {"redirect_uri", address(n.redirectURI)}, {"reason", text(reason, maxReason)},
	} {
		if a.value != "" {
			attrs = append(attrs, slog.String(a.name, a.value))
		}
	}
	return attrs
}

// Bounds in bytes.
const (
	maxName   = 256
	maxReason = 512
)

// secret matches texts that are never repeated, wherever a client put them: a token, a hash, a
// private key.
var secret = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}\.|\$argon2|PRIVATE KEY`)

// withheld replaces a text that has the shape of a secret.
const withheld = "(withheld: it has the shape of a secret)"

func text(s string, most int) string {
	if secret.MatchString(s) || looksLikeSecret(s) {
		return withheld
	}
	s = strings.ToValidUTF8(s, "\ufffd")
	if len(s) > most {
		end := most
		for !utf8.RuneStart(s[end]) {
			end--
		}
		s = s[:end] + "…"
	}
	return printable.Text(s)
}

// looksLikeSecret reports whether s has the shape of a client secret of ours, 256 random bits in
// base64url: an app whose id and secret were swapped sends the secret as its id. Names of 43
// characters that people choose lack one of the three kinds of character.
func looksLikeSecret(s string) bool {
	if len(s) != 43 {
		return false
	}
	var upper, lower, digit bool
	for _, c := range []byte(s) {
		switch {
		case 'A' <= c && c <= 'Z':
			upper = true
		case 'a' <= c && c <= 'z':
			lower = true
		case '0' <= c && c <= '9':
			digit = true
		case c != '-' && c != '_':
			return false
		}
	}
	return upper && lower && digit
}

// address returns a URI without its query, its fragment and its userinfo.
func address(uri string) string {
	uri, _, _ = strings.Cut(uri, "?")
	uri, _, _ = strings.Cut(uri, "#")
	if scheme, rest, ok := strings.Cut(uri, "//"); ok {
		authority, path, slash := strings.Cut(rest, "/")
		if at := strings.LastIndexByte(authority, '@'); at >= 0 {
			authority = authority[at+1:]
		}
		if uri = scheme + "//" + authority; slash {
			uri += "/" + path
		}
	}
	return text(uri, maxName)
}
