package issuer

import (
	"cmp"
	"context"
	"slices"
	"unicode/utf8"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/refusal"
	"github.com/signet-id/signet/userstore"
)

// LogoutRequest is a request at the end session endpoint as it was sent (OpenID Connect
// RP-Initiated Logout section 2).
type LogoutRequest struct {
	IDTokenHint           string
	ClientID              string
	PostLogoutRedirectURI string
	State                 string
	UILocales             string
	Repeated              []string // parameters that were sent more than once
}

// PendingLogout is a logout that may need confirmation, and where it leads.
type PendingLogout struct {
	ClientID    string   `json:"client_id,omitempty"`    // of the client that sent the user; empty: no client is verified
	RedirectURI string   `json:"redirect_uri,omitempty"` // registered, with the state in its query; empty: nowhere
	UILocales   []string `json:"ui_locales,omitempty"`

	// NotBack is why the user is not sent back though the client asked for it; empty: the client
	// did not ask, or the user is sent back.
	NotBack NotBack `json:"not_back,omitempty"`

	// Confirm: the user has to confirm. Any page of the web can send a browser here, and only a
	// client that has an ID token of this very session may speak for the user. The ID token of
	// another session of the same user, or of one that has ended, may be in the hands of anybody
	// who used the client once.
	Confirm bool `json:"-"`

	// Frames are what the browser has to load, after a logout, to tell apps of it: see LogoutFrames.
	Frames []string `json:"-"`
}

// NotBack is a reason not to send a user back to a client after the logout.
type NotBack string

// Reasons for NotBack.
const (
	NotRegistered NotBack = "not_registered" // the address is not registered for the client
	NotProved     NotBack = "not_proved"     // no ID token proves which client asks
)

// Logout checks a request to end the session of browser b (nil: no user is logged in) and, if it
// needs no confirmation, ends the session. A fault of the request only removes its redirect: the
// user can always log out.
func (i *Issuer) Logout(ctx context.Context, r LogoutRequest, b *Browser) (p PendingLogout, err error) {
	p = PendingLogout{Confirm: b != nil}
	if len(r.UILocales) <= maxHint && utf8.ValidString(r.UILocales) {
		p.UILocales = words(r.UILocales)
	}
	defer func() {
		if err == nil {
			noteLogout(ctx, r, p)
		}
	}()
	hint, client, ok, err := i.logoutClient(ctx, r)
	if err != nil {
		return PendingLogout{}, err
	}
	if !ok {
		if r.PostLogoutRedirectURI != "" {
			p.NotBack = NotProved
		}
		return p, nil
	}
	p.ClientID = client.ID
	// Byte for byte, as everywhere: a logout must not become an open redirect.
	if slices.Contains(client.PostLogoutRedirectURIs, r.PostLogoutRedirectURI) {
		p.RedirectURI = r.PostLogoutRedirectURI
		if r.State != "" {
			p.RedirectURI = withQuery(p.RedirectURI, [][2]string{{"state", r.State}})
		}
	} else if r.PostLogoutRedirectURI != "" {
		p.NotBack = NotRegistered
	}
	if b == nil {
		return p, nil
	}
	ours, err := i.namesUser(ctx, hint.Subject, b.User.ID)
	if err == nil && ours {
		ours, err = i.sidBelongsTo(ctx, hint.SessionID, b.Session)
	}
	if err != nil || !ours {
		return p, err
	}
	p.Confirm = false
	if p.Frames, err = i.LogoutFrames(ctx, *b); err != nil {
		return p, err
	}
	return p, i.EndBrowserSession(ctx, *b)
}

// noteLogout records for the log why a client that asked to have the browser sent back did not get
// it.
func noteLogout(ctx context.Context, r LogoutRequest, p PendingLogout) {
	if r.PostLogoutRedirectURI == "" || p.RedirectURI != "" {
		return
	}
	refusal.Client(ctx, cmp.Or(p.ClientID, r.ClientID, claimedClient(r.IDTokenHint)))
	refusal.RedirectURI(ctx, r.PostLogoutRedirectURI)
	reason := "the post_logout_redirect_uri is not one that is registered for the client, byte for byte"
	switch {
	case len(r.Repeated) > 0:
		reason = "a parameter was sent more than once"
	case r.IDTokenHint == "":
		reason = "there is no id_token_hint, so the client is not proved"
	case p.ClientID == "":
		reason = "the id_token_hint is no ID token of this issuer for this client, or the client is disabled"
	}
	refusal.Because(ctx, string(InvalidRedirectURI), reason)
}

// logoutClient finds the client that sends the user, by the ID token that only that client has.
// false: no client is verified.
func (i *Issuer) logoutClient(ctx context.Context, r LogoutRequest) (hint idTokenHint, c userstore.Client, ok bool, err error) {
	if r.IDTokenHint == "" || len(r.Repeated) > 0 || len(r.State) > maxState || !utf8.ValidString(r.State) {
		return hint, c, false, nil
	}
	if hint, err = i.readIDTokenHint(r.IDTokenHint); err != nil {
		return hint, c, false, nil
	}
	if r.ClientID != "" && r.ClientID != hint.Audience {
		return hint, c, false, nil
	}
	c, err = i.enabledClient(ctx, hint.Audience)
	switch {
	case err == nil:
		return hint, c, true, nil
	case failed(err).Code == InvalidClient:
		return hint, c, false, nil
	}
	return hint, c, false, err
}

// EndBrowserSession logs a browser out: it ends the session, and every grant from it that does not
// hold offline_access.
func (i *Issuer) EndBrowserSession(ctx context.Context, b Browser) error {
	now := i.now()
	ctx = audit.As(ctx, audit.Actor{Type: audit.ByUser, ID: b.User.ID}, "", b.Session.ID)
	e := audit.New(ctx, now, audit.SessionRevoked, audit.User(b.User.ID))
	if err := audit.Stored(ctx, i.Log, i.Browsers.EndSession(ctx, b.Session.ID, now, e), e); err != nil {
		return failed(err)
	}
	return nil
}
