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
	issuer.Once              // spent with the answer
	For         challengeFor `json:"for"`
	owner
	Address    string `json:"address"`               // User.EmailKey
	UserHandle string `json:"user_handle,omitempty"` // of a passkey that is made
}

var challengeHandle = issuer.Sealed[sealedChallenge]{Purpose: "challenge", Longest: 2 << 10}

func (h *Handlers) newChallenge(purpose challengeFor, u userstore.User, session issuer.Session) sealedChallenge {
	return sealedChallenge{
		Once: h.Issuer.Once(challengeAge), For: purpose, owner: ownerOf(u, session), Address: u.EmailKey,
	}
}

// challenge is what the passkey has to sign.
func (h *Handlers) challenge(c sealedChallenge) ([]byte, error) {
	return h.Issuer.FormMAC("passkey challenge of an account", string(c.For), c.ID)
}

// writeChallenge answers the options with the handle that goes with the browser's answer.
func (h *Handlers) writeChallenge(w http.ResponseWriter, c sealedChallenge, options json.RawMessage) error {
	handle, err := challengeHandle.Seal(h.Issuer, c)
	if err != nil {
		return err
	}
	return wire.WriteJSON(w, http.StatusOK, passkeyOptions{
		Handle: handle, Options: options, ExpiresIn: int64(c.Left(h.Now()) / time.Second),
	})
}

// openChallenge reads the handle of a challenge that u was asked for in the session.
func (h *Handlers) openChallenge(
	handle string, purpose challengeFor, u userstore.User, session issuer.Session,
) (sealedChallenge, error) {
	c, ok, err := challengeHandle.Open(h.Issuer, handle)
	switch {
	case err != nil:
		return c, err
	case !ok || c.For != purpose || c.Address != u.EmailKey || !c.of(u, session):
		return sealedChallenge{}, errChallengeOver
	}
	return c, nil
}
