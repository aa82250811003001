package sqlstore

import (
	"context"
	"errors"

	"github.com/signet-id/signet/userstore"
)

// A factor that is removed while the link of a message could still undo an earlier act is retired: its
// row moves to another table, which no login reads. Only that undoing asks for the factor, and brings it
// back. Otherwise somebody who once has a recent proof could remove all factors of the owner, and no link
// would be of use: each asks for a factor from before its act.

// factorKind is a kind of factor with its tables.
type factorKind struct {
	table, retired string
	columns        string // of both tables; f names the row
	counts         string // the condition of a row of table that counts
	also           string // column of table that the retired one lacks, with a comma; it is TRUE
}

var (
	appKind = factorKind{
		table: "authenticator_apps", retired: "retired_apps", counts: "f.confirmed", also: ", confirmed",
		columns: `id, last_counter, last_used_at, user_id, sealed, algorithm, digits, period, created_at`,
	}
	passkeyKind = factorKind{
		table: "passkeys", retired: "retired_passkeys", counts: "TRUE",
		columns: `id, last_used_at, sign_count, backed_up, backup_eligible, user_id, credential_id, public_key, transports,
			aaguid, name, created_at`,
	}
	codeKind = factorKind{
		table: "recovery_codes", retired: "retired_codes", counts: "TRUE", columns: `user_id, mac, created_at`,
	}

	factorKinds = []factorKind{appKind, passkeyKind, codeKind}
)

// undoes is the condition on t, a token that can undo an act of a user until a time.
func undoes(user string) string {
	return `t.kind IN ('undo_email', 'factor_added') AND t.user_id = ` + user + ` AND t.spent_at = 0 AND t.ends_at > $`
}

// changedAt is the time, in SQL with the time as its three parameters, at which a user's factors change. It
// is not before that of a token that can undo an act, for the times tell what was there before the act,
// and the clock of another replica may be behind.
func changedAt(user string) string {
	return `(SELECT CASE WHEN COALESCE(MAX(t.at), 0) > $ THEN MAX(t.at) ELSE CAST($ AS BIGINT) END
		FROM one_time_tokens t WHERE ` + undoes(user) + `)`
}

// retire returns the statement that retires the rows f of a user that meet a condition, before another
// statement deletes them. A row that no token can bring back is not kept.
func (k factorKind) retire(userID string, at int64, condition string, args ...any) factorStep {
	const older = ` AND t.at > f.created_at)`
	tokens := ` FROM one_time_tokens t WHERE ` + undoes("f.user_id") + older
	sql := `INSERT INTO ` + k.retired + ` (` + k.columns + `, retired_at, ends_at)
		SELECT ` + k.columns + `, ` + changedAt("f.user_id") + `, (SELECT MAX(t.ends_at)` + tokens + `
		FROM ` + k.table + ` f WHERE f.user_id = $ AND ` + k.counts + condition + `
			AND EXISTS (SELECT 1` + tokens + ` ON CONFLICT DO NOTHING`
	all := append([]any{at, at, at, at, userID}, args...)
	return factorStep{stmt: bind(numbered(sql), append(all, at)...)}
}

// forgetRetired are the statements after which nothing brings back what a user had.
func forgetRetired(userID string) (steps []factorStep) {
	for _, k := range factorKinds {
		steps = append(steps, factorStep{stmt: bind(`DELETE FROM `+k.retired+` WHERE user_id = $1`, userID)})
	}
	return steps
}

// restored are the statements that bring back what the user of a token had before the act that it
// undoes, in the place of what came since. What was retired before the act stays so.
func restored(id string) (steps []factorStep) {
	for _, k := range factorKinds {
		columns, values := k.columns+k.also, k.columns
		if k.also != "" {
			values += ", TRUE"
		}
		steps = append(steps,
			factorStep{stmt: bind(numbered(`DELETE FROM `+k.table+` WHERE user_id = `+userOfToken+` AND created_at >=`+since), id, id)},
			factorStep{stmt: bind(numbered(`INSERT INTO `+k.table+` (`+columns+`) SELECT `+values+` FROM `+k.retired+`
				WHERE user_id = `+userOfToken+` AND created_at <`+since+` AND retired_at >=`+since+` ON CONFLICT DO NOTHING`), id, id, id)},
			factorStep{stmt: bind(numbered(`DELETE FROM `+k.retired+` WHERE user_id = `+userOfToken+` AND retired_at >=`+since), id, id)})
	}
	return steps
}

// held reads from the rows that the user of a token had before the act that it undoes, with the token's id
// as its five parameters.
func (k factorKind) held() string {
	return `(SELECT ` + k.columns + ` FROM ` + k.table + ` f WHERE f.user_id = ` + userOfToken + ` AND ` + k.counts + `
			AND f.created_at <` + since + `
		UNION ALL SELECT ` + k.columns + ` FROM ` + k.retired + ` f WHERE f.user_id = ` + userOfToken + `
			AND f.created_at <` + since + ` AND f.retired_at >=` + since + `)`
}

var (
	heldCounts = numbered(`SELECT u.factor_epoch, u.passkey_handle, u.wrong_codes, (SELECT COUNT(*) FROM ` + codeKind.held() + ` c)
		FROM users u WHERE u.id = ` + userOfToken)
	heldApps     = numbered(`SELECT TRUE, ` + appColumns + ` FROM ` + appKind.held() + ` a`)
	heldPasskeys = numbered(`SELECT ` + passkeyColumns + ` FROM ` + passkeyKind.held() + ` p ORDER BY p.created_at, p.id`)
	heldCode     = `SELECT COUNT(*) FROM ` + codeKind.held() + ` c WHERE (FALSE`
)

func (db *DB) HeldFactors(ctx context.Context, tokenID string) (userstore.SecondFactors, error) {
	five := []any{tokenID, tokenID, tokenID, tokenID, tokenID}
	return db.as("HeldFactors").readFactors(ctx, bind(heldCounts, append(five, tokenID)...),
		bind(heldApps, five...), bind(heldPasskeys, five...))
}

func (db *DB) HeldRecoveryCode(ctx context.Context, tokenID string, macs [][]byte) (bool, error) {
	sql, args := heldCode, []any{tokenID, tokenID, tokenID, tokenID, tokenID}
	for _, mac := range macs {
		sql, args = sql+` OR c.mac = $`, append(args, mac)
	}
	var n int64
	err := db.as("HeldRecoveryCode").one(ctx, bind(numbered(sql+`)`), args...),
		func(row scanner) error { return row.Scan(&n) })
	if errors.Is(err, userstore.ErrNotFound) { // a name that no row has
		err = nil
	}
	return n > 0, err
}

// removeRetired are the statements that delete, at most so many at once, what no token brings back any more.
var removeRetired = []string{
	`DELETE FROM retired_apps WHERE id IN (SELECT r.id FROM retired_apps r WHERE r.ends_at <= $1 ORDER BY r.ends_at LIMIT $2)`,
	`DELETE FROM retired_passkeys WHERE id IN
		(SELECT r.id FROM retired_passkeys r WHERE r.ends_at <= $1 ORDER BY r.ends_at LIMIT $2)`,
	`DELETE FROM retired_codes WHERE (user_id, mac) IN
		(SELECT r.user_id, r.mac FROM retired_codes r WHERE r.ends_at <= $1 ORDER BY r.ends_at LIMIT $2)`,
}
