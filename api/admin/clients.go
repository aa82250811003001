package admin

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/profile"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/internal/strictjson"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/registration"
)

// clientRequest is what an admin may say of a client, by the names of RFC 7591. Nothing else can be
// named; null is the same as nothing when a client is made, and empties a member of one that there
// is.
type clientRequest struct {
	Name          string   `json:"client_name"`
	AuthMethod    string   `json:"token_endpoint_auth_method"`
	GrantTypes    []string `json:"grant_types"`
	Scope         string   `json:"scope"`
	Resources     []string `json:"resources"`
	IDTokenAlg    string   `json:"id_token_signed_response_alg"`
	IDTokenClaims bool     `json:"id_token_claims"`
	userstore.ClientMetadata
}

type newClientRequest struct {
	ClientID *string `json:"client_id"`
	clientRequest
}

// clientAdvice says what to do about members that cannot be set here.
var clientAdvice = map[string]string{
	"client_id":                "The id of a client never changes.",
	"client_secret":            "The server makes the secret; ask for a new one at /v1/admin/clients/{client_id}/secret.",
	"client_id_issued_at":      "The server keeps this.",
	"client_secret_expires_at": "Secrets do not expire.",
	"first_party":              "Only an operator marks a client as first-party: signet clients update --first-party.",
	"disabled":                 "Use /v1/admin/clients/{client_id}/disable and /enable.",
}

// adviceOn returns what to do about a member that cannot be set here.
func adviceOn(member string) (advice string, known bool) {
	if slices.Contains(registration.EncryptionMembers, member) {
		return registration.NoEncryption, true
	}
	advice, known = clientAdvice[member]
	return advice, known
}

func decodeClient(w http.ResponseWriter, r Request, v any, types ...string) ([]byte, error) {
	body, err := wire.DecodePatch(w, r.Request, v, types...)
	if p := (*problem.Problem)(nil); errors.As(err, &p) {
		for i, f := range p.Errors {
			if message, ok := adviceOn(f.Field); ok && f.Code == strictjson.UnknownField {
				p.Errors[i].Code, p.Errors[i].Message = "not_allowed", message
			}
		}
	}
	return body, err
}

// apply makes c what the members say that were sent.
func (q clientRequest) apply(c *userstore.Client, sent func(name string) bool) {
	if sent("client_name") {
		c.Name = q.Name
	}
	if sent("token_endpoint_auth_method") {
		c.AuthMethod = q.AuthMethod
	}
	if sent("grant_types") {
		c.GrantTypes = q.GrantTypes
	}
	if sent("scope") {
		c.Scopes = userstore.SplitScope(q.Scope)
	}
	if sent("resources") {
		c.Resources = q.Resources
	}
	if sent("id_token_signed_response_alg") {
		c.IDTokenAlg = q.IDTokenAlg
	}
	if sent("id_token_claims") {
		c.IDTokenClaims = q.IDTokenClaims
	}
	c.ClientMetadata = c.Merge(q.ClientMetadata, sent)
}

// nameScope renames the field of a fault from one scope to the member scope.
func nameScope(err error) error {
	if faults := (*userstore.ValidationError)(nil); errors.As(err, &faults) {
		for i, f := range faults.Fields {
			if strings.HasPrefix(f.Field, "scope.") {
				faults.Fields[i].Field = "scope"
			}
		}
	}
	return err
}

// ListClients is a page of the clients, oldest first.
func (h *Handlers) ListClients(w http.ResponseWriter, r Request) error {
	q := &r.query
	size := q.limit(usualPage, largestPage)
	if err := q.err(); err != nil {
		return err
	}
	var after *userstore.Client
	if text := q.text("cursor"); text != "" {
		p, err := h.openCursor("clients", q.conditions(), text)
		if err != nil {
			return err
		}
		after = &userstore.Client{CreatedAt: p.at, ID: p.id}
	}
	clients, err := h.Clients.Store.ListClients(r.Context(), after, size+1)
	if err != nil {
		return err
	}
	out := struct {
		Clients    []userstore.ClientDocument `json:"clients"`
		NextCursor string                     `json:"next_cursor,omitempty"`
	}{Clients: []userstore.ClientDocument{}}
	if len(clients) > size {
		clients = clients[:size]
		last := clients[size-1]
		if out.NextCursor, err = h.sealCursor("clients", q.conditions(), position{last.CreatedAt, last.ID}); err != nil {
			return err
		}
	}
	for _, c := range clients {
		out.Clients = append(out.Clients, c.Document(""))
	}
	return wire.WriteJSON(w, http.StatusOK, out)
}

// CreateClient answers as RFC 7591 section 3.2.1 does, with the secret if there is one. The secret
// is not shown a second time.
func (h *Handlers) CreateClient(w http.ResponseWriter, r Request) error {
	var q newClientRequest
	if _, err := decodeClient(w, r, &q); err != nil {
		return err
	}
	var c userstore.Client
	if q.ClientID != nil {
		if c.ID = *q.ClientID; c.ID == "" {
			return problem.Invalid(problem.Fault{Field: "client_id", Code: "invalid", Message: "Leave client_id out to have one made."})
		}
	}
	q.apply(&c, func(string) bool { return true })
	c, secret, err := h.Clients.Create(r.Context(), c, "")
	if err != nil {
		return nameScope(err)
	}
	w.Header().Set("Location", h.IssuerPath+"/v1/admin/clients/"+c.ID)
	return wire.WriteJSON(w, http.StatusCreated, c.Document(secret))
}

// clientID returns the client that the path names. An id that is an address is percent-encoded
// there.
func clientID(r Request) string {
	id, err := url.PathUnescape(r.PathValue("client_id"))
	if err != nil {
		return "" // which no client is called
	}
	return id
}

func (h *Handlers) GetClient(w http.ResponseWriter, r Request) error {
	return h.answerClient(w, r)
}

// answerClient answers with the client that the path names, as it is now.
func (h *Handlers) answerClient(w http.ResponseWriter, r Request) error {
	c, err := h.Clients.Store.ClientByID(r.Context(), clientID(r))
	if err != nil {
		return err
	}
	return wire.WriteJSON(w, http.StatusOK, c.Document(""))
}

// PatchClient applies a JSON merge patch (RFC 7396), all of it or nothing; a key set is replaced as
// a whole. A client that comes to need a secret gets one in the answer.
func (h *Handlers) PatchClient(w http.ResponseWriter, r Request) error {
	var q clientRequest
	body, err := decodeClient(w, r, &q, wire.MergePatchType, wire.JSONType)
	if err != nil {
		return err
	}
	patch, err := profile.ReadPatch(body)
	if err != nil {
		return err
	}
	c, secret, err := h.Clients.Edit(r.Context(), clientID(r), "", func(c *userstore.Client) error {
		if c.FirstParty {
			return problem.New(problem.FirstPartyClient, "")
		}
		q.apply(c, func(name string) bool { _, ok := patch[name]; return ok })
		return nil
	})
	if err != nil {
		return nameScope(err)
	}
	return wire.WriteJSON(w, http.StatusOK, c.Document(secret))
}

// notFirstParty refuses first-party clients: they get at the account API of every user without
// consent, so whoever steals an admin's token must not become such a client by a new redirect URI
// or secret. Disabling one is allowed, because it may be urgent and gives no access.
func (h *Handlers) notFirstParty(r Request, id string) error {
	c, err := h.Clients.Store.ClientByID(r.Context(), id)
	if err == nil && c.FirstParty {
		return problem.New(problem.FirstPartyClient, "")
	}
	return err
}

// DeleteClient takes everything along that was granted to the client.
func (h *Handlers) DeleteClient(w http.ResponseWriter, r Request) error {
	if err := expectNoBody(w, r); err != nil {
		return err
	}
	id := clientID(r)
	if id != userstore.FirstPartyClientID { // which Clients.Delete refuses with its own error
		if err := h.notFirstParty(r, id); err != nil {
			return err
		}
	}
	if err := h.Clients.Delete(r.Context(), id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// RotateSecret replaces the secret: the one before is refused within the second that clients are
// cached for.
func (h *Handlers) RotateSecret(w http.ResponseWriter, r Request) error {
	if err := expectNoBody(w, r); err != nil {
		return err
	}
	id := clientID(r)
	if err := h.notFirstParty(r, id); err != nil {
		return err
	}
	c, secret, err := h.Clients.RotateSecret(r.Context(), id, "")
	if err != nil {
		return err
	}
	return wire.WriteJSON(w, http.StatusOK, c.Document(secret))
}

func (h *Handlers) DisableClient(w http.ResponseWriter, r Request) error {
	return h.setClientActive(w, r, false)
}

func (h *Handlers) EnableClient(w http.ResponseWriter, r Request) error {
	return h.setClientActive(w, r, true)
}

func (h *Handlers) setClientActive(w http.ResponseWriter, r Request, active bool) error {
	if err := expectNoBody(w, r); err != nil {
		return err
	}
	if err := h.Clients.SetActive(r.Context(), clientID(r), active); err != nil {
		return err
	}
	return h.answerClient(w, r)
}
