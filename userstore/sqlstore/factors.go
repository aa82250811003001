package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

const (
	appColumns = `a.id, a.user_id, a.sealed, a.algorithm, a.digits, a.period, a.last_counter, a.created_at, a.last_used_at`

	passkeyColumns = `p.id, p.user_id, p.credential_id, p.public_key, p.aaguid, p.transports, p.sign_count,
	p.backup_eligible, p.backed_up, p.name, p.created_at, p.last_used_at`
)

// passkeyRow receives passkeyColumns.
type passkeyRow struct {
	p             userstore.Passkey
	transports    string
	count         int64
	created, used int64
}

func (r *passkeyRow) dest() []any {
	return []any{&r.p.ID, &r.p.UserID, &r.p.CredentialID, &r.p.PublicKey, &r.p.AAGUID, &r.transports, &r.count,
		&r.p.BackupEligible, &r.p.BackedUp, &r.p.Name, &r.created, &r.used}
}

func (r *passkeyRow) passkey() (p userstore.Passkey, err error) {
	p = r.p
	p.SignCount, p.CreatedAt, p.LastUsedAt = uint32(r.count), instant(r.created), instant(r.used)
	p.Transports, err = unlist(r.transports)
	return p, err
}

// SecondFactors reads three times. Each login checks the factor version once more when it is stored.
func (db *DB) SecondFactors(ctx context.Context, userID string) (userstore.SecondFactors, error) {
	return db.as("SecondFactors").readFactors(ctx,
		bind(`SELECT u.factor_epoch, u.passkey_handle, u.wrong_codes,
			(SELECT COUNT(*) FROM recovery_codes r WHERE r.user_id = u.id) FROM users u WHERE u.id = $1`, userID),
		bind(`SELECT a.confirmed, `+appColumns+` FROM authenticator_apps a WHERE a.user_id = $1`, userID),
		bind(`SELECT `+passkeyColumns+` FROM passkeys p WHERE p.user_id = $1 ORDER BY p.created_at, p.id`, userID))
}

// readFactors reads what three statements find: the counts, the apps and the passkeys of a user.
func (db named) readFactors(ctx context.Context, counts, apps, passkeys stmt) (s userstore.SecondFactors, err error) {
	var codes, wrong int64
	err = db.one(ctx, counts, func(row scanner) error { return row.Scan(&s.Version, &s.PasskeyHandle, &wrong, &codes) })
	if err != nil {
		return userstore.SecondFactors{}, err
	}
	s.WrongCodes, s.RecoveryCodes = int(wrong), int(codes)
	err = db.rows(ctx, apps, func() { s.App, s.Waiting = nil, nil }, func(row scanner) error {
		var a userstore.AuthenticatorApp
		var confirmed bool
		var digits, period, created, used int64
		if err := row.Scan(&confirmed, &a.ID, &a.UserID, &a.Sealed, &a.Algorithm, &digits, &period,
			&a.LastCounter, &created, &used); err != nil {
			return err
		}
		a.Digits, a.Period, a.CreatedAt, a.LastUsedAt = int(digits), int(period), instant(created), instant(used)
		if confirmed {
			s.App = &a
		} else {
			s.Waiting = &a
		}
		return nil
	})
	if err == nil {
		err = db.rows(ctx, passkeys, func() { s.Passkeys = nil }, func(row scanner) error {
			var r passkeyRow
			if err := row.Scan(r.dest()...); err != nil {
				return err
			}
			p, err := r.passkey()
			s.Passkeys = append(s.Passkeys, p)
			return err
		})
	}
	if err != nil {
		return userstore.SecondFactors{}, err
	}
	return s, nil
}

func (db *DB) PasskeyOwner(ctx context.Context, credentialID []byte) (
	p userstore.Passkey, u userstore.User, handle string, err error,
) {
	if len(credentialID) > maxKey {
		return p, u, "", userstore.ErrNotFound
	}
	err = db.as("PasskeyOwner").one(ctx, bind(`SELECT u.passkey_handle, `+passkeyColumns+`, `+userColumns+`
		FROM passkeys p JOIN users u ON u.id = p.user_id WHERE p.credential_id = $1`, credentialID),
		func(row scanner) error {
			var pr passkeyRow
			var ur userRow
			if err := row.Scan(append(append([]any{&handle}, pr.dest()...), ur.dest()...)...); err != nil {
				return err
			}
			if p, err = pr.passkey(); err != nil {
				return err
			}
			u, err = ur.user()
			return err
		})
	return p, u, handle, err
}

// BeginApp locks the user's row first, as every operation on second factors does.
func (db *DB) BeginApp(ctx context.Context, a userstore.AuthenticatorApp, version int64) error {
	const ofUser = ` WHERE id = $ AND is_active AND factor_epoch = $`
	if text(a.UserID) != nil {
		return userstore.ErrConflict
	}
	if err := indexable(a.ID); err != nil {
		return err
	}
	n, err := db.as("BeginApp").batch(ctx, true,
		bind(numbered(`UPDATE users SET wrong_codes = wrong_codes`+ofUser), a.UserID, version),
		bind(numbered(`DELETE FROM authenticator_apps WHERE user_id = $ AND NOT confirmed AND id <> $
			AND EXISTS (SELECT 1 FROM users`+ofUser+`)`), a.UserID, a.ID, a.UserID, version),
		bind(numbered(`INSERT INTO authenticator_apps (id, last_counter, last_used_at, user_id, confirmed, sealed, algorithm,
				digits, period, created_at)
			SELECT $, $, 0, id, FALSE, $, $, $, $, $ FROM users`+ofUser+` ON CONFLICT DO NOTHING`),
			a.ID, a.LastCounter, a.Sealed, a.Algorithm, int64(a.Digits), int64(a.Period), micros(a.CreatedAt), a.UserID, version))
	if err == nil && n[0] == 0 {
		err = userstore.ErrConflict
	}
	return err
}

// hasFactor is the condition that a user has a second factor.
const hasFactor = `(EXISTS (SELECT 1 FROM authenticator_apps a WHERE a.user_id = users.id AND a.confirmed)
		OR EXISTS (SELECT 1 FROM passkeys p WHERE p.user_id = users.id))`

// recount makes a new factor version of the user that the SQL expression of names. It runs after
// factors came or went. Nobody vouches for what comes after the last one.
func recount(of string) string {
	return `UPDATE users SET factor_epoch = factor_epoch + 1, second_factor = ` + hasFactor + `,
		factors_vouched = factors_vouched AND ` + hasFactor + ` WHERE id = ` + of
}

// withoutFactor deletes the recovery codes of a user without a second factor.
func withoutFactor(of string) string {
	return `DELETE FROM recovery_codes WHERE user_id IN (SELECT u.id FROM users u WHERE NOT u.second_factor AND u.id = ` + of + `)`
}

var (
	recountUser       = numbered(recount(`$`))
	withoutFactorUser = numbered(withoutFactor(`$`))
)

// factorStep is a statement of a change, and what its changing no row means; nil: nothing.
type factorStep struct {
	stmt
	otherwise error
}

// ChangeFactors locks the user's row with its first statement.
func (db *DB) ChangeFactors(ctx context.Context, c userstore.FactorChange, events ...audit.Event) error {
	lock, lockArgs := `UPDATE users SET wrong_codes = wrong_codes WHERE id = $`, []any{c.UserID}
	if c.Version != userstore.AnyFactorVersion {
		lock, lockArgs = lock+` AND factor_epoch = $`, append(lockArgs, c.Version)
	}
	if c.PasswordHash != "" {
		lock, lockArgs = lock+` AND is_active AND password_hash = $`, append(lockArgs, c.PasswordHash)
	}
	steps := []factorStep{{bind(numbered(lock), lockArgs...), userstore.ErrConflict}}
	steps = append(steps, spendings(c.UserID, c.Use)...)
	if c.UndoID != "" { // while second_factor says what was there before
		at := micros(c.At)
		steps = append(steps, factorStep{bind(insertUndoFactor, c.UndoID, at, micros(c.UndoEndsAt), c.UserID), userstore.ErrConflict})
	}
	steps = append(steps, changes(c)...)
	steps = append(steps, factorStep{bind(recountUser, c.UserID), userstore.ErrConflict})
	if c.Final || c.RemoveAll {
		steps = append(append(steps, forgetRetired(c.UserID)...), factorStep{stmt: bind(endFactorUndosOfUser, micros(c.At), c.UserID)})
	} else {
		steps = append(steps, codeKind.retire(c.UserID, micros(c.At), ` AND NOT EXISTS
			(SELECT 1 FROM users u WHERE u.id = f.user_id AND u.second_factor)`))
	}
	steps = append(steps,
		factorStep{stmt: bind(withoutFactorUser, c.UserID)},
		factorStep{stmt: bind(`DELETE FROM trusted_browsers WHERE user_id = $1`, c.UserID)})
	if c.BySession != "" && c.Version != userstore.AnyFactorVersion {
		steps = append(steps, factorStep{stmt: bind(replaceInProofs,
			factorsOfProof(c.Version), factorsOfProof(c.Version+1), c.BySession, c.UserID)})
	}
	if c.KeepSession != userstore.KeepAll {
		for _, s := range endGrants(micros(c.At), `user_id = $ AND session_id <> $`, c.UserID, c.KeepSession) {
			steps = append(steps, factorStep{stmt: s})
		}
		steps = append(steps,
			factorStep{stmt: endSessions(c.UserID, c.KeepSession, "")})
	}
	if err := checkFactors(c); err != nil {
		return err
	}
	return db.as("ChangeFactors").runSteps(ctx, steps, events)
}

func checkFactors(c userstore.FactorChange) error {
	read := append([]string{c.UserID, c.PasswordHash, c.ConfirmApp, c.KeepSession, c.BySession}, c.RemovePasskeys...)
	if texts(read...) != nil {
		return userstore.ErrConflict // no row has it
	}
	if p := c.AddPasskey; p != nil {
		if len(p.CredentialID) == 0 || len(p.CredentialID) > maxKey || p.UserID != c.UserID {
			return fmt.Errorf("%w: a passkey without an id, with one too long, or of another user", userstore.ErrInvalid)
		}
		if len(p.PublicKey) == 0 {
			return fmt.Errorf("%w: a passkey without a key", userstore.ErrInvalid)
		}
		return errors.Join(texts(p.Transports...), indexable(p.ID))
	}
	return nil
}

// changes are the statements for what comes and goes.
func changes(c userstore.FactorChange) (steps []factorStep) {
	add := func(otherwise error, sql string, args ...any) {
		steps = append(steps, factorStep{bind(sql, args...), otherwise})
	}
	at := micros(c.At)
	retire := func(k factorKind, condition string, args ...any) {
		if !c.Final && !c.RemoveAll {
			steps = append(steps, k.retire(c.UserID, at, condition, args...))
		}
	}
	if c.RemoveAll {
		for _, table := range []string{"authenticator_apps", "passkeys", "recovery_codes"} {
			add(nil, `DELETE FROM `+table+` WHERE user_id = $1`, c.UserID)
		}
	}
	if c.RemoveApp {
		retire(appKind, "")
		add(userstore.ErrConflict, `DELETE FROM authenticator_apps WHERE user_id = $1 AND confirmed`, c.UserID)
	}
	for _, id := range c.RemovePasskeys {
		retire(passkeyKind, ` AND f.id = $`, id)
		add(userstore.ErrConflict, `DELETE FROM passkeys WHERE user_id = $1 AND id = $2`, c.UserID, id)
	}
	if c.ConfirmApp != "" {
		retire(appKind, "")
		add(nil, `DELETE FROM authenticator_apps WHERE user_id = $1 AND confirmed`, c.UserID)
		// From now on it lets its user in. An undo that removes what came since has to find this time,
		// not that of the setup's beginning.
		add(userstore.ErrConflict, numbered(`UPDATE authenticator_apps SET confirmed = TRUE, last_counter = $, created_at = `+
			changedAt("authenticator_apps.user_id")+` WHERE id = $ AND user_id = $ AND NOT confirmed AND last_counter < $`),
			c.Counter, at, at, at, c.ConfirmApp, c.UserID, c.Counter)
	}
	if c.RemoveAll || c.RemoveApp || c.ConfirmApp != "" {
		add(nil, `UPDATE users SET wrong_codes = 0 WHERE id = $1`, c.UserID)
	}
	if p := c.AddPasskey; p != nil {
		add(&userstore.ExistsError{Field: "passkeys"}, `UPDATE users SET wrong_codes = wrong_codes
			WHERE id = $1 AND (SELECT COUNT(*) FROM passkeys p WHERE p.user_id = users.id) < $2`, c.UserID, int64(userstore.MaxPasskeys))
		add(&userstore.ExistsError{Field: "credential"}, `INSERT INTO passkeys (id, last_used_at, sign_count, backed_up, backup_eligible,
				user_id, credential_id, public_key, transports, aaguid, name, created_at)
			VALUES ($1, 0, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING`,
			p.ID, int64(p.SignCount), p.BackedUp, p.BackupEligible, p.UserID, p.CredentialID, p.PublicKey,
			list(p.Transports), notNil(p.AAGUID), p.Name, micros(p.CreatedAt))
		add(nil, numbered(`UPDATE passkeys SET created_at = `+changedAt("passkeys.user_id")+` WHERE id = $`),
			micros(p.CreatedAt), micros(p.CreatedAt), at, p.ID)
		// An undoing may bring it back to its user. This statement sees what the insertion waited for.
		add(&userstore.ExistsError{Field: "credential"}, `UPDATE users SET wrong_codes = wrong_codes WHERE id = $1
			AND NOT EXISTS (SELECT 1 FROM retired_passkeys r WHERE r.credential_id = $2 AND r.user_id <> users.id)`,
			c.UserID, p.CredentialID)
		add(nil, `UPDATE users SET passkey_handle = $1 WHERE id = $2 AND passkey_handle = ''`, c.PasskeyHandle, c.UserID)
		add(fmt.Errorf("%w: a passkey of a user without a handle", userstore.ErrInvalid),
			`UPDATE users SET wrong_codes = wrong_codes WHERE id = $1 AND passkey_handle <> ''`, c.UserID)
	}
	if c.RecoveryCodes != nil {
		retire(codeKind, "")
		add(nil, `DELETE FROM recovery_codes WHERE user_id = $1`, c.UserID)
	}
	for _, mac := range c.RecoveryCodes {
		add(userstore.ErrConflict, numbered(`INSERT INTO recovery_codes (user_id, mac, created_at)
			SELECT id, $, `+changedAt("users.id")+` FROM users WHERE id = $ ON CONFLICT DO NOTHING`),
			mac, at, at, at, c.UserID)
	}
	return steps
}

func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// runSteps runs steps in one transaction, one after the other: each sees what the ones before it
// and the operations before this one did.
func (db named) runSteps(ctx context.Context, steps []factorStep, events []audit.Event) error {
	all := make([]stmt, len(steps))
	for i, s := range steps {
		all[i] = s.stmt
	}
	if err := storables(all); err != nil {
		return err
	}
	return db.transactWithEvents(ctx, false, events, func(run exec, _ bool) (bool, error) {
		n, err := run(all[0]) // its lock has to be held before the others read
		for i := 0; err == nil && i < len(steps); i++ {
			if i == 1 {
				var rest []int64
				rest, err = run(all[1:]...)
				n = append(n, rest...)
			}
			if err == nil && n[i] == 0 && steps[i].otherwise != nil {
				err = steps[i].otherwise
			}
		}
		return err == nil, err
	})
}

// RenamePasskey also takes a passkey that has the name already: the transaction may run a second time
// after its answer was lost.
func (db *DB) RenamePasskey(ctx context.Context, r userstore.PasskeyRename, events ...audit.Event) error {
	const rename = `UPDATE passkeys SET name = $1 WHERE id = $2 AND user_id = $3 AND name IN ($4, $5)`
	err := db.as("RenamePasskey").change(ctx, true, bind(rename, r.After, r.ID, r.UserID, r.Before, r.After),
		userstore.ErrNotFound, events)
	if texts(r.UserID, r.ID) != nil {
		return ifUnstorable(err, userstore.ErrNotFound)
	}
	return err
}

func (db *DB) CountWrongCode(ctx context.Context, userID string, most int) error {
	n, err := db.as("CountWrongCode").write(ctx, true,
		bind(`UPDATE users SET wrong_codes = wrong_codes + 1 WHERE id = $1 AND wrong_codes < $2`, userID, int64(most)))
	if err == nil && n == 0 {
		err = userstore.ErrConflict
	}
	return ifUnstorable(err, userstore.ErrConflict)
}

// UncountWrongCode is not repeated after a lost answer: it would take back two counts.
func (db *DB) UncountWrongCode(ctx context.Context, userID string) error {
	_, err := db.as("UncountWrongCode").write(ctx, false,
		bind(`UPDATE users SET wrong_codes = wrong_codes - 1 WHERE id = $1 AND wrong_codes > 0`, userID))
	return ifUnstorable(err, nil)
}

// UseFactor spends what a login would spend.
func (db *DB) UseFactor(ctx context.Context, userID string, version int64, u userstore.FactorUse, events ...audit.Event) error {
	if u.Empty() {
		return errors.New("sqlstore: a use of nothing")
	}
	steps := append([]factorStep{{
		bind(`UPDATE users SET wrong_codes = wrong_codes WHERE id = $1 AND is_active AND factor_epoch = $2`, userID, version),
		userstore.ErrConflict,
	}}, spendings(userID, u)...)
	return ifUnstorable(db.as("UseFactor").runSteps(ctx, steps, events), userstore.ErrConflict)
}

// spendings are the statements that spend u, while the user's row is locked. Each has to change a
// row.
func spendings(userID string, u userstore.FactorUse) (steps []factorStep) {
	// Handles come first: a request that arrives twice is no wrong code.
	for _, h := range u.Handles {
		steps = append(steps, factorStep{
			bind(`INSERT INTO spent_handles (id, ends_at) VALUES ($1, $2) ON CONFLICT DO NOTHING`, h.ID, micros(h.EndsAt)),
			userstore.ErrHandleSpent,
		})
	}
	add := func(sql string, args ...any) {
		steps = append(steps, factorStep{bind(numbered(sql), args...), userstore.ErrSpent})
	}
	at := micros(u.At)
	if u.App != "" {
		add(`UPDATE authenticator_apps SET last_counter = $, last_used_at = $
			WHERE id = $ AND user_id = $ AND confirmed AND last_counter < $`, u.Counter, at, u.App, userID, u.Counter)
		add(`UPDATE users SET wrong_codes = 0 WHERE id = $`, userID)
	}
	if u.Recovery != nil {
		sql, args := recoveryCode(userID, u.Recovery)
		add(`DELETE FROM recovery_codes`+sql, args...)
	}
	if u.Passkey != "" {
		sql := `UPDATE passkeys SET sign_count = $, backed_up = $, last_used_at = $ WHERE id = $ AND user_id = $ AND `
		if u.SignCount == 0 { // the authenticator does not count
			sql += `sign_count = $`
		} else {
			sql += `sign_count < $`
		}
		add(sql, int64(u.SignCount), u.BackedUp, at, u.Passkey, userID, int64(u.SignCount))
	}
	if u.Trusted != (userstore.SessionHash{}) {
		add(`UPDATE trusted_browsers SET last_used_at = $ WHERE hash = $ AND user_id = $ AND `+trustLives,
			at, u.Trusted[:], userID, at)
	}
	return steps
}

// recoveryCode is the condition on a user's code with one of these MACs.
func recoveryCode(userID string, macs [][]byte) (sql string, args []any) {
	sql, args = ` WHERE user_id = $ AND (FALSE`, []any{userID}
	for _, mac := range macs {
		sql, args = sql+` OR mac = $`, append(args, mac)
	}
	return sql + `)`, args
}

func (db *DB) HasRecoveryCode(ctx context.Context, userID string, macs [][]byte) (bool, error) {
	sql, args := recoveryCode(userID, macs)
	var n int64
	err := db.as("HasRecoveryCode").one(ctx, bind(numbered(`SELECT COUNT(*) FROM recovery_codes`+sql), args...),
		func(row scanner) error { return row.Scan(&n) })
	if errors.Is(err, userstore.ErrNotFound) { // a name that no row has
		err = nil
	}
	return n > 0, err
}

const removeHandles = `DELETE FROM spent_handles WHERE id IN
	(SELECT h.id FROM spent_handles h WHERE h.ends_at <= $1 ORDER BY h.ends_at LIMIT $2)`

func (db *DB) RemoveSpentHandles(ctx context.Context, now time.Time, limit int) (int, error) {
	as := db.as("RemoveSpentHandles")
	var all []func(int) (int, error)
	for _, sql := range append([]string{removeHandles, removeTrusted}, removeRetired...) {
		all = append(all, as.removal(ctx, sql, micros(now)))
	}
	return removeAll(limit, all...)
}
