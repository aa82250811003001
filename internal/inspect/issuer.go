package inspect

import (
	"bytes"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/signet-id/signet/internal/readable"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/verifier"
)

// session checks the token's session in the store. Resource servers do not: for them a revoked
// session ends when the access token expires.
func (i *inspection) session() {
	var view userstore.GrantView
	var err error
	switch {
	case i.Kind == KindRefresh:
		id, decodeErr := base64.RawURLEncoding.Strict().DecodeString(i.text("grant"))
		if decodeErr != nil || len(id) != len(userstore.GrantID{}) {
			i.refuse("session", "", "grant names none")
			return
		}
		i.proof(userstore.GrantID(id))
		view, err = i.Own.Grants.GrantByID(i.ctx, userstore.GrantID(id))
	case i.text("sid") != "":
		view, err = i.Own.Grants.GrantBySession(i.ctx, i.text("sid"))
	default:
		return
	}
	if errors.Is(err, userstore.ErrNotFound) {
		i.refuse("session", "", "there is none; it ended, or was another issuer's")
		return
	}
	if err != nil {
		i.cannotTell("session", "", "cannot be checked: "+err.Error())
		return
	}
	g := view.Grant
	idle := g.RotatedAt.Add(i.Own.RefreshIdle)
	detail := ""
	switch {
	case i.Kind != kindID && g.ClientID != i.text("client_id"):
		detail = "another client's"
	case i.Kind != KindRefresh && g.UserID != i.text("sub"):
		detail = "another user's"
	case !g.RevokedAt.IsZero():
		detail = "revoked " + readable.Ago(g.RevokedAt.Sub(i.Now))
	case !i.Now.Before(g.ExpiresAt):
		detail = "over since " + readable.Instant(g.ExpiresAt)
	case !i.Now.Before(idle):
		detail = fmt.Sprintf("over since %s: not refreshed for %s (refresh.idle)", readable.Instant(idle), readable.Duration(i.Own.RefreshIdle))
	case !view.User.IsActive:
		detail = "its user is disabled"
	case !view.Client.DisabledAt.IsZero():
		detail = "its client is disabled"
	}
	if detail != "" && i.Kind != KindRefresh {
		detail += "; the issuer refuses it, resource servers only when it ends"
	}
	i.check(detail == "", "session", g.SessionID, "open since "+readable.Instant(g.CreatedAt), detail)
	switch {
	case i.Kind == KindRefresh:
		i.check(view.Client.FirstParty && view.Client.Public(), "client", g.ClientID, "public and first-party, as /v1/refresh wants it",
			"not a public first-party client; /v1/refresh refuses it")
		i.generation(g)
	case i.Kind == kindAccess && !view.Client.FirstParty && slices.Contains(i.list("aud"), i.Issuer):
		i.refuse("client", g.ClientID, "not first-party; /v1 refuses it, resource servers do not ask")
	}
}

// proof recomputes the jti, which proves that this issuer made the refresh token.
func (i *inspection) proof(grant userstore.GrantID) {
	var gen int64
	_ = json.Unmarshal(i.Claims["gen"], &gen)
	want, err := i.Own.Keys.RefreshJTI(grant, gen)
	if err != nil {
		i.cannotTell("jti", "", "cannot be checked: it takes the key-encryption key to open the refresh secret")
		return
	}
	ok := subtle.ConstantTimeCompare([]byte(want), []byte(i.text("jti"))) == 1
	i.check(ok, "jti", "", "proves that this issuer made it, for this grant and generation (not shown)",
		"is not that of its grant and generation: this issuer never made it")
}

// generation checks the generation of a refresh token against the generation of its grant.
func (i *inspection) generation(g userstore.Grant) {
	var gen int64
	_ = json.Unmarshal(i.Claims["gen"], &gen)
	before := "the one before the current one; answered again, "
	switch i.Own.Standing(gen, g) {
	case issuer.Current:
		i.accept("gen", fmt.Sprint(gen), "the current one")
	case issuer.InWindow:
		i.accept("gen", fmt.Sprint(gen), before+"in case the answer was lost, until "+readable.Instant(g.RotatedAt.Add(i.Own.ReuseWindow))+" (refresh.reuse_window)")
	case issuer.Late:
		i.accept("gen", fmt.Sprint(gen), fmt.Sprintf(before+"though refresh.reuse_window is over, and remembered; at most %d times", issuer.MaxLate))
	case issuer.Ahead:
		i.refuse("gen", fmt.Sprint(gen), fmt.Sprintf("the current one is %d: the store has lost writes, and using this one would end the session", g.Generation))
	default:
		i.refuse("gen", fmt.Sprint(gen), fmt.Sprintf("the current one is %d; using this one would end the session as a replay", g.Generation))
	}
}

// askDeciders gives the token to the code that really decides. It runs only if no check has refused
// the token or stayed unknown, because these checks explain a refusal better.
func (i *inspection) askDeciders() {
	if i.Verdict() != Accepted {
		return
	}
	switch i.Kind {
	case kindAccess:
		i.addRefusal("verifier", i.verify())
		if i.Own != nil && slices.Contains(i.list("aud"), i.Issuer) {
			_, err := i.Own.Bearer(i.ctx, i.Raw)
			i.addRefusal("issuer", err)
		}
	case KindRefresh:
		if i.Own != nil {
			_, err := i.Own.InspectRefresh(i.ctx, i.Raw)
			i.addRefusal("issuer", err)
		}
	}
}

func (i *inspection) addRefusal(name string, err error) {
	if err == nil {
		return
	}
	var e *issuer.Error
	text := err.Error()
	if errors.As(err, &e) && e.Cause != nil {
		text = e.Cause.Error() // the issuer's answer does not name the cause
	}
	if errors.As(err, &e) && (e.Code == issuer.Unavailable || e.Code == issuer.ServerError) || errors.Is(err, verifier.ErrKeysUnavailable) {
		i.cannotTell(name, "", "cannot tell: "+text)
		return
	}
	i.refuse(name, "", text)
}

// verify gives the token to the verifier that resource servers use, with the keys of the input.
func (i *inspection) verify() error {
	audience := i.list("aud")
	if i.Audience != "" {
		audience = []string{i.Audience}
	}
	v, err := verifier.New(verifier.Config{
		Issuer: i.Issuer, Audience: audience, ClockSkew: max(i.Skew, time.Second),
		JWKSURL:    "http://localhost/jwks.json", // any address: the transport answers from memory
		HTTPClient: &http.Client{Transport: fixedJWKS(i.Keys.Set)},
		Now:        func() time.Time { return i.Now },
		Logger:     slog.New(slog.DiscardHandler),
		Status:     verifier.StatusIgnore, // the report says that it is not asked
	})
	if err != nil {
		return err
	}
	_, err = v.Verify(i.ctx, i.Raw)
	return err
}

// fixedJWKS answers every request with one JWK set.
type fixedJWKS []byte

func (m fixedJWKS) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/jwk-set+json"}},
		Body:   io.NopCloser(bytes.NewReader(m)), ContentLength: int64(len(m)),
	}, nil
}
