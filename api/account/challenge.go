package account

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// challengeAge is how long a browser has to answer the options of a passkey.
const challengeAge = 5 * time.Minute

// maxChallenge is longer than any handle of a challenge that was made here.
const maxChallenge = 2 << 10

var errChallengeOver = problem.New(problem.InvalidCode,
	"The handle does not hold, or not any more: ask for the options once more.")

// challengeFor says what a passkey is asked for: no answer is taken for another purpose.
type challengeFor string

const (
	forProof    challengeFor = "proof"
	forCreation challengeFor = "creation" // of a passkey, by an owner who gave a recent proof
)

// sealedChallenge is what the handle of a passkey's challenge holds. Nothing of it is stored until it
// is spent: the handle brings it back.
type sealedChallenge struct {
	ID  string       `json:"id"` // spent with the answer
	For challengeFor `json:"for"`
	sealedProof
	UserHandle string `json:"user_handle,omitempty"` // of a passkey that is made
}

func (h *Handlers) newChallenge(purpose challengeFor, u userstore.User, session issuer.Session) sealedChallenge {
	c := sealedChallenge{ID: h.Issuer.NewID(), For: purpose, sealedProof: h.proofFor(u, session)}
	c.Expires = h.Now().Add(challengeAge).Unix()
	return c
}

// challenge is what the passkey has to sign.
func (h *Handlers) challenge(c sealedChallenge) ([]byte, error) {
	return h.Issuer.FormMAC("passkey challenge of an account", string(c.For), c.ID)
}

// spent is what is stored of the challenge once it was answered.
func (c sealedChallenge) spent() userstore.Handle {
	return userstore.HandleUntil(c.ID, c.Expires)
}

// writeChallenge answers the options with the handle that goes with the browser's answer.
func (h *Handlers) writeChallenge(w http.ResponseWriter, c sealedChallenge, options json.RawMessage) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	handle, err := h.Issuer.Seal("challenge", text)
	if err != nil {
		return err
	}
	return wire.WriteJSON(w, http.StatusOK, passkeyOptions{
		Handle: handle, Options: options, ExpiresIn: int64(challengeAge / time.Second),
	})
}

// openChallenge reads the handle of a challenge that u was asked for in the session.
func (h *Handlers) openChallenge(
	handle string, purpose challengeFor, u userstore.User, session issuer.Session,
) (c sealedChallenge, err error) {
	if len(handle) > maxChallenge {
		return c, errChallengeOver
	}
	text, ok, err := h.Issuer.Unseal("challenge", handle)
	switch {
	case err != nil:
		return c, err
	case !ok || json.Unmarshal(text, &c) != nil || c.For != purpose || !c.of(u, session) || h.Now().Unix() >= c.Expires:
		return sealedChallenge{}, errChallengeOver
	}
	return c, nil
}
