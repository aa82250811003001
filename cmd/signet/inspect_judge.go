package main

import (
	"bytes"
	"context"
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

	"github.com/signet-id/signet/internal/server"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/verifier"
)

// ownIssuer is the issuer as it would answer, over its store, without serving.
type ownIssuer struct {
	*issuer.Issuer
	db *sqlstore.DB
}

// looking is a key manager that changes nothing, even when the issuer asks it to
// bring itself up to date.
type looking struct{ *keys.Manager }

func (l looking) Step(ctx context.Context) error { return l.Look(ctx) }

// ownKeys takes the keys from the configured store, and the issuer with them. That
// there is none is no reason not to look into the token.
func (a *app) ownKeys(i *inspection) (done func(), err error) {
	c, db, err := a.store(i.ctx)
	if err != nil {
		fmt.Fprintln(a.err, "signet: without the store: "+sentence(err))
		return func() {}, nil
	}
	defer func() {
		if err != nil {
			db.Close()
		}
	}()
	log := slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	keks, err := commandKEKs(c, log)
	if err != nil { // without it only the proof of refresh tokens cannot be told
		fmt.Fprintln(a.err, "signet: without the key-encryption key: "+sentence(err))
	}
	manager := &keys.Manager{Store: db, Policy: c.KeyPolicy(), KEKs: keks, Now: a.now, DatabaseNow: db.Now}
	report, err := manager.Timeline(i.ctx)
	if err != nil || len(report.Keys) == 0 {
		return db.Close, err
	}
	if err := manager.Look(i.ctx); err != nil {
		return nil, err
	}
	document, err := manager.JWKS()
	if err != nil {
		return nil, err
	}
	i.keySet, i.keys = document.Body, map[string]inspectedKey{}
	for _, info := range report.Keys {
		public, known := manager.KnownKey(info.KeyID)
		if !known {
			continue
		}
		key := inspectedKey{PublicKey: public, published: info.State != keys.Removed, state: "published, " + string(info.State)}
		switch {
		case !info.RevokedAt.IsZero():
			key.state = "revoked " + ago(info.RevokedAt.Sub(i.now))
		case !key.published:
			key.state = "no longer published, since " + instant(info.RemoveAt)
		}
		i.keys[info.KeyID] = key
	}
	settings := issuerSettings(c, "")
	settings.URL = i.issuer
	server.ForInspection(settings, db, looking{manager}, a.now)
	i.own = &ownIssuer{db: db, Issuer: settings}
	return db.Close, nil
}

// session asks the store what is behind the token. Resource servers do not: they
// learn of a revocation when the token ends.
func (i *inspection) session() {
	var view userstore.GrantView
	var err error
	switch {
	case i.kind == kindRefresh:
		id, decodeErr := base64.RawURLEncoding.Strict().DecodeString(i.text("grant"))
		if decodeErr != nil || len(id) != len(userstore.GrantID{}) {
			i.judge(false, "session", "", "", "grant names none")
			return
		}
		i.proof(userstore.GrantID(id))
		view, err = i.own.db.GrantByID(i.ctx, userstore.GrantID(id))
	case i.text("sid") != "":
		view, err = i.own.db.GrantBySession(i.ctx, i.text("sid"))
	default:
		return
	}
	if errors.Is(err, userstore.ErrNotFound) {
		i.judge(false, "session", "", "", "there is none; it ended, or was another issuer's")
		return
	}
	if err != nil {
		i.untold("session", "", "cannot be checked: "+err.Error())
		return
	}
	g := view.Grant
	idle := g.RotatedAt.Add(i.own.RefreshIdle)
	detail := ""
	switch {
	case i.kind != kindID && g.ClientID != i.text("client_id"):
		detail = "another client's"
	case i.kind != kindRefresh && g.UserID != i.text("sub"):
		detail = "another user's"
	case !g.RevokedAt.IsZero():
		detail = "revoked " + ago(g.RevokedAt.Sub(i.now))
	case !i.now.Before(g.ExpiresAt):
		detail = "over since " + instant(g.ExpiresAt)
	case !i.now.Before(idle):
		detail = fmt.Sprintf("over since %s: not refreshed for %s (refresh.idle)", instant(idle), about(i.own.RefreshIdle))
	case !view.User.IsActive:
		detail = "its user is disabled"
	case !view.Client.DisabledAt.IsZero():
		detail = "its client is disabled"
	}
	if detail != "" && i.kind != kindRefresh {
		detail += "; the issuer refuses it, resource servers only when it ends"
	}
	i.judge(detail == "", "session", g.SessionID, "open since "+instant(g.CreatedAt), detail)
	switch {
	case i.kind == kindRefresh:
		i.judge(view.Client.FirstParty && view.Client.Public(), "client", g.ClientID, "public and first-party, as /v1/refresh wants it",
			"not a public first-party client; /v1/refresh refuses it")
		i.generation(g)
	case i.kind == kindAccess && !view.Client.FirstParty && slices.Contains(i.list("aud"), i.issuer):
		i.judge(false, "client", g.ClientID, "", "not first-party; /v1 refuses it, resource servers do not ask")
	}
}

// proof recomputes what makes a refresh token ours.
func (i *inspection) proof(grant userstore.GrantID) {
	var gen int64
	_ = json.Unmarshal(i.claims["gen"], &gen)
	want, err := i.own.Keys.RefreshJTI(grant, gen)
	if err != nil {
		i.untold("jti", "", "cannot be checked: it takes the key-encryption key to open the refresh secret")
		return
	}
	ok := subtle.ConstantTimeCompare([]byte(want), []byte(i.text("jti"))) == 1
	i.judge(ok, "jti", "", "proves that this issuer made it, for this grant and generation (not shown)",
		"is not that of its grant and generation: this issuer never made it")
}

func (i *inspection) generation(g userstore.Grant) {
	var gen int64
	_ = json.Unmarshal(i.claims["gen"], &gen)
	before := "the one before the current one; answered again, "
	switch i.own.Standing(gen, g) {
	case issuer.Current:
		i.judge(true, "gen", fmt.Sprint(gen), "the current one", "")
	case issuer.Again:
		i.judge(true, "gen", fmt.Sprint(gen), before+"in case the answer was lost, until "+instant(g.RotatedAt.Add(i.own.ReuseWindow))+" (refresh.reuse_window)", "")
	case issuer.Late:
		i.judge(true, "gen", fmt.Sprint(gen), fmt.Sprintf(before+"though refresh.reuse_window is over, and remembered; at most %d times", issuer.MaxLate), "")
	case issuer.Ahead:
		i.judge(false, "gen", fmt.Sprint(gen), "", fmt.Sprintf("the current one is %d: the store has lost writes, and using this one would end the session", g.Generation))
	default:
		i.judge(false, "gen", fmt.Sprint(gen), "", fmt.Sprintf("the current one is %d; using this one would end the session as a replay", g.Generation))
	}
}

// lastWord asks those who would really judge the token. It only adds to a verdict
// that is not a refusal yet: what was found so far says the same in more words.
func (i *inspection) lastWord() {
	if i.verdict() != accepted {
		return
	}
	switch i.kind {
	case kindAccess:
		i.lastWordOf("verifier", i.verify())
		if i.own != nil && slices.Contains(i.list("aud"), i.issuer) {
			_, err := i.own.Bearer(i.ctx, i.raw)
			i.lastWordOf("issuer", err)
		}
	case kindRefresh:
		if i.own != nil {
			_, err := i.own.InspectRefresh(i.ctx, i.raw)
			i.lastWordOf("issuer", err)
		}
	}
}

func (i *inspection) lastWordOf(name string, err error) {
	if err == nil {
		return
	}
	var unsaid *issuer.Error
	text := err.Error()
	if errors.As(err, &unsaid) && unsaid.Cause != nil {
		text = unsaid.Cause.Error()
	}
	if errors.As(err, &unsaid) && (unsaid.Code == issuer.Unavailable || unsaid.Code == issuer.ServerError) || errors.Is(err, verifier.ErrKeysUnavailable) {
		i.untold(name, "", "cannot tell: "+text)
		return
	}
	i.judge(false, name, "", "", text)
}

// verify holds the token before the verifier that resource servers use, with the
// keys that are at hand.
func (i *inspection) verify() error {
	audience := i.list("aud")
	if i.audience != "" {
		audience = []string{i.audience}
	}
	v, err := verifier.New(verifier.Config{
		Issuer: i.issuer, Audience: audience, ClockSkew: max(i.skew, time.Second),
		JWKSURL:    "http://localhost/jwks.json", // whatever the address, it is answered from memory
		HTTPClient: &http.Client{Transport: memory(i.keySet)},
		Now:        func() time.Time { return i.now },
		Logger:     slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	_, err = v.Verify(i.ctx, i.raw)
	return err
}

// memory answers every request with one JWK set.
type memory []byte

func (m memory) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/jwk-set+json"}},
		Body:   io.NopCloser(bytes.NewReader(m)), ContentLength: int64(len(m)),
	}, nil
}

var _ issuer.Keys = looking{}
