package sqlstore

import (
	"context"
	"slices"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// withEnded selects, as "ended", the live grants that have to end because user $1 has a new grant
// $3 of client $2: those beyond $6 of the same client, and those beyond $7 of the user, counting
// the new one.
//
// Grants that are idle since $5 end first: they are expired, though their row does not say so. Then
// come those without a refresh token (generation 0), which end with their access token anyway; then
// those that were never refreshed; then those whose refresh is longest ago. So a client that logs
// in again and again, as a script or a hidden frame does, ends its own unused grants and no session
// that a person keeps up. Both subqueries read the rows of one user by one index. rotated_at
// changes with each refresh and must stay out of indexes (HOT), so a user's few rows are sorted
// here. LIMIT bounds the work of one login; each login adds one row and may delete a hundred.
const withEnded = `WITH ended AS (SELECT id FROM (SELECT g.id FROM grants g
		WHERE g.user_id = $1 AND g.client_id = $2 AND g.id <> $3 AND g.revoked_at = 0 AND g.expires_at > $4
		ORDER BY ` + mostWorthKeepingFirst + ` LIMIT 100 OFFSET $6 - 1) AS of_client
	UNION SELECT id FROM (SELECT g.id FROM grants g
		WHERE g.user_id = $1 AND g.id <> $3 AND g.revoked_at = 0 AND g.expires_at > $4
		ORDER BY ` + mostWorthKeepingFirst + ` LIMIT 100 OFFSET $7 - 1) AS of_user) `

const mostWorthKeepingFirst = `CASE WHEN g.rotated_at <= $5 THEN 0 WHEN g.generation = 0 THEN 1 WHEN g.generation = 1 THEN 2 ELSE 3 END DESC,
		g.rotated_at DESC, g.created_at DESC, g.id`

const newGrantIsThere = ` AND EXISTS (SELECT 1 FROM grants n WHERE n.id = $3 AND n.user_id = $1)`

const (
	// recordEnded stores an audit entry for each grant that has to end and could still be
	// refreshed. The entry's id is the grant's random session id: a grant ends once.
	recordEnded = withEnded + `INSERT INTO audit_events (` + eventColumns + `)
	SELECT $4, t.session_id, $8, $9, $10, $11, $12, $13, t.user_id, t.client_id, t.session_id, $14, $15, $16, $17
	FROM grants t WHERE t.user_id = $1 AND t.generation > 0 AND t.rotated_at > $5 AND t.id IN (SELECT id FROM ended)` +
		newGrantIsThere + unlessStored

	// endOldest deletes the grants that recordEnded recorded, and the other grants that have to
	// end. A refresh may commit between the two statements and change which grants they would
	// select, so the second statement follows the entries of the first. It also keeps the youngest
	// $10 revoked grants of the user, and deletes the older ones.
	//
	// These grants are deleted, not revoked; otherwise the rows would pile up to their absolute
	// limit. Nothing is lost by this: a replay must end a grant that still lives, and the refresh
	// token of a deleted grant is invalid_grant, as that of a revoked one. A revoked row is kept
	// only to show the reason, for which the youngest suffice. RemoveExpired deletes expired rows,
	// and so rarely meets this statement at a row; when they deadlock, one of them is retried.
	endOldest = withEnded + `DELETE FROM grants WHERE user_id = $1 AND (
	session_id IN (SELECT e.session_id FROM audit_events e WHERE e.at = $4 AND e.target_id = $1 AND e.name = $8 AND e.reason = $9)
	OR (generation = 0 OR rotated_at <= $5) AND id IN (SELECT id FROM ended)
	OR id IN (SELECT id FROM (SELECT g.id FROM grants g WHERE g.user_id = $1 AND g.revoked_at <> 0 AND g.expires_at > $4
		ORDER BY g.created_at DESC LIMIT 100 OFFSET $10) AS revoked))` + newGrantIsThere
)

// boundGrants returns the statements of a batch that keep the bounds of a user's grants after g was
// inserted, and store the app session that began with g unless noApp says that its client wants
// none. They do nothing if g was not inserted. The user's row is locked by then, so that logins of
// one user count each other's grants.
func boundGrants(ctx context.Context, g userstore.Grant, idleSince time.Time, noApp bool) []stmt {
	row := tooMany(ctx, g.CreatedAt, g.UserID)
	args := []any{g.UserID, g.ClientID, g.ID[:], row[0], micros(idleSince),
		int64(userstore.MaxGrantsPerClient), int64(userstore.MaxGrantsPerUser)}
	entryColumns := append([]any{}, row[2:8]...)       // name to target_type
	entryColumns = append(entryColumns, row[11:15]...) // address to changes
	steps := []stmt{
		bind(recordEnded, slices.Concat(args, entryColumns)...),
		bind(endOldest, slices.Concat(args, []any{row[2], row[4], int64(userstore.MaxRevokedPerUser)})...),
	}
	if noApp {
		return steps
	}
	return append(steps, startAppSession(g)...)
}

// tooMany returns the columns of the audit entry for a session that has to make room for a new one.
// Statements take the id of the entry and of the session from the session's row.
func tooMany(ctx context.Context, at time.Time, userID string) []any {
	e := audit.New(ctx, at, audit.SessionRevoked, audit.User(userID))
	e.Reason, e.Actor = audit.TooMany, audit.Actor{Type: audit.BySystem}
	return eventRows([]audit.Event{e})[0].columns
}
