package admin

import (
	"errors"
	"net/http"
	"time"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/registration"
)

// registrationTokenRequest is what an admin may say of an initial access token. Members that are left
// out, null or zero have their usual values.
type registrationTokenRequest struct {
	Note      string `json:"note"`
	Uses      int64  `json:"uses"`
	ExpiresIn int64  `json:"expires_in"` // seconds
}

// ListRegistrationTokens is a page of the initial access tokens, oldest first.
func (h *Handlers) ListRegistrationTokens(w http.ResponseWriter, r Request) error {
	q := &r.query
	size := q.limit(usualPage, largestPage)
	if err := q.err(); err != nil {
		return err
	}
	var after *userstore.RegistrationToken
	if text := q.text("cursor"); text != "" {
		p, err := h.openCursor("registration_tokens", q.conditions(), text)
		if err != nil {
			return err
		}
		after = &userstore.RegistrationToken{CreatedAt: p.at, ID: p.id}
	}
	tokens, err := h.Clients.Store.ListRegistrationTokens(r.Context(), after, size+1)
	if err != nil {
		return err
	}
	out := struct {
		Tokens     []userstore.RegistrationTokenDocument `json:"registration_tokens"`
		NextCursor string                                `json:"next_cursor,omitempty"`
	}{Tokens: []userstore.RegistrationTokenDocument{}}
	if len(tokens) > size {
		tokens = tokens[:size]
		last := tokens[size-1]
		out.NextCursor, err = h.sealCursor("registration_tokens", q.conditions(), position{last.CreatedAt, last.ID})
		if err != nil {
			return err
		}
	}
	for _, t := range tokens {
		out.Tokens = append(out.Tokens, t.Document(""))
	}
	return wire.WriteJSON(w, http.StatusOK, out)
}

// CreateRegistrationToken makes an initial access token. The token is not shown a second time.
func (h *Handlers) CreateRegistrationToken(w http.ResponseWriter, r Request) error {
	var q registrationTokenRequest
	if _, err := wire.DecodePatch(w, r.Request, &q); err != nil {
		return err
	}
	if most := int64(registration.MaxTokenLasts / time.Second); q.ExpiresIn < 0 || q.ExpiresIn > most {
		q.ExpiresIn = most + 1 // refused with the other bounds; so many seconds would overflow
	}
	t, token, err := h.Clients.CreateRegistrationToken(r.Context(), registration.NewToken{
		Note: q.Note, Uses: q.Uses, Lasts: time.Duration(q.ExpiresIn) * time.Second,
	})
	if err != nil {
		return err
	}
	return wire.WriteJSON(w, http.StatusCreated, t.Document(token))
}

// RevokeRegistrationToken ends an initial access token; clients that were registered with it stay.
func (h *Handlers) RevokeRegistrationToken(w http.ResponseWriter, r Request) error {
	if err := expectNoBody(w, r); err != nil {
		return err
	}
	err := h.Clients.RevokeRegistrationToken(r.Context(), r.PathValue("id"))
	if errors.Is(err, userstore.ErrNotFound) {
		return problem.New(problem.NotFound, "")
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
