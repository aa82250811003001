package issuer

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// Browser is a live browser session and its logged-in user.
type Browser struct {
	Session userstore.BrowserSession
	User    userstore.User
}

// PageLogin is a login at the hosted login page.
type PageLogin struct {
	Name     string // email address or username
	Password string
	Device   string // the value of the browser's device cookie; empty: none
	Signup   bool   // this login is made by the form of a sign-up
	Replaces string // the value of the session cookie, whose session ends with this login; empty: none
}

// StartBrowserSession verifies a password and starts a browser session. secret is the cookie's
// value, a new one at each login, so that an attacker cannot plant it beforehand. Every error is an
// *Error; that of a malformed request wraps a *userstore.ValidationError.
func (i *Issuer) StartBrowserSession(ctx context.Context, l PageLogin) (b Browser, secret string, err error) {
	if i.TrustedBrowser <= 0 { // turned off, also for browsers that were trusted before
		ctx = userstore.WithTrust(ctx, "")
	}
	return i.provedSession(ctx, l, func(ctx context.Context) (userstore.Verified, error) {
		return i.Accounts.AuthenticatePage(ctx, l.Name, l.Password)
	})
}

// StartSecondSession is StartBrowserSession for a login that waited for its second step. trust is the
// value of the cookie by which this browser skips the second factor from now on; empty: it does not.
// Of l, Device, Signup and Replaces are read.
func (i *Issuer) StartSecondSession(
	ctx context.Context, s userstore.SecondLogin, p userstore.FactorProof, trust bool, l PageLogin,
) (b Browser, secret, trusted string, err error) {
	b, secret, err = i.provedSession(ctx, l, func(ctx context.Context) (userstore.Verified, error) {
		v, err := i.Accounts.AuthenticateSecond(ctx, s, p)
		if err == nil && trust && i.TrustedBrowser > 0 {
			trusted = i.NewID() + i.NewID()
			v.Second.Trust = &userstore.NewTrust{
				Hash: userstore.TrustHash(trusted), ID: i.NewID(), EndsAt: i.now().Add(i.TrustedBrowser),
			}
		}
		return v, err
	})
	if err != nil {
		trusted = ""
	}
	return b, secret, trusted, err
}

// StartPasskeySession is StartBrowserSession for a login by passkey alone. Of l, Device and Replaces
// are read.
func (i *Issuer) StartPasskeySession(
	ctx context.Context, p userstore.FactorProof, l PageLogin,
) (b Browser, secret string, err error) {
	return i.provedSession(ctx, l, func(ctx context.Context) (userstore.Verified, error) {
		return i.Accounts.AuthenticatePasskey(ctx, p, "")
	})
}

// provedSession starts the session of a user whom prove proves.
func (i *Issuer) provedSession(
	ctx context.Context, l PageLogin, prove func(context.Context) (userstore.Verified, error),
) (b Browser, secret string, err error) {
	ctx = userstore.WithDevice(ctx, l.Device)
	b, err = tryLogin(func() (Browser, error) {
		verified, err := prove(ctx)
		if err != nil {
			return Browser{}, err
		}
		defer i.Accounts.Release(ctx, verified)
		verified.Signup = l.Signup
		var started Browser
		started, secret, err = i.newBrowserSession(ctx, verified, l)
		return started, err
	})
	return b, secret, err
}

// StartProvedSession starts a browser session after the user proved the address of the account, in
// the browser in which the account's password was typed at typed. Of l, Device and Replaces are read.
// It fails if the account changed meanwhile, and for a user with a second factor.
func (i *Issuer) StartProvedSession(
	ctx context.Context, u userstore.User, typed time.Time, l PageLogin,
) (b Browser, secret string, err error) {
	ctx = userstore.WithDevice(ctx, l.Device)
	if u.SecondFactor || i.Accounts.MustHaveSecondFactor(u) {
		return Browser{}, "", errSecondFactor
	}
	// No message tells of this login: the user has just read one in this browser.
	b, secret, err = i.newBrowserSession(ctx, userstore.Verified{
		User: u, Signup: true, Proved: []userstore.ProvedFactor{{Method: userstore.ByPassword, At: typed}},
		Second: userstore.SecondStep{FactorVersion: u.FactorVersion},
	}, l)
	if err != nil {
		return Browser{}, "", failed(err)
	}
	return b, secret, nil
}

// newBrowserSession starts a session of a user whose proofs are complete.
func (i *Issuer) newBrowserSession(ctx context.Context, verified userstore.Verified, l PageLogin) (Browser, string, error) {
	now := i.now()
	secret := i.NewID() + i.NewID()
	origin := audit.OriginOf(ctx)
	b := Browser{User: verified.User, Session: userstore.BrowserSession{
		Hash: sessionHash(secret), ID: i.NewID(), UserID: verified.User.ID, Proved: verified.SessionProofs(),
		CreatedAt: now, LastUsedAt: now, ExpiresAt: now.Add(i.SessionAbsolute),
		UserAgent: origin.UserAgent, Address: origin.Address,
	}}
	var replaces userstore.SessionHash
	idleSince := now.Add(-i.SessionIdle)
	if l.Replaces != "" {
		replaces = sessionHash(l.Replaces)
		// A user who proves a factor once more keeps the session, what was proved in it before, and
		// the grants that clients got from it.
		old, user, err := i.Browsers.BrowserSession(ctx, replaces, now, idleSince)
		switch {
		case err == nil && user.ID == b.User.ID:
			b.Session.ID = old.ID
			b.Session.Proved = userstore.MergeProofs(old.Proofs(), b.Session.Proved)
			if verified.Continues { // a factor alone makes no session last longer
				b.Session.ExpiresAt = old.ExpiresAt
			}
		case err != nil && !errors.Is(err, userstore.ErrNotFound):
			return Browser{}, "", err
		case verified.Continues:
			return Browser{}, "", userstore.ErrStepOver
		}
	} else if verified.Continues {
		return Browser{}, "", userstore.ErrStepOver
	}
	for n := range b.Session.Proved {
		b.Session.Proved[n].At = b.Session.Proved[n].At.UTC().Truncate(time.Microsecond)
	}
	strength := userstore.StrengthOf(b.Session.Proved)
	b.Session.AuthTime, b.Session.AMR, b.Session.ACR = strength.AuthTime, strength.AMR, strength.ACR
	if err := i.Accounts.StartSession(ctx, verified, b.Session, replaces, idleSince); err != nil {
		return Browser{}, "", err
	}
	return b, secret, nil
}

// touchEvery is the precision of a browser session's last use: a write each time would cost more
// than the read.
const touchEvery = time.Minute

// BrowserOf returns the browser session of the cookie's value; nil if there is none, or none any
// more.
func (i *Issuer) BrowserOf(ctx context.Context, secret string) (*Browser, error) {
	if secret == "" {
		return nil, nil
	}
	now, hash := i.now(), sessionHash(secret)
	session, user, err := i.Browsers.BrowserSession(ctx, hash, now, now.Add(-i.SessionIdle))
	switch {
	case errors.Is(err, userstore.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, failed(err)
	}
	if now.Sub(session.LastUsedAt) >= touchEvery {
		if err := i.Browsers.TouchSession(ctx, hash, now); err != nil {
			return nil, failed(err)
		}
	}
	return &Browser{Session: session, User: user}, nil
}

func sessionHash(secret string) userstore.SessionHash { return sha256.Sum256([]byte(secret)) }
