package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

const (
	mailRoom = ` AND (SELECT COUNT(*) FROM mail_requests WHERE budget = $ AND mailed = 1 AND at > $) < $`

	insertIntoRequests = `INSERT INTO mail_requests (id, kind, budget, mailed, tries, at, ends_at) `
)

var insertRequest = numbered(insertIntoRequests +
	`SELECT $, $, $, CASE WHEN EXISTS (SELECT 1 FROM outbox WHERE id = $) THEN 1 ELSE 0 END, 0, $, $ WHERE TRUE
		ON CONFLICT (id) DO NOTHING`)

// RequestMail puts the message into the outbox first and then stores the request, which records
// whether there was room for the message. On PostgreSQL a lock makes requests of one budget take
// turns: otherwise two at once would both find room.
func (db *DB) RequestMail(
	ctx context.Context, r userstore.MailRequest, limits []userstore.Limit, m outbox.Message,
) error {
	s, err := db.requestMail(r, limits, m)
	if err == nil {
		_, err = db.as("RequestMail").batch(ctx, true, s...)
	}
	return err
}

// requestMail returns the statements of RequestMail.
func (db *DB) requestMail(r userstore.MailRequest, limits []userstore.Limit, m outbox.Message) ([]stmt, error) {
	if r.ID == "" || r.ID != m.ID {
		return nil, fmt.Errorf("%w: a request whose message has another id", userstore.ErrInvalid)
	}
	return append(db.dialect.locked(lockNumber(r.Budget)),
		ifRoom(r, limits, insertMessage+`NOT EXISTS (SELECT 1 FROM mail_requests WHERE id = $)`,
			append(messageColumns(m), r.ID)),
		bind(insertRequest, r.ID, string(r.Kind), r.Budget[:], r.ID, micros(r.At), micros(r.EndsAt))), nil
}

// ifRoom returns the statement that inserts a row if each of limits has room among the requests of
// the budget of r. sql ends in a condition.
func ifRoom(r userstore.MailRequest, limits []userstore.Limit, sql string, args []any) stmt {
	for _, l := range limits {
		sql += mailRoom
		args = append(args, r.Budget[:], micros(r.At.Add(-l.Window)), int64(l.Free))
	}
	return bind(numbered(sql+` ON CONFLICT (id) DO NOTHING`), args...)
}

// TakeMailRoom finds the row of an earlier call with the same id, whose answer was lost.
func (db *DB) TakeMailRoom(ctx context.Context, r userstore.MailRequest, limits []userstore.Limit) (bool, error) {
	n, err := db.as("TakeMailRoom").batch(ctx, true, append(db.dialect.locked(lockNumber(r.Budget)),
		ifRoom(r, limits, insertIntoRequests+`SELECT $, $, $, 1, 0, $, $ WHERE TRUE`,
			[]any{r.ID, string(r.Kind), r.Budget[:], micros(r.At), micros(r.EndsAt)}),
		bind(`UPDATE mail_requests SET mailed = 1 WHERE id = $1`, r.ID))...)
	return err == nil && n[len(n)-1] == 1, err
}

// TryCode may count a try twice if its answer is lost. That harms only a person who guesses.
func (db *DB) TryCode(ctx context.Context, id string, kind outbox.Kind, now time.Time, most int) error {
	const count = `UPDATE mail_requests SET tries = tries + 1
		WHERE id = $1 AND kind = $2 AND ends_at > $3 AND tries < $4`
	n, err := db.as("TryCode").write(ctx, true, bind(count, id, string(kind), micros(now), int64(most)))
	if err == nil && n == 0 {
		err = userstore.ErrConflict
	}
	return ifUnstorable(err, userstore.ErrConflict)
}

// ReturnTry is not repeated after a lost answer: it would return two tries.
func (db *DB) ReturnTry(ctx context.Context, id string) error {
	_, err := db.as("ReturnTry").write(ctx, false,
		bind(`UPDATE mail_requests SET tries = tries - 1 WHERE id = $1 AND tries > 0`, id))
	return ifUnstorable(err, nil)
}

// liveToken is the condition under which a token of u is valid. What undoes an act outlives what happens to
// the account, but waits while the account is disabled. The address of a change, or of its undoing,
// is not the account's.
const liveToken = `t.spent_at = 0 AND t.ends_at > $ AND u.is_active AND (t.kind IN ('undo_email', 'factor_added')
	OR t.epoch = u.token_epoch AND (t.kind = 'change_email' OR t.address_key = u.email_key))`

// IssueToken takes the lock of the user's row first. An operation that ends the user's tokens at
// the same moment either waits and ends this token too, or comes first and is seen.
func (db *DB) IssueToken(ctx context.Context, t userstore.OneTimeToken) error {
	kind, at := string(t.Kind), micros(t.At)
	s := []stmt{
		bind(`UPDATE users SET token_epoch = token_epoch WHERE id = $1`, t.UserID),
		bind(`UPDATE one_time_tokens SET spent_at = $1
			WHERE user_id = $2 AND kind = $3 AND spent_at = 0 AND at < $4 AND id <> $5`,
			at, t.UserID, kind, at, t.ID),
		bind(numbered(`INSERT INTO one_time_tokens
				(id, kind, user_id, address, address_key, epoch, at, ends_at, spent_at)
			SELECT $, $, u.id, u.email, u.email_key, u.token_epoch, $, $, 0 FROM users u
			WHERE u.id = $ AND u.is_active AND u.email_key = $
			AND NOT EXISTS (SELECT 1 FROM one_time_tokens o WHERE o.user_id = u.id AND o.kind = $ AND o.at >= $)
			ON CONFLICT DO NOTHING`), t.ID, kind, at, micros(t.EndsAt), t.UserID, t.AddressKey, kind, at),
	}
	if _, err := db.as("IssueToken").batch(ctx, true, s...); err != nil {
		return ifUnstorable(err, userstore.ErrConflict)
	}
	stored, _, err := db.OneTimeToken(ctx, t.ID, t.At)
	if err == nil && !stored.Live || errors.Is(err, userstore.ErrNotFound) {
		err = userstore.ErrConflict
	}
	return err
}

var tokenByID = numbered(`SELECT t.id, t.kind, t.user_id, t.address, t.address_key, t.at, t.ends_at,
	t.second_factor, CASE WHEN ` + liveToken + ` AND (t.kind <> 'change_email' OR ` + freeForChange + `) THEN 1 ELSE 0 END, ` +
	userColumns + ` FROM one_time_tokens t JOIN users u ON u.id = t.user_id WHERE t.id = $`)

func (db *DB) OneTimeToken(
	ctx context.Context, id string, now time.Time,
) (t userstore.OneTimeToken, u userstore.User, err error) {
	err = db.as("OneTimeToken").one(ctx, bind(tokenByID, micros(now), micros(now), id), func(row scanner) error {
		var r userRow
		var at, ends, live int64
		dest := append([]any{&t.ID, &t.Kind, &t.UserID, &t.Address, &t.AddressKey, &at, &ends, &t.SecondFactor, &live}, r.dest()...)
		if err := row.Scan(dest...); err != nil {
			return err
		}
		t.At, t.EndsAt, t.Live = instant(at), instant(ends), live == 1
		u, err = r.user()
		return err
	})
	return t, u, err
}

// userOfToken is the user of the token with an id.
const userOfToken = `(SELECT t.user_id FROM one_time_tokens t WHERE t.id = $)`

const ofLiveToken = ` WHERE id = ` + userOfToken + `
	AND EXISTS (SELECT 1 FROM one_time_tokens t, users u
		WHERE t.id = $ AND t.kind = $ AND u.id = t.user_id AND ` + liveToken + `)`

var (
	redeemKeeping = numbered(`UPDATE users SET email_verified = TRUE, factors_vouched = FALSE, updated_at = $,
		version = version + 1` + ofLiveToken)
	// redeemAlone changes nothing of the user, who has to be without a second factor.
	redeemAlone     = numbered(`UPDATE users SET token_epoch = token_epoch` + ofLiveToken + ` AND NOT second_factor`)
	redeemReplacing = `UPDATE users SET email_verified = TRUE, factors_vouched = FALSE, updated_at = $,
		version = version + 1, password_hash = $, token_epoch = token_epoch + 1` + ofLiveToken
	// spendToken runs while the user's row is locked, so it sees all earlier commits. Of several
	// redemptions of a token it lets one through, and an operation that ended the token meanwhile
	// has changed the user's epoch. The epoch of the token is one behind the user's if
	// redeemReplacing has just moved it.
	spendToken = numbered(`UPDATE one_time_tokens SET spent_at = $
		WHERE id = $ AND kind = $ AND spent_at = 0 AND ends_at > $
		AND EXISTS (SELECT 1 FROM users u WHERE u.id = user_id AND u.is_active
			AND u.token_epoch = epoch + $ AND u.email_key = address_key)`)
)

// The conditions under which a token sets a new password.
const (
	notSecondFactor = ` AND NOT second_factor`
	notBoth         = ` AND NOT (second_factor AND (email_verified OR factors_vouched))`
	sameFactors     = ` AND id = $ AND factor_epoch = $` // and one of them is proved
)

// checkSecond refuses a proof of a second factor that does not say whose it is.
func checkSecond(r userstore.Redemption) error {
	if (r.Second.Proved || !r.Second.Use.Empty()) && (r.UserID == "" || r.Second.Use.Empty() || !r.Second.Proved) ||
		r.Second.Use.Trusted != (userstore.SessionHash{}) || r.Second.Trust != nil {
		return fmt.Errorf("%w: a token with a part of a second step", userstore.ErrInvalid)
	}
	return nil
}

func (db *DB) RedeemToken(ctx context.Context, r userstore.Redemption, events ...audit.Event) error {
	now, kind := micros(r.At), string(r.Kind)
	if r.Kind == outbox.ChangeEmail || r.Kind == outbox.UndoEmail || r.Kind == outbox.FactorAdded {
		return fmt.Errorf("%w: a token of %s, which has an operation of its own", userstore.ErrInvalid, r.Kind)
	}
	if err := checkSecond(r); err != nil {
		return err
	}
	which := []any{r.ID, r.ID, kind, now}
	first, moved := bind(redeemKeeping, append([]any{now}, which...)...), int64(0)
	switch {
	case r.Kind == outbox.FactorCode:
		first = bind(redeemAlone, which...)
	case r.NewHash != "":
		// A new password opens the account, which a mailbox alone must not do where there is a second
		// factor. An address that is proved only now takes the factors away with the rest, unless an
		// operator vouched for them.
		condition, args := notSecondFactor, append([]any{now, r.NewHash}, which...)
		switch {
		case r.Second.Proved:
			condition, args = sameFactors, append(args, r.UserID, r.Second.FactorVersion)
		case r.Unproved:
			condition = notBoth
		}
		first, moved = bind(numbered(redeemReplacing+condition), args...), 1
	}
	s := redemption{
		first: []stmt{first, bind(spendToken, now, r.ID, kind, now, moved)}, proofs: spendings(r.UserID, r.Second.Use),
	}
	if r.NewHash != "" {
		s.then = endAllOfToken(r.ID, now)
		if r.Unproved {
			s.then = append(s.then, bind(endConsents, r.ID))
			s.then = append(append(s.then, endFactorsOfToken(r.ID)...), bind(endFactorUndosOfToken, now, r.ID))
		}
	}
	return db.as("RedeemToken").spend(ctx, s, events)
}

// redemption holds the statements that spend a token. The first statement changes, and so locks, the
// user's row; the second spends the token. If either changes no row, the token is not live.
type redemption struct {
	first   []stmt
	refused func(n []int64) bool // another reason, by the numbers of rows that first changed; may be nil
	proofs  []factorStep         // of a second factor, after what brings it back; run before then
	then    []stmt               // run after the token was spent
}

// spend redeems a token in one transaction. ErrConflict: the redemption is refused, and nothing
// changed.
func (db named) spend(ctx context.Context, r redemption, events []audit.Event) error {
	all := slices.Clone(r.first)
	for _, p := range r.proofs {
		all = append(all, p.stmt)
	}
	if err := storables(all); err != nil {
		return ifUnstorable(err, userstore.ErrConflict)
	}
	return db.transactWithEvents(ctx, false, events, func(run exec, _ bool) (bool, error) {
		n, err := run(r.first...)
		if err == nil && (n[0] == 0 || n[1] == 0 || r.refused != nil && r.refused(n)) {
			err = userstore.ErrConflict
		}
		if err == nil && len(r.proofs) > 0 {
			err = runProofs(run, r.proofs)
		}
		if err == nil && len(r.then) > 0 {
			_, err = run(r.then...)
		}
		return err == nil, err
	})
}

// runProofs runs the statements that spend the proof of a second factor.
func runProofs(run exec, proofs []factorStep) error {
	all := make([]stmt, len(proofs))
	for i, p := range proofs {
		all[i] = p.stmt
	}
	n, err := run(all...)
	for i := 0; err == nil && i < len(proofs); i++ {
		if n[i] == 0 && proofs[i].otherwise != nil {
			err = proofs[i].otherwise
		}
	}
	return err
}

var (
	endBrowsers = numbered(`DELETE FROM browser_sessions WHERE user_id = ` + userOfToken)
	endConsents = numbered(`DELETE FROM consents WHERE user_id = ` + userOfToken)
)

// endAllOfToken ends all grants and browser sessions of a token's user, after the user's row is
// locked: see SetPassword.
func endAllOfToken(id string, now int64) []stmt {
	return append(endGrants(now, `user_id = `+userOfToken, id), bind(endBrowsers, id))
}

// endFactorsOfToken removes all second factors of a token's user, for good.
func endFactorsOfToken(id string) (s []stmt) {
	for _, sql := range endFactors {
		s = append(s, bind(sql, id))
	}
	return s
}

// recountedOfToken counts the second factors of a token's user after they came or went.
func recountedOfToken(id string) []stmt {
	return []stmt{bind(recountOfToken, id), bind(withoutFactorOfToken, id)}
}

var (
	recountOfToken       = numbered(recount(userOfToken))
	withoutFactorOfToken = numbered(withoutFactor(userOfToken))
	// The next passkey gets another handle: whoever made the account knows this one.
	forgetHandle = numbered(`UPDATE users SET passkey_handle = '', wrong_codes = 0 WHERE id = ` + userOfToken)
	endFactors   = append(ofTables(`DELETE FROM %s WHERE user_id = `+userOfToken), forgetHandle, recountOfToken)
)

// ofTables returns a statement for each table of second factors.
func ofTables(sql string) (all []string) {
	for _, k := range factorKinds {
		all = append(all, numbered(fmt.Sprintf(sql, k.table)), numbered(fmt.Sprintf(sql, k.retired)))
	}
	return all
}

const (
	removeTokens = `DELETE FROM one_time_tokens WHERE id IN
		(SELECT t.id FROM one_time_tokens t WHERE t.ends_at <= $1 ORDER BY t.ends_at LIMIT $2)`
	removeRequests = `DELETE FROM mail_requests WHERE id IN
		(SELECT r.id FROM mail_requests r WHERE r.ends_at <= $1 AND r.at <= $2 ORDER BY r.ends_at LIMIT $3)`
)

// requestsCount is how long a request counts against the budget of its address.
const requestsCount = 24 * time.Hour

func (db *DB) RemoveExpiredTokens(ctx context.Context, now time.Time, limit int) (int, error) {
	as := db.as("RemoveExpiredTokens")
	return removeAll(limit,
		as.removal(ctx, removeTokens, micros(now)),
		as.removal(ctx, removeRequests, micros(now), micros(now.Add(-requestsCount))),
		as.removal(ctx, removeSignups, micros(now)))
}
