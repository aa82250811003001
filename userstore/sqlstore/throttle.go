package sqlstore

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// numbered gives each $ of an SQL text its number.
func numbered(sql string) string {
	parts := strings.Split(sql, "$")
	var b strings.Builder
	b.WriteString(parts[0])
	for i, part := range parts[1:] {
		fmt.Fprintf(&b, "$%d%s", i+1, part)
	}
	return b.String()
}

// hasRoom is userstore.Limit as an SQL condition: the budget allows one more attempt. The shift is
// the one of userstore.Limit.Wait.
const hasRoom = `(SELECT CASE
		WHEN COUNT(*) < $ THEN 1
		WHEN CAST($ AS BIGINT) = 0 THEN 0
		WHEN MAX(at) + CASE WHEN COUNT(*) - $ >= $ THEN CAST($ AS BIGINT) ELSE CAST($ AS BIGINT) << CAST(COUNT(*) - $ AS INT) END <= $ THEN 1
		ELSE 0 END
	FROM throttle_attempts WHERE budget = $ AND at > $) = 1`

func hasRoomArgs(key userstore.BudgetKey, l userstore.Limit, now time.Time) []any {
	free, step := int64(l.Free), l.Step.Microseconds()
	if free < 1 {
		free = math.MaxInt64
	}
	return []any{free, step, free, int64(l.Doublings()), l.Longest.Microseconds(), step, free, micros(now), key[:], micros(now.Add(-l.Window))}
}

const (
	insertAttempt = `INSERT INTO throttle_attempts (budget, at, attempt, pending_until, expires_at) SELECT $, $, $, $, $ WHERE `
	thisAttempt   = `at = $ AND attempt = $`
	isKnown       = `EXISTS (SELECT 1 FROM throttle_networks WHERE budget = $ AND until > $)`
	onAccount     = `EXISTS (SELECT 1 FROM throttle_attempts WHERE budget IN ($, $) AND ` + thisAttempt + `)`
)

var (
	reserveOwn       = numbered(insertAttempt + isKnown + ` AND ` + hasRoom)
	reserveStrangers = numbered(insertAttempt + `NOT ` + isKnown + ` AND ` + hasRoom)
	reserveNetwork   = numbered(insertAttempt + hasRoom)
	reserveBoth      = numbered(insertAttempt + onAccount + ` AND ` + hasRoom)
	reserveUndo      = numbered(`DELETE FROM throttle_attempts WHERE budget IN ($, $) AND ` + thisAttempt + `
		AND NOT EXISTS (SELECT 1 FROM throttle_attempts WHERE budget = $ AND ` + thisAttempt + `)`)
	// A block counts the attempts that count against the budget of strangers or, without an account,
	// of the network. blockUndo checks no row that it deletes.
	reserveBlock = numbered(insertAttempt + `EXISTS (SELECT 1 FROM throttle_attempts WHERE budget = $ AND ` + thisAttempt +
		`) AND ` + hasRoom)
	blockUndo = numbered(`DELETE FROM throttle_attempts WHERE budget IN ($, $) AND ` + thisAttempt + `
		AND NOT EXISTS (SELECT 1 FROM throttle_attempts WHERE budget IN ($, $) AND ` + thisAttempt + `)`)
)

// ReserveAttempt is one batch. It inserts a row into the account's budget, then one into the
// network's if the first was inserted, and deletes the first again if the second was not. Then it
// does the same with the block's budget, unless the account's row belongs to a remembered network
// or browser; without an account, the network's row takes its place. On PostgreSQL it first takes
// advisory locks by account, by network and by block, in one order for all, because at READ
// COMMITTED two operations would not see each other's rows; each statement after that sees all that
// was committed before it began. The locks end with the transaction, and are of the kind that a
// pooler passes on.
//
// It is not retried when its answer was lost: the caller then returns the attempt, which may be
// done any number of times.
func (db *DB) ReserveAttempt(ctx context.Context, r userstore.Reserve) error {
	var none userstore.BudgetKey
	account, network := r.Own != none, r.Network != none
	block, within := r.Block != none, r.Strangers
	if !account {
		within = r.Network
	}
	row := func(key userstore.BudgetKey, l userstore.Limit) []any {
		return []any{key[:], micros(r.At), r.ID[:], micros(r.PendingUntil), micros(r.At.Add(l.Window))}
	}
	s := db.locks(r.Attempt)
	if account {
		known := []any{r.Own[:], micros(r.At)}
		s = append(s,
			bind(reserveOwn, slices.Concat(row(r.Own, r.OwnLimit), known, hasRoomArgs(r.Own, r.OwnLimit, r.At))...),
			bind(reserveStrangers,
				slices.Concat(row(r.Strangers, r.StrangersLimit), known, hasRoomArgs(r.Strangers, r.StrangersLimit, r.At))...))
	}
	reserved := len(s) // the network's row; without a network, either of the account's two before
	switch {
	case account && network:
		here := []any{r.Own[:], r.Strangers[:], micros(r.At), r.ID[:]}
		s = append(s,
			bind(reserveBoth,
				slices.Concat(row(r.Network, r.NetworkLimit), here, hasRoomArgs(r.Network, r.NetworkLimit, r.At))...),
			bind(reserveUndo, append(here, r.Network[:], micros(r.At), r.ID[:])...))
	case network:
		s = append(s,
			bind(reserveNetwork, slices.Concat(row(r.Network, r.NetworkLimit), hasRoomArgs(r.Network, r.NetworkLimit, r.At))...))
	case !account:
		return fmt.Errorf("%w: an attempt without a budget", userstore.ErrInvalid)
	}
	if block {
		at, id := micros(r.At), r.ID[:]
		s = append(s,
			bind(reserveBlock, slices.Concat(row(r.Block, r.BlockLimit), []any{within[:], at, id},
				hasRoomArgs(r.Block, r.BlockLimit, r.At))...),
			bind(blockUndo, r.Strangers[:], r.Network[:], at, id, r.Block[:], r.Own[:], at, id))
	}
	n, err := db.as("ReserveAttempt").batch(ctx, false, s...)
	if err != nil {
		return err
	}
	if network && n[reserved] == 0 || !network && n[reserved-1]+n[reserved-2] == 0 || block && n[len(n)-1] > 0 {
		return userstore.ErrConflict
	}
	return nil
}

// locks returns the statements that take the advisory locks of an attempt.
func (db *DB) locks(a userstore.Attempt) []stmt {
	var numbers []int64
	for _, key := range []userstore.BudgetKey{a.Strangers, a.Network, a.Block} {
		if key != (userstore.BudgetKey{}) {
			numbers = append(numbers, lockNumber(key))
		}
	}
	slices.Sort(numbers)
	return db.dialect.locked(numbers...)
}

const tally = `COUNT(CASE WHEN pending_until <= $ THEN 1 END), COUNT(CASE WHEN pending_until > $ THEN 1 END),
	COALESCE(MIN(CASE WHEN pending_until <= $ THEN at END), 0), COALESCE(MAX(CASE WHEN pending_until <= $ THEN at END), 0)
	FROM throttle_attempts WHERE budget = $ AND at > $`

var tallies = numbered(`SELECT 0, ` + tally + ` UNION ALL SELECT 1, ` + tally + ` UNION ALL SELECT 2, ` + tally + `
	UNION ALL SELECT 3, ` + tally +
	` UNION ALL SELECT 4, COUNT(*), 0, 0, 0 FROM throttle_networks WHERE budget = $ AND until > $`)

func (db *DB) Tallies(ctx context.Context, r userstore.Reserve) (t userstore.Tallies, err error) {
	var args []any
	now := micros(r.At)
	for _, b := range []struct {
		key userstore.BudgetKey
		userstore.Limit
	}{{r.Own, r.OwnLimit}, {r.Strangers, r.StrangersLimit}, {r.Network, r.NetworkLimit}, {r.Block, r.BlockLimit}} {
		args = append(args, now, now, now, now, b.key[:], micros(r.At.Add(-b.Window)))
	}
	var all [5]userstore.Tally
	err = db.as("Tallies").rows(ctx, bind(tallies, append(args, r.Own[:], now)...), func() {}, func(row scanner) error {
		var which, wrong, pending, oldest, newest int64
		if err := row.Scan(&which, &wrong, &pending, &oldest, &newest); err != nil {
			return err
		}
		all[which] = userstore.Tally{Wrong: int(wrong), Pending: int(pending), Oldest: instant(oldest), Newest: instant(newest)}
		return nil
	})
	t = userstore.Tallies{Account: all[1], Network: all[2], Block: all[3], Remembered: all[4].Wrong > 0}
	if t.Remembered {
		t.Account = all[0]
	}
	return t, err
}

var (
	failAttempt = numbered(`UPDATE throttle_attempts SET pending_until = 0 WHERE budget IN ($, $, $, $) AND ` +
		thisAttempt)
	returnAttempt = numbered(`DELETE FROM throttle_attempts WHERE budget IN ($, $, $, $) AND ` + thisAttempt)
)

func attemptArgs(a userstore.Attempt) []any {
	return []any{a.Own[:], a.Strangers[:], a.Network[:], a.Block[:], micros(a.At), a.ID[:]}
}

func (db *DB) FailAttempt(ctx context.Context, a userstore.Attempt, events ...audit.Event) error {
	s := storeEvents(eventRows(events))
	if a != (userstore.Attempt{}) {
		s = append(s, bind(failAttempt, attemptArgs(a)...))
	}
	switch len(s) {
	case 0:
		return nil
	case 1:
		_, err := db.as("FailAttempt").write(ctx, true, s[0])
		return err
	}
	_, err := db.as("FailAttempt").batch(ctx, true, s...)
	return err
}

func (db *DB) ReturnAttempt(ctx context.Context, a userstore.Attempt) error {
	_, err := db.as("ReturnAttempt").write(ctx, true, bind(returnAttempt, attemptArgs(a)...))
	return err
}

const (
	returnSucceeded = `DELETE FROM throttle_attempts WHERE budget IN ($, $, $, $) AND ` + thisAttempt + ` AND `
	// Written once a day at most, however often the user logs in.
	rememberNetwork  = `INSERT INTO throttle_networks (budget, until) SELECT $, $ WHERE `
	extendRemembered = ` ON CONFLICT (budget) DO UPDATE SET until = excluded.until WHERE throttle_networks.until < $`
)

// succeeded returns the statements by which the batch of a login returns the attempt, if the
// login's row is stored: proof looks for the row by its key. Own and keys are remembered, unless
// they are zero.
func succeeded(a userstore.Attempt, remember time.Time, proof string, key []byte, keys ...userstore.BudgetKey) []stmt {
	if a == (userstore.Attempt{}) {
		return nil
	}
	steps := []stmt{bind(numbered(returnSucceeded+proof), append(attemptArgs(a), key)...)}
	if remember.IsZero() {
		return steps
	}
	for _, k := range append([]userstore.BudgetKey{a.Own}, keys...) {
		if k != (userstore.BudgetKey{}) {
			steps = append(steps, bind(numbered(rememberNetwork+proof+extendRemembered),
				k[:], micros(remember), key, micros(remember.Add(-24*time.Hour))))
		}
	}
	return steps
}

var (
	removeAttempts = numbered(`DELETE FROM throttle_attempts WHERE (budget, at, attempt) IN
		(SELECT a.budget, a.at, a.attempt FROM throttle_attempts a
		WHERE a.expires_at >= $ AND a.expires_at <= $ ORDER BY a.expires_at LIMIT $) RETURNING expires_at`)
	removeNetworks = numbered(`DELETE FROM throttle_networks WHERE budget IN
		(SELECT n.budget FROM throttle_networks n
		WHERE n.until >= $ AND n.until <= $ ORDER BY n.until LIMIT $) RETURNING until`)
)

func (db *DB) RemoveExpiredAttempts(ctx context.Context, now time.Time, limit int) (int, error) {
	as := db.as("RemoveExpiredAttempts")
	return removeAll(limit, as.removalFrom(ctx, removeAttempts, micros(now)), as.removalFrom(ctx, removeNetworks, micros(now)))
}
