package userstore

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/webauthn"
)

// PasskeyCreation returns the options with which a browser makes a passkey for u
// (PublicKeyCredentialCreationOptionsJSON), and the user handle that they name.
func (a *Accounts) PasskeyCreation(
	ctx context.Context, u User, challenge []byte, timeout time.Duration,
) (options json.RawMessage, handle string, err error) {
	if err := a.MaySetUpFactor(u); err != nil {
		return nil, "", err
	}
	if a.Passkeys == nil {
		return nil, "", ErrNoPasskeys
	}
	have, err := a.Store.SecondFactors(ctx, u.ID)
	if err != nil {
		return nil, "", err
	}
	handle = have.PasskeyHandle
	if handle == "" {
		random := make([]byte, 32)
		rand.Read(random) // never fails: the process ends instead
		handle = base64.RawURLEncoding.EncodeToString(random)
	}
	allowed, err := credentialsOf(have)
	if err != nil {
		return nil, "", err
	}
	user, err := base64.RawURLEncoding.DecodeString(handle)
	if err != nil {
		return nil, "", err
	}
	name := u.Claims.WithComposedName().Name
	if name == "" {
		name = u.Email
	}
	options, err = a.Passkeys.CreationOptions(challenge, user, u.Email, name, allowed, timeout)
	return options, handle, err
}

// NewPasskey is the answer of a browser that made a passkey.
type NewPasskey struct {
	Challenge  []byte
	UserHandle string          // of PasskeyCreation
	Response   json.RawMessage // RegistrationResponseJSON
	Name       string          // by the user; may be empty
	Handle     Handle          // of the challenge: spent
	Keep       string          // as FactorChange.KeepSession
}

// AddPasskey stores a passkey of u, who was read with the proof. With the first second factor come
// recovery codes, which are shown this once. ErrFactorRefused, ErrExists (as *ExistsError: credential,
// or passkeys for too many), ErrConflict, ValidationError on name, and the errors of BeginApp.
func (a *Accounts) AddPasskey(ctx context.Context, u User, n NewPasskey) (p Passkey, recovery []string, err error) {
	if err := a.MaySetUpFactor(u); err != nil {
		return Passkey{}, nil, err
	}
	if a.Passkeys == nil {
		return Passkey{}, nil, ErrNoPasskeys
	}
	name, err := factorName(n.Name)
	if err != nil {
		return Passkey{}, nil, err
	}
	made, err := a.Passkeys.Register(n.Challenge, n.Response)
	if errors.Is(err, webauthn.ErrResponse) {
		return Passkey{}, nil, a.refusedPasskey(ctx, err, Verified{User: u})
	}
	if err != nil {
		return Passkey{}, nil, err
	}
	now := a.now()
	p = Passkey{
		ID: CommandLineID(a.NewID), UserID: u.ID, CredentialID: made.ID, PublicKey: made.PublicKey, AAGUID: made.AAGUID,
		Transports: made.Transports, SignCount: made.SignCount, BackupEligible: made.BackupEligible, BackedUp: made.BackedUp,
		Name: name, CreatedAt: now,
	}
	c := changeByOwner(ctx, u, now, n.Keep)
	c.AddPasskey, c.PasskeyHandle = &p, n.UserHandle
	if n.Handle.ID != "" {
		c.Use = FactorUse{Handles: []Handle{n.Handle}, At: now}
	}
	recovery, err = a.addFactor(ctx, u, c, MethodPasskey, p.ID)
	return p, recovery, err
}

// maxFactorName bounds the name of a passkey, in characters.
const maxFactorName = 64

// factorName cleans the name of a passkey.
func factorName(name string) (string, error) {
	name = strings.TrimSpace(name)
	var fs Faults
	fs.Add("name", checkLine(name, maxFactorName, ""))
	return name, fs.Err()
}

// RenamePasskey gives a passkey of the user another name. ErrNotFound, ValidationError on name.
func (a *Accounts) RenamePasskey(ctx context.Context, userID, id, name string) error {
	name, err := factorName(name)
	if err != nil {
		return err
	}
	return Retry(ctx, editTries, "rename a passkey", func() error {
		have, err := a.Store.SecondFactors(ctx, userID)
		if err != nil {
			return err
		}
		at := slices.IndexFunc(have.Passkeys, func(p Passkey) bool { return p.ID == id })
		switch {
		case at < 0:
			return ErrNotFound
		case have.Passkeys[at].Name == name:
			return nil // nothing happens: there is no audit entry
		}
		r := PasskeyRename{UserID: userID, ID: id, Before: have.Passkeys[at].Name, After: name}
		e := audit.New(ctx, a.now(), audit.PasskeyRenamed, audit.User(userID))
		e.Changes = []audit.Change{{Field: "name", Before: r.Before, After: r.After}}
		err = a.Store.RenamePasskey(ctx, r, e)
		if errors.Is(err, ErrNotFound) { // removed or renamed meanwhile
			err = ErrConflict
		}
		return audit.Stored(ctx, a.Log, err, e)
	})
}
