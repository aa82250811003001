package sqlstore

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

const (
	signupColumns = `id, email, email_key, username, username_key, claims, password_hash, language,
		browser, at, ends_at`

	insertSignup = `INSERT INTO pending_signups (` + signupColumns + `, token_id, token_at, token_ends_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, '', 0, 0) ON CONFLICT (id) DO NOTHING`

	// replaceSignup gives a sign-up what the same form brought when it was sent once more.
	replaceSignup = `UPDATE pending_signups
		SET username = $1, username_key = $2, claims = $3, password_hash = $4, language = $5
		WHERE email = $6 AND email_key = $7 AND browser = $8 AND at > $9 AND id <> $10`

	removeSignups = `DELETE FROM pending_signups WHERE id IN
		(SELECT p.id FROM pending_signups p WHERE p.ends_at <= $1 ORDER BY p.ends_at LIMIT $2)`
)

// lockAddress returns the statement that takes the lock of an address, if one is needed: sign-ups and
// proofs of one address take turns.
func (db *DB) lockAddress(emailKey string) []stmt {
	sum := sha256.Sum256([]byte("pending sign-up " + emailKey))
	return db.dialect.locked(int64(binary.BigEndian.Uint64(sum[:])))
}

// browserColumn returns the value of the column browser: empty for no browser.
func browserColumn(b userstore.BrowserKey) []byte {
	if b == (userstore.BrowserKey{}) {
		return []byte{}
	}
	return b[:]
}

// SavePendingSignup runs the same statements whether or not the address has an account.
func (db *DB) SavePendingSignup(
	ctx context.Context, p userstore.PendingSignup, since time.Time,
	r userstore.MailRequest, limits []userstore.Limit, m outbox.Message,
) (string, error) {
	claims, err := encodeClaims(p.Claims)
	if err == nil {
		err = indexable(p.ID, p.EmailKey, p.UsernameKey)
	}
	if err == nil && p.ID != r.ID {
		err = fmt.Errorf("%w: a sign-up whose request has another id", userstore.ErrInvalid)
	}
	if err != nil {
		return "", err
	}
	ask, err := db.requestMail(r, limits, m)
	if err != nil {
		return "", err
	}
	browser := browserColumn(p.Browser)
	replace := bind(replaceSignup, p.Username, p.UsernameKey, claims, p.PasswordHash, p.Language,
		p.Email, p.EmailKey, browser, micros(since), p.ID)
	insert := bind(insertSignup, p.ID, p.Email, p.EmailKey, p.Username, p.UsernameKey, claims, p.PasswordHash,
		p.Language, browser, micros(p.At), micros(p.EndsAt))
	if err := storables(append(ask, replace, insert)); err != nil {
		return "", err
	}
	replaced := false
	err = db.as("SavePendingSignup").transactWithEvents(ctx, true, nil, func(run exec, _ bool) (bool, error) {
		if replaced = false; len(browser) > 0 {
			n, err := run(append(db.lockAddress(p.EmailKey), replace)...)
			if err != nil {
				return false, err
			}
			if replaced = n[len(n)-1] > 0; replaced {
				return true, nil
			}
		}
		_, err := run(append(ask, insert)...)
		return true, err
	})
	if err != nil || !replaced {
		return p.ID, err
	}
	// The one that was replaced is the newest of this browser.
	newest, err := db.PendingSignups(ctx, p.EmailKey, p.Browser, p.At, 1)
	if err != nil || len(newest) == 0 {
		return "", orElse(err, userstore.ErrConflict)
	}
	return newest[0].ID, nil
}

func (db *DB) PendingSignup(ctx context.Context, id string, now time.Time) (userstore.PendingSignup, error) {
	return db.as("PendingSignup").pendingSignup(ctx, bind(`SELECT `+signupColumns+` FROM pending_signups
		WHERE id = $1 AND ends_at > $2`, id, micros(now)))
}

func (db *DB) PendingSignupByToken(
	ctx context.Context, tokenID string, now time.Time,
) (userstore.PendingSignup, error) {
	return db.as("PendingSignupByToken").pendingSignup(ctx, bind(`SELECT `+signupColumns+` FROM pending_signups
		WHERE token_id = $1 AND token_id <> '' AND token_ends_at > $2 AND ends_at > $3`,
		tokenID, micros(now), micros(now)))
}

func (db named) pendingSignup(ctx context.Context, s stmt) (p userstore.PendingSignup, err error) {
	err = db.one(ctx, s, func(row scanner) (err error) {
		p, err = signupRow(row)
		return err
	})
	return p, err
}

// signupRow receives signupColumns.
func signupRow(row scanner) (p userstore.PendingSignup, err error) {
	var claims string
	var browser []byte
	var at, ends int64
	err = row.Scan(&p.ID, &p.Email, &p.EmailKey, &p.Username, &p.UsernameKey, &claims, &p.PasswordHash, &p.Language,
		&browser, &at, &ends)
	if err != nil {
		return p, err
	}
	copy(p.Browser[:], browser)
	p.At, p.EndsAt = instant(at), instant(ends)
	p.Claims, err = decodeClaims(claims)
	return p, err
}

func (db *DB) PendingSignups(
	ctx context.Context, emailKey string, browser userstore.BrowserKey, now time.Time, limit int,
) (found []userstore.PendingSignup, err error) {
	sql := `SELECT ` + signupColumns + ` FROM pending_signups WHERE email_key = $ AND ends_at > $`
	args := []any{emailKey, micros(now)}
	if browser != (userstore.BrowserKey{}) {
		sql += ` AND browser = $`
		args = append(args, browser[:])
	}
	s := bind(numbered(sql+` ORDER BY at DESC, id LIMIT $`), append(args, int64(limit))...)
	err = db.as("PendingSignups").rows(ctx, s, func() { found = nil }, func(row scanner) error {
		p, err := signupRow(row)
		found = append(found, p)
		return err
	})
	return found, ifUnstorable(err, nil)
}

// setSignupToken gives no token to an address that has an account or is reserved for one.
var setSignupToken = numbered(`UPDATE pending_signups SET token_id = $, token_at = $, token_ends_at = $
	WHERE id = $ AND ends_at > $ AND (token_id = $ OR token_at < $)
	AND NOT EXISTS (SELECT 1 FROM users u WHERE u.email_key = pending_signups.email_key)
	AND NOT ` + reservedFor("pending_signups.email_key", "''"))

// IssueSignupToken is idempotent: the same token is stored once more.
func (db *DB) IssueSignupToken(ctx context.Context, signupID string, t userstore.OneTimeToken) error {
	if t.ID == "" || !t.EndsAt.After(t.At) {
		return userstore.ErrConflict
	}
	n, err := db.as("IssueSignupToken").write(ctx, true, bind(setSignupToken,
		t.ID, micros(t.At), micros(t.EndsAt), signupID, micros(t.At), t.ID, micros(t.At), micros(t.At)))
	if err == nil && n == 0 {
		err = userstore.ErrConflict
	}
	return ifUnstorable(err, userstore.ErrConflict)
}

// CreateProvedUser deletes the row of the token first: of many who present it, one deletes it. On
// PostgreSQL the proofs of one address take turns, or two with different tokens would wait for each
// other.
func (db *DB) CreateProvedUser(ctx context.Context, tokenID string, u userstore.User, events ...audit.Event) error {
	if text(tokenID) != nil {
		return userstore.ErrConflict
	}
	insert, err := insertion(u)
	if err != nil {
		return err
	}
	spend := bind(`DELETE FROM pending_signups
		WHERE token_id = $1 AND token_id <> '' AND token_ends_at > $2 AND ends_at > $3 AND email_key = $4`,
		tokenID, micros(u.CreatedAt), micros(u.CreatedAt), u.EmailKey)
	rest := bind(`DELETE FROM pending_signups WHERE email_key = $1`, u.EmailKey)
	if err := storables([]stmt{spend, rest}); err != nil {
		return err
	}
	return db.as("CreateProvedUser").transactWithEvents(ctx, false, events, func(run exec, _ bool) (bool, error) {
		n, err := run(append(db.lockAddress(u.EmailKey), spend)...)
		if err == nil && n[len(n)-1] == 0 {
			err = userstore.ErrConflict
		}
		if err != nil {
			return false, err
		}
		n, err = run(append(insert, rest)...)
		if err == nil {
			err = inserted(n)
		}
		return err == nil, err
	})
}
