package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

const codeColumns = `hash, client_id, user_id, browser_session, redirect_uri, code_challenge, scopes, resources,
	nonce, claims, auth_time, amr, acr, by_consent, created_at, expires_at, user_agent, address, subject, used_at,
	grant_id, jkt`

// codeRow receives codeColumns.
type codeRow struct {
	c                            userstore.Code
	hash, grant                  []byte
	auth, created, expires, used int64
	scopes, resources, amr       string
}

func (r *codeRow) dest() []any {
	return []any{&r.hash, &r.c.ClientID, &r.c.UserID, &r.c.BrowserSession, &r.c.RedirectURI, &r.c.CodeChallenge,
		&r.scopes, &r.resources, &r.c.Nonce, &r.c.Claims, &r.auth, &r.amr, &r.c.ACR, &r.c.ByConsent,
		&r.created, &r.expires, &r.c.UserAgent, &r.c.Address, &r.c.Subject, &r.used, &r.grant, &r.c.JKT}
}

func (r *codeRow) code() (c userstore.Code, err error) {
	c = r.c
	if len(r.hash) != len(c.Hash) || len(r.grant) != len(c.GrantID) {
		return c, fmt.Errorf("a stored code has a hash of %d bytes and a grant of %d", len(r.hash), len(r.grant))
	}
	copy(c.Hash[:], r.hash)
	copy(c.GrantID[:], r.grant)
	for _, l := range []struct {
		to   *[]string
		text string
	}{{&c.Scopes, r.scopes}, {&c.Resources, r.resources}, {&c.AMR, r.amr}} {
		if *l.to, err = unlist(l.text); err != nil {
			return c, err
		}
	}
	c.AuthTime, c.CreatedAt, c.ExpiresAt, c.UsedAt =
		instant(r.auth), instant(r.created), instant(r.expires), instant(r.used)
	return c, nil
}

// isValid is the condition that a code is not void: the browser session that it was issued in
// exists, and so does the consent, if the code rests on one.
const isValid = `EXISTS
		(SELECT 1 FROM browser_sessions b WHERE b.id = codes.browser_session AND b.user_id = codes.user_id)
	AND (NOT codes.by_consent OR EXISTS
		(SELECT 1 FROM consents k WHERE k.user_id = codes.user_id AND k.client_id = codes.client_id))`

// mayAllow is the FROM clause with the conditions under which a user may allow a client something.
// SaveCode builds its arguments.
const mayAllow = ` FROM users u, clients c, browser_sessions b
	WHERE u.id = $ AND u.is_active AND c.id = $ AND c.disabled_at = 0
	AND b.id = $ AND b.user_id = u.id AND b.expires_at > $ AND b.last_used_at > $`

const (
	anyConsent = ` AND EXISTS (SELECT 1 FROM consents k WHERE k.user_id = u.id AND k.client_id = c.id)`

	insertCode = `INSERT INTO codes (` + codeColumns + `, client_epoch)
		SELECT $, c.id, u.id, b.id, $, $, $, $, $, $, $, $, $, $, $, $, $, $, $, 0, $, $, c.epoch` + mayAllow
	insertOnce = ` ON CONFLICT (hash) DO NOTHING`
)

var (
	saveCode          = numbered(insertCode + insertOnce)
	saveCodeByConsent = numbered(insertCode + anyConsent + insertOnce)
	// saveConsent replaces the scopes at one resource if they are still the ones that were read
	// before.
	saveConsent = numbered(`INSERT INTO consents (user_id, client_id, resource, created_at, updated_at, scopes)
		SELECT u.id, c.id, $, $, $, $` + mayAllow + ` AND NOT EXISTS (SELECT 1 FROM codes WHERE hash = $ AND used_at <> 0)
		ON CONFLICT (user_id, client_id, resource) DO UPDATE SET updated_at = excluded.updated_at, scopes = excluded.scopes
		WHERE consents.scopes = $`)
)

// SaveCode is one statement. With a consent it is a transaction of one statement for each resource
// and one for the code, after a read of the consent: lists are merged here, and the result is
// stored only if the consent has not changed since the read. All of it is stored, or none.
//
// It takes no lock of the user's row. If the browser session ends or the consent is revoked at the
// same moment, the code is void: RedeemCode checks both under the lock that those operations take.
//
// A grant that begins with the code comes after the code, under the lock of the user's row and with
// the user's last session as RedeemCode has it: whatever ends the user's grants finds the grant, or
// the conditions of the code fail.
//
// A device authorization that the code answers is allowed first: the answers of one wait for each
// other at its row, and only the first is stored.
//
// It may be retried: a code that is stored already is left unchanged and gets no second audit
// entry.
func (db *DB) SaveCode(
	ctx context.Context, c userstore.Code, consent *userstore.Consent, idleSince time.Time, events ...audit.Event,
) error {
	for _, items := range [][]string{c.Scopes, c.Resources, c.AMR} {
		if err := texts(items...); err != nil {
			return err
		}
	}
	begin, after, err := begunWith(ctx, &c)
	if err != nil {
		return err
	}
	begin = append(begin, allowing(c)...)
	created := micros(c.CreatedAt)
	may := []any{c.UserID, c.ClientID, c.BrowserSession, created, micros(idleSince)}
	args := append([]any{c.Hash[:], c.RedirectURI, c.CodeChallenge, list(c.Scopes), list(c.Resources), c.Nonce, c.Claims,
		micros(c.AuthTime), list(c.AMR), c.ACR, c.ByConsent || consent != nil, created, micros(c.ExpiresAt),
		displayable(c.UserAgent), displayable(c.Address), c.Subject, c.GrantID[:], c.JKT}, may...)
	if consent == nil {
		sql := saveCode
		if c.ByConsent {
			sql = saveCodeByConsent
		}
		err := db.as("SaveCode").saveCode(ctx, c, events, append(begin, bind(sql, args...)), after)
		if errors.Is(err, userstore.ErrConflict) {
			return db.as("SaveCode").whyNotSaved(ctx, c)
		}
		return err
	}
	allowed, err := allowances(consent.Allowed)
	if err != nil {
		return err
	}
	for range retries + 1 {
		before, err := db.as("SaveCode").consentBefore(ctx, c)
		if err != nil {
			return err
		}
		steps := slices.Clone(begin)
		for _, a := range allowed { // all callers store them in one order
			had, _ := before.At(a.Resource)
			args := slices.Concat([]any{a.Resource, created, created, list(merged(had, a.Scopes))}, may,
				[]any{c.Hash[:], list(had)})
			steps = append(steps, bind(saveConsent, args...))
		}
		err = db.as("SaveCode").saveCode(ctx, c, events, append(steps, bind(saveCodeByConsent, args...)), after)
		if !errors.Is(err, userstore.ErrConflict) {
			return err
		}
		if err := db.as("SaveCode").whyNotSaved(ctx, c); !errors.Is(err, userstore.ErrConflict) {
			return err
		}
		now, err := db.as("SaveCode").consentBefore(ctx, c)
		if err != nil {
			return err
		}
		if now.Covers(before.Allowed) && before.Covers(now.Allowed) {
			break // the consent is unchanged: a condition failed
		}
	}
	return userstore.ErrConflict
}

// allowances returns the allowances of a consent sorted by resource, one for each resource.
func allowances(all []userstore.Allowance) (out []userstore.Allowance, err error) {
	if len(all) == 0 {
		all = []userstore.Allowance{{}} // a consent without an allowance is stored, too
	}
	for _, a := range all {
		if err := texts(append([]string{a.Resource}, a.Scopes...)...); err != nil {
			return nil, err
		}
		if n := slices.IndexFunc(out, func(o userstore.Allowance) bool { return o.Resource == a.Resource }); n >= 0 {
			out[n].Scopes = merged(out[n].Scopes, a.Scopes)
			continue
		}
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b userstore.Allowance) int { return strings.Compare(a.Resource, b.Resource) })
	return out, nil
}

// consentBefore returns the stored consent of c's user and client, which may be empty.
func (db named) consentBefore(ctx context.Context, c userstore.Code) (userstore.Consent, error) {
	before, err := db.ConsentOf(ctx, c.UserID, c.ClientID)
	if errors.Is(err, userstore.ErrNotFound) {
		return userstore.Consent{}, nil
	}
	return before, err
}

// begunWith returns the statements that come before and after that of a code with which a grant
// begins. It sets the code's GrantID.
func begunWith(ctx context.Context, c *userstore.Code) (before, after []stmt, err error) {
	c.GrantID = userstore.GrantID{}
	if c.Begins == nil {
		return nil, nil, nil
	}
	g := c.Begins.Grant
	if g.ID == (userstore.GrantID{}) || g.UserID != c.UserID || g.ClientID != c.ClientID {
		return nil, nil, fmt.Errorf("%w: a grant without an id, or not of the code", userstore.ErrInvalid)
	}
	args, err := grantArgs(g)
	if err != nil {
		return nil, nil, err
	}
	c.GrantID = g.ID
	before = []stmt{bind(`UPDATE users SET last_session_id = $1 WHERE id = $2 AND is_active`, g.SessionID, g.UserID)}
	after = append([]stmt{bindGrantOfCode(args, g, c.Hash)},
		boundGrants(ctx, g, c.Begins.IdleSince, c.Begins.NoAppSession)...)
	return before, after, nil
}

func bindGrantOfCode(args []any, g userstore.Grant, hash userstore.CodeHash) stmt {
	return bind(grantOfCode, slices.Concat(args[:8], []any{g.SessionID}, args[8:], []any{g.Claims, g.JKT, g.StatusIndex, hash[:], g.ID[:]})...)
}

// saveCode runs statements, the last of which inserts the code, and stores the events, if each
// statement changed a row; after these it runs the statements after. ErrConflict: a statement
// changed none, and nothing is stored. The row of a new client comes before all of them, because they
// read it.
func (db named) saveCode(ctx context.Context, c userstore.Code, events []audit.Event, s, after []stmt) error {
	if err := storables(slices.Concat(s, after)); err != nil {
		return err
	}
	makeClient, err := newClientOf(c)
	if err != nil {
		return err
	}
	if len(events) == 0 && len(s) == 1 && makeClient == nil {
		n, err := db.batch(ctx, true, s...)
		if err == nil && n[0] == 0 {
			err = userstore.ErrConflict
		}
		return err
	}
	return db.transactWithEvents(ctx, true, events, func(run exec, _ bool) (bool, error) {
		if makeClient != nil {
			if err := makeClient(run); err != nil {
				return false, err
			}
		}
		n, err := run(s...)
		if err == nil && slices.Contains(n, 0) {
			err = userstore.ErrConflict
		}
		if err == nil && len(after) > 0 {
			_, err = run(after...)
		}
		return err == nil, err
	})
}

// newClientOf returns a function that makes the row of the code's client and stores its audit entry,
// unless there is a row; nil: the client has one.
func newClientOf(c userstore.Code) (func(run exec) error, error) {
	made := c.NewClient
	if made == nil {
		return nil, nil
	}
	if made.Client.ID != c.ClientID {
		return nil, fmt.Errorf("%w: a new client that is not that of the code", userstore.ErrInvalid)
	}
	insert, err := insertClient(made.Client, ` ON CONFLICT (id) DO NOTHING`)
	if err == nil {
		err = storables(insert)
	}
	if err != nil {
		return nil, err
	}
	entry := storeEvents(eventRows([]audit.Event{made.Event}))
	return func(run exec) error {
		n, err := run(insert...)
		if err == nil && n[len(n)-1] > 0 {
			_, err = run(entry...)
		}
		return err
	}, nil
}

// whyNotSaved returns why a code was not inserted: nil if it is stored already.
func (db named) whyNotSaved(ctx context.Context, c userstore.Code) error {
	var used int64
	stored := bind(`SELECT used_at FROM codes WHERE hash = $1 AND user_id = $2 AND client_id = $3`,
		c.Hash[:], c.UserID, c.ClientID)
	err := db.one(ctx, stored, func(s scanner) error { return s.Scan(&used) })
	switch {
	case errors.Is(err, userstore.ErrNotFound):
		return userstore.ErrConflict
	case err == nil && used != 0:
		return userstore.ErrExists
	}
	return err
}

// merged returns the items of a, then those of b that a does not have.
func merged(a, b []string) []string {
	all := slices.Clone(a)
	for _, item := range b {
		if !slices.Contains(all, item) {
			all = append(all, item)
		}
	}
	return all
}

// A void code is not found, even if its row is still stored. A used code is found as long as its
// client's epoch lasts, so that a replay is recognized.
var codeByHash = `SELECT ` + prefixed("codes", codeColumns) + `, ` + userColumns + `, ` + clientColumns + `
	FROM codes JOIN users u ON u.id = codes.user_id JOIN clients c ON c.id = codes.client_id
	WHERE codes.hash = $1 AND codes.client_epoch = c.epoch AND (codes.used_at <> 0 OR ` + isValid + `)`

func (db *DB) CodeByHash(ctx context.Context, hash userstore.CodeHash) (v userstore.CodeView, err error) {
	err = db.as("CodeByHash").one(ctx, bind(codeByHash, hash[:]), func(row scanner) error {
		var r codeRow
		var of partiesRow
		if err := row.Scan(append(r.dest(), of.dest()...)...); err != nil {
			return err
		}
		if v.Code, err = r.code(); err != nil {
			return err
		}
		v.User, v.Client, err = of.parties()
		return err
	})
	return v, err
}

const (
	useCode = `UPDATE codes SET used_at = $1, grant_id = $2
		WHERE hash = $3 AND user_id = $4 AND client_id = $5 AND used_at = 0 AND expires_at > $6
		AND client_epoch = (SELECT epoch FROM clients WHERE clients.id = codes.client_id AND clients.disabled_at = 0)
		AND EXISTS (SELECT 1 FROM users WHERE users.id = codes.user_id AND users.is_active AND users.last_session_id = $7)
		AND grant_id = $8 AND ` + isValid
	// useCodeOfGrant is useCode for a code with which a grant began.
	useCodeOfGrant = useCode + ` AND EXISTS (SELECT 1 FROM grants g WHERE g.id = codes.grant_id
		AND g.client_epoch = codes.client_epoch AND g.revoked_at = 0 AND g.expires_at > $9)`

	grantOfCode = `INSERT INTO grants (` + grantColumns + `, client_epoch, revoked_at)
		SELECT $1, $2, $3, $4, $5, $6, $7, $8, codes.client_id, codes.user_id, $9, $10, $11, $12, $13, $14, $15, $16,
			codes.browser_session, $17,
			codes.subject, $18, $19, codes.client_epoch, 0
		FROM codes WHERE hash = $20 AND grant_id = $21`
	goOn = `UPDATE grants SET generation = $1, rotated_at = $2, expires_at = $3, jkt = $4 WHERE id = $5 AND revoked_at = 0
		AND EXISTS (SELECT 1 FROM codes WHERE hash = $6 AND grant_id = grants.id AND used_at = $7)`
	// appGoesOn keeps the session that the app has because of the grant for as long as the grant.
	appGoesOn = `UPDATE app_sessions SET expires_at = $1 WHERE session_id = $2 AND expires_at < $3 AND ended_at = 0
		AND EXISTS (SELECT 1 FROM codes WHERE hash = $4 AND grant_id = $5 AND used_at = $6)`
)

// RedeemCode writes the grant's new, random session id into the user's row, as StartGrant does, and
// so holds the row's lock. Of many redemptions of one code, on whatever replicas, each begins its
// second statement after the one before has committed, and finds the code used. Every operation
// that ends the user's grants or browser sessions, or revokes a consent, takes the same lock first:
// it either finds the grant and ends it, or the code is void. The grant's id in the code's row
// proves, in the third statement, that the second one marked the code. A client that is disabled or
// deleted in between starts a new epoch; the grant carries the code's epoch, and is dead.
//
// When its answer was lost, the retry finds the grant's id and the time in the code's row: the
// operation happened and is not repeated.
func (db *DB) RedeemCode(ctx context.Context, r userstore.Redeem, events ...audit.Event) error {
	g, none := r.Grant, userstore.GrantID{}
	if g.ID == none {
		return fmt.Errorf("%w: a grant without an id", userstore.ErrInvalid)
	}
	args, err := grantArgs(g)
	if err != nil {
		return err
	}
	now := micros(r.Now)
	steps := []stmt{
		bind(`UPDATE users SET last_session_id = $1 WHERE id = $2 AND is_active
			AND EXISTS (SELECT 1 FROM codes WHERE hash = $3 AND user_id = users.id AND used_at = 0)`,
			g.SessionID, g.UserID, r.Hash[:]),
	}
	use := []any{now, g.ID[:], r.Hash[:], g.UserID, g.ClientID, now, g.SessionID}
	if r.Begun {
		steps = append(steps, bind(useCodeOfGrant, append(use, g.ID[:], now)...),
			bind(goOn, max(g.Generation, 0), now, micros(g.ExpiresAt), g.JKT, g.ID[:], r.Hash[:], now),
			bind(appGoesOn, micros(g.ExpiresAt), g.SessionID, micros(g.ExpiresAt), r.Hash[:], g.ID[:], now))
	} else {
		steps = append(steps, bind(useCode, append(use, none[:])...), bindGrantOfCode(args, g, r.Hash))
		steps = append(steps, boundGrants(ctx, g, r.IdleSince, r.NoAppSession)...)
	}
	steps = append(steps, storeEventsIf(storeEventOfCode, eventRows(events), r.Hash[:], g.ID[:])...)
	if err := storables(steps); err != nil {
		return err
	}
	as := db.as("RedeemCode")
	return as.retrying(ctx, true, func(ctx context.Context, maybeDone bool) error {
		n, err := db.engine.batch(ctx, steps)
		if err == nil && n[2] == 0 {
			err = userstore.ErrConflict
		}
		if maybeDone && isRefusal(err) {
			// An earlier try whose connection broke may still have run in the server. This try waited for it
			// at the user's row, or met its grant: only now is it certain what the earlier one did.
			if done, failure := as.redeemed(ctx, r); failure != nil || done {
				return failure
			}
		}
		return err
	})
}

// redeemed reports whether this very redemption was committed.
func (db named) redeemed(ctx context.Context, r userstore.Redeem) (done bool, err error) {
	own := bind(`SELECT used_at FROM codes WHERE hash = $1 AND grant_id = $2 AND used_at = $3`,
		r.Hash[:], r.Grant.ID[:], micros(r.Now))
	err = db.engine.read(ctx, own, func(scanner) error { done = true; return nil })
	return done, err
}

const (
	removeCodes = `DELETE FROM codes WHERE hash IN
		(SELECT c.hash FROM codes c WHERE c.expires_at >= $1 AND c.expires_at <= $2 AND (c.grant_id = $3 OR c.expires_at <= $4)
		ORDER BY c.expires_at LIMIT $5) RETURNING expires_at`
	removeSessions = `DELETE FROM browser_sessions WHERE hash IN
		(SELECT b.hash FROM browser_sessions b WHERE b.expires_at >= $1 AND b.expires_at <= $2 ORDER BY b.expires_at LIMIT $3)
		RETURNING expires_at`
	removeAssertions = `DELETE FROM client_assertions WHERE (client_id, jti) IN
		(SELECT a.client_id, a.jti FROM client_assertions a
		WHERE a.expires_at >= $1 AND a.expires_at <= $2 ORDER BY a.expires_at LIMIT $3) RETURNING expires_at`
)

// replayKnown is how long after its expiry a code with a grant is kept, so that a replay, or a
// request that was answered before, is recognized. Any other code was not used, and there is nothing
// that a replay could end.
const replayKnown = time.Hour

func (db *DB) RemoveExpiredCodes(ctx context.Context, now time.Time, limit int) (int, error) {
	as, at := db.as("RemoveExpiredCodes"), micros(now)
	var none userstore.GrantID
	return removeAll(limit,
		as.removalFrom(ctx, removeCodes, at, none[:], micros(now.Add(-replayKnown))),
		as.removalFrom(ctx, removeSessions, at),
		as.removalFrom(ctx, removeAssertions, at),
		as.removalFrom(ctx, removeDPoPProofs, at),
		as.removalFrom(ctx, removePushed, at),
		as.removalFrom(ctx, removeDevices, at))
}
