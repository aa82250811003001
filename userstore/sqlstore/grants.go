package sqlstore

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

const grantColumns = `id, generation, rotated_at, late_generation, late_count, expires_at, created_at, auth_time,
	client_id, user_id, session_id, scopes, resources, amr, acr, nonce, user_agent, address,
	browser_session, claims, subject, jkt, status_index`

// grantRow receives grantColumns, followed by the instant of revocation.
type grantRow struct {
	g                               userstore.Grant
	id                              []byte
	rotated, expires, created, auth int64
	revoked                         int64
	scopes, resources, amr          string
}

func (r *grantRow) dest() []any {
	return []any{&r.id, &r.g.Generation, &r.rotated, &r.g.LateGeneration, &r.g.LateCount, &r.expires, &r.created, &r.auth,
		&r.g.ClientID, &r.g.UserID, &r.g.SessionID, &r.scopes, &r.resources, &r.amr, &r.g.ACR, &r.g.Nonce, &r.g.UserAgent, &r.g.Address,
		&r.g.BrowserSession, &r.g.Claims, &r.g.Subject, &r.g.JKT, &r.g.StatusIndex}
}

func (r *grantRow) grant() (g userstore.Grant, err error) {
	g = r.g
	if copy(g.ID[:], r.id) != len(g.ID) || len(r.id) != len(g.ID) {
		return g, fmt.Errorf("a stored grant id has %d bytes", len(r.id))
	}
	if g.Scopes, err = unlist(r.scopes); err != nil {
		return g, err
	}
	if g.Resources, err = unlist(r.resources); err != nil {
		return g, err
	}
	if g.AMR, err = unlist(r.amr); err != nil {
		return g, err
	}
	g.RotatedAt, g.ExpiresAt, g.CreatedAt, g.AuthTime, g.RevokedAt =
		instant(r.rotated), instant(r.expires), instant(r.created), instant(r.auth), instant(r.revoked)
	return g, nil
}

// prefixed writes the columns of a table with its alias.
func prefixed(alias, columns string) string {
	names := strings.Split(columns, ",")
	for i, name := range names {
		names[i] = alias + "." + strings.TrimSpace(name)
	}
	return strings.Join(names, ", ")
}

// revokedAt is the instant of revocation of grant g with its client c. A grant of an earlier epoch
// counts as revoked when the next epoch began.
const revokedAt = `CASE WHEN g.revoked_at <> 0 OR g.client_epoch = c.epoch THEN g.revoked_at ELSE c.epoch END`

// inEpoch is the condition that the grant was made since its client was last disabled. It is for
// statements on grants alone.
const inEpoch = `client_epoch = (SELECT epoch FROM clients WHERE clients.id = grants.client_id)`

// loginView returns a query that finds the client by $2, and the user if there is one.
func loginView(condition string) string {
	return `SELECT ` + userColumnsOrZero + `, ` + clientColumns + ` FROM clients c LEFT JOIN users u ON ` + condition +
		` WHERE c.id = $2`
}

var (
	loginByEmail    = loginView(byEmail)
	loginByUsername = loginView(byUsername)
)

func (db *DB) LoginView(ctx context.Context, l userstore.Login, clientID string) (u userstore.User, known bool, c userstore.Client, err error) {
	sql, key := loginByEmail, l.EmailKey
	if key == "" {
		sql, key = loginByUsername, l.UsernameKey
	}
	if text(key) != nil { // no user has this name; the client is still read, as for any unknown user
		key = ""
	}
	err = db.as("LoginView").one(ctx, bind(sql, key, clientID), func(s scanner) error {
		var ur userRow
		var cr clientRow
		if err := s.Scan(append(ur.dest(), cr.dest()...)...); err != nil {
			return err
		}
		if u, err = ur.user(); err != nil {
			return err
		}
		c, err = cr.client()
		return err
	})
	return u, u.ID != "", c, err
}

// StartGrant writes the session's new, random id into the user's row, and inserts the grant only if
// the row holds this id. That proves that the first statement met every condition and holds the
// row's lock until both are committed. Every operation that ends the user's grants takes the same
// lock first. A client disabled between the two statements starts a new epoch; the grant carries
// the epoch that it read, and is dead.
//
// The next statements bound the user's grants: see boundGrants.
//
// It is not retried when its answer was lost: the caller answers 503, no client holds a token of
// the grant that may have been stored, and the next login makes another.
func (db *DB) StartGrant(ctx context.Context, s userstore.StartGrant) error {
	g := s.Grant
	args, err := grantArgs(g)
	if err != nil {
		return err
	}
	hash := s.PasswordHash
	if s.Rehash != "" {
		hash = s.Rehash
	}
	steps := []stmt{
		beginGrant.bind(s.Second, micros(g.CreatedAt), g.SessionID, hash, g.UserID, s.PasswordHash, g.ClientID),
		bind(`INSERT INTO grants (`+grantColumns+`, client_epoch, revoked_at)
			SELECT $1, $2, $3, $4, $5, $6, $7, $8, c.id, u.id, u.last_session_id, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, c.epoch, 0
			FROM users u, clients c
			WHERE u.id = $21 AND u.last_session_id = $22 AND c.id = $23 AND c.disabled_at = 0`,
			append(args, g.BrowserSession, g.Claims, g.Subject, g.JKT, g.StatusIndex, g.UserID, g.SessionID, g.ClientID)...),
	}
	steps = append(steps, boundGrants(ctx, g, s.IdleSince, s.NoAppSession)...)
	steps = append(steps, succeeded(s.Attempt, s.Remember, grantStarted, g.ID[:])...)
	steps = append(steps, storeEventsIf(storeEventOfGrant, eventRows(s.Events), g.ID[:])...)
	return db.as("StartGrant").login(ctx, g.UserID, s.Second, steps, 1, nil)
}

var beginGrant = newLoginStart(`UPDATE users SET last_login_at = $, last_session_id = $, password_hash = $
	WHERE id = $ AND is_active AND password_hash = $
	AND EXISTS (SELECT 1 FROM clients WHERE id = $ AND disabled_at = 0)`)

const grantStarted = `EXISTS (SELECT 1 FROM grants WHERE id = $)`

// grantArgs checks the values that end up in JSON or in an index, and returns the columns of a new
// grant that do not come from the client, the user or the browser session.
func grantArgs(g userstore.Grant) ([]any, error) {
	for _, items := range [][]string{g.Scopes, g.Resources, g.AMR} {
		if err := texts(items...); err != nil {
			return nil, err
		}
	}
	if err := indexable(g.SessionID, g.BrowserSession); err != nil {
		return nil, err
	}
	if g.SessionID == "" {
		return nil, fmt.Errorf("%w: a grant without a session id", userstore.ErrInvalid)
	}
	rotated := g.RotatedAt
	if rotated.IsZero() {
		rotated = g.CreatedAt
	}
	return []any{g.ID[:], max(g.Generation, 0), micros(rotated), g.LateGeneration, g.LateCount, micros(g.ExpiresAt),
		micros(g.CreatedAt), micros(g.AuthTime),
		list(g.Scopes), list(g.Resources), list(g.AMR), g.ACR, g.Nonce, displayable(g.UserAgent), displayable(g.Address)}, nil
}

// displayable cleans a text that the network sent and that is only displayed: a header may be long
// and hold bytes that are not UTF-8, and must not fail a login.
func displayable(s string) string {
	const most = 512
	if len(s) > most {
		s = s[:most]
	}
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "")
}

// advance is the whole of a refresh. It returns what the answer needs, for every column takes its
// time, but for what the caller knows already; what is needed of user and client comes with the
// same statement. PostgreSQL returns this from the join that checked user and client; SQLite's
// RETURNING can name only the grant, and looks them up once more.
const (
	advance = `UPDATE grants SET generation = generation + 1, rotated_at = $1, jkt = CASE WHEN c.public THEN $2 ELSE grants.jkt END
	FROM users u, clients c
	WHERE grants.id = $3 AND generation = $4 AND client_id = $5 AND revoked_at = 0 AND expires_at > $6 AND rotated_at > $7
	AND (grants.jkt = '' OR grants.jkt = $8 OR NOT c.public)
	AND u.id = grants.user_id AND u.is_active
	AND c.id = grants.client_id AND c.epoch = grants.client_epoch AND c.disabled_at = 0`
	// A client whose access tokens are bound to its key gets none by the account API.
	advanceFirstParty = ` AND c.public AND c.first_party AND c.metadata NOT LIKE '%"dpop_bound_access_tokens":true%'`
	advanceReturning  = `
	RETURNING user_id, session_id, grants.expires_at, auth_time, grants.scopes, grants.resources, amr, acr, grants.claims, subject,
	grants.status_index, `
)

// advances are the variants of the statement of a refresh: for any client or for public first-party
// ones, and for each policy of second factors.
type advances map[advanceVariant]string

type advanceVariant struct {
	firstParty bool
	policy     userstore.SecondFactorPolicy
}

// newAdvances makes the variants. returned is how an engine returns what the caller does not know.
func newAdvances(returned string) advances {
	all := advances{}
	for _, policy := range []userstore.SecondFactorPolicy{
		userstore.SecondFactorOptional, userstore.SecondFactorOff, userstore.SecondFactorAdmins, userstore.SecondFactorRequired,
	} {
		condition := ""
		switch {
		case policy.Demands(false):
			condition = ` AND u.second_factor`
		case policy.Demands(true):
			condition = ` AND (u.second_factor OR NOT (` + isAdmin + `))`
		}
		all[advanceVariant{false, policy}] = advance + condition + advanceReturning + returned
		all[advanceVariant{true, policy}] = advance + advanceFirstParty + condition + advanceReturning + returned
	}
	return all
}

// AdvanceGrant is one statement. Two refreshes of one generation meet at the row, and the second
// finds another generation. A refresh that meets a revocation, a password change, a disabling or a
// deletion there finds the row revoked or gone.
//
// When its answer was lost it is retried, and returns ErrConflict if the first try happened. The
// caller then reads the row, finds that the generation it presented is the one before the current,
// and answers with the current one: the same successor that the lost answer held.
func (db *DB) AdvanceGrant(ctx context.Context, a userstore.Advance) (userstore.GrantView, error) {
	sql, ok := db.dialect.advances[advanceVariant{a.FirstParty, a.SecondFactor}]
	if !ok {
		return userstore.GrantView{}, fmt.Errorf("%w: a refresh under an unknown policy", userstore.ErrInvalid)
	}
	s := bind(sql, micros(a.Now), a.JKT, a.ID[:], a.Generation, a.ClientID, micros(a.Now), micros(a.IdleSince), a.JKT)
	if storable(s.args) != nil {
		return userstore.GrantView{}, userstore.ErrConflict
	}
	var r advancedRow
	advanced := false
	err := db.as("AdvanceGrant").retrying(ctx, true, func(ctx context.Context, _ bool) error {
		// An earlier try may have returned its row and then lost its commit.
		advanced = false
		_, err := db.engine.write(ctx, s, func(row scanner) error {
			advanced = true
			return row.Scan(&r.user, &r.session, &r.expires, &r.auth, &r.scopes, &r.resources, &r.amr, &r.acr, &r.claims, &r.subject,
				&r.statusIndex, &r.roles, &r.clientResources, &r.idTokenAlg, &r.idTokenClaims, &r.firstParty, &r.clientScopes, &r.kind)
		})
		return err
	})
	if err == nil && !advanced {
		err = userstore.ErrConflict
	}
	if err != nil {
		return userstore.GrantView{}, err
	}
	return r.view(a)
}

// advancedRow is what the statement of a refresh returns.
type advancedRow struct {
	user, session                                    string
	expires, auth                                    int64
	scopes, resources, amr, acr, claims, subject     string
	statusIndex                                      int64
	roles, clientResources, idTokenAlg, clientScopes string
	idTokenClaims, firstParty                        bool
	kind                                             string
}

func (r *advancedRow) view(a userstore.Advance) (v userstore.GrantView, err error) {
	v.Grant = userstore.Grant{
		ID: a.ID, ClientID: a.ClientID, Generation: a.Generation + 1, RotatedAt: instant(micros(a.Now)),
		UserID: r.user, SessionID: r.session, Subject: r.subject, ExpiresAt: instant(r.expires), AuthTime: instant(r.auth),
		ACR: r.acr, Claims: r.claims, StatusIndex: r.statusIndex,
	}
	v.User.ID = r.user
	c := &v.Client
	c.ID, c.IDTokenAlg, c.IDTokenClaims, c.FirstParty, c.Kind = a.ClientID, r.idTokenAlg, r.idTokenClaims, r.firstParty, r.kind
	for _, l := range [...]struct {
		to   *[]string
		text string
	}{
		{&v.Grant.Scopes, r.scopes}, {&v.Grant.Resources, r.resources}, {&v.Grant.AMR, r.amr}, {&v.User.Roles, r.roles},
		{&c.Resources, r.clientResources}, {&c.Scopes, r.clientScopes},
	} {
		if *l.to, err = unlist(l.text); err != nil {
			return userstore.GrantView{}, wrap(err)
		}
	}
	return v, nil
}

var (
	selectView = `SELECT ` + prefixed("g", grantColumns) + `, ` + revokedAt + `, ` + userColumns + `, ` + clientColumns + `
	FROM grants g JOIN users u ON u.id = g.user_id JOIN clients c ON c.id = g.client_id WHERE g.`
	viewByID      = selectView + `id = $1`
	viewBySession = selectView + `session_id = $1`
)

func (db *DB) GrantByID(ctx context.Context, id userstore.GrantID) (userstore.GrantView, error) {
	return db.as("GrantByID").view(ctx, bind(viewByID, id[:]))
}

func (db *DB) GrantBySession(ctx context.Context, sessionID string) (userstore.GrantView, error) {
	return db.as("GrantBySession").view(ctx, bind(viewBySession, sessionID))
}

func (db named) view(ctx context.Context, s stmt) (userstore.GrantView, error) {
	r := viewRows.Get().(*viewRow)
	defer r.release()
	err := db.one(ctx, s, r.read)
	return r.view, err
}

// viewRow receives a row of selectView. It is large, and every request with an access token reads
// one. So viewRows keeps rows that are not in use.
type viewRow struct {
	grant   grantRow
	parties partiesRow
	all     []any // the destinations of all columns, which are fields of this row
	view    userstore.GrantView
}

var viewRows = sync.Pool{New: func() any {
	r := &viewRow{}
	r.all = append(append(r.grant.dest(), &r.grant.revoked), r.parties.dest()...)
	return r
}}

func (r *viewRow) read(row scanner) (err error) {
	if err := row.Scan(r.all...); err != nil {
		return err
	}
	if r.view.Grant, err = r.grant.grant(); err != nil {
		return err
	}
	r.view.User, r.view.Client, err = r.parties.parties()
	return err
}

// release gives up what r holds, so that nothing of it is found in another request's row.
func (r *viewRow) release() {
	r.grant, r.parties, r.view = grantRow{}, partiesRow{}, userstore.GrantView{}
	viewRows.Put(r)
}

// partiesRow receives userColumns and clientColumns of the user and the client of a code or grant.
type partiesRow struct {
	user   userRow
	client clientRow
}

func (r *partiesRow) dest() []any { return append(r.user.dest(), r.client.dest()...) }

// parties returns the user, without PasswordHash, and the client.
func (r *partiesRow) parties() (u userstore.User, c userstore.Client, err error) {
	if u, err = r.user.user(); err != nil {
		return u, c, err
	}
	u.PasswordHash = ""
	c, err = r.client.client()
	return u, c, err
}

// AnswerLate is not retried when its answer was lost, unless it has an event, whose entry shows
// whether the first try happened: it would count twice.
func (db *DB) AnswerLate(ctx context.Context, id userstore.GrantID, generation int64, most int64, events ...audit.Event) error {
	return db.as("AnswerLate").change(ctx, false, bind(`UPDATE grants SET
			late_count = CASE WHEN late_generation = generation THEN late_count + 1 ELSE 1 END,
			late_generation = generation
		WHERE id = $1 AND generation = $2 AND revoked_at = 0 AND late_generation <> generation - 1
		AND CASE WHEN late_generation = generation THEN late_count ELSE 0 END < $3
		AND `+inEpoch+` AND EXISTS (SELECT 1 FROM clients WHERE clients.id = grants.client_id AND clients.disabled_at = 0)
		AND EXISTS (SELECT 1 FROM users WHERE users.id = grants.user_id AND users.is_active)`,
		id[:], generation, most), userstore.ErrConflict, events)
}

// sessionOfGrant is the public id of the grant with an id.
const sessionOfGrant = `session_id = (SELECT g.session_id FROM grants g WHERE g.id = $)`

func (db *DB) RevokeGrant(ctx context.Context, id userstore.GrantID, now time.Time, events ...audit.Event) error {
	s := endGrants(micros(now), sessionOfGrant, id[:])
	return db.as("RevokeGrant").change(ctx, true, s[0], nil, events, s[1:]...)
}

// RevokeByClient leaves the app session: see userstore.Grants.
func (db *DB) RevokeByClient(ctx context.Context, id userstore.GrantID, now time.Time, events ...audit.Event) error {
	revoke := bind(`UPDATE grants SET revoked_at = $1 WHERE id = $2 AND revoked_at = 0`, micros(now), id[:])
	return db.as("RevokeByClient").change(ctx, true, revoke, nil, events)
}

// RevokeSession is retried when its answer was lost. If the retry finds the grant revoked, the
// first try revoked it.
func (db *DB) RevokeSession(ctx context.Context, userID, sessionID string, now time.Time, events ...audit.Event) error {
	s := endLiveGrants(micros(now), `session_id = $ AND user_id = $`, sessionID, userID)
	err := db.as("RevokeSession").change(ctx, true, s[0], userstore.ErrNotFound, events, s[1:]...)
	return ifUnstorable(err, userstore.ErrNotFound)
}

// RevokeUserGrants locks the user's row first, so that a concurrent login either commits before,
// and is revoked, or begins after. A retry may count fewer grants than were revoked in all.
func (db *DB) RevokeUserGrants(ctx context.Context, userID, keep string, now time.Time, events ...audit.Event) (int, error) {
	s := []stmt{bind(`UPDATE users SET last_session_id = '', token_epoch = token_epoch + 1 WHERE id = $1`, userID)}
	s = append(s, endLiveGrants(micros(now), `user_id = $ AND session_id <> $`, userID, keep)...)
	s = append(s, endSessions(userID, keep, ""))
	n, err := db.as("RevokeUserGrants").batch(ctx, true, append(s, storeEvents(eventRows(events))...)...)
	if err != nil {
		return 0, ifUnstorable(err, nil)
	}
	return int(n[1]), nil
}

const listGrants = `SELECT ` + grantColumns + ` FROM grants
	WHERE user_id = $1 AND revoked_at = 0 AND expires_at > $2 AND rotated_at > $3 AND ` + inEpoch + `
	ORDER BY created_at DESC, session_id LIMIT 1000`

func (db *DB) ListGrants(ctx context.Context, userID string, now, idleSince time.Time) ([]userstore.Grant, error) {
	var grants []userstore.Grant
	err := db.as("ListGrants").rows(ctx, bind(listGrants, userID, micros(now), micros(idleSince)),
		func() { grants = nil }, func(s scanner) error {
			var r grantRow
			if err := s.Scan(r.dest()...); err != nil {
				return err
			}
			g, err := r.grant()
			grants = append(grants, g)
			return err
		})
	return grants, ifUnstorable(err, nil)
}

// sweptUntil lets the deletion of expired grants leave no note for status lists: see migration 18.
// The deletion follows it, so that a loss of power takes back both or the deletion alone. It
// changes the row once a minute at most.
const sweptUntil = `UPDATE status_lists SET swept_at = $1 WHERE id = 1 AND swept_at < $2`

const removeExpired = `DELETE FROM grants WHERE id IN
	(SELECT g.id FROM grants g WHERE g.expires_at >= $1 AND g.expires_at <= $2 ORDER BY g.expires_at LIMIT $3)
	RETURNING expires_at`

// RemoveExpired deletes by the absolute limit only. A revoked or idle grant is kept until then
// (unless endOldest deletes it), so that a replay is still recognized. Hardly any other operation
// wants the rows that it locks, except another replica's RemoveExpired, which waits for this small
// batch and goes on behind it.
func (db *DB) RemoveExpired(ctx context.Context, now time.Time, limit int) (int, error) {
	swept := expired(sweptUntil, micros(now), micros(now.Add(-time.Minute)))
	if _, err := db.as("RemoveExpired").write(ctx, true, swept); err != nil {
		return 0, err
	}
	return db.as("RemoveExpired").removeFrom(ctx, removeExpired, limit, micros(now))
}
